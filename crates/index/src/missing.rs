//! Documents whose recording the index does not know.

use focus_core::document::Stored;
use focus_core::entry::EntryId;
use focus_core::entry::observed::{missing, missing_no_more, place_of};
use focus_crash::Write;
use rusqlite::{OptionalExtension, Transaction};

use crate::entry::{ENTRY, Put, Read, entry, put, store};
use crate::place;
use crate::rows::RootId;
use crate::uuids::of_uuid;
use crate::{Index, IndexError};

impl Index {
    /// Documents of the root whose recording the index does not know: they are looked for like any
    /// other that is gone. Those that name no place are passed over. Where the uuid is known after all,
    /// only that the catalog has a document of it is stored.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn add_missing(
        &self,
        root: RootId,
        documents: Vec<Stored>,
        now_wall_ms: i64,
    ) -> Result<(), IndexError> {
        self.write(Write::AddMissing, move |tx| {
            for stored in &documents {
                add_missing(tx, root, stored, now_wall_ms)?;
            }
            Ok(())
        })
        .await
    }
}

fn add_missing(
    tx: &Transaction<'_>,
    root: RootId,
    stored: &Stored,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let Some(recording) = &stored.recording else { return Ok(()) };
    let found_since = tx
        .prepare_cached(&format!(
            "SELECT r.id, r.root, {ENTRY} FROM recordings r WHERE {}",
            of_uuid!("r.id", "?1")
        ))?
        .query_row([&recording.uuid], |row| {
            Ok((EntryId(row.get(0)?), row.get::<_, i64>(1)?, entry(row, 2)?))
        })
        .optional()?;
    if let Some((id, of, before)) = found_since {
        // Another root's is not what this document is of.
        return if of == root.0 {
            store(tx, id, &before, &missing_no_more(before))
        } else {
            Ok(())
        };
    }
    let Some(at) = place_of(&recording.path) else { return Ok(()) };
    let file = place::row_for(tx, root.0, &at)?;
    let read = Read::at(root.0, file, recording);
    put(tx, Put::New, &read, &missing(stored, recording, now_ms))
}
