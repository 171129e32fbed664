//! `requests`: a load of reading calls while the database is down and storage is scanned, beside the same questions
//! asked of the index by bare SQLite.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::stats;
use rusqlite::{Connection, OpenFlags, params};
use serde_json::Value;

use crate::options::Setup;
use crate::report::{Measure, Report};
use crate::site::{NOWHERE, Storage, until};

/// Requests a second, over all calls.
const RATE: u32 = 1_000;

/// Callers, each with a connection of its own.
const CALLERS: u32 = 8;

/// The load lasts so long.
const LASTS: Duration = Duration::from_secs(20);

const HOUR_MS: i64 = 3_600_000;

/// What is asked, in turn: its name, and how often of 20 times.
const MIX: [(&str, u32); 7] = [
    ("page of an hour", 8),
    ("compatible, an hour", 4),
    ("one recording", 4),
    ("coverage of a day", 1),
    ("gaps of a day", 1),
    ("unrecognised", 1),
    ("status", 1),
];

/// A request: its method, path and body.
type Asked = (&'static str, String, String);

/// The server, with what there is to ask for.
struct Site {
    focus: Focus,
    address: String,
    index: PathBuf,
    /// Some of the recordings: uuid and start.
    some: Vec<(String, i64)>,
    /// What was made for this bench.
    made: Option<Storage>,
}

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let site = Arc::new(match &setup.given {
        Some((root, state)) => Site::serving(setup, root, state, None).await,
        None => Site::filled(setup, n).await,
    });
    let folder = site.made.as_ref().map_or(&*site.index, Storage::folder);
    let mut report = setup.report("requests", site.count(), folder);
    load(&site, &mut report);
    side_by_side(&site, &mut report);
    lanes(&site, &mut report);
    report
}

impl Site {
    async fn filled(setup: &Setup, n: u64) -> Site {
        let storage = Storage::with(setup, n);
        let (root, state) = (storage.root().to_owned(), storage.folder().join("state"));
        std::fs::create_dir(&state).expect("a folder");
        std::fs::write(settings(&state), "indexed_metadata = [\"sensor\"]\n").expect("settings");
        Site::serving(setup, &root, &state, Some((storage, n))).await
    }

    async fn serving(
        setup: &Setup,
        root: &Path,
        state: &Path,
        made: Option<(Storage, u64)>,
    ) -> Site {
        let settings = settings(state).display().to_string();
        let mut args = vec!["--mongodb-uri", NOWHERE, "--settle-ms", "200"];
        if Path::new(&settings).exists() {
            args.extend(["--config", &settings]);
        }
        let mut focus = Focus::new(&setup.binary, root, state, &args);
        focus.serve().await;
        until(&focus, "everything is indexed", |status| {
            made.as_ref().is_none_or(|(_, n)| status["recordings"] == *n)
                && status["catalog_state"] == "down"
                && status["unsettled"] == 0
        })
        .await;
        let index = state.join("index.db");
        let connection = opened(&index);
        let some = connection
            .prepare("SELECT uuid, start_ms FROM recordings WHERE id % 997 = 1 LIMIT 1000")
            .and_then(|mut found| {
                found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .expect("recordings");
        let address = focus.address().expect("an address");
        Site { focus, address, index, some, made: made.map(|(storage, _)| storage) }
    }

    fn count(&self) -> u64 {
        self.focus.status().ok().and_then(|status| status["recordings"].as_u64()).unwrap_or(0)
    }

    /// When one of the recordings begins, the n-th of a sequence that comes to every part of the series.
    fn moment(&self, n: u32) -> i64 {
        let share = f64::from(n) * 0.618_033_988_749_895 % 1.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the recordings that were looked up"
        )]
        let at = (self.some.len() as f64 * share) as usize;
        self.some[at].1
    }

    fn asked(&self, name: &str, n: u32) -> Asked {
        let (from, day) = (self.moment(n), 24 * HOUR_MS);
        let get = |path: String| ("GET", path, String::new());
        match name {
            "page of an hour" => {
                get(format!("/api/v1/recordings?from={from}&to={}&limit=100", from + HOUR_MS))
            }
            "compatible, an hour" => (
                "POST",
                "/recordings_in_time_range".to_owned(),
                format!("{{\"start_time\": {from}, \"end_time\": {}}}", from + HOUR_MS),
            ),
            "one recording" => {
                get(format!("/api/v1/recordings/{}", self.some[n as usize % self.some.len()].0))
            }
            "coverage of a day" => {
                get(format!("/api/v1/coverage?from={from}&to={}&buckets=24", from + day))
            }
            "gaps of a day" => get(format!("/api/v1/gaps?from={from}&to={}", from + day)),
            "unrecognised" => get("/api/v1/unrecognised".to_owned()),
            _ => get("/api/v1/status".to_owned()),
        }
    }
}

