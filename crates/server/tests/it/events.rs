//! Server-sent events: what is told, to whom, and what happens to readers that do not read.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::wait::until;
use serde_json::{Value, json};

use crate::site::{LIMIT, Site};

/// Readers at the same time, at most.
const READERS_MAX: usize = 128;

/// A reader of events.
struct Reader {
    status: u16,
    head: String,
    lines: BufReader<TcpStream>,
}

#[derive(Clone, Debug, PartialEq)]
struct Event {
    id: String,
    kind: String,
    data: Value,
}

impl Event {
    fn number(&self) -> u64 {
        self.id.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).expect("a number")
    }
}

impl Reader {
    fn open(focus: &Focus, query: &str, last_id: Option<&str>) -> Reader {
        let address = focus.address().expect("an address");
        let mut stream = TcpStream::connect(&address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let last = last_id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        write!(stream, "GET /api/v1/events{query} HTTP/1.0\r\nHost: {address}\r\n{last}\r\n")
            .expect("asked");
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).expect("a head") > 0, "{head}");
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Reader { status, head: head.to_lowercase(), lines }
    }

    /// The next event; comments are passed over.
    fn next(&mut self) -> Event {
        let mut event = Event { id: String::new(), kind: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).expect("a line within 20 s") > 0, "cut off");
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("event", kind)) => event.kind = kind.to_owned(),
                Some(("data", data)) => event.data = serde_json::from_str(data).expect("JSON"),
                _ if line == "\n" && !event.kind.is_empty() => return event,
                _ => {}
            }
        }
    }

    /// All events up to the first for which this holds.
    fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let began = Instant::now();
        let mut met = Vec::new();
        loop {
            met.push(self.next());
            if met.last().is_some_and(&wanted) {
                return met;
            }
            assert!(began.elapsed() < LIMIT, "{met:#?}");
        }
    }
}

fn is_job(event: &Event, state: &str) -> bool {
    event.kind == "job" && event.data["state"] == state
}

