//! The catalog without MongoDB: the same documents in one SQLite file.
//!
//! The file can be taken away and brought back like any other database. While the path does not
//! lead to the file that was opened, the catalog is down. A file that comes back has to show its
//! identity before anything is written to it. The rollback journal keeps everything in one file.

mod calls;
mod lease;
mod schema;

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use focus_core::answer::{Answer, Class, Failure};
use focus_core::compare::Page;
use focus_core::lease::LeaseDoc;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Notify, watch};

use crate::{Catalog, Kind, OpenedCatalog, Reach, RootPlace, Stored, UnrecognisedDoc, Versioned};

/// The time between two looks at the file.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes of a file that is read completely when it is opened.
const CHECKED_MAX: u64 = 32 << 20;

/// What to do about a damaged file.
const DAMAGED: &str = ". It is damaged: bring back a copy, or move it away and make an empty file in its place, which is filled from storage";

/// The embedded catalog.
#[derive(Debug)]
pub struct EmbeddedCatalog {
    shared: Arc<Shared>,
    prober: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    reach: watch::Sender<Reach>,
    doubt: Notify,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// Device and inode of the file that was opened.
    file: (u64, u64),
}

impl EmbeddedCatalog {
    /// Starts following the file. A missing file is made only if `known` is false, that is, if no
    /// catalog was ever met there. Needs a tokio runtime.
    pub fn start(path: PathBuf, known: bool) -> Arc<EmbeddedCatalog> {
        let shared = Arc::new(Shared {
            path,
            reach: watch::Sender::new(Reach::Connecting),
            doubt: Notify::new(),
            open: Mutex::new(None),
        });
        let prober = tokio::spawn(probe(Arc::clone(&shared), !known));
        Arc::new(EmbeddedCatalog { shared, prober })
    }

    /// Runs a transaction on the file, on a thread that may block.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || shared.transact(work))
            .await
            .map_err(|error| Failure::transient(error.to_string()))?;
        if done.as_ref().is_err_and(|failure| failure.class == Class::Transient) {
            self.shared.doubt.notify_one();
        }
        done
    }
}

impl Drop for EmbeddedCatalog {
    fn drop(&mut self) {
        self.prober.abort();
    }
}

impl Shared {
    fn transact<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let mut guard = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = guard.as_mut() else {
            return Err(Failure::transient(format!("{} is not there", self.path.display())));
        };
        let file = open.file;
        self.same_file(file)?;
        let transaction = open
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(|error| failure(&self.path, &error))?;
        let value = work(&transaction).map_err(|error| failure(&self.path, &error))?;
        transaction.commit().map_err(|error| failure(&self.path, &error))?;
        // Taken away meanwhile: it was written, but nobody can tell what will come back.
        self.same_file(file)?;
        Ok(value)
    }

    fn same_file(&self, file: (u64, u64)) -> Result<(), Failure> {
        match identity(&self.path) {
            Ok(now) if now == file => Ok(()),
            Ok(_) => Err(Failure::transient(format!("{} was replaced", self.path.display()))),
            Err(error) => Err(Failure::transient(missing(&self.path, &error))),
        }
    }

    /// Looks at the file, and opens it if it is not open. Returns true if this call opened it.
    fn look(&self, make: bool) -> Result<bool, Failure> {
        let mut guard = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = guard.as_ref() {
            let looked = self.same_file(open.file).and_then(|()| {
                open.connection
                    .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))
                    .map_err(|error| failure(&self.path, &error))
            });
            if let Err(failure) = looked {
                *guard = None;
                return Err(failure);
            }
            return Ok(false);
        }
        let connection = open_file(&self.path, make)?;
        let file = identity(&self.path)
            .map_err(|error| Failure::transient(missing(&self.path, &error)))?;
        *guard = Some(Open { connection, file });
        Ok(true)
    }
}

