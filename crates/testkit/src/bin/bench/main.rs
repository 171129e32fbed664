//! `bench FOCUS recovery|memory|queries|ingest|requests|scan|text|verify [N]`: run by `cargo xtask bench`.

mod ingest;
mod requests;
mod scan;
mod series;
mod text;
mod verify;

use std::path::Path;
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::tree::{Tree, Writing};
use focus_testkit::{oracle, stats};
use mongodb::bson::{Document, doc};
use tempfile::TempDir;

pub(crate) const LIMIT: Duration = Duration::from_secs(1_800);

/// The server gives free memory back every 10 s.
const GIVING_BACK: Duration = Duration::from_secs(12);

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [binary, bench, rest @ ..] = args.as_slice() else {
        eprintln!(
            "usage: bench FOCUS recovery|memory|queries|ingest|requests|scan|text|verify [N]"
        );
        std::process::exit(2);
    };
    let n = rest.first().and_then(|n| n.parse().ok());
    match bench.as_str() {
        "recovery" => recovery(binary, n.unwrap_or(20_000)).await,
        "memory" => memory(binary, n.unwrap_or(100_000)).await,
        "queries" => queries(binary, n.unwrap_or(100_000)).await,
        "ingest" => ingest::run(binary).await,
        "requests" => requests::run(binary, rest).await,
        "scan" => scan::run(binary, rest).await,
        "text" => text::run(binary, n.map_or(1_000_000, |n| n as i64)).await,
        "verify" => verify::run(binary, n.unwrap_or(100_000)).await,
        other => {
            eprintln!(
                "{other} is not one of recovery, memory, queries, ingest, requests, scan, text, verify"
            );
            std::process::exit(2);
        }
    }
}

pub(crate) struct Site {
    dir: TempDir,
    tree: Tree,
    server: MongoServer,
    focus: Focus,
}

impl Site {
    async fn new(binary: &str) -> Site {
        let dir = TempDir::new().expect("a folder");
        let root = dir.path().join("root");
        std::fs::create_dir(&root).expect("a root");
        let server = MongoServer::start().await;
        let focus = Focus::new(
            binary,
            &root,
            &dir.path().join("state"),
            &["--mongodb-uri", &server.uri(), "--settle-ms", "200"],
        );
        assert!(focus.run(&["init"]).status.success());
        Site { tree: Tree::new(&root), server, focus, dir }
    }

    fn marker(&self) -> String {
        let text = std::fs::read_to_string(self.tree.root().join(".focus-root")).expect("a marker");
        text.split("\"id\":\"")
            .nth(1)
            .and_then(|id| id.split('"').next())
            .expect("an id")
            .to_owned()
    }

    async fn in_step(&self) {
        self.focus.until_status("pending", 0, LIMIT).await;
        self.focus.until_status("catalog_state", "in_step", LIMIT).await;
    }
}

