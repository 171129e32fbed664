//! A row of `recordings` as an [`Entry`] of the core, and back.
//!
//! Whoever changes how a recording stands loads its row, asks `focus_core::entry`, and stores what
//! comes of it with [`apply`].

use focus_core::entry::{
    Absence, Acked, Content, Delivery, Effects, Entry, EntryId, Life, LookAgain, News, Report, Turn,
};
use focus_core::recording::Recording;
use focus_core::vanish::Held;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::place;
use crate::rows::{signed, unsigned};
use crate::schema::{LIVE_END_MS, span};
use crate::stage::{FOUND_DELETED, SAID_DELETED, Stage, UNSURE, Way};
use crate::sum::sum;
use crate::uuids::of_uuid;

/// [`ENTRY`] as a literal, for statements that are put together when the program is built.
macro_rules! entry_columns {
    () => {
        "r.generation, r.acked, r.known, r.pending, r.pending_since_ms, r.retry_ms,
   r.vanished_ms, r.vanish_step, r.proof_ms, r.held_seq, r.held_why, r.marked_ms, r.approved,
   r.never_seen, r.drilled"
    };
}
pub(crate) use entry_columns;

/// Columns of `recordings` (as `r`) that make an [`Entry`], in the order [`entry`] reads them.
pub(crate) const ENTRY: &str = entry_columns!();

/// How many these are.
pub(crate) const ENTRY_COLUMNS: usize = 15;

/// Reads an entry from the columns of [`ENTRY`], beginning at `at`.
pub(crate) fn entry(row: &Row<'_>, at: usize) -> rusqlite::Result<Entry> {
    Ok(Entry {
        generation: row.get(at)?,
        acked: acked(row.get(at + 1)?),
        known: row.get(at + 2)?,
        delivery: delivery(row, at + 3)?,
        life: life(row, at + 6)?,
        never_seen: row.get(at + 13)?,
        drilled: row.get(at + 14)?,
    })
}

fn acked(generation: Option<i64>) -> Acked {
    match generation {
        None => Acked::Never,
        Some(UNSURE) => Acked::Unsure,
        Some(generation) => Acked::Generation(generation),
    }
}

/// From `pending, pending_since_ms, retry_ms`.
fn delivery(row: &Row<'_>, at: usize) -> rusqlite::Result<Delivery> {
    let way = Way::from_number(row.get(at)?).ok_or_else(|| unknown(at, "pending"))?;
    Ok(match way {
        Way::Done => Delivery::Done,
        Way::Pending => Delivery::Pending { since_ms: row.get(at + 1)? },
        Way::Refused => {
            let retry_ms: Option<i64> = row.get(at + 2)?;
            Delivery::Refused { retry_ms: retry_ms.map_or(0, unsigned) }
        }
    })
}

/// From `vanished_ms, vanish_step, proof_ms, held_seq, held_why, marked_ms, approved`.
fn life(row: &Row<'_>, at: usize) -> rusqlite::Result<Life> {
    let Some(since_ms) = row.get(at)? else { return Ok(Life::There) };
    let stage = Stage::from_number(row.get(at + 1)?).ok_or_else(|| unknown(at, "vanish_step"))?;
    let marked_ms =
        || Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at + 5)?.unwrap_or(since_ms));
    let absence = match stage {
        Stage::Unproved => Absence::Unproved,
        Stage::Proved => match row.get::<_, Option<i64>>(at + 2)? {
            Some(at_ms) => Absence::Proved { at_ms: unsigned(at_ms) },
            None => Absence::Unproved,
        },
        Stage::Held => Absence::Held {
            seq: row.get::<_, Option<i64>>(at + 3)?.ok_or_else(|| unknown(at + 3, "held_seq"))?,
            why: held(row, at + 4)?,
        },
        Stage::Marked => Absence::Marked { at_ms: marked_ms()?, approved: row.get(at + 6)? },
        Stage::LeftAlone => Absence::LeftAlone,
        Stage::Leaving => Absence::Leaving { at_ms: marked_ms()? },
    };
    Ok(Life::Vanished { since_ms, absence })
}

/// Why a recording is held, from the column `held_why`.
pub(crate) fn held(row: &Row<'_>, at: usize) -> rusqlite::Result<Held> {
    let why: Option<String> = row.get(at)?;
    Ok(why.as_deref().and_then(Held::from_name).unwrap_or(Held::TooMany))
}