/// Follows the file while it comes and goes.
async fn probe(shared: Arc<Shared>, mut make: bool) {
    let mut epoch = 0;
    loop {
        let looking = Arc::clone(&shared);
        let looked = tokio::task::spawn_blocking(move || looking.look(make)).await;
        match looked {
            Ok(Ok(true)) => {
                epoch += 1;
                make = false;
                shared.reach.send_replace(Reach::Up { epoch });
            }
            Ok(Ok(false)) => {}
            Ok(Err(failure)) => {
                let refused = failure.class == Class::RefusedClient;
                shared.reach.send_if_modified(|reach| {
                    // Down for another reason than before is told too.
                    let known = matches!(reach, Reach::Down { why, refused: before, .. }
                        if *why == failure.words && *before == refused);
                    let news = !known;
                    if news {
                        *reach = Reach::Down { why: failure.words, refused };
                    }
                    news
                });
            }
            Err(_) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shared.doubt.notified() => {}
        }
    }
}

fn open_file(path: &Path, make: bool) -> Result<Connection, Failure> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if make {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| Failure::transient(format!("{}: {error}", folder.display())))?;
        }
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
        // Its user's alone from the beginning; what stands in the way is told by SQLite.
        let _ = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    } else if let Err(error) = std::fs::metadata(path) {
        return Err(Failure::transient(missing(path, &error)));
    }
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| failure(path, &error))?;
    schema::prepare(&mut connection).map_err(|error| failure(path, &error))?;
    check(&connection, path)?;
    Ok(connection)
}

/// Reads a file that is not large completely, before anything is written to it.
fn check(connection: &Connection, path: &Path) -> Result<(), Failure> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > CHECKED_MAX) {
        return Ok(());
    }
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| failure(path, &error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(Failure::refused_client(format!(
        "the embedded catalog {}: {verdict}{DAMAGED}",
        path.display()
    )))
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let meta = std::fs::metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

fn missing(path: &Path, error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        return format!(
            "the embedded catalog {} is not there: bring it back, or make an empty file there to begin an empty catalog",
            path.display()
        );
    }
    format!("the embedded catalog {}: {error}", path.display())
}

/// Whatever differs from what this backend makes is damage, whoever caused it.
fn failure(path: &Path, error: &rusqlite::Error) -> Failure {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqlInputError,
        SqliteFailure, Utf8Error,
    };
    use rusqlite::ErrorCode;
    let damaged = (Class::RefusedClient, DAMAGED);
    let (class, todo) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged,
        // A table or a column is missing.
        _ if matches!(error, SqlInputError { .. }) => damaged,
        _ if matches!(error, SqliteFailure(_, Some(words)) if words.starts_with("no such ")) => {
            damaged
        }
        None if matches!(
            error,
            FromSqlConversionFailure(..)
                | InvalidColumnType(..)
                | IntegralValueOutOfRange(..)
                | Utf8Error(..)
        ) =>
        {
            damaged
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => (
            Class::RefusedClient,
            ". Mend what is there, or its permissions and those of its folder",
        ),
        Some(ErrorCode::DiskFull) => (Class::Transient, ". Make room; it goes on by itself"),
        Some(ErrorCode::TooBig) => (Class::TooLarge, ""),
        _ => (Class::Transient, ""),
    };
    let words = format!("the embedded catalog {}: {error}{todo}", path.display());
    Failure { class, code: None, words }
}

#[async_trait]
impl Catalog for EmbeddedCatalog {
    fn kind(&self) -> Kind {
        Kind::Embedded
    }

    fn address(&self) -> String {
        self.shared.path.display().to_string()
    }

    fn reach(&self) -> watch::Receiver<Reach> {
        self.shared.reach.subscribe()
    }

    fn doubt(&self) {
        self.shared.doubt.notify_one();
    }

    async fn open(&self, root: &RootPlace) -> Result<OpenedCatalog, Failure> {
        let root = root.id.clone();
        self.call(move |tx| calls::meet(tx, &root)).await
    }

    async fn identify(&self, _: &RootPlace) -> Result<String, Failure> {
        self.call(|tx| Ok(calls::meta(tx, "identity")?.unwrap_or_default())).await
    }

