//! A recording as listings show it, and one with everything that is known of it.

use focus_core::recording_state::{RecordingState, Standing};
use focus_core::state::State;
use focus_core::vanish::Held;
use rusqlite::{OptionalExtension, Row};

use crate::listing::Cursor;
use crate::rows::RootId;
use crate::schema::LIVE_END_MS;
use crate::stage::{DONE, HELD, REFUSED};
use crate::uuids::of_uuid;
use crate::{IndexError, Reader};

/// A recognised recording, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Where a listing goes on after this one.
    pub cursor: Cursor,
    /// Its uuid.
    pub uuid: String,
    /// Milliseconds since 1970.
    pub start_ms: i64,
    /// Milliseconds since 1970; none while live.
    pub end_ms: Option<i64>,
    /// Its state: the first one that is true of it.
    pub state: RecordingState,
    /// Deleted: its sidecar says so, or its files are gone for good.
    pub deleted: bool,
    /// The root's marker id.
    pub root: String,
    /// Path of the data file, relative to the root.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Not yet acknowledged by the catalog.
    pub pending: bool,
    /// Its files are gone.
    pub vanished: bool,
}

/// Everything that is known of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole {
    /// What listings show of it.
    pub listed: Listed,
    /// Its id: the path without extension.
    pub recording_id: String,
    /// What tells its content.
    pub fingerprint: String,
    /// The metadata of its sidecar, JSON.
    pub metadata: String,
    /// When the index learned of it first, milliseconds since 1970; none where an earlier version did.
    pub first_seen_ms: Option<i64>,
    /// When the catalog acknowledged it last, milliseconds since 1970.
    pub acknowledged_ms: Option<i64>,
    /// Since when its files are gone, milliseconds since 1970.
    pub vanished_ms: Option<i64>,
    /// Why it is held.
    pub held_why: Option<Held>,
    /// Why the catalog refused it.
    pub refused_why: Option<String>,
}

/// Columns of `recordings` (as `r`) that make a [`Listed`]. The root's number is the second.
pub(crate) const SHOWN: &str = "r.id, r.root, r.uuid, r.start_ms, r.end_ms, r.deleted,
  (SELECT marker FROM roots WHERE id = r.root), r.path, r.size, r.pending, r.vanished_ms, r.vanish_step";

/// The column with the metadata.
pub(crate) const METADATA: &str = "r.metadata";

/// Reads the columns of [`SHOWN`].
pub(crate) fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let (id, start_ms) = (row.get(0)?, row.get(3)?);
    let (end_ms, deleted): (i64, i64) = (row.get(4)?, row.get(5)?);
    let (pending, vanish_step): (i64, i64) = (row.get(9)?, row.get(11)?);
    let vanished = row.get_ref(10)? != rusqlite::types::ValueRef::Null;
    let end_ms = (end_ms != LIVE_END_MS).then_some(end_ms);
    let standing = Standing {
        is_deleted: deleted != 0,
        is_held: vanished && vanish_step == HELD,
        has_vanished: vanished,
        is_refused: pending == REFUSED,
        is_pending: pending != DONE,
        is_live: end_ms.is_none(),
    };
    Ok(Listed {
        cursor: Cursor::new(start_ms, id),
        uuid: row.get(2)?,
        start_ms,
        end_ms,
        state: RecordingState::of(standing),
        deleted: standing.is_deleted,
        root: row.get(6)?,
        path: row.get(7)?,
        size: row.get(8)?,
        pending: standing.is_pending,
        vanished,
    })
}

impl Reader {
    /// The recording with this uuid; none where no configured root has it.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn recording(&self, uuid: &str) -> Result<Option<Whole>, IndexError> {
        self.read(|connection| {
            let scope = self.scope(connection)?;
            let sql = format!(
                "SELECT {SHOWN}, r.recording_id, r.fingerprint, r.metadata, r.first_seen_ms, r.acknowledged_ms,
                   r.held_why, (SELECT f.reason FROM files f WHERE f.id = r.file AND f.state = ?2)
                 FROM recordings r WHERE {}",
                of_uuid!("r.id", "?1")
            );
            let whole = connection.prepare_cached(&sql)?.query_row([uuid, State::CatalogRefused.name()], |row| {
                let root: i64 = row.get(1)?;
                Ok((root, whole(row)?))
            });
            let found = whole.optional()?;
            Ok(found.filter(|(root, _)| scope.has(*root)).map(|(_, whole)| whole))
        })
    }

    /// The configured root with this marker id or this path; none where there is none.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn root_named(&self, name: &str) -> Result<Option<RootId>, IndexError> {
        let roots = self.indexed_roots()?;
        let named = |root: &&crate::IndexedRoot| root.marker == name || root.path == name;
        Ok(roots.iter().filter(|root| root.is_configured).find(named).map(|root| root.id))
    }
}

fn whole(row: &Row<'_>) -> rusqlite::Result<Whole> {
    let held_why: Option<String> = row.get(17)?;
    Ok(Whole {
        listed: listed(row)?,
        recording_id: row.get(12)?,
        fingerprint: row.get(13)?,
        metadata: row.get(14)?,
        first_seen_ms: row.get(15)?,
        acknowledged_ms: row.get(16)?,
        vanished_ms: row.get(10)?,
        held_why: held_why.as_deref().and_then(Held::from_name),
        refused_why: row.get(18)?,
    })
}
