//! Cutting two ordered pages to the range of uuids that both of them cover.

use super::finding::IndexedRecording;
use crate::compare::Page;
use crate::document::Stored;

/// A range of uuids with everything that both sides have in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The documents, ordered by uuid.
    pub documents: Vec<Stored>,
    /// The recordings of the index, ordered by uuid.
    pub rows: Vec<IndexedRecording>,
    /// The last uuid of the range, after which the next window begins; none where both sides are at
    /// their end.
    pub through: Option<String>,
}

impl Window {
    /// The window of two pages that begin after the same uuid. What a page has beyond the range is left
    /// out, and comes again with the next page.
    pub fn of(documents: Page<Stored>, rows: Page<IndexedRecording>) -> Window {
        let (more_documents, more_rows) = (documents.more, rows.more);
        let (mut documents, mut rows) = (documents.items, rows.items);
        let mut through: Option<String> = None;
        if more_documents {
            without_last_uuid(&mut documents);
            through = documents.last().map(|stored| stored.uuid.clone());
        }
        if more_rows {
            let last = rows.last().map(|row| row.row.recording.uuid.clone());
            through = through.zip(last.clone()).map(|(a, b)| a.min(b)).or(last);
        }
        if let Some(through) = &through {
            documents.retain(|stored| stored.uuid <= *through);
            rows.retain(|row| row.row.recording.uuid <= *through);
        }
        Window { documents, rows, through }
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
    use crate::compare::Row;
    use crate::entry::EntryId;
    use crate::json::Value;
    use crate::recording::Recording;

    fn documents(uuids: &[&str], more: bool) -> Page<Stored> {
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

    fn rows(uuids: &[&str], more: bool) -> Page<IndexedRecording> {
        let row = |uuid: &&str| IndexedRecording {
            young: false,
            row: Row {
                id: EntryId(1),
                generation: 1,
                known: true,
                vanished: false,
                marked: false,
                changed: false,
                recording: Recording {
                    uuid: (*uuid).to_owned(),
                    start_ms: 0,
                    end_ms: None,
                    deleted: false,
                    deleted_at_ms: None,
                    recording_id: String::new(),
                    root: String::new(),
                    path: String::new(),
                    size: 0,
                    fingerprint: String::new(),
                    metadata: Value::Object(Vec::new()),
                },
            },
        };
        let mut page = Page::of(usize::MAX, uuids.iter().map(row));
        page.more = more;
        page
    }

    /// Documents, rows, and the end of the window.
    fn cut(
        documents: Page<Stored>,
        rows: Page<IndexedRecording>,
    ) -> (String, String, Option<String>) {
        let window = Window::of(documents, rows);
        let left = window.documents.iter().map(|stored| stored.uuid.as_str()).collect();
        let right = window.rows.iter().map(|row| row.row.recording.uuid.as_str()).collect();
        (left, right, window.through)
    }

    #[test]
    fn at_the_end_of_both_sides_everything_is_in_the_window() {
        let whole = cut(documents(&["a", "c"], false), rows(&["b", "d"], false));
        assert_eq!(whole, ("ac".to_owned(), "bd".to_owned(), None));
    }

    #[test]
    fn a_window_ends_where_the_shorter_page_ends() {
        let cut_by_rows = cut(documents(&["a", "c", "d"], false), rows(&["b", "c"], true));
        assert_eq!(cut_by_rows, ("ac".to_owned(), "bc".to_owned(), Some("c".to_owned())));
        let cut_by_documents = cut(documents(&["a", "b", "c"], true), rows(&["a", "d"], false));
        assert_eq!(cut_by_documents, ("ab".to_owned(), "a".to_owned(), Some("b".to_owned())));
    }

    #[test]
    fn duplicates_are_not_torn_apart_at_the_end_of_a_page() {
        let torn = cut(documents(&["a", "b", "b"], true), rows(&["b"], false));
        assert_eq!(torn, ("a".to_owned(), String::new(), Some("a".to_owned())));
        let single = cut(documents(&["b", "b"], true), rows(&["b", "c"], false));
        assert_eq!(single, ("bb".to_owned(), "b".to_owned(), Some("b".to_owned())));
    }
}
