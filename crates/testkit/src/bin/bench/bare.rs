//! The bare pieces of work that stand beside those of the server: a walk, a SQLite table, inserts into the database.
//!
//! Each runs as a process of its own (`bench bare WORK …`), so what it takes is counted as that of the server is.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use mongodb::bson::raw::{RawArrayBuf, RawDocumentBuf};
use mongodb::bson::{Document, doc, rawdoc};
use mongodb::{Client, Database};
use rusqlite::{Connection, params};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::process::{self, Usage};
use crate::series;

/// Rows of a transaction.
const OF_TRANSACTION: u64 = 20_000;

/// Documents of a call.
const OF_CALL: usize = 1_000;

/// What a bare piece of work took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bare {
    /// Recordings, rows or documents.
    pub(crate) count: u64,
    /// The time of the work alone: without the start of the process, and without the reading of what is inserted.
    pub(crate) took: Duration,
    /// The processor time of the work alone.
    pub(crate) cpu: Duration,
    /// What the whole process took.
    pub(crate) usage: Usage,
}

impl Bare {
    /// So many a second.
    pub(crate) fn rate(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// Processor time for each, µs.
    pub(crate) fn cpu_us_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.count.max(1) as f64
    }
}

/// Time and processor time of a piece of work, which may come in parts.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    time: Duration,
    cpu: Duration,
}

/// Processor time of this process so far.
fn cpu_now() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

impl Taken {
    /// Adds what has been taken since then.
    fn add_since(&mut self, (began, cpu): (Instant, Duration)) {
        self.time += began.elapsed();
        self.cpu += cpu_now().saturating_sub(cpu);
    }
}

/// A part begins.
fn begin() -> (Instant, Duration) {
    (Instant::now(), cpu_now())
}

/// The command that does such work in a process of its own.
///
/// # Panics
/// This program does not know where it is.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("bare").args(words);
    command
}

/// Has it done.
///
/// # Panics
/// It fails.
pub(crate) async fn done(mut command: Command) -> Bare {
    let ended = process::run(&mut command).await;
    assert!(ended.status.success(), "{command:?} ended with {}", ended.status);
    let told: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let seconds = |name| Duration::from_secs_f64(told[name].as_f64().expect("seconds"));
    Bare {
        count: told["count"].as_u64().expect("a count"),
        took: seconds("seconds"),
        cpu: seconds("cpu_seconds"),
        usage: ended.usage,
    }
}

/// Reads every sidecar below a folder.
pub(crate) async fn walk(root: &Path) -> Bare {
    done(command(&["walk", &root.display().to_string()])).await
}

/// Inserts the series into a table with three indexes.
pub(crate) async fn sqlite(file: &Path, n: u64) -> Bare {
    done(command(&["sqlite", &file.display().to_string(), &n.to_string()])).await
}

/// Writes all documents of the catalog into another collection of that server: `work` is `insert` or `upsert`.
pub(crate) async fn documents(work: &str, uri: &str, database: &str) -> Bare {
    done(command(&[work, uri, database])).await
}

/// The process itself.
pub(crate) async fn main(words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut taken = Taken::default();
    let count = match words.as_slice() {
        ["walk", root] => {
            let part = begin();
            let count = walked(Path::new(root));
            taken.add_since(part);
            count
        }
        ["sqlite", file, n] => {
            let n = n.parse().expect("a number");
            let part = begin();
            rows(Path::new(file), n);
            taken.add_since(part);
            n
        }
        ["insert", uri, database] => copied(uri, database, inserts, &mut taken).await,
        ["upsert", uri, database] => copied(uri, database, upserts, &mut taken).await,
        _ => {
            eprintln!("usage: bench bare walk ROOT | sqlite FILE N | insert|upsert URI DATABASE");
            std::process::exit(2);
        }
    };
    let (seconds, cpu_seconds) = (taken.time.as_secs_f64(), taken.cpu.as_secs_f64());
    println!("{}", json!({ "count": count, "seconds": seconds, "cpu_seconds": cpu_seconds }));
}

fn walked(folder: &Path) -> u64 {
    let mut count = 0;
    for found in std::fs::read_dir(folder).expect("a folder") {
        let found = found.expect("an entry");
        let path = found.path();
        if found.file_type().expect("a type").is_dir() {
            count += walked(&path);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            std::hint::black_box(std::fs::read(&path).expect("a sidecar"));
            count += 1;
        }
    }
    count
}

