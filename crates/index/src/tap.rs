//! Which recordings have changed, for whoever looks on. Nothing is taken down while nobody does, and nobody waits
//! for who looks on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::hooks::Action;
use rusqlite::{Connection, OptionalExtension};

use crate::listed::{Listed, SHOWN, listed};
use crate::{IndexError, Reader};

/// Recordings that are named at most; of more, the number alone is known.
const NAMED_MAX: usize = 64;

/// Tells which recordings have changed since it was asked last. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ChangeTap {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    is_open: AtomicBool,
    /// Of the transaction that goes on, and of those that were committed.
    changes: Mutex<(Changes, Changes)>,
}

/// Recordings that have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Their rows, each once; not all of them where there are more than 64.
    pub rows: Vec<i64>,
    /// There are more of them.
    pub has_more: bool,
    /// How many are new.
    pub landed: u64,
}

impl Changes {
    fn add(&mut self, row: i64) {
        if self.rows.contains(&row) {
            return;
        }
        if self.rows.len() < NAMED_MAX {
            self.rows.push(row);
        } else {
            self.has_more = true;
        }
    }

    fn merge(&mut self, other: Changes) {
        self.landed += other.landed;
        self.has_more |= other.has_more;
        other.rows.into_iter().for_each(|row| self.add(row));
    }
}

impl ChangeTap {
    /// Changes are taken down from now on, or not any more.
    pub fn open(&self, is_open: bool) {
        if self.inner.is_open.swap(is_open, Ordering::Relaxed) != is_open {
            *self.inner.changes.lock() = Default::default();
        }
    }

    /// What has changed since the last call.
    pub fn take(&self) -> Changes {
        std::mem::take(&mut self.inner.changes.lock().1)
    }

    /// Takes down what this connection changes.
    pub(crate) fn attach(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let inner = Arc::clone(&self.inner);
        connection.update_hook(Some(move |action: Action, _: &str, table: &str, row: i64| {
            if !inner.is_open.load(Ordering::Relaxed) || table != "recordings" {
                return;
            }
            let mut changes = inner.changes.lock();
            match action {
                Action::SQLITE_INSERT => {
                    changes.0.landed += 1;
                    changes.0.add(row);
                }
                Action::SQLITE_UPDATE => changes.0.add(row),
                _ => {}
            }
        }))
    }

    /// The transaction that went on has ended.
    pub(crate) fn ended(&self, is_committed: bool) {
        if !self.inner.is_open.load(Ordering::Relaxed) {
            return;
        }
        let mut changes = self.inner.changes.lock();
        let of_transaction = std::mem::take(&mut changes.0);
        if is_committed {
            changes.1.merge(of_transaction);
        }
    }
}

impl Reader {
    /// The recordings of these rows as they are now, each once; those that are gone are left out.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn changed(&self, rows: &[i64]) -> Result<Vec<Listed>, IndexError> {
        let rows: BTreeSet<i64> = rows.iter().copied().collect();
        self.read(|connection| {
            let sql = format!("SELECT {SHOWN} FROM recordings r WHERE r.id = ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            let read = rows.iter().map(|row| statement.query_row([row], listed).optional());
            read.filter_map(Result::transpose).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_while_somebody_looked_on_is_told_once_and_bounded() {
        let mut connection = Connection::open_in_memory().expect("a database");
        connection.execute_batch("CREATE TABLE recordings(id INTEGER PRIMARY KEY, a); CREATE TABLE files(id INTEGER PRIMARY KEY)").expect("made");
        let tap = ChangeTap::default();
        tap.attach(&mut connection).expect("attached");
        let run = |sql: &str, is_committed| {
            connection.execute_batch(sql).expect("changed");
            tap.ended(is_committed);
        };
        run("INSERT INTO recordings VALUES(1, 1)", true);
        assert_eq!(tap.take(), Changes::default(), "nobody looks on");
        tap.open(true);
        run(
            "INSERT INTO recordings VALUES(2, 1); UPDATE recordings SET a = 2; INSERT INTO files VALUES(9)",
            true,
        );
        run("INSERT INTO recordings VALUES(3, 1)", false);
        run("DELETE FROM recordings WHERE id = 3", true);
        assert_eq!(tap.take(), Changes { rows: vec![2, 1], has_more: false, landed: 1 });
        assert_eq!(tap.take(), Changes::default());
        for id in 10..200 {
            run(&format!("INSERT INTO recordings VALUES({id}, 1)"), true);
        }
        let many = tap.take();
        assert_eq!((many.rows.len(), many.has_more, many.landed), (NAMED_MAX, true, 190));
        tap.open(false);
        run("UPDATE recordings SET a = 3", true);
        tap.open(true);
        assert_eq!(tap.take(), Changes::default());
    }
}
