//! The log of the index (`index.db-wal`): how long it may become.
//!
//! SQLite begins its log anew once all of it is in the file and nobody reads in it. Where one reader follows another
//! without a pause that moment does not come by itself: the log grows for as long as they read, and every read searches
//! all of it. So the writer makes the moment: it writes all of the log to the file between two transactions, from when on
//! new readers read the file alone, and waits for those that were there before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

/// From this size on the log is written to the file, bytes, unless another one was asked for. The larger it is, the more
/// rows have come to a page when that is written once more.
const BYTES: u64 = if cfg!(test) { 64 << 10 } else { 32 << 20 };

/// Where readers are in the way, the next attempt comes when the log has grown by so much, bytes.
const STEP_BYTES: u64 = if cfg!(test) { 16 << 10 } else { 4 << 20 };

/// The log of one writer.
pub(crate) struct Log {
    path: PathBuf,
    bytes: Arc<AtomicU64>,
    /// The size at which it is written to the file, bytes.
    due_bytes: u64,
}

impl Log {
    /// The log of the index at `path`.
    pub(crate) fn of(path: &Path) -> Log {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Log { path: log.into(), bytes: Arc::new(AtomicU64::new(BYTES)), due_bytes: BYTES }
    }

    /// The size from which on it is written to the file, bytes: to be changed at any time.
    pub(crate) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    /// Writes the log to the file if it is long. Called between two transactions of the only writer. What fails here
    /// fails the next transaction too, and is told there.
    pub(crate) fn bound(&mut self, connection: &Connection) {
        let bytes = std::fs::metadata(&self.path).map_or(0, |log| log.len());
        let long = self.bytes.load(Ordering::Relaxed);
        if bytes < long {
            self.due_bytes = long;
        }
        if bytes < self.due_bytes {
            return;
        }
        let usual = Duration::from_millis(usual_wait_ms(connection));
        let _ = connection.busy_timeout(patience(bytes / long.max(1)));
        let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        let _ = connection.busy_timeout(usual);
        self.due_bytes = if is_busy.unwrap_or(true) { bytes + STEP_BYTES } else { long };
    }
}

fn usual_wait_ms(connection: &Connection) -> u64 {
    connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, u32>(0)).map_or(0, u64::from)
}

/// How long the writer waits for readers: what is read takes milliseconds, and seldom more. A log that is longer than it
/// should be is worth a longer wait.
fn patience(times_as_long: u64) -> Duration {
    match times_as_long {
        0 | 1 => Duration::from_millis(20),
        2 | 3 => Duration::from_millis(200),
        _ => Duration::from_secs(1),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_log_stays_bounded_while_one_reader_follows_another() {
        let dir = tempfile::TempDir::new().expect("a folder");
        let path = dir.path().join("index.db");
        let writer = Connection::open(&path).expect("a database");
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF;
                 CREATE TABLE numbers(n INTEGER PRIMARY KEY, fill BLOB)",
            )
            .expect("a table");
        let is_over = AtomicBool::new(false);
        let longest = std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let reader = Connection::open(&path).expect("a reader");
                    while !is_over.load(Ordering::Relaxed) {
                        let _ = reader.query_row("SELECT sum(n) FROM numbers", [], |_| Ok(()));
                    }
                });
            }
            let (mut log, mut longest) = (Log::of(&path), 0);
            for n in 0..600 {
                writer
                    .execute("INSERT INTO numbers VALUES(?1, zeroblob(4000))", [n])
                    .expect("a row");
                log.bound(&writer);
                longest = longest.max(std::fs::metadata(&log.path).map_or(0, |log| log.len()));
            }
            is_over.store(true, Ordering::Relaxed);
            longest
        });
        assert!(longest < 8 * BYTES, "{longest} of 2,400,000 bytes");
        assert!(longest >= BYTES, "{longest}: it was bounded before it was long");
    }

    #[test]
    fn a_reader_that_stays_delays_a_writer_and_does_not_stop_it() {
        let dir = tempfile::TempDir::new().expect("a folder");
        let path = dir.path().join("index.db");
        let writer = Connection::open(&path).expect("a database");
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF;
                 CREATE TABLE numbers(n INTEGER PRIMARY KEY, fill BLOB)",
            )
            .expect("a table");
        writer.busy_timeout(Duration::from_millis(1_234)).expect("a wait");
        let reader = Connection::open(&path).expect("a reader");
        reader.execute_batch("BEGIN; SELECT count(*) FROM numbers").expect("it reads");
        let mut log = Log::of(&path);
        for n in 0..40 {
            writer.execute("INSERT INTO numbers VALUES(?1, zeroblob(4000))", [n]).expect("a row");
            log.bound(&writer);
        }
        assert_eq!(usual_wait_ms(&writer), 1_234, "other waits are as they were");
        reader.execute_batch("COMMIT").expect("it ends");
        for n in 40..60 {
            writer.execute("INSERT INTO numbers VALUES(?1, zeroblob(4000))", [n]).expect("a row");
            log.bound(&writer);
        }
        assert!(std::fs::metadata(&log.path).map_or(0, |log| log.len()) < BYTES);
    }
}