/// No version of this program has written this: the file is damaged.
fn unknown(at: usize, column: &str) -> rusqlite::Error {
    let words = format!("a value of {column} that has no meaning");
    rusqlite::Error::FromSqlConversionFailure(at, Type::Integer, words.into())
}

/// The columns of an entry that change along with its delivery.
struct DeliveryColumns {
    acked: Option<i64>,
    pending: i64,
    since_ms: Option<i64>,
    retry_ms: Option<i64>,
}

impl DeliveryColumns {
    fn of(entry: &Entry) -> DeliveryColumns {
        let (since_ms, retry_ms) = match entry.delivery {
            Delivery::Done => (None, None),
            Delivery::Pending { since_ms } => (since_ms, None),
            Delivery::Refused { retry_ms } => (None, Some(signed(retry_ms))),
        };
        DeliveryColumns {
            acked: match entry.acked {
                Acked::Never => None,
                Acked::Unsure => Some(UNSURE),
                Acked::Generation(generation) => Some(generation),
            },
            pending: Way::of(entry.delivery) as i64,
            since_ms,
            retry_ms,
        }
    }
}

/// The columns of an entry that change along with its life.
#[derive(Default)]
struct LifeColumns {
    vanished_ms: Option<i64>,
    stage: i64,
    proof_ms: Option<i64>,
    held_seq: Option<i64>,
    held_why: Option<&'static str>,
    marked_ms: Option<i64>,
    approved: bool,
    /// The bit of `deleted` that is not the sidecar's.
    deleted: i64,
}

impl LifeColumns {
    fn of(entry: &Entry) -> LifeColumns {
        let Life::Vanished { since_ms, absence } = entry.life else {
            return LifeColumns::default();
        };
        let columns = LifeColumns {
            vanished_ms: Some(since_ms),
            stage: Stage::of(absence) as i64,
            marked_ms: entry.deleted_at_ms(),
            deleted: if entry.deleted_at_ms().is_some() { FOUND_DELETED } else { 0 },
            ..LifeColumns::default()
        };
        match absence {
            Absence::Unproved | Absence::LeftAlone => columns,
            Absence::Proved { at_ms } => LifeColumns { proof_ms: Some(signed(at_ms)), ..columns },
            Absence::Held { seq, why } => {
                LifeColumns { held_seq: Some(seq), held_why: Some(why.name()), ..columns }
            }
            Absence::Marked { approved, .. } => LifeColumns { approved, ..columns },
            // It counts towards nothing, as if a person had approved it.
            Absence::Leaving { .. } => LifeColumns { approved: true, ..columns },
        }
    }
}

/// When the catalog acknowledged a row: now, where ?5 says that nothing is to be written any more.
const ACKNOWLEDGED: &str = "acknowledged_ms = iif(pending <> 0 AND ?5 = 0,
  CAST(unixepoch('subsec') * 1000 AS INTEGER), acknowledged_ms)";

/// Stores an entry that was `before` when it was loaded, if it changed; its content stays.
pub(crate) fn store(
    tx: &Transaction<'_>,
    id: EntryId,
    before: &Entry,
    after: &Entry,
) -> rusqlite::Result<()> {
    if before == after {
        return Ok(());
    }
    let way = DeliveryColumns::of(after);
    if before.life == after.life && before.never_seen == after.never_seen {
        // The indexes of the other columns are left alone: an acknowledgement is the most frequent write.
        tx.prepare_cached(&format!(
            "UPDATE OR ROLLBACK recordings SET generation = ?2, acked = ?3, known = ?4, pending = ?5,
               pending_since_ms = ?6, retry_ms = ?7, {ACKNOWLEDGED} WHERE id = ?1"
        ))?
        .execute(params![
            id.0,
            after.generation,
            way.acked,
            after.known,
            way.pending,
            way.since_ms,
            way.retry_ms,
        ])?;
        return Ok(());
    }
    let life = LifeColumns::of(after);
    tx.prepare_cached(&format!(
        "UPDATE recordings SET generation = ?2, acked = ?3, known = ?4, pending = ?5, {ACKNOWLEDGED},
           pending_since_ms = ?6, retry_ms = ?7, vanished_ms = ?8, vanish_step = ?9, proof_ms = ?10,
           held_seq = ?11, held_why = ?12, marked_ms = ?13, approved = ?14, never_seen = ?15,
           deleted = deleted & ?16 | ?17
         WHERE id = ?1"
    ))?
    .execute(params![
        id.0,
        after.generation,
        way.acked,
        after.known,
        way.pending,
        way.since_ms,
        way.retry_ms,
        life.vanished_ms,
        life.stage,
        life.proof_ms,
        life.held_seq,
        life.held_why,
        life.marked_ms,
        life.approved,
        after.never_seen,
        SAID_DELETED,
        life.deleted,
    ])?;
    Ok(())
}