async fn ready(count: usize) -> Site {
    let mut site = Site::new(&[]);
    site.land(count);
    site.focus.serve().await;
    site.focus.until_status("recordings", count as u64, LIMIT).await;
    site.in_step().await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_in_order_and_whoever_comes_again_misses_nothing() {
    let mut site = ready(2).await;
    let mut reader = Reader::open(&site.focus, "", None);
    assert_eq!(reader.status, 200, "{}", reader.head);
    assert!(reader.head.contains("content-type: text/event-stream"), "{}", reader.head);
    assert!(reader.head.contains("cache-control: no-store"), "{}", reader.head);
    let first = reader.next();
    assert_eq!((first.kind.as_str(), &first.data["recordings"]), ("status", &json!(2)));

    site.focus.job("/api/v1/jobs", r#"{"kind": "verify"}"#).await.expect("a job");
    let met = reader.until(|event| is_job(event, "done"));
    let states: Vec<&str> = met
        .iter()
        .filter(|event| event.kind == "job")
        .filter_map(|event| event.data["state"].as_str())
        .collect();
    assert_eq!(states, ["queued", "running", "done"]);
    site.land(1);
    let uuid = json!(site.planted[2].uuid);
    let met =
        reader.until(|event| event.kind == "recording" && event.data["state"] == "catalogued");
    let landed = met.last().expect("one");
    assert_eq!((&landed.data["uuid"], &landed.data["root"]), (&uuid, &json!(site.marker)));

    // It leaves, misses an outage, and comes again.
    let last = landed.clone();
    drop(reader);
    let (catalog, away) = (site.state().join("catalog"), site.state().join("away"));
    fs::rename(&catalog, &away).expect("taken away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    let mut other = Reader::open(&site.focus, "?types=outage,job", Some(&last.id));
    assert_eq!(other.next().data["ended_at"], Value::Null);
    fs::rename(&away, &catalog).expect("brought back");
    site.in_step().await;
    let mut again = Reader::open(&site.focus, "", Some(&last.id));
    let met = again.until(|event| event.kind == "outage" && event.data["converge_ms"].is_u64());
    assert!(met.iter().all(|event| event.kind != "reset"), "{met:#?}");
    let numbers: Vec<u64> = met.iter().map(Event::number).collect();
    let expected: Vec<u64> = (last.number() + 1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "each once, and none is missed");
    assert!(
        met.iter().any(|event| event.kind == "status" && event.data["catalog_state"] == "down")
    );
    let met = other.until(|event| event.data["converge_ms"].is_u64());
    assert!(met.iter().all(|event| event.kind == "outage"), "{met:#?}");

    // After a restart, one reset.
    site.focus.kill();
    site.focus.serve().await;
    let mut later = Reader::open(&site.focus, "?types=job", Some(&last.id));
    assert_eq!(later.next().kind, "reset");
    site.focus.job("/api/v1/jobs", r#"{"kind": "scan"}"#).await.expect("a job");
    assert!(is_job(&later.next(), "queued"));
    for (query, status) in
        [("?types=x", 400), ("?types=", 400), ("?type=job", 400), ("?types=job", 200)]
    {
        assert_eq!(Reader::open(&site.focus, query, None).status, status, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_recordings_are_counted_and_the_status_comes_four_times_a_second_at_most() {
    let mut site = ready(1).await;
    let mut reader = Reader::open(&site.focus, "?types=recording,status", None);
    reader.next();
    let began = Instant::now();
    site.land(600);
    let is_in_step = |event: &Event| {
        event.kind == "status" && event.data["recordings"] == 601 && event.data["pending"] == 0
    };
    let sum = |met: &[Event], field: &str| {
        let counted = met.iter().filter(|event| event.kind == "recordings");
        counted.filter_map(|event| event.data[field].as_u64()).sum::<u64>()
    };
    let landed = |met: &[Event]| {
        let single = met.iter().filter(|event| event.kind == "recording");
        let uuids: BTreeSet<&str> =
            single.filter_map(|event| event.data["uuid"].as_str()).collect();
        sum(met, "landed") + uuids.len() as u64
    };
    let mut met = Vec::new();
    // The last second that had many ends before or after the status that says that all is done.
    while !met.iter().any(is_in_step) || landed(&met) < 600 {
        assert!(began.elapsed() < LIMIT, "{met:#?}");
        met.push(reader.next());
    }
    let seconds = began.elapsed().as_secs_f64();
    let of = |kind: &'static str| met.iter().filter(move |event| event.kind == kind);
    assert!(sum(&met, "landed") <= 600 && sum(&met, "catalogued") <= 600 + 1, "{met:#?}");
    assert!(
        of("recording").count() as f64 <= 50.0 * (seconds + 2.0),
        "{}",
        of("recording").count()
    );
    assert!(of("status").count() as f64 <= 4.0 * (seconds + 2.0), "{}", of("status").count());
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_readers_that_never_read_do_no_harm() {
    let mut site = ready(5).await;
    let mut readers: Vec<Reader> = Vec::new();
    for _ in 0..300 {
        readers.push(Reader::open(&site.focus, "", None));
    }
    let taken = readers.iter().filter(|reader| reader.status == 200).count();
    let refused: Vec<&Reader> = readers.iter().filter(|reader| reader.status != 200).collect();
    assert_eq!((taken, refused.len()), (READERS_MAX, 300 - READERS_MAX));
    assert!(refused.iter().all(|reader| reader.status == 503), "{}", refused[0].head);
    // Everything else goes on: recordings land, and questions are answered.
    site.land(200);
    let began = Instant::now();
    site.focus.until_status("recordings", 205, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let asked = Instant::now();
        for path in ["/api/v1/recordings?limit=100", "/api/v1/status", "/readyz"] {
            assert!(site.focus.get(path).is_ok(), "{path}");
        }
        slowest = slowest.max(asked.elapsed());
    }
    println!("200 landed in {:?}; the slowest three questions took {slowest:?}", began.elapsed());
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // A place that is left is free.
    drop(readers);
    until("places are free", LIMIT, || async {
        match Reader::open(&site.focus, "", None).status {
            200 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    // And a reader that does nothing but stay sees that the server is there.
    let mut quiet = Reader::open(&site.focus, "?types=alert", None);
    let mut line = String::new();
    while !line.starts_with(':') {
        line.clear();
        assert!(quiet.lines.read_line(&mut line).expect("a comment within 20 s") > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_last_events_that_are_kept_a_reader_is_told_and_jobs_are_bounded() {
    let site = ready(1).await;
    let mut stays = Reader::open(&site.focus, "?types=job", None);
    assert_eq!(stays.status, 200);
    let first = Reader::open(&site.focus, "", None).next();
    // Each job is three events.
    for n in 0..1_400 {
        let body = json!({ "root": site.marker, "through": -n }).to_string();
        until("a job is taken", LIMIT, || async {
            let answer = site.focus.ask("POST", "/api/v1/held/approve", &body, true)?;
            if answer.status == 202 { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    }
    let last = stays.until(|event| is_job(event, "done") && event.data["id"] == 1_400);
    assert_eq!(last.iter().filter(|event| is_job(event, "done")).count(), 1_400);
    let mut late = Reader::open(&site.focus, "", Some(&first.id));
    assert_eq!(late.next().kind, "reset");
    // A reader that has missed half of them misses none.
    let half = &last[last.len() / 2];
    let mut again = Reader::open(&site.focus, "?types=job", Some(&half.id));
    let met = again.until(|event| is_job(event, "done") && event.data["id"] == 1_400);
    assert_eq!(met, last[last.len() / 2 + 1..]);
    let kept = fs::read_dir(site.state().join("jobs")).expect("jobs").count();
    assert_eq!(kept, 256, "those that have ended are bounded");
    let page: Value =
        serde_json::from_str(&site.focus.get("/api/v1/jobs?limit=1000").expect("jobs"))
            .expect("JSON");
    assert_eq!(page["items"].as_array().map(Vec::len), Some(256));
}
