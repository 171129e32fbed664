//! Queries. They see the last committed state and wait for nobody.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::{Connection, InterruptHandle, OptionalExtension, Row, params};

use crate::rows::{RootCounts, RootId, RootTotals, signed, unsigned};
use crate::scope::Scope;
use crate::stage::{LEAVING, PENDING};
use crate::{IndexError, coverage, metadata, open, text};
use focus_core::configured::ConfiguredRoot;
use focus_core::recording::Place;
use focus_core::state::State;

/// Connections kept for the next query; more are opened when more ask at once.
const IDLE_MAX: usize = 8;

/// Pages that a connection keeps, KiB, unless another number was asked for.
const KEEPS_KIB: u64 = 2_048;

/// Checks that can be ended early.
const CHECKS_MAX: usize = 8;

/// Reads the index. Clones share a small pool of read-only connections. All calls block:
/// call them from a blocking thread.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: Arc<Pool>,
}

struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// The roots that answers are about; none: all.
    configured: Mutex<Option<Vec<ConfiguredRoot>>>,
    /// What ends the checks that go on.
    checks: Mutex<Vec<InterruptHandle>>,
    /// Pages that a connection keeps, KiB.
    keeps_kib: AtomicU64,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Counts over all configured roots, kept by the index itself: cheap at any size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Recognised recordings, those marked as deleted left out.
    pub recordings: u64,
    /// Recordings that are to be written to the catalog.
    pub pending: u64,
    /// Recordings whose files are gone, and that are not marked as deleted.
    pub vanished: u64,
    /// Those of them that wait for approval.
    pub held: u64,
    /// Marked as deleted.
    pub marked: u64,
    /// Places that still change.
    pub unsettled: u64,
    /// Unrecognised places, by state (the fixed spelling).
    pub unrecognised: Vec<(String, u64)>,
    /// When the one that has been pending longest became so, milliseconds since 1970.
    pub pending_since_ms: Option<i64>,
}

/// What is wrong with what the index keeps besides the rows, in words; it is made anew from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// With the summary of covered time: [`crate::Index::repair_coverage`] mends it.
    pub coverage: Option<String>,
    /// With the entries of indexed keys: [`crate::Index::repair_metadata`] mends them.
    pub metadata: Option<String>,
    /// With the text index: [`crate::Index::repair_text`] mends it.
    pub text: Option<String>,
}

impl Doubts {
    fn of(connection: &Connection) -> rusqlite::Result<Doubts> {
        Ok(Doubts {
            coverage: coverage::wrong(connection)?,
            metadata: metadata::wrong(connection)?,
            text: text::wrong(connection)?,
        })
    }
}

/// An unrecognised place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecognised {
    /// Where a listing goes on after this one.
    pub cursor: i64,
    /// The root's marker id.
    pub root: String,
    /// Relative path without extension.
    pub path: String,
    /// The state's fixed spelling.
    pub state: String,
    /// What is wrong and what to do.
    pub reason: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// How many of its files are there.
    pub file_count: i64,
}

impl Reader {
    /// A reader of this file; it is opened with the first query.
    pub fn new(path: &Path) -> Reader {
        Reader {
            pool: Arc::new(Pool {
                path: path.to_owned(),
                idle: Mutex::default(),
                configured: Mutex::default(),
                checks: Mutex::default(),
                keeps_kib: AtomicU64::new(KEEPS_KIB),
            }),
        }
    }