    async fn insert(&self, _: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure> {
        let batch = batch.to_vec();
        self.call(move |tx| batch.iter().map(|document| calls::insert(tx, document)).collect())
            .await
    }

    async fn upsert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure> {
        let (root, batch) = (root.id.clone(), batch.to_vec());
        self.call(move |tx| {
            batch.iter().map(|document| calls::upsert(tx, &root, document)).collect()
        })
        .await
    }

    async fn adopt(&self, root: &RootPlace, document: &Versioned) -> Result<Answer, Failure> {
        let (root, document) = (root.id.clone(), document.clone());
        self.call(move |tx| calls::adopt(tx, &root, &document)).await
    }

    async fn take_over(
        &self,
        root: &RootPlace,
        document: &Versioned,
        from: &Stored,
    ) -> Result<Answer, Failure> {
        let (root, document, from) = (root.id.clone(), document.clone(), from.clone());
        self.call(move |tx| calls::take_over(tx, &root, &document, &from)).await
    }

    async fn remove_drilled(&self, root: &RootPlace, batch: &[Versioned]) -> Result<(), Failure> {
        let (root, batch) = (root.id.clone(), batch.to_vec());
        self.call(move |tx| calls::remove_drilled(tx, &root, &batch)).await
    }

    async fn read(&self, _: &RootPlace, uuids: &[String]) -> Result<Vec<Stored>, Failure> {
        let uuids = uuids.to_vec();
        self.call(move |tx| calls::read(tx, &uuids)).await
    }

    async fn page(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Stored>, Failure> {
        let (root, after) = (root.id.clone(), after.unwrap_or("").to_owned());
        self.call(move |tx| calls::page(tx, &root, &after, limit)).await
    }

    async fn mark(&self, root: &RootPlace, watermark: &str) -> Result<(), Failure> {
        let (key, watermark) = (format!("watermark:{}", root.id), watermark.to_owned());
        self.call(move |tx| calls::put_meta(tx, &key, &watermark)).await
    }

    async fn lease(&self, root: &RootPlace) -> Result<Option<LeaseDoc>, Failure> {
        let root = root.id.clone();
        self.call(move |tx| lease::read(tx, &root)).await
    }

    async fn draw_token(&self, above: i64) -> Result<i64, Failure> {
        self.call(move |tx| lease::draw_token(tx, above)).await
    }

    async fn put_lease(
        &self,
        root: &RootPlace,
        expected: Option<&LeaseDoc>,
        new: &LeaseDoc,
    ) -> Result<bool, Failure> {
        let (root, expected, new) = (root.id.clone(), expected.cloned(), new.clone());
        self.call(move |tx| lease::put(tx, &root, expected.as_ref(), &new)).await
    }

    async fn put_unrecognised(
        &self,
        root: &RootPlace,
        batch: &[UnrecognisedDoc],
    ) -> Result<(), Failure> {
        let (root, batch) = (root.id.clone(), batch.to_vec());
        self.call(move |tx| calls::put_unrecognised(tx, &root, &batch)).await
    }

    async fn remove_unrecognised(
        &self,
        root: &RootPlace,
        folder_names: &[String],
    ) -> Result<(), Failure> {
        let (root, names) = (root.id.clone(), folder_names.to_vec());
        self.call(move |tx| calls::remove_unrecognised(tx, &root, &names)).await
    }

    async fn page_unrecognised(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UnrecognisedDoc>, Failure> {
        let (root, after) = (root.id.clone(), after.unwrap_or("").to_owned());
        self.call(move |tx| calls::page_unrecognised(tx, &root, &after, limit)).await
    }

    async fn count(&self, root: &RootPlace) -> Result<u64, Failure> {
        let root = root.id.clone();
        self.call(move |tx| calls::count(tx, &root)).await
    }

    async fn foreign(&self, root: &RootPlace) -> Result<u64, Failure> {
        let root = root.id.clone();
        self.call(move |tx| calls::foreign(tx, &root)).await
    }

    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}
