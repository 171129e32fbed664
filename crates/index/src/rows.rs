//! Rows that several modules read, and how they become the core's types.

use focus_core::entry::answered::picked;
use focus_core::json::Value;
use focus_core::recording::Recording;
use rusqlite::Row;

use crate::schema::LIVE_END_MS;
use crate::stage::SAID_DELETED;
use crate::sum::sum;

/// Which root of the index: opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootId(pub(crate) i64);

/// Which folder of the index: opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FolderId(pub(crate) i64);

/// Which place of the index: opaque, and higher the later the index learned of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaceId(pub(crate) i64);

impl FolderId {
    /// A small number of its own, for a set of bits.
    pub fn number(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }
}

impl PlaceId {
    /// A small number of its own, for a set of bits.
    pub fn number(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }
}

/// What the index remembers of a root's catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootMemory {
    /// Which root it is.
    pub id: RootId,
    /// Which database this was.
    pub identity: Option<String>,
    /// The watermark acknowledged last.
    pub remembered: Option<String>,
    /// The watermark of a batch whose fate is not known.
    pub noted: Option<String>,
    /// The whole content has to be compared.
    pub owed: bool,
    /// The lease's token that was held last.
    pub token: i64,
    /// The highest token seen of anybody.
    pub token_seen: i64,
    /// Start of the last finished scan, milliseconds since 1970.
    pub complete_through_ms: Option<i64>,
}

/// Counts of one root, kept by the index itself: cheap at any size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RootTotals {
    /// Recognised recordings, those marked as deleted left out.
    pub recordings: u64,
    /// To be written to the catalog.
    pub pending: u64,
    /// Files gone, and not marked as deleted.
    pub vanished: u64,
    /// Those of them that wait for approval.
    pub held: u64,
    /// Marked as deleted.
    pub marked: u64,
    /// Still changing.
    pub unsettled: u64,
}

/// What is counted of a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootCounts {
    /// Its recordings.
    pub totals: RootTotals,
    /// Unrecognised places by state. One that ceased to be is there with 0.
    pub unrecognised: Vec<(String, u64)>,
    /// Since when the oldest pending recording is, milliseconds since 1970.
    pub pending_since_ms: Option<i64>,
}

/// Columns of `recordings` (as `r`) that make a [`Recording`], in the order `recording` reads them.
/// The root's marker comes from `roots` (as `t`).
pub(crate) const RECORDING: &str = "r.uuid, r.start_ms, r.end_ms, r.deleted, r.recording_id, t.marker, r.path, r.size, r.fingerprint, r.metadata, r.marked_ms, r.sum";

/// A document's fields take about so many bytes besides the metadata.
const DOCUMENT_BYTES: usize = 512;

/// About how many bytes the recording in the columns of [`RECORDING`] takes, beginning at `at`.
pub(crate) fn bytes(row: &Row<'_>, at: usize) -> rusqlite::Result<usize> {
    Ok(row.get_ref(at + 9)?.as_str().map_or(0, str::len) + DOCUMENT_BYTES)
}

/// Reads a recording from the columns of [`RECORDING`], beginning at `at`.
pub(crate) fn recording(row: &Row<'_>, at: usize) -> rusqlite::Result<Recording> {
    let end_ms: i64 = row.get(at + 2)?;
    let metadata: String = row.get(at + 9)?;
    let deleted: i64 = row.get(at + 3)?;
    let recording = Recording {
        uuid: row.get(at)?,
        start_ms: row.get(at + 1)?,
        end_ms: (end_ms != LIVE_END_MS).then_some(end_ms),
        deleted: deleted & SAID_DELETED != 0,
        deleted_at_ms: None,
        recording_id: row.get(at + 4)?,
        root: row.get(at + 5)?,
        path: row.get(at + 6)?,
        size: row.get(at + 7)?,
        fingerprint: row.get(at + 8)?,
        metadata: Value::from_text(&metadata).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                at + 9,
                rusqlite::types::Type::Text,
                error.to_string().into(),
            )
        })?,
    };
    let known: Option<i64> = row.get(at + 11)?;
    if known.is_some_and(|known| known != sum(&recording, recording.deleted, &metadata)) {
        return Err(rusqlite::Error::FromSqlConversionFailure(
            at + 11,
            rusqlite::types::Type::Integer,
            format!("the row of {} has changed by itself", recording.path).into(),
        ));
    }
    Ok(picked(recording, row.get(at + 10)?))
}

/// A count or clock reading as SQLite keeps it.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count or clock reading as we keep it.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
