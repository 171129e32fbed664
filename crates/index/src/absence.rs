//! Recordings whose files are gone: proved twice, then marked as deleted, or held for a person.

use focus_core::entry::absence::{self, Facts, Scene};
use focus_core::entry::{Absence, Entry, EntryId, News};
use focus_core::mount::Mount;
use focus_core::recording::Place;
use focus_core::vanish::{self, Counts, Decision, Held, MaxVanished};
use focus_crash::Write;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::bulk::{self, NAMED};
use crate::entry::{Loaded, apply, held, load, store};
use crate::mount::{LAST, MOUNT, mount};
use crate::place;
use crate::rows::{RootId, signed, unsigned};
use crate::stage::{HELD, MARKED, PENDING, PROVED};
use crate::{Index, IndexError, Reader};

/// A recording whose absence is to be proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which it is.
    pub id: EntryId,
    /// Where its files were.
    pub place: Place,
    /// The mount they were seen on; none where that is not known.
    pub mount: Option<Mount>,
    /// Another one that they were seen on last.
    pub last: Option<Mount>,
    /// When its absence was proved the first time, on the boot-time clock; none: not yet.
    pub proof_ms: Option<u64>,
    /// Files are there, and are another recording.
    pub replaced: bool,
}

/// A recording whose absence was proved twice, and what the second proof tells besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvedTwice {
    /// Which it is.
    pub id: EntryId,
    /// It was looked for on another device than its files were seen on.
    pub elsewhere: bool,
    /// Its place is hidden by an exclude.
    pub hidden: bool,
}

/// What was concluded on recordings whose absence is proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concluded {
    /// Marked as deleted, and pending.
    pub marked: u64,
    /// Held.
    pub held: u64,
    /// Planted by drills: their documents are to be removed.
    pub leaving: u64,
}

/// A held deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRow {
    /// Its place in the order of holding: a set is shown up to one of these.
    pub seq: i64,
    /// Its uuid.
    pub uuid: String,
    /// Where its files were.
    pub path: String,
    /// Since when they are gone, milliseconds since 1970.
    pub vanished_ms: i64,
    /// Why.
    pub why: Held,
}