/// The settings of a site that was made here.
fn settings(state: &Path) -> PathBuf {
    state.join("bench.toml")
}

fn opened(index: &Path) -> Connection {
    Connection::open_with_flags(index, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the index")
}

/// A connection that stays open.
struct Caller(BufReader<TcpStream>);

impl Caller {
    fn to(address: &str) -> Caller {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a bound");
        Caller(BufReader::new(stream))
    }

    /// The status of the answer, which is read to its end.
    fn ask(&mut self, (method, path, body): &Asked) -> std::io::Result<u16> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(head.as_bytes())?;
        let (mut status, mut length, mut is_chunked) = (0, 0, false);
        for at in 0.. {
            let line = self.line()?;
            if at == 0 {
                status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
            } else if line.is_empty() {
                break;
            } else if let Some((name, value)) = line.to_ascii_lowercase().split_once(": ") {
                match name {
                    "content-length" => length = value.parse().unwrap_or(0),
                    "transfer-encoding" => is_chunked = value == "chunked",
                    _ => {}
                }
            }
        }
        while is_chunked {
            let size = u64::from_str_radix(&self.line()?, 16).unwrap_or(0);
            self.pass(size + 2)?;
            is_chunked = size > 0;
        }
        self.pass(length)?;
        Ok(status)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn pass(&mut self, bytes: u64) -> std::io::Result<()> {
        std::io::copy(&mut self.0.by_ref().take(bytes), &mut std::io::sink()).map(drop)
    }
}

/// Waits where there is no level to wait for: the pace of a load.
#[expect(clippy::disallowed_methods, reason = "a load has a pace")]
fn pause(time: Duration) {
    thread::sleep(time);
}

/// The mix at a steady rate: each request counts from when it was due, not from when there was time for it.
fn load(site: &Arc<Site>, report: &mut Report) {
    let is_over = Arc::new(AtomicBool::new(false));
    let scans = {
        let (site, is_over) = (Arc::clone(site), Arc::clone(&is_over));
        thread::spawn(move || {
            let mut scans = 0;
            while !is_over.load(Ordering::Relaxed) {
                let made = site.focus.ask("POST", "/api/v1/jobs", r#"{"kind": "scan"}"#, true);
                scans += u32::from(made.is_ok_and(|answer| answer.status == 202));
                pause(Duration::from_secs(1));
            }
            scans
        })
    };
    let began = Instant::now() + Duration::from_millis(200);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let site = Arc::clone(site);
            thread::spawn(move || called(&site, caller, began))
        })
        .collect();
    let mut times: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut failed: BTreeMap<String, u32> = BTreeMap::new();
    for caller in callers {
        let (told, wrong) = caller.join().expect("it ends");
        told.into_iter().for_each(|(name, time)| times.entry(name).or_default().push(time));
        wrong.into_iter().for_each(|words| *failed.entry(words).or_default() += 1);
    }
    is_over.store(true, Ordering::Relaxed);
    let count: usize = times.values().map(Vec::len).sum();
    let rate = count as f64 / (began.elapsed().as_secs_f64());
    println!(
        "{count} requests at {rate:.0}/s with a scan under way ({} asked for)",
        scans.join().unwrap_or(0)
    );
    for (name, _) in MIX {
        let times = times.get(name).map_or(&[][..], Vec::as_slice);
        for (which, permille) in [("median", 500), ("p99", 990)] {
            let ms = stats::at(times, permille).as_secs_f64() * 1e3;
            report.add(Measure::of(&format!("{name}, {which}"), ms, "ms"));
        }
    }
    println!("  answers that were none of 2xx: {failed:?}");
}

