//! `bench FOCUS text [N]`: pages by a text, beside bare SQLite that compares every row of the same index.

use std::path::Path;
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::stats;
use rusqlite::{Connection, params};
use serde_json::Value;
use tempfile::TempDir;

use crate::{LIMIT, cpu_ms};

/// Questions of each kind.
const TIMES: usize = 11;

/// Rows of a page.
const LIMIT_ROWS: usize = 100;

const BASE_MS: i64 = 1_600_000_000_000;

pub(crate) async fn run(binary: &str, n: i64) {
    for is_shuffled in [false, true] {
        println!("{n} recordings, {}", if is_shuffled { "shuffled" } else { "by time" });
        of(binary, n, is_shuffled).await;
    }
}

async fn of(binary: &str, n: i64, is_shuffled: bool) {
    let dir = TempDir::new().expect("a folder");
    let (root, state) = (dir.path().join("root"), dir.path().join("state"));
    std::fs::create_dir_all(&root).expect("a root");
    // Nothing listens on this port.
    let args = ["--mongodb-uri", "mongodb://127.0.0.1:1/"];
    assert!(Focus::new(binary, &root, &state, &[]).run(&["init"]).status.success());
    let mut focus = Focus::new(binary, &root, &state, &args);
    focus.serve().await;
    let until = Instant::now() + LIMIT;
    while focus.status().expect("a status")["complete_through"].is_null() {
        assert!(Instant::now() < until, "{}", focus.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    focus.stop();
    let index = state.join("index.db");
    fill(&index, n, is_shuffled);
    focus.serve().await;
    let before = cpu_ms(&focus);
    let began = Instant::now();
    while focus.status().expect("a status")["text_index"]["done"] != n {
        assert!(began.elapsed() < LIMIT, "{}", focus.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let each_us = (cpu_ms(&focus) - before) as f64 * 1_000.0 / n as f64;
    println!(
        "  built in {:.1} s, {each_us:.1} µs of CPU a recording, all of the server",
        began.elapsed().as_secs_f64()
    );
    let bare = Connection::open(&index).expect("the index");
    println!("  {:.0} bytes a recording", bytes(&bare) as f64 / n as f64);
    let uuid: String = bare
        .query_row("SELECT uuid FROM recordings WHERE id = ?1", [n * 2 / 3], |row| row.get(0))
        .expect("a uuid");
    for (name, text) in [
        ("in all paths", ".dat"),
        ("in some", "cam17"),
        ("in one path", &*format!("_{:07}", n * 9 / 10)),
        ("in one uuid", &uuid[9..18]),
        ("in none", "nowhere"),
    ] {
        for order in ["start", "-start"] {
            beside(&focus, &bare, (name, text), order);
        }
    }
}

/// Asks both for a first page.
fn beside(focus: &Focus, bare: &Connection, (name, text): (&str, &str), order: &str) {
    let path = format!("/api/v1/recordings?text={text}&order={order}&limit={LIMIT_ROWS}");
    let mut times = Vec::new();
    let mut items = 0;
    for _ in 0..TIMES {
        let began = Instant::now();
        let page = focus.get(&path).expect("a page");
        times.push(began.elapsed());
        let page: Value = serde_json::from_str(&page).expect("JSON");
        items = page["items"].as_array().map_or(0, Vec::len);
    }
    let turned = if order == "start" { "" } else { "DESC" };
    let sql = format!(
        "SELECT uuid, path, size, metadata FROM recordings WHERE path LIKE '%' || ?1 || '%' OR uuid LIKE '%' || ?1 || '%'
         ORDER BY start_ms {turned}, id {turned} LIMIT {LIMIT_ROWS}"
    );
    let began = Instant::now();
    let rows = bare
        .prepare(&sql)
        .and_then(|mut rows| {
            rows.query_map([text], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
        })
        .expect("rows");
    let scan = began.elapsed();
    assert_eq!(rows.len(), items, "{text} {order}");
    times.sort_unstable();
    println!(
        "  {name:<13}{order:<7}{items:>4} rows  {}  ratio to bare SQLite: {:.4}",
        stats::describe(&times),
        times[TIMES / 2].as_secs_f64() / scan.as_secs_f64()
    );
}

fn bytes(index: &Connection) -> i64 {
    index
        .query_row("SELECT sum(length(rows) + 15) FROM text_postings", [], |row| row.get(0))
        .expect("its size")
}

/// Rows of recordings without files: nothing looks at these.
fn fill(index: &Path, n: i64, is_shuffled: bool) {
    let mut connection = Connection::open(index).expect("the index");
    connection.execute_batch("PRAGMA synchronous = OFF").expect("set");
    let tx = connection.transaction().expect("a transaction");
    {
        let mut insert = tx
            .prepare(
                "INSERT INTO recordings(root, uuid, file, start_ms, end_ms, span, deleted, recording_id, path, size,
                   fingerprint, metadata, generation, pending)
                 VALUES(1, ?1, 0, ?2, ?2 + 50000, 15, 0, ?3, ?3 || '.dat', 1, ?1, '{\"sensor\": \"north\"}', 1, 0)",
            )
            .expect("a statement");
        for row in 0..n {
            let place =
                if is_shuffled { (mixed(row) % n.cast_unsigned()).cast_signed() } else { row };
            let start_ms = BASE_MS + place * 60_000;
            let cam = mixed(place) % 40;
            let path = format!(
                "station{:02}/day{:05}/cam{cam:02}_{place:07}",
                cam / 4,
                start_ms / 86_400_000
            );
            insert.execute(params![uuid(row), start_ms, path]).expect("a row");
        }
    }
    tx.commit().expect("committed");
}

fn uuid(row: i64) -> String {
    let (a, b) = (mixed(2 * row + 1), mixed(-2 * row - 2));
    let of = [a >> 32, a >> 16 & 0xffff, a & 0xffff, b >> 48, b & 0xffff_ffff_ffff];
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", of[0], of[1], of[2], of[3], of[4])
}

/// A number that looks like chance, the same in each run (SplitMix64).
fn mixed(number: i64) -> u64 {
    let mut mixed = number.cast_unsigned().wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