impl Reader {
    /// Recordings that are gone, not moved, and neither held nor marked: in the order of their ids, after
    /// `after`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn vanish_candidates(
        &self,
        root: RootId,
        after: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Candidate>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT r.id, d.path, f.stem, CASE WHEN r.vanish_step = {PROVED} THEN r.proof_ms END,
                   f.side_size IS NOT NULL AND f.settled AND f.uuid <> r.uuid, {MOUNT}, {LAST}
                 FROM recordings r JOIN files f ON f.id = r.file JOIN folders d ON d.id = f.folder
                   LEFT JOIN mounts m ON m.id = coalesce(r.mount, d.mount)
                   LEFT JOIN mounts l ON l.id = r.mount_last
                 WHERE r.root = ?1 AND r.id > ?2 AND r.vanished_ms IS NOT NULL AND r.vanish_step < {HELD}
                   AND NOT {NAMED} ORDER BY r.id LIMIT ?3"
            ))?;
            let after = after.map_or(0, |after| after.0);
            let rows = statement.query_map(params![root.0, after, signed(limit as u64)], |row| {
                Ok(Candidate {
                    id: EntryId(row.get(0)?),
                    place: place::place(row, 1)?,
                    proof_ms: row.get::<_, Option<i64>>(3)?.map(unsigned),
                    replaced: row.get(4)?,
                    mount: mount(row, 5)?,
                    last: mount(row, 9)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Whether anything is gone that has neither been held nor marked.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn has_vanish_candidates(&self, root: RootId) -> Result<bool, IndexError> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT EXISTS(SELECT 1 FROM recordings r WHERE r.root = ?1
                       AND r.vanished_ms IS NOT NULL AND r.vanish_step < {HELD})"
                ))?
                .query_row([root.0], |row| row.get(0))
        })
    }

    /// Recordings that the catalog has live, and whose files were never here since before this time
    /// (milliseconds since 1970): how many, counted up to 1,000, and the path of the first of them. None where
    /// there is none. They are held, or marked here and not in the catalog.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn never_here(
        &self,
        root: RootId,
        before_ms: i64,
    ) -> Result<Option<(u64, String)>, IndexError> {
        self.read(|connection| {
            let (count, first): (i64, Option<String>) = connection
                .prepare_cached(&format!(
                    "SELECT count(*), min(path) FROM (
                       SELECT path FROM (SELECT path, vanished_ms FROM recordings
                           WHERE root = ?1 AND vanish_step = {HELD} AND held_seq > 0 AND held_why = ?2 LIMIT 1000)
                         WHERE vanished_ms < ?3
                       UNION ALL
                       SELECT path FROM (SELECT path, vanished_ms, vanish_step, never_seen FROM recordings
                           WHERE root = ?1 AND pending = {PENDING} ORDER BY id DESC LIMIT 1000)
                         WHERE never_seen AND vanish_step = {MARKED} AND vanished_ms < ?3)"
                ))?
                .query_row(params![root.0, Held::NeverSeen.name(), before_ms], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            Ok(first.map(|first| (unsigned(count), first)))
        })
    }

    /// Held deletions in the order of holding, after `after`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn held(&self, root: RootId, after: i64, limit: usize) -> Result<Vec<HeldRow>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT held_seq, uuid, path, vanished_ms, held_why FROM recordings
                 WHERE root = ?1 AND vanish_step = {HELD} AND held_seq > ?2 ORDER BY held_seq LIMIT ?3"
            ))?;
            let rows =
                statement.query_map(params![root.0, after, signed(limit as u64)], |row| {
                    Ok(HeldRow {
                        seq: row.get(0)?,
                        uuid: row.get(1)?,
                        path: row.get(2)?,
                        vanished_ms: row.get(3)?,
                        why: held(row, 4)?,
                    })
                })?;
            rows.collect()
        })
    }

    /// The last place in the order of holding that is in use; 0 where nothing is held.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn held_through(&self, root: RootId) -> Result<i64, IndexError> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT coalesce(max(held_seq), 0) FROM recordings
                     WHERE root = ?1 AND vanish_step = {HELD}"
                ))?
                .query_row([root.0], |row| row.get(0))
        })
    }

    /// The last place in the order of holding that was ever given; 0 where nothing was ever held. No listing has
    /// shown a later one.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn held_last(&self) -> Result<i64, IndexError> {
        self.read(held_seq)
    }
}

impl Index {
    /// Stores the first proof of absence of these.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn vanish_proved_blocking(
        &self,
        ids: Vec<EntryId>,
        now_boot_ms: u64,
    ) -> Result<(), IndexError> {
        self.write_blocking(Write::Proved, move |tx| {
            each(tx, &ids, |entry| absence::proved(entry, now_boot_ms))
        })
    }

    /// The first proof of these counts no more: they were there, or could not be looked for.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn vanish_doubted_blocking(&self, ids: Vec<EntryId>) -> Result<(), IndexError> {
        self.write_blocking(Write::Doubted, move |tx| each(tx, &ids, absence::doubted))
    }

    /// Marks or holds recordings whose absence was proved twice. What came back or moved meanwhile is
    /// passed over.
    ///
    /// # Errors
    /// The index cannot be written; nothing was stored.
    pub fn vanish_conclude_blocking(
        &self,
        root: RootId,
        ready: Vec<ProvedTwice>,
        max: MaxVanished,
        archive: bool,
        now_wall_ms: i64,
    ) -> Result<Concluded, IndexError> {
        self.write_blocking(Write::Concluded, move |tx| {
            conclude(tx, root, &ready, max, archive, now_wall_ms)
        })
    }

    /// Looks anew for recordings that an exclude hid, and hides no more: those at these places in the order
    /// of holding.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn shown_blocking(&self, root: RootId, seqs: Vec<i64>) -> Result<(), IndexError> {
        self.write_blocking(Write::Doubted, move |tx| {
            let mut ids = Vec::with_capacity(seqs.len());
            for seq in seqs {
                let id = tx
                    .prepare_cached(&format!(
                        "SELECT id FROM recordings WHERE root = ?1 AND vanish_step = {HELD} AND held_seq = ?2"
                    ))?
                    .query_row(params![root.0, seq], |row| row.get(0).map(EntryId))
                    .optional()?;
                ids.extend(id);
            }
            each(tx, &ids, absence::shown)
        })
    }

    /// Approves held deletions, up to this place in the order of holding; how many.
    ///
    /// # Errors
    /// The index cannot be written; nothing was approved.
    pub async fn approve(
        &self,
        root: RootId,
        through: i64,
        now_wall_ms: i64,
    ) -> Result<u64, IndexError> {
        self.write(Write::Approve, move |tx| bulk::approve(tx, root.0, through, now_wall_ms)).await
    }
}

