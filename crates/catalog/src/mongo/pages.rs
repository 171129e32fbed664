//! Pages of documents by uuid.
//!
//! A page that is full leaves its cursor open, and the next page goes on with it: some databases read a whole range
//! for each query of it. Whatever happens to that cursor, the page is read anew by a query that begins where the last
//! page ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_core::answer::Failure;
use focus_core::compare::Page;
use mongodb::Cursor;
use mongodb::action::Action;
use mongodb::bson::doc;
use mongodb::bson::raw::RawDocumentBuf;
use mongodb::error::ErrorKind;
use parking_lot::Mutex;

use super::document;
use super::state::{MongoState, READ_LIMIT};
use crate::{RootPlace, Stored};

/// Cursors kept at most: each may hold a batch of 16 MiB.
const KEPT_MAX: usize = 2;

/// A cursor is used for so long at most: a database may answer by what it had when the cursor was opened.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A page whose cursor goes while it is read is read anew so often.
const ANEW_MAX: usize = 3;

/// Codes of cursors that are gone: not found, killed, and killed with their plan.
const CURSOR_GONE: [i32; 3] = [43, 237, 175];

/// What a page is of: its collection and root, and the uuids before and at the end of its range.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    epoch: u64,
    collection: String,
    root: String,
    after: String,
    through: Option<String>,
}

/// A cursor whose next document is the first one of this range.
struct Kept {
    range: Range,
    opened: Instant,
    cursor: Cursor<RawDocumentBuf>,
}

/// The cursors that full pages have left open.
#[derive(Clone, Default)]
pub(super) struct KeptCursors(Arc<Mutex<Vec<Kept>>>);

impl std::fmt::Debug for KeptCursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptCursors").finish_non_exhaustive()
    }
}

impl KeptCursors {
    /// The cursor of this range, where one was kept and is not too old.
    fn take(&self, range: &Range) -> Option<Kept> {
        let mut kept = self.0.lock();
        kept.retain(|one| one.opened.elapsed() < KEPT_FOR && one.range.epoch == range.epoch);
        let at = kept.iter().position(|one| one.range == *range)?;
        Some(kept.remove(at))
    }

    /// Keeps a cursor, in the place of the one that was kept longest where there are too many.
    fn keep(&self, new: Kept) {
        let mut kept = self.0.lock();
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push(new);
    }
}

pub(super) async fn page(
    state: &MongoState,
    root: &RootPlace,
    (after, through): (Option<&str>, Option<&str>),
    limit: usize,
) -> Result<Page<Stored>, Failure> {
    let range = Range {
        epoch: state.live()?.epoch,
        collection: state.collections_of(root)?.recordings,
        root: root.id.clone(),
        after: after.unwrap_or("").to_owned(),
        through: through.map(str::to_owned),
    };
    let kept = state.kept_cursors.clone();
    state
        .call(READ_LIMIT, move |live, database| async move {
            if let Some(mut old) = kept.take(&range)
                && let Ok(page) = fill(&mut old.cursor, limit).await
            {
                keep(&kept, range, old.opened, old.cursor, &page);
                return Ok(page);
            }
            let mut uuids = doc! { "$gt": &range.after };
            if let Some(through) = &range.through {
                uuids.insert("$lte", through);
            }
            let filter = doc! { "uuid": uuids, "root": &range.root };
            let batch = u32::try_from(limit).unwrap_or(u32::MAX);
            let mut tries = 0;
            loop {
                tries += 1;
                let opened = Instant::now();
                let mut cursor = database
                    .collection::<RawDocumentBuf>(&range.collection)
                    .find(filter.clone())
                    .optional(live.simple(), |find, simple| find.collation(simple))
                    .projection(document::ours())
                    .sort(doc! { "uuid": 1 })
                    .batch_size(batch)
                    .await?;
                match fill(&mut cursor, limit).await {
                    Ok(page) => {
                        keep(&kept, range, opened, cursor, &page);
                        return Ok(page);
                    }
                    Err(error) if tries < ANEW_MAX && is_cursor_gone(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        })
        .await
}

/// Keeps the cursor for the page after this one, where there is one.
fn keep(
    kept: &KeptCursors,
    range: Range,
    opened: Instant,
    cursor: Cursor<RawDocumentBuf>,
    page: &Page<Stored>,
) {
    if let Some(last) = page.items.last().filter(|_| page.more && cursor.has_next()) {
        let range = Range { after: last.uuid.clone(), ..range };
        kept.keep(Kept { range, opened, cursor });
    }
}

/// Reads a page of what comes next.
async fn fill(
    cursor: &mut Cursor<RawDocumentBuf>,
    limit: usize,
) -> mongodb::error::Result<Page<Stored>> {
    let mut page = Page::new();
    while cursor.advance().await? {
        let found = cursor.current();
        // With a uuid above a text, it has one that is a text.
        let Some(stored) = document::stored(found) else { continue };
        if !page.add(stored, found.as_bytes().len(), limit) {
            break;
        }
    }
    Ok(page)
}

fn is_cursor_gone(error: &mongodb::error::Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(command) if CURSOR_GONE.contains(&command.code))
}