/// Whether a row with content is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is.
    New,
    /// The row of this uuid is there.
    Over,
}

/// A recording that was read at a place: what a row may have as its content.
pub(crate) struct Read<'a> {
    pub(crate) root: i64,
    /// The place.
    pub(crate) file: i64,
    pub(crate) recording: &'a Recording,
    /// Its metadata, as the text that is stored.
    metadata: String,
}

impl Read<'_> {
    /// Of this place.
    pub(crate) fn at(root: i64, file: i64, recording: &Recording) -> Read<'_> {
        Read { root, file, recording, metadata: recording.metadata.to_text() }
    }

    /// The row says what this says.
    pub(crate) fn is_same(&self, tx: &Transaction<'_>, id: EntryId) -> rusqlite::Result<bool> {
        let recording = self.recording;
        tx.prepare_cached(
            "SELECT start_ms = ?2 AND end_ms = ?3 AND deleted & 1 = ?4
               AND recording_id = ?5 AND path = ?6 AND size = ?7 AND fingerprint = ?8
               AND metadata = ?9 FROM recordings WHERE id = ?1",
        )?
        .query_row(
            params![
                id.0,
                recording.start_ms,
                recording.end_ms.unwrap_or(LIVE_END_MS),
                recording.deleted,
                recording.recording_id,
                recording.path,
                recording.size,
                recording.fingerprint,
                self.metadata,
            ],
            |row| row.get(0),
        )
    }
}

/// Stores an entry with its content, held by the place where that was read.
pub(crate) fn put(
    tx: &Transaction<'_>,
    put: Put,
    read: &Read<'_>,
    entry: &Entry,
) -> rusqlite::Result<()> {
    let Read { root, file, recording, metadata } = read;
    // A conflict is a mistake of the program, and undoes the transaction in any case. Said with the statement, that
    // spares the database a copy of each page before each row.
    let statement = match put {
        Put::New => {
            "INSERT OR ROLLBACK INTO recordings(root, file, uuid, start_ms, end_ms, span, deleted, recording_id, path,
               size, fingerprint, metadata, sum, generation, acked, known, pending, pending_since_ms,
               retry_ms, vanished_ms, vanish_step, proof_ms, held_seq, held_why, marked_ms, approved,
               never_seen, drilled, first_seen_ms)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
               ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, CAST(unixepoch('subsec') * 1000 AS INTEGER))"
        }
        Put::Over => {
            concat!("UPDATE recordings SET root = ?1, file = ?2, start_ms = ?4, end_ms = ?5, span = ?6,
               deleted = ?7, recording_id = ?8, path = ?9, size = ?10, fingerprint = ?11, metadata = ?12,
               sum = ?13, generation = ?14, acked = ?15, known = ?16, pending = ?17,
               pending_since_ms = ?18, retry_ms = ?19, vanished_ms = ?20, vanish_step = ?21,
               proof_ms = ?22, held_seq = ?23, held_why = ?24, marked_ms = ?25, approved = ?26,
               never_seen = ?27, drilled = ?28
             WHERE ", of_uuid!("id", "?3"))
        }
    };
    let (way, life) = (DeliveryColumns::of(entry), LifeColumns::of(entry));
    tx.prepare_cached(statement)?.execute(params![
        root,
        file,
        recording.uuid,
        recording.start_ms,
        recording.end_ms.unwrap_or(LIVE_END_MS),
        span(recording.start_ms, recording.end_ms),
        i64::from(recording.deleted) | life.deleted,
        recording.recording_id,
        recording.path,
        recording.size,
        recording.fingerprint,
        metadata,
        sum(recording, recording.deleted, metadata),
        entry.generation,
        way.acked,
        entry.known,
        way.pending,
        way.since_ms,
        way.retry_ms,
        life.vanished_ms,
        life.stage,
        life.proof_ms,
        life.held_seq,
        life.held_why,
        life.marked_ms,
        life.approved,
        entry.never_seen,
        entry.drilled,
    ])?;
    Ok(())
}

/// A row, loaded to be changed.
pub(crate) struct Loaded {
    pub(crate) id: EntryId,
    /// Whose it is.
    pub(crate) root: i64,
    /// The place that holds it.
    pub(crate) file: i64,
    pub(crate) entry: Entry,
    /// Something is reported of that place.
    pub(crate) is_reported: bool,
}