    /// A page of unrecognised places after the cursor `after`, of these states (none: any) and of this root.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn unrecognised(
        &self,
        states: &[State],
        root: Option<RootId>,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Unrecognised>, IndexError> {
        self.read(|connection| {
            let scope = self.scope(connection)?;
            if scope == Scope::Only(Vec::new()) {
                return Ok(Vec::new());
            }
            let of_roots = scope.and("f.root");
            let mut names: Vec<String> =
                states.iter().map(|state| state.name().to_owned()).collect();
            if states.is_empty() {
                // Also those that only a later version knows.
                let mut occurring = connection
                    .prepare_cached("SELECT DISTINCT state FROM unrecognised WHERE count > 0")?;
                let rows = occurring.query_map([], |row| row.get(0))?;
                names = rows.collect::<rusqlite::Result<_>>()?;
            }
            // State by state: the index of states leads to these places and no others.
            let mut statement = connection.prepare_cached(&format!(
                "SELECT f.id, t.marker, d.path, f.stem, f.state, f.reason, f.faulty_since_ms,
                   (f.data_size IS NOT NULL) + (f.side_size IS NOT NULL)
                 FROM files f INDEXED BY files_state CROSS JOIN folders d ON d.id = f.folder
                   CROSS JOIN roots t ON t.id = f.root
                 WHERE f.state = ?1 AND f.id > ?2 AND (?3 IS NULL OR f.root = ?3){of_roots}
                 ORDER BY f.id LIMIT ?4"
            ))?;
            let mut found = Vec::new();
            for state in names {
                let rows = statement.query_map(
                    params![
                        state,
                        after.unwrap_or(0),
                        root.map(|root| root.0),
                        signed(limit as u64)
                    ],
                    unrecognised,
                )?;
                found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            found.sort_unstable_by_key(|one: &Unrecognised| one.cursor);
            found.truncate(limit);
            Ok(found)
        })
    }

    /// The counts over all configured roots.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn totals(&self) -> Result<Totals, IndexError> {
        self.read(|connection| {
            let scope = self.scope(connection)?;
            let of_roots = scope.and("root");
            let sums = root_totals(connection, None, &scope)?;
            let mut by_state = connection.prepare_cached(&format!(
                "SELECT state, sum(count) FROM unrecognised WHERE count > 0{of_roots} GROUP BY state"
            ))?;
            let unrecognised = by_state
                .query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
                .collect::<rusqlite::Result<_>>()?;
            let pending_since_ms = connection
                .prepare_cached(&format!(
                    "SELECT min((SELECT min(pending_since_ms) FROM recordings
                       WHERE root = t.id AND pending = {PENDING})) FROM roots t WHERE 1{}",
                    scope.and("t.id")
                ))?
                .query_row([], |row| row.get(0))?;
            Ok(Totals {
                recordings: sums.recordings,
                pending: sums.pending,
                vanished: sums.vanished,
                held: sums.held,
                marked: sums.marked,
                unsettled: sums.unsettled,
                unrecognised,
                pending_since_ms,
            })
        })
    }

    /// How many of the recordings that wait since `since_ms` or later have never been acknowledged; milliseconds
    /// since 1970. It reads those that wait since then.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn landed_since(&self, since_ms: i64) -> Result<u64, IndexError> {
        self.read(|connection| {
            let of_roots = self.scope(connection)?.and("t.id");
            let mut statement = connection.prepare_cached(&format!(
                "SELECT count(*) FROM roots t JOIN recordings r ON r.root = t.id
                   AND r.pending = {PENDING} AND r.pending_since_ms >= ?1
                 WHERE coalesce(r.acked, 0) = 0{of_roots}"
            ))?;
            statement.query_row([since_ms], |row| row.get(0).map(unsigned))
        })
    }

    /// What is counted of one root, and is told as metrics. Nothing here reads a row for each recording.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn root_counts(&self, root: RootId) -> Result<RootCounts, IndexError> {
        self.read(|connection| {
            let mut by_state = connection.prepare_cached(
                "SELECT state, count FROM unrecognised WHERE root = ?1 ORDER BY state",
            )?;
            let unrecognised = by_state
                .query_map([root.0], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
                .collect::<rusqlite::Result<_>>()?;
            let pending_since_ms = connection
                .prepare_cached(&format!(
                    "SELECT min(pending_since_ms) FROM recordings WHERE root = ?1 AND pending = {PENDING}"
                ))?
                .query_row([root.0], |row| row.get(0))?;
            let totals = root_totals(connection, Some(root.0), &Scope::All)?;
            Ok(RootCounts { totals, unrecognised, pending_since_ms })
        })
    }

    /// The counts of one root.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn root_totals(&self, root: RootId) -> Result<RootTotals, IndexError> {
        self.read(|connection| root_totals(connection, Some(root.0), &Scope::All))
    }

    /// Whether any root's catalog has ever been met, by a database of which something is remembered.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn knows_a_catalog(&self) -> Result<bool, IndexError> {
        self.read(|connection| {
            connection.query_row(
                "SELECT EXISTS(SELECT 1 FROM roots WHERE identity IS NOT NULL)",
                [],
                |row| row.get(0),
            )
        })
    }

    /// Which database the catalog was when a root met it last; none where none did.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn catalog_identity(&self) -> Result<Option<String>, IndexError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT identity FROM roots WHERE identity IS NOT NULL LIMIT 1")?
                .query_row([], |row| row.get(0))
                .optional()
        })
    }

    /// The drill whose recordings are on storage; none where there are none.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn drill_under_way(&self) -> Result<Option<String>, IndexError> {
        self.read(|connection| {
            let drill: Option<Option<String>> = connection
                .prepare_cached(
                    "SELECT CAST(json_extract(metadata, '$.focus_drill') AS TEXT) FROM recordings
                     WHERE drilled = 1 AND vanished_ms IS NULL LIMIT 1",
                )?
                .query_row([], |row| row.get(0))
                .optional()?;
            Ok(drill.flatten())
        })
    }

    /// Runs a query on a connection of the pool.
    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, IndexError> {
        let connection = match self.idle().pop() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer = query(&connection).map_err(|error| self.error(&error));
        let mut idle = self.idle();
        if answer.is_ok() && idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        answer
    }

    /// Connections that are made from now on keep so many pages, KiB.
    pub(crate) fn keep(&self, kib: u64) {
        self.pool.keeps_kib.store(kib, Ordering::Relaxed);
        self.idle().clear();
    }

    /// Closes the connections that nobody uses, and ends checks that go on.
    pub fn rest(&self) {
        for check in self.lock_checks().drain(..) {
            check.interrupt();
        }
        self.idle().clear();
    }

    pub(crate) fn damaged(&self, words: &str) -> IndexError {
        IndexError::Damaged { path: self.pool.path.display().to_string(), words: words.to_owned() }
    }

    /// Reads all of the file, and tells whether it agrees with itself. Takes long where it is large, is in
    /// nobody's way, and ends early when the index is closed. What is wrong with what is kept besides the rows alone is
    /// returned.
    ///
    /// # Errors
    /// It is damaged, or cannot be read.
    pub fn check(&self) -> Result<Doubts, IndexError> {
        let connection = self.connect()?;
        let handle = connection.get_interrupt_handle();
        self.lock_checks().push(handle);
        let verdict: rusqlite::Result<String> =
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
        let verdict = verdict.and_then(|verdict| match verdict.as_str() {
            "ok" => Doubts::of(&connection).map(Ok),
            _ => Ok(Err(verdict)),
        });
        match verdict {
            Ok(Ok(wrong)) => Ok(wrong),
            Ok(Err(verdict)) => Err(self.damaged(&verdict)),
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
            {
                Ok(Doubts::default())
            }
            Err(error) => Err(self.error(&error)),
        }
    }

    fn lock_checks(&self) -> parking_lot::MutexGuard<'_, Vec<InterruptHandle>> {
        let mut checks = self.pool.checks.lock();
        // Handles of checks that have ended interrupt nothing, and one is enough for each.
        if checks.len() > CHECKS_MAX {
            checks.remove(0);
        }
        checks
    }

    pub(crate) fn connect(&self) -> Result<Connection, IndexError> {
        let keeps_kib = self.pool.keeps_kib.load(Ordering::Relaxed);
        open::read_only(&self.pool.path, keeps_kib).map_err(|error| self.error(&error))
    }

    pub(crate) fn error(&self, error: &rusqlite::Error) -> IndexError {
        IndexError::of(&self.pool.path, error)
    }

    pub(crate) fn configured(&self) -> &Mutex<Option<Vec<ConfiguredRoot>>> {
        &self.pool.configured
    }

    fn idle(&self) -> parking_lot::MutexGuard<'_, Vec<Connection>> {
        self.pool.idle.lock()
    }
}