/// Ours against a bare insert and a bare upsert of the same documents on the same server.
async fn recovery(binary: &str, n: usize) {
    let mut site = Site::new(binary).await;
    site.tree.add(10, Writing::Moved);
    site.focus.serve().await;
    site.focus.until_status("recordings", 10, LIMIT).await;
    site.in_step().await;
    site.server.kill();
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    let planted = site.tree.add(n, Writing::Moved);
    site.focus.until_status("pending", n, LIMIT).await;
    let client = site.server.client().await;
    site.server.restart().await;
    let back = Instant::now();
    let node4 = client.database("focus").collection::<Document>("node4");
    loop {
        let count = node4.count_documents(doc! {}).await.unwrap_or(0);
        if count >= n as u64 + 10 {
            break;
        }
        assert!(back.elapsed() < LIMIT, "only {count}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ours = back.elapsed();
    let documents: Vec<Document> = {
        use futures_util::TryStreamExt;
        let cursor = node4.find(doc! { "uuid": { "$ne": "" } }).await.expect("documents");
        cursor.try_collect().await.expect("documents")
    };
    let verdict = oracle::compare(&client, "focus", "node4", &site.marker(), &planted).await;
    assert!(
        verdict.missing.is_empty() && verdict.duplicated.is_empty() && verdict.wrong.is_empty(),
        "{verdict:?}"
    );
    let insert = bare(&client, "bare_insert", &documents, false).await;
    let upsert = bare(&client, "bare_upsert", &documents, true).await;
    let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    let (bare_rate, our_rate) = (rate(documents.len(), insert), rate(n, ours));
    println!("bare insert   {bare_rate:>9.0}/s");
    println!("bare upsert   {:>9.0}/s", rate(documents.len(), upsert));
    println!(
        "focus         {our_rate:>9.0}/s   {n} recordings in {:.0} ms, compared: none missing, twice or wrong",
        ours.as_secs_f64() * 1e3
    );
    println!("ratio to the bare insert: {:.2}", our_rate / bare_rate);
}

async fn bare(
    client: &mongodb::Client,
    database: &str,
    documents: &[Document],
    upsert: bool,
) -> Duration {
    let database = client.database(database);
    let indexes: Vec<Document> = ["uuid", "start_time", "end_time", "deleted"]
        .iter()
        .map(|field| doc! { "key": { *field: 1 }, "name": *field, "unique": *field == "uuid" })
        .collect();
    database
        .run_command(doc! { "createIndexes": "node4", "indexes": indexes })
        .await
        .expect("indexes");
    let began = Instant::now();
    for batch in documents.chunks(1_000) {
        let mut command = if upsert {
            let updates: Vec<Document> = batch
                .iter()
                .map(|document| {
                    let mut fields = document.clone();
                    fields.remove("_id");
                    doc! { "q": { "uuid": document.get("uuid").cloned() }, "u": { "$set": fields }, "upsert": true }
                })
                .collect();
            doc! { "update": "node4", "updates": updates }
        } else {
            doc! { "insert": "node4", "documents": batch }
        };
        command.insert("ordered", false);
        command.insert("writeConcern", doc! { "w": "majority", "j": true });
        database.run_command(command).await.expect("written");
    }
    began.elapsed()
}

/// Resident memory with `n` recordings of which a fifth is pending, and with twice as many.
async fn memory(binary: &str, n: usize) {
    let mut site = Site::new(binary).await;
    site.focus.serve().await;
    for (total, landing) in [(n, n), (2 * n, n)] {
        let pending = n / 5;
        site.tree.add(landing - pending, Writing::Moved);
        site.focus.until_status("recordings", total - pending, LIMIT).await;
        site.in_step().await;
        site.server.kill();
        site.focus.until_status("catalog_state", "down", LIMIT).await;
        site.tree.add(pending, Writing::Moved);
        site.focus.until_status("pending", pending, LIMIT).await;
        told(&format!("{total} recordings, {pending} pending"), site.focus.pid()).await;
        site.server.restart().await;
        site.in_step().await;
        told(&format!("{total} recordings, recovered"), site.focus.pid()).await;
    }
    drop(site.dir);
}

/// Tells what is resident at once, and what stays.
async fn told(when: &str, pid: Option<u32>) {
    let (at_once, _) = resident(pid);
    tokio::time::sleep(GIVING_BACK).await;
    let (stays, peak) = resident(pid);
    println!("{when}: {stays} KiB resident ({at_once} at once, {peak} at the most so far)");
}

/// Has the peak of the resident memory begin anew.
pub(crate) fn peak_from_now_on(pid: Option<u32>) {
    std::fs::write(format!("/proc/{}/clear_refs", pid.unwrap_or(0)), "5").expect("its peak");
}

/// Processor time that a server has taken, milliseconds.
pub(crate) fn cpu_ms(focus: &Focus) -> u64 {
    let stat = format!("/proc/{}/stat", focus.pid().unwrap_or(0));
    let text = std::fs::read_to_string(stat).unwrap_or_default();
    // User and system time are fields 14 and 15, in ticks of 10 ms; the second, a name, may hold spaces.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

/// Resident memory now, and at the most so far, KiB.
pub(crate) fn resident(pid: Option<u32>) -> (u64, u64) {
    let path = format!("/proc/{}/status", pid.unwrap_or(0));
    let text = std::fs::read_to_string(Path::new(&path)).unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1))
            .and_then(|n| n.parse().ok())
            .unwrap_or(0)
    };
    (field("VmRSS"), field("VmHWM"))
}

/// Latency of queries during an outage.
async fn queries(binary: &str, n: usize) {
    let mut site = Site::new(binary).await;
    let planted = site.tree.add(n, Writing::Moved);
    site.focus.serve().await;
    site.focus.until_status("recordings", n, LIMIT).await;
    site.in_step().await;
    site.server.kill();
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    let middle = planted[n / 2].start_ms;
    let window = |ms: i64| format!("{{\"start_time\": {middle}, \"end_time\": {}}}", middle + ms);
    let ack = time(|| site.focus.get("/ack").map(|_| ()));
    println!("/ack                          {ack}");
    for (name, ms) in [("1 s", 1_000), ("1 hour", 3_600_000)] {
        let body = window(ms);
        let times = time(|| site.focus.post("/recordings_in_time_range", &body).map(|_| ()));
        println!("/recordings_in_time_range {name:<6} {times}");
    }
}

fn time(ask: impl Fn() -> Result<(), String>) -> String {
    let mut times = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        ask().expect("an answer during the outage");
        times.push(began.elapsed());
    }
    stats::describe(&times)
}
