//! A range of uuids with all documents that the catalog has in it.
//!
//! Whoever compares reads the catalog in ranges that end at a uuid which the index has. A range with a beginning
//! and an end costs any database as much as it holds, and no more.

use crate::compare::Page;
use crate::document::Stored;

/// The documents of a root in a range of uuids, all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// Ordered by uuid.
    pub documents: Vec<Stored>,
    /// The last uuid of the range, after which the next one begins; none where the range has no end.
    pub through: Option<String>,
}

impl Window {
    /// How many recordings of the index a window is made to hold, of `limit` documents that a page takes. The catalog
    /// may have some that the index does not know: they shall be in the same page.
    pub fn rows(limit: usize) -> usize {
        (limit - limit / 8).max(1)
    }

    /// The window of a page that was read up to the uuid `bound`; without one to the end. A page that was full ends the
    /// window earlier.
    pub fn of(page: Page<Stored>, bound: Option<String>) -> Window {
        if !page.more {
            return Window { documents: page.items, through: bound };
        }
        let mut documents = page.items;
        without_last_uuid(&mut documents);
        let through = documents.last().map(|stored| stored.uuid.clone());
        Window { documents, through }
    }

    /// Takes the documents up to this uuid, itself included.
    pub fn take_through(&mut self, uuid: &str) -> Vec<Stored> {
        let rest = self.documents.partition_point(|stored| stored.uuid.as_str() <= uuid);
        let rest = self.documents.split_off(rest);
        std::mem::replace(&mut self.documents, rest)
    }
}

/// Leaves out the documents with the last uuid of a page that is followed by another: more documents
/// may share that uuid. A page that holds a single uuid stays as it is, so that a window never is
/// empty before the end.
fn without_last_uuid(documents: &mut Vec<Stored>) {
    let last = documents.last().map(|stored| stored.uuid.clone());
    if documents.first().map(|stored| &stored.uuid) != last.as_ref() {
        documents.retain(|stored| Some(&stored.uuid) != last.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(uuids: &[&str], more: bool) -> Page<Stored> {
        let stored = |uuid: &&str| Stored {
            uuid: (*uuid).to_owned(),
            root: None,
            version: None,
            deleted: false,
            path: None,
            recording: None,
        };
        let mut page = Page::of(usize::MAX, uuids.iter().map(stored));
        page.more = more;
        page
    }

    fn uuids(documents: &[Stored]) -> String {
        documents.iter().map(|stored| stored.uuid.as_str()).collect()
    }

    /// The documents, and the end of the window.
    fn window(of: &[&str], more: bool, bound: Option<&str>) -> (String, Option<String>) {
        let window = Window::of(page(of, more), bound.map(str::to_owned));
        (uuids(&window.documents), window.through)
    }

    #[test]
    fn a_window_ends_at_its_bound_whatever_the_catalog_has() {
        let end = Some("m".to_owned());
        assert_eq!(window(&["a", "c"], false, Some("m")), ("ac".to_owned(), end.clone()));
        assert_eq!(window(&[], false, Some("m")), (String::new(), end));
        assert_eq!(window(&["a", "c"], false, None), ("ac".to_owned(), None));
    }

    #[test]
    fn a_full_page_ends_the_window_before_its_bound() {
        let end = Some("b".to_owned());
        assert_eq!(window(&["a", "b", "c"], true, Some("m")), ("ab".to_owned(), end.clone()));
        assert_eq!(window(&["a", "b", "c"], true, None), ("ab".to_owned(), end));
    }

    #[test]
    fn duplicates_are_not_torn_apart_at_the_end_of_a_page() {
        let before = ("a".to_owned(), Some("a".to_owned()));
        assert_eq!(window(&["a", "b", "b"], true, None), before);
        assert_eq!(window(&["b", "b"], true, None), ("bb".to_owned(), Some("b".to_owned())));
    }

    #[test]
    fn a_window_is_taken_piece_by_piece() {
        let mut window = Window::of(page(&["a", "c", "c", "e"], false), None);
        assert_eq!(uuids(&window.take_through("b")), "a");
        assert_eq!(uuids(&window.take_through("c")), "cc");
        assert_eq!(uuids(&window.take_through("c")), "");
        assert_eq!(uuids(&window.documents), "e");
    }

    #[test]
    fn a_window_leaves_room_for_documents_that_the_index_does_not_know() {
        assert_eq!([1, 2, 8, 1_000].map(Window::rows), [1, 2, 7, 875]);
    }
}