/// Changes each of these entries that is still there.
fn each(
    tx: &Transaction<'_>,
    ids: &[EntryId],
    rule: impl Fn(Entry) -> Entry,
) -> rusqlite::Result<()> {
    for id in ids {
        if let Some(loaded) = load(tx, *id)? {
            store(tx, *id, &loaded.entry, &rule(loaded.entry))?;
        }
    }
    Ok(())
}

fn conclude(
    tx: &Transaction<'_>,
    root: RootId,
    ready: &[ProvedTwice],
    max: MaxVanished,
    archive: bool,
    now_ms: i64,
) -> rusqlite::Result<Concluded> {
    let mut out = Concluded::default();
    let decision = vanish::judge(counts(tx, root, max, now_ms)?, max);
    let mut seq = held_seq(tx)?;
    for proved in ready {
        let Some(loaded) = load(tx, proved.id)? else { continue };
        let facts = facts(tx, &loaded, proved, (archive, decision), seq + 1, now_ms)?;
        let turn = absence::concluded(loaded.entry, facts);
        let step = turn.entry.as_ref().and_then(Entry::absence);
        let news = apply(tx, &loaded, turn, None, now_ms)?;
        match (step, news) {
            (Some(Absence::Held { seq: taken, .. }), _) if taken > seq => {
                seq = taken;
                out.held += 1;
            }
            (Some(Absence::Marked { .. }), News::Pending) => out.marked += 1,
            (Some(Absence::Leaving { .. }), News::Pending) => out.leaving += 1,
            _ => {}
        }
    }
    tx.execute(
        "INSERT OR REPLACE INTO meta(key, value) VALUES('held_seq', ?1)",
        [seq.to_string()],
    )?;
    Ok(out)
}

/// The last place in the order of holding that was ever given, in any root.
fn held_seq(tx: &Connection) -> rusqlite::Result<i64> {
    tx.query_row(
        "SELECT coalesce(CAST((SELECT value FROM meta WHERE key = 'held_seq') AS INTEGER), 0)",
        [],
        |row| row.get(0),
    )
}

/// What a conclusion on this entry rests on.
fn facts(
    tx: &Transaction<'_>,
    loaded: &Loaded,
    proved: &ProvedTwice,
    (archive, decision): (bool, Decision),
    seq: i64,
    now_ms: i64,
) -> rusqlite::Result<Facts> {
    let scene = tx
        .prepare_cached(&format!(
            "SELECT {NAMED}, f.data_size IS NOT NULL OR f.side_size IS NOT NULL,
               coalesce(f.settled AND f.uuid <> r.uuid, 0)
             FROM recordings r JOIN files f ON f.id = r.file WHERE r.id = ?1"
        ))?
        .query_row([loaded.id.0], |row| {
            Ok(Scene { named: row.get(0)?, has_files: row.get(1)?, replaced: row.get(2)? })
        })
        .optional()?;
    // Without a place nothing tells where its files were, and nothing is concluded.
    let scene = scene.unwrap_or(Scene { named: true, has_files: false, replaced: false });
    let has_neighbour = loaded.entry.never_seen && bulk::has_neighbour(tx, loaded.id, loaded.file)?;
    let ProvedTwice { elsewhere, hidden, .. } = *proved;
    Ok(Facts { scene, elsewhere, hidden, archive, has_neighbour, decision, seq, now_ms })
}

/// What the decision rests on. What is gone is counted no further than it takes to hold it.
fn counts(
    tx: &Transaction<'_>,
    root: RootId,
    max: MaxVanished,
    now_ms: i64,
) -> rusqlite::Result<Counts> {
    let fixed = bulk::fixed_counts(tx, root.0, now_ms)?;
    let enough = vanish::limit(fixed, max).saturating_mul(2).saturating_add(1);
    let candidates = bulk::candidates(tx, root.0, enough)?;
    Ok(Counts { gone: fixed.gone + candidates, ..fixed })
}