fn unrecognised(row: &Row<'_>) -> rusqlite::Result<Unrecognised> {
    let place = Place { folder: row.get(2)?, stem: row.get(3)? };
    Ok(Unrecognised {
        cursor: row.get(0)?,
        root: row.get(1)?,
        path: place.display(),
        state: row.get(4)?,
        reason: row.get(5)?,
        since_ms: row.get::<_, Option<i64>>(6)?.unwrap_or_default(),
        file_count: row.get(7)?,
    })
}

fn root_totals(
    connection: &Connection,
    root: Option<i64>,
    scope: &Scope,
) -> rusqlite::Result<RootTotals> {
    let of_roots = scope.and("id");
    connection
        .prepare_cached(&format!(
            "SELECT coalesce(sum(recordings - marked - leaving), 0), coalesce(sum(pending), 0),
               coalesce(sum(vanished - marked - leaving), 0), coalesce(sum(unsettled), 0),
               coalesce(sum(held), 0), coalesce(sum(marked), 0)
             FROM (SELECT *, (SELECT count(*) FROM recordings r WHERE r.root = roots.id
               AND r.vanish_step = {LEAVING}) AS leaving FROM roots WHERE (?1 IS NULL OR id = ?1){of_roots})"
        ))?
        .query_row([root], |row| {
            Ok(RootTotals {
                recordings: unsigned(row.get(0)?),
                pending: unsigned(row.get(1)?),
                vanished: unsigned(row.get(2)?),
                unsettled: unsigned(row.get(3)?),
                held: unsigned(row.get(4)?),
                marked: unsigned(row.get(5)?),
            })
        })
}