/// The columns that people look for recordings by are indexed. One index has random keys, as uuids are. The cache has the size
/// of that of the server's index.
fn rows(file: &Path, n: u64) {
    let mut connection = Connection::open(file).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384;
             CREATE TABLE recordings(uuid TEXT PRIMARY KEY, start_time INTEGER, end_time INTEGER, path TEXT,
               size INTEGER, metadata TEXT);
             CREATE INDEX recordings_start_time ON recordings(start_time);
             CREATE INDEX recordings_end_time ON recordings(end_time);",
        )
        .expect("a table");
    let metadata =
        json!({ "sensor": "S001", "site": "hill", "channel": "HSF", "rate_hz": 1000, "gain": 1.5 });
    let metadata = metadata.to_string();
    let mut done = 0;
    while done < n {
        let transaction = connection.transaction().expect("a transaction");
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO recordings VALUES(?1, ?2, ?3, ?4, 16, ?5)")
                .expect("a statement");
            for at in done..n.min(done + OF_TRANSACTION) {
                let (uuid, start_ms) = (series::uuid(at), series::start_ms(at).cast_signed());
                let path = format!("{:04}/{uuid}.dat", at / 1_000);
                insert
                    .execute(params![
                        uuid,
                        start_ms,
                        start_ms + series::LENGTH_MS.cast_signed(),
                        path,
                        metadata
                    ])
                    .expect("a row");
            }
        }
        transaction.commit().expect("committed");
        done = n.min(done + OF_TRANSACTION);
    }
}

/// Copies the catalog's documents by calls of this kind into a new database, which is dropped then.
async fn copied(
    uri: &str,
    database: &str,
    call: fn(&[RawDocumentBuf]) -> RawDocumentBuf,
    taken: &mut Taken,
) -> u64 {
    let client = Client::with_uri_str(uri).await.expect("a client");
    let into = client.database(&format!("{database}_bare"));
    into.drop().await.expect("nothing of an earlier run");
    make_indexes(&into).await;
    let node4 = client.database(database).collection::<RawDocumentBuf>("node4");
    let mut documents = node4.find(doc! {}).await.expect("a cursor");
    let mut count = 0;
    let mut batch = Vec::with_capacity(OF_CALL);
    loop {
        let next = documents.try_next().await.expect("a document");
        let is_last = next.is_none();
        batch.extend(next);
        if batch.len() == OF_CALL || (is_last && !batch.is_empty()) {
            let part = begin();
            let answer = into.run_raw_command(call(&batch)).await.expect("written");
            taken.add_since(part);
            assert!(answer.get("writeErrors").is_none(), "{answer:?}");
            count += batch.len() as u64;
            batch.clear();
        }
        if is_last {
            break;
        }
    }
    into.drop().await.expect("dropped");
    count
}

/// Those that the catalog has.
async fn make_indexes(database: &Database) {
    let indexes: Vec<Document> = ["uuid", "start_time", "end_time", "deleted"]
        .iter()
        .map(|field| doc! { "key": { *field: 1 }, "name": *field, "unique": *field == "uuid" })
        .collect();
    database
        .run_command(doc! { "createIndexes": "node4", "indexes": indexes })
        .await
        .expect("indexes");
}

fn inserts(batch: &[RawDocumentBuf]) -> RawDocumentBuf {
    let mut documents = RawArrayBuf::new();
    batch.iter().for_each(|document| documents.push(document.clone()));
    rawdoc! {
        "insert": "node4",
        "documents": documents,
        "ordered": false,
        "writeConcern": { "w": "majority", "j": true },
    }
}

fn upserts(batch: &[RawDocumentBuf]) -> RawDocumentBuf {
    let mut updates = RawArrayBuf::new();
    for document in batch {
        let mut fields = Document::try_from(&**document).expect("a document");
        fields.remove("_id");
        let uuid = fields.get("uuid").cloned();
        let update = doc! { "q": { "uuid": uuid }, "u": { "$set": fields }, "upsert": true };
        updates.push(RawDocumentBuf::try_from(&update).expect("a document"));
    }
    rawdoc! {
        "update": "node4",
        "updates": updates,
        "ordered": false,
        "writeConcern": { "w": "majority", "j": true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_reads_each_sidecar_of_the_series() {
        let dir = tempfile::TempDir::new().unwrap();
        series::write(dir.path(), 995..1_010);
        assert_eq!(walked(dir.path()), 15);
    }

    #[test]
    fn the_table_has_a_row_for_each_of_the_series() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("bare.db");
        rows(&file, 20_003);
        let connection = Connection::open(&file).unwrap();
        let count: i64 =
            connection.query_row("SELECT count(*) FROM recordings", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 20_003);
    }
}
