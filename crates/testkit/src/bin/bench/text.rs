//! `text`: pages by a text, beside bare SQLite that compares every row of the same index.

use std::path::Path;
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::stats;
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::options::Setup;
use crate::process::Usage;
use crate::report::{Measure, Report};
use crate::site::{NOWHERE, Storage, until};

/// Questions of each kind.
const TIMES: usize = 11;

/// Rows of a page.
const LIMIT_ROWS: usize = 100;

const BASE_MS: i64 = 1_600_000_000_000;

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let storage = Storage::with(setup, 0);
    let mut report = setup.report("text", n, storage.folder());
    for (order, is_shuffled) in [("by time", false), ("shuffled", true)] {
        of(setup, &storage, order, is_shuffled, &mut report).await;
    }
    report
}

async fn of(setup: &Setup, storage: &Storage, rows: &str, is_shuffled: bool, report: &mut Report) {
    let n = i64::try_from(report.n).expect("a number of rows");
    let mut focus = storage.focus(setup, rows, &["--mongodb-uri", NOWHERE]);
    focus.serve().await;
    until(&focus, "a first scan", |status| !status["complete_through"].is_null()).await;
    focus.stop();
    let index = storage.folder().join(rows).join("index.db");
    fill(&index, n, is_shuffled);
    focus.serve().await;
    let before = Usage::of(focus.pid());
    let began = Instant::now();
    until(&focus, "the text index is made", |status| status["text_index"]["done"] == n).await;
    report.add(Measure::seconds(&format!("{rows}: index made in"), began.elapsed()));
    let cpu_us = Usage::of(focus.pid()).since(before).cpu_us_each(report.n);
    report.add(Measure::of(&format!("{rows}: processor time each"), cpu_us, "µs"));
    let bare = Connection::open(&index).expect("the index");
    let bytes_each = bytes(&bare) as f64 / n as f64;
    report.add(Measure::of(&format!("{rows}: bytes each"), bytes_each, "B"));
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
            let (ours, bare) = beside(&focus, &bare, text, order);
            report.add(
                Measure::of(&format!("{rows}: {name}, {order}"), ours, "ms")
                    .beside("bare SQLite", bare),
            );
        }
    }
}

/// Asks both for a first page: milliseconds of both.
fn beside(focus: &Focus, bare: &Connection, text: &str, order: &str) -> (f64, f64) {
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
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    (ms(stats::median(&times)), ms(scan))
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