/// Loads the row of an entry, where it is still there.
///
/// The place is asked for in a subquery: SQLite plans a join anew with every value that is bound.
pub(crate) fn load(tx: &Transaction<'_>, id: EntryId) -> rusqlite::Result<Option<Loaded>> {
    tx.prepare_cached(concat!(
        "SELECT r.root, r.file, (SELECT f.state IS NOT NULL FROM files f WHERE f.id = r.file) IS 1, ",
        entry_columns!(),
        " FROM recordings r WHERE r.id = ?1"
    ))?
    .query_row([id.0], |row| {
        Ok(Loaded {
            id,
            root: row.get(0)?,
            file: row.get(1)?,
            is_reported: row.get(2)?,
            entry: entry(row, 3)?,
        })
    })
    .optional()
}

/// Stores what a rule made of a row, and carries out what follows for its place and its root. `read` is
/// what was read, where the rule was told of that.
pub(crate) fn apply(
    tx: &Transaction<'_>,
    loaded: &Loaded,
    turn: Turn,
    read: Option<&Read<'_>>,
    now_ms: i64,
) -> rusqlite::Result<News> {
    // All of them by name: one that is added does not compile before it is carried out here.
    let Effects { news, report, content, look_again, generation_base } = turn.effects;
    match look_again {
        None => {}
        // Before the row changes: it tells the uuid.
        Some(LookAgain::Claimants) => place::read_claimants_again(tx, loaded.file, loaded.id)?,
    }
    match (&turn.entry, content, read) {
        (Some(entry), Content::Replaced, Some(read)) => put(tx, Put::Over, read, entry)?,
        (Some(_), Content::Replaced, None) => return Err(nothing_read()),
        (Some(entry), Content::Kept, _) => store(tx, loaded.id, &loaded.entry, entry)?,
        (None, Content::Kept | Content::Replaced, _) => remove(tx, loaded.id)?,
    }
    if let Some(generation) = generation_base {
        tx.prepare_cached(
            "UPDATE roots SET generation_base = max(generation_base, ?2) WHERE id = ?1",
        )?
        .execute(params![loaded.root, generation])?;
    }
    if let Some(report) = report {
        follow(tx, loaded, report, now_ms)?;
    }
    Ok(news)
}

/// Carries out what changes in what is reported of the place of a row.
fn follow(
    tx: &Transaction<'_>,
    loaded: &Loaded,
    report: Report,
    now_ms: i64,
) -> rusqlite::Result<()> {
    match report {
        Report::Fault(fault) => place::report(tx, loaded.file, Some(&fault), now_ms).map(drop),
        Report::FaultOfAbsent(fault) => {
            if place::has_files(tx, loaded.file)? {
                return Ok(());
            }
            place::report(tx, loaded.file, Some(&fault), now_ms).map(drop)
        }
        Report::Taken if loaded.is_reported => place::taken(tx, loaded.file),
        Report::Taken => Ok(()),
        Report::Emptied => {
            if place::has_files(tx, loaded.file)? {
                return Ok(());
            }
            place::report(tx, loaded.file, None, now_ms)?;
            place::tidy(tx, loaded.file)
        }
    }
}

/// A rule that was told of no recording asks for the content of one: a fault of the program.
fn nothing_read() -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure("no recording was read to take the row's place".into())
}

/// Removes a row.
pub(crate) fn remove(tx: &Transaction<'_>, id: EntryId) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM recordings WHERE id = ?1")?.execute([id.0])?;
    Ok(())
}

/// Which entries of a root the catalog may have without having acknowledged them, and what new ones of it
/// begin above.
pub(crate) struct RootFacts {
    pub(crate) sent: focus_core::entry::sent::Sent,
    pub(crate) generation_base: i64,
}

impl RootFacts {
    /// Of this root.
    pub(crate) fn load(tx: &Transaction<'_>, root: i64) -> rusqlite::Result<RootFacts> {
        tx.prepare_cached("SELECT sent_low, sent_high, generation_base FROM roots WHERE id = ?1")?
            .query_row([root], |row| {
                let span: (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
                let span = span.0.zip(span.1).map(|(low, high)| (EntryId(low), EntryId(high)));
                let sent = focus_core::entry::sent::Sent(span);
                Ok(RootFacts { sent, generation_base: row.get(2)? })
            })
    }
}