fn called(
    site: &Site,
    caller: u32,
    began: Instant,
) -> (Vec<(&'static str, Duration)>, Vec<String>) {
    let names: Vec<&'static str> =
        MIX.iter().flat_map(|(name, times)| std::iter::repeat_n(*name, *times as usize)).collect();
    let mut connection = Caller::to(&site.address);
    let (mut told, mut failed) = (Vec::new(), Vec::new());
    for n in (caller..).step_by(CALLERS as usize) {
        let due = began + Duration::from_secs(1) * n / RATE;
        if due.duration_since(began) >= LASTS {
            return (told, failed);
        }
        pause(due.saturating_duration_since(Instant::now()));
        // Neighbours of a turn ask for different things.
        let name = names[(n * 7) as usize % names.len()];
        match connection.ask(&site.asked(name, n)) {
            Ok(200..=299) => told.push((name, due.elapsed())),
            Ok(status) => failed.push(format!("{name}: {status}")),
            Err(error) => {
                failed.push(format!("{name}: {error}"));
                connection = Caller::to(&site.address);
            }
        }
    }
    (told, failed)
}

/// As often as eight callers can: a page of an hour, the compatible call over it, and bare SQLite.
fn side_by_side(site: &Arc<Site>, report: &mut Report) {
    println!("as often as {CALLERS} callers can, for 5 s each:");
    let rates = ["page of an hour", "compatible, an hour", "one recording"].map(|name| {
        of_callers(site, move |site| {
            let mut connection = Caller::to(&site.address);
            Box::new(move |site, n| {
                assert_eq!(connection.ask(&site.asked(name, n)).ok(), Some(200), "{name}");
            })
        })
    });
    let bare = of_callers(site, |site| {
        let connection = opened(&site.index);
        let classes: Vec<i64> = connection
            .prepare("SELECT DISTINCT span FROM recordings")
            .and_then(|mut found| found.query_map([], |row| row.get(0))?.collect())
            .expect("classes");
        Box::new(move |site, n| drop(page(&connection, &classes, site.moment(n))))
    });
    let [of_page, compatible, one] = rates;
    report.add(
        Measure::of("pages of an hour a second", of_page, "1/s").beside_higher("bare SQLite", bare),
    );
    report.add(
        Measure::of("compatible calls a second", compatible, "1/s")
            .beside_higher("bare SQLite", bare),
    );
    report.add(Measure::of("single recordings a second", one, "1/s"));
}

/// A year, by root and by a key of the metadata.
fn lanes(site: &Site, report: &mut Report) {
    println!("coverage of a year, one call after another:");
    let from = site.some.iter().map(|(_, start_ms)| *start_ms).min().unwrap_or(0) + 1_234_567;
    let to = from + 365 * 24 * HOUR_MS;
    let mut connection = Caller::to(&site.address);
    for by in ["root", "sensor"] {
        for buckets in [1, 200, 365] {
            let path =
                format!("/api/v1/coverage?from={from}&to={to}&buckets={buckets}&by={by}&limit=100");
            let asked = ("GET", path, String::new());
            let mut times = Vec::new();
            for _ in 0..20 {
                let began = Instant::now();
                if connection.ask(&asked).ok() != Some(200) {
                    break;
                }
                times.push(began.elapsed());
            }
            let ms = stats::median(&times).as_secs_f64() * 1e3;
            let name = format!("coverage by {by}, {buckets} windows, median");
            report.add(Measure::of(&name, ms, "ms"));
        }
    }
}

type Ask = Box<dyn FnMut(&Site, u32)>;

fn of_callers(site: &Arc<Site>, make: impl Fn(&Site) -> Ask + Copy + Send + 'static) -> f64 {
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let site = Arc::clone(site);
            thread::spawn(move || {
                let mut ask = make(&site);
                let mut count = 0;
                while began.elapsed() < Duration::from_secs(5) {
                    ask(&site, caller + count * CALLERS);
                    count += 1;
                }
                count
            })
        })
        .collect();
    let count: u32 = callers.into_iter().map(|caller| caller.join().expect("it ends")).sum();
    f64::from(count) / began.elapsed().as_secs_f64()
}

/// A page of 100 of an hour, newest first, by the index of times alone: what the server has to do at least.
fn page(connection: &Connection, classes: &[i64], from_ms: i64) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rows = connection
        .prepare_cached(
            "SELECT start_ms, end_ms, uuid, recording_id, path, size FROM recordings
             WHERE span = ?1 AND start_ms BETWEEN ?2 AND ?3 AND end_ms >= ?2 AND deleted = 0
             ORDER BY start_ms DESC LIMIT 100",
        )
        .expect("a query");
    for class in classes {
        let of_class = rows
            .query_map(params![class, from_ms, from_ms + HOUR_MS], |row| {
                Ok(serde_json::json!({
                    "start": row.get::<_, i64>(0)?, "end": row.get::<_, i64>(1)?,
                    "uuid": row.get::<_, String>(2)?, "recording_id": row.get::<_, String>(3)?,
                    "path": row.get::<_, String>(4)?, "size": row.get::<_, i64>(5)?,
                }))
            })
            .and_then(Iterator::collect::<Result<Vec<Value>, _>>)
            .expect("rows");
        found.extend(of_class);
    }
    found.truncate(100);
    found
}
