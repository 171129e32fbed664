//! The writer thread, and the calls that go to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use focus_crash::{Point, Step, Write, here};
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction};
use tokio::sync::oneshot;

use crate::log::Log;
use crate::rows::signed;
use crate::tap::ChangeTap;
use crate::uuids::Merge;
use crate::{IndexError, Opened, Reader, coverage, metadata, open};

/// Calls that wait for the writer at most; more callers wait to be let in.
const QUEUE_MAX: usize = 64;

type Call = Box<dyn FnOnce(&mut Connection, &mut Merge) + Send>;

/// The index. Clones share it.
#[derive(Clone, Debug)]
pub struct Index {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    calls: Mutex<Option<SyncSender<Call>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    reader: Reader,
    tap: ChangeTap,
    log_bytes: Arc<AtomicU64>,
}

/// How much the index may keep in memory, and in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexBounds {
    /// Pages that the writer keeps, KiB.
    pub writer_kib: u64,
    /// Pages that each reader keeps, KiB.
    pub reader_kib: u64,
    /// The log is written to the file from this size on, bytes.
    pub log_bytes: u64,
}

impl Index {
    /// Opens the index, or makes it; a damaged file is kept aside. Blocks.
    ///
    /// # Errors
    /// The file cannot be opened, or is of a newer version.
    pub fn open(path: &Path) -> Result<Opened, IndexError> {
        Index::begin(path, open::open(path)?)
    }

    /// Keeps the file that is there aside, because of `why`, and makes a new one. Blocks.
    ///
    /// # Errors
    /// It cannot be kept aside, or none can be made.
    pub fn open_anew(path: &Path, why: &str) -> Result<Opened, IndexError> {
        Index::begin(path, open::anew(path, why)?)
    }

    fn begin(
        path: &Path,
        (mut connection, rebuilt): (Connection, Option<String>),
    ) -> Result<Opened, IndexError> {
        let tap = ChangeTap::default();
        tap.attach(&mut connection).map_err(|error| IndexError::of(path, &error))?;
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let log = Log::of(path);
        let log_bytes = log.bytes();
        let thread = std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || run(connection, &receiver, log))
            .map_err(|error| IndexError::Sqlite {
                path: path.display().to_string(),
                words: format!("no thread for it: {error}"),
            })?;
        let index = Index {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                calls: Mutex::new(Some(sender)),
                thread: Mutex::new(Some(thread)),
                reader: Reader::new(path),
                tap,
                log_bytes,
            }),
        };
        Ok(Opened { index, rebuilt })
    }

    /// Keeps to these bounds from now on.
    ///
    /// # Errors
    /// The index is closed.
    pub fn bound(&self, bounds: IndexBounds) -> Result<(), IndexError> {
        self.inner.log_bytes.store(bounds.log_bytes, Ordering::Relaxed);
        self.inner.reader.keep(bounds.reader_kib);
        let sender = self.inner.calls.lock().clone().ok_or(IndexError::Closed)?;
        let call: Call = Box::new(move |connection, _| {
            // A cache of another size is no reason to stop.
            let _ = connection.pragma_update(None, "cache_size", -signed(bounds.writer_kib));
        });
        sender.send(call).map_err(|_| IndexError::Closed)
    }

    /// Reads the index.
    pub fn reader(&self) -> Reader {
        self.inner.reader.clone()
    }

    /// Tells which recordings change.
    pub fn tap(&self) -> &ChangeTap {
        &self.inner.tap
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Ends the writer after what is queued, and leaves the file in order. Blocks.
    pub fn close(&self) {
        drop(self.inner.calls.lock().take());
        self.inner.reader.rest();
        if let Some(thread) = self.inner.thread.lock().take() {
            // A panic there has been told; there is nothing left to write.
            let _ = thread.join();
        }
    }

    /// One transaction on the writer thread; from a thread that may block.
    pub(crate) fn write_blocking<T: Send + 'static>(
        &self,
        write: Write,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, IndexError> {
        let (sender, receiver) = oneshot::channel();
        self.send(sender, write, work)?;
        receiver.blocking_recv().map_err(|_| IndexError::Closed)?
    }

    /// One transaction on the writer thread. Dropped callers do not undo it.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        write: Write,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, IndexError> {
        let index = self.clone();
        tokio::task::spawn_blocking(move || index.write_blocking(write, work))
            .await
            .map_err(|_| IndexError::Closed)?
    }

    fn send<T: Send + 'static>(
        &self,
        reply: oneshot::Sender<Result<T, IndexError>>,
        write: Write,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<(), IndexError> {
        let (path, tap) = (self.inner.path.clone(), self.inner.tap.clone());
        let call: Call = Box::new(move |connection, merge| {
            let done = transact(connection, merge, write, work)
                .map_err(|error| IndexError::of(&path, &error));
            tap.ended(done.is_ok());
            // Nobody waits any more: the transaction stands all the same.
            let _ = reply.send(done);
        });
        let sender = self.inner.calls.lock().clone().ok_or(IndexError::Closed)?;
        sender.send(call).map_err(|_| IndexError::Closed)
    }
}

fn transact<T>(
    connection: &mut Connection,
    merge: &mut Merge,
    write: Write,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    metadata::settle(&transaction)?;
    coverage::settle(&transaction)?;
    merge.settle(&transaction)?;
    here(Point::Uncommitted(write));
    transaction.commit()?;
    here(Point::Committed(write));
    Ok(value)
}

fn run(mut connection: Connection, calls: &Receiver<Call>, mut log: Log) {
    let mut merge = Merge::default();
    while let Ok(call) = calls.recv() {
        call(&mut connection, &mut merge);
        log.bound(&connection);
    }
    here(Point::At(Step::CloseBefore));
    // Best effort: a file that is not marked clean is checked when it is opened again.
    let _ = connection.execute("UPDATE meta SET value = '1' WHERE key = 'clean'", []);
    here(Point::At(Step::CloseAfter));
    // All in one file again, so that a copy of it is whole.
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    let _ = connection.close();
}
