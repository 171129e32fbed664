//! The service `fdsnws-availability`, as a client of it sees the server.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use focus_testkit::focus::{Answer, Focus};
use serde_json::{Value, json};

use crate::alert_host::tools;
use crate::site::{BINARY, LIMIT, Site, long};

const BASE: &str = "/fdsnws/availability/1";

/// Writes a recording of a site of 2024-05-01, from one minute of the day to another; none: it is live.
fn plant(root: &Path, name: &str, site: Option<&str>, from: u32, to: Option<u32>) {
    let at = |minute: u32| format!("2024-05-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
    let mut sidecar = json!({ "start_time": at(from), "end_time": to.map(at) });
    if let Some(site) = site {
        sidecar["site"] = json!(site);
    }
    fs::write(root.join(format!("{name}.dat")), "data").expect("data");
    fs::write(root.join(format!("{name}.json")), sidecar.to_string()).expect("a sidecar");
}

fn ask(focus: &Focus, path: &str) -> Answer {
    focus.ask("GET", &format!("{BASE}/{path}"), "", false).expect("an answer")
}

async fn site() -> Site {
    let mut site = Site::new(&[]);
    let settings = site.dir.path().join("focus.toml");
    let table = "[fdsn]\nnetwork = \"XX\"\nstation = { meta = \"site\" }\nchannel = \"HSF\"\nlocation = \"00\"\nsample_rate = 200\n";
    fs::write(&settings, table).expect("settings");
    let settings = settings.display().to_string();
    let args = ["--settle-ms", "200", "--config", &settings];
    site.focus = Focus::new(BINARY, site.tree.root(), &site.state(), &args);
    let root = site.tree.root().to_owned();
    plant(&root, "a", Some("hill"), 0, Some(60));
    plant(&root, "b", Some("hill"), 60, Some(90));
    plant(&root, "c", Some("hill"), 120, Some(150));
    plant(&root, "d", Some("sea"), 30, Some(40));
    plant(&root, "nobody", None, 30, Some(40));
    plant(&root, "bad", Some("no code at all"), 30, Some(40));
    site.focus.serve().await;
    site.focus.until_status("recordings", 6, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_touch_are_one_in_every_form_of_the_answer() {
    let site = site().await;
    let text = ask(&site.focus, "query").body;
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[0],
        [
            "#Network",
            "Station",
            "Location",
            "Channel",
            "Quality",
            "SampleRate",
            "Earliest",
            "Latest"
        ]
    );
    let hill = ["XX", "HILL", "00", "HSF", "D", "200.0"];
    assert_eq!(lines[1][..6], hill);
    assert_eq!(lines[1][6..], ["2024-05-01T00:00:00.000000Z", "2024-05-01T01:30:00.000000Z"]);
    assert_eq!(lines[2][6..], ["2024-05-01T02:00:00.000000Z", "2024-05-01T02:30:00.000000Z"]);
    assert_eq!((lines[3][1], lines.len()), ("SEA", 4), "{text}");

    let answer = ask(&site.focus, "query?format=json&net=X?&sta=H*&start=2024-05-01T01:00:00");
    assert!(answer.header("focus-complete-through").is_some(), "{answer:?}");
    let told = answer.json();
    assert_eq!(
        (&told["version"], told["datasources"].as_array().map(Vec::len)),
        (&json!(1.0), Some(1))
    );
    let source = &told["datasources"][0];
    assert_eq!((&source["samplerate"], &source["quality"]), (&json!(200.0), &json!("D")));
    assert_eq!(
        source["timespans"],
        json!([
            ["2024-05-01T01:00:00.000000Z", "2024-05-01T01:30:00.000000Z"],
            ["2024-05-01T02:00:00.000000Z", "2024-05-01T02:30:00.000000Z"]
        ])
    );
    // By a body, and with a gap of half an hour closed.
    let body = "format=request\nmergegaps=1800\nmerge=quality,samplerate\nXX * 00 HS? 2024-05-01 2024-05-02\n";
    let told = site.focus.ask("POST", &format!("{BASE}/query"), body, false).expect("an answer");
    assert_eq!(
        told.body,
        "XX HILL 00 HSF 2024-05-01T00:00:00.000000Z 2024-05-01T02:30:00.000000Z\n\
         XX SEA 00 HSF 2024-05-01T00:30:00.000000Z 2024-05-01T00:40:00.000000Z\n",
        "{told:?}"
    );

    let geocsv = ask(&site.focus, "extent?format=geocsv&merge=samplerate").body;
    let lines: Vec<&str> = geocsv.lines().collect();
    assert_eq!(lines[0], "#dataset: GeoCSV 2.0");
    assert_eq!(
        lines[4],
        "Network|Station|Location|Channel|Quality|Earliest|Latest|Updated|TimeSpans|Restriction"
    );
    let cells: Vec<&str> = lines[5].split('|').collect();
    assert_eq!(
        (cells[1], cells[6], cells[8], cells[9]),
        ("HILL", "2024-05-01T02:30:00.000000Z", "2", "OPEN")
    );
    let extent = ask(&site.focus, "extent?format=json&orderby=timespancount_desc&limit=1").json();
    assert_eq!(extent["datasources"].as_array().map(Vec::len), Some(1));
    assert_eq!(extent["datasources"][0]["timespanCount"], 2);
    assert_eq!(ask(&site.focus, "version").body, "1.0.0");
    assert!(ask(&site.focus, "application.wadl").body.contains("name=\"mergegaps\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_recording_lasts_until_now_and_what_is_deleted_is_not_there_also_in_an_outage() {
    let site = site().await;
    let root = site.tree.root().to_owned();
    fs::remove_file(root.join("d.dat")).expect("removed");
    fs::remove_file(root.join("d.json")).expect("removed");
    site.focus.until_status("deleted", 1, LIMIT).await;
    fs::rename(site.state().join("catalog"), site.state().join("away")).expect("taken away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    plant(&root, "live", Some("deep"), 600, None);
    focus_testkit::wait::until("it is told", LIMIT, || async {
        let answer = ask(&site.focus, "extent?format=json");
        let told: Value = answer.json();
        let stations: Vec<&str> = told["datasources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|source| source["station"].as_str())
            .collect();
        if stations != ["DEEP", "HILL"] {
            return Err(format!("{told:#}"));
        }
        // The testkit reads heads in lower case.
        let through = answer.header("focus-complete-through").unwrap_or_default().to_uppercase();
        let through = through.trim_end_matches('Z');
        let latest = told["datasources"][0]["latest"].as_str().unwrap_or_default();
        if latest.starts_with(through) { Ok(()) } else { Err(format!("{through}: {told:#}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overlaps_stay_apart_unless_they_are_merged_and_what_lies_beside_is_not_told() {
    let site = site().await;
    let root = site.tree.root().to_owned();
    plant(&root, "over", Some("hill"), 80, Some(100));
    site.focus.until_status("recordings", 7, LIMIT).await;
    let starts = |query: &str| -> Vec<(String, String)> {
        let answer = ask(&site.focus, &format!("query?format=request&sta=HILL&{query}"));
        let lines = answer.body.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (words[4][11..16].to_owned(), words[5][11..16].to_owned())
        });
        lines.collect()
    };
    let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let apart = [pair("00:00", "01:30"), pair("01:20", "01:40"), pair("02:00", "02:30")];
    assert_eq!(starts(""), apart);
    assert_eq!(starts("merge=overlap"), [pair("00:00", "01:40"), pair("02:00", "02:30")]);
    assert_eq!(starts("limit=2"), apart[..2]);
    // Only recordings of the time that is asked for count.
    let of = |end: &str| {
        let told = ask(&site.focus, &format!("extent?format=json&sta=HILL&end={end}")).json();
        told["datasources"][0]["updated"].as_str().unwrap_or_default().to_owned()
    };
    assert!(of("2024-05-01T00:30:00") < of("2024-05-01T01:30:00"), "{}", of("2024-05-02"));
    // Two windows that one recording lies in tell it once.
    let body = "format=request\nXX HILL 00 HSF 2024-05-01T00:00:00 2024-05-01T00:10:00\nXX HILL 00 HSF 2024-05-01T00:20:00 2024-05-01T00:30:00\n";
    let told = site.focus.ask("POST", &format!("{BASE}/query"), body, false).expect("an answer");
    assert_eq!(told.body.lines().count(), 2, "{}", told.body);
}

/// Whether a text is a time as the service writes it: with microseconds, of UTC.
fn is_time(value: &Value) -> bool {
    let form = b"0000-00-00T00:00:00.000000Z";
    value.as_str().is_some_and(|text| {
        let digits = |(a, b): (u8, &u8)| if *b == b'0' { a.is_ascii_digit() } else { a == *b };
        text.len() == form.len() && text.bytes().zip(form).all(digits)
    })
}

/// The schema of the specification: `created`, `version` and `datasources`, of which each has its codes, and either its
/// spans or its first and last time.
#[tokio::test(flavor = "multi_thread")]
async fn the_json_of_both_methods_has_the_fields_of_the_specification_and_no_other() {
    let site = site().await;
    let known = |name: &str, value: &Value| match name {
        "network" | "station" | "location" | "channel" | "quality" | "restriction" => {
            value.is_string()
        }
        "samplerate" => value.as_f64().is_some_and(|rate| rate > 0.0),
        "timespanCount" => value.as_u64().is_some_and(|count| count > 0),
        "earliest" | "latest" | "updated" => is_time(value),
        "timespans" => value.as_array().is_some_and(|spans| {
            let is_span = |span: &Value| {
                span.as_array().is_some_and(|span| span.len() == 2 && span.iter().all(is_time))
            };
            !spans.is_empty() && spans.iter().all(is_span)
        }),
        _ => false,
    };
    for (path, own) in [
        ("query?format=json", &["timespans"][..]),
        ("query?format=json&show=latestupdate", &["timespans", "updated"]),
        ("extent?format=json", &["earliest", "latest", "updated", "timespanCount", "restriction"]),
    ] {
        let told = ask(&site.focus, path).json();
        let fields: Vec<&str> =
            told.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(fields, ["created", "datasources", "version"], "{path}");
        assert!(is_time(&told["created"]) && told["version"] == 1.0, "{told:#}");
        let sources = told["datasources"].as_array().expect("sources");
        assert_eq!(sources.len(), 2, "{told:#}");
        for source in sources {
            for (name, value) in source.as_object().expect("an object") {
                assert!(known(name, value), "{path}: {name}: {value}");
            }
            for name in ["network", "station", "location", "channel"].iter().chain(own) {
                assert!(source.get(name).is_some(), "{path}: {name}");
            }
            let is_query = path.starts_with("query");
            assert_eq!(source.get("earliest").is_none(), is_query, "{path}");
        }
    }
}

/// Spans by channel, as a client shows them or the catalog has them: start and end to the second.
type Spans = BTreeMap<String, Vec<(String, String)>>;

/// What the embedded catalog has of each site, with what touches as one.
fn of_catalog(site: &Site) -> Spans {
    let catalog = rusqlite::Connection::open(site.state().join("catalog/catalog.db"));
    let catalog = catalog.expect("the catalog");
    let mut found = catalog
        .prepare(
            "SELECT json_extract(metadata, '$.site'), strftime('%Y-%m-%dT%H:%M:%S', start_time / 1000, 'unixepoch'),
               strftime('%Y-%m-%dT%H:%M:%S', end_time / 1000, 'unixepoch') FROM recordings
             WHERE deleted = 0 ORDER BY start_time",
        )
        .expect("a query");
    let rows = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let mut spans = Spans::new();
    for row in rows.expect("rows") {
        let (site, start, end): (Option<String>, String, String) = row.expect("a row");
        let Some(site) = site.filter(|site| !site.contains(' ')) else { continue };
        let of_site = spans.entry(format!("XX_{}_00_HSF", site.to_uppercase())).or_default();
        match of_site.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => of_site.push((start, end)),
        }
    }
    spans
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_field_reads_what_the_catalog_has() {
    let bin = tools().join("python/bin");
    if !long() {
        return println!(
            "left out, needs ROVER (`cargo xtask test --all`): its view of the service"
        );
    }
    assert!(bin.join("rover").is_file(), "`cargo xtask test --all` installs it");
    let site = site().await;
    let path = std::env::join_paths(
        std::iter::once(bin.clone())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )
    .expect("a path");
    let rover = |folder: &Path, args: &[&str]| {
        let made = Command::new(bin.join("rover"))
            .args(args)
            .env("PATH", &path)
            .current_dir(folder)
            .output()
            .expect("it runs");
        let words = String::from_utf8_lossy(&made.stdout).into_owned();
        assert!(made.status.success(), "{words}\n{}", String::from_utf8_lossy(&made.stderr));
        words
    };
    rover(site.dir.path(), &["init-repository", "rover"]);
    let folder = site.dir.path().join("rover");
    fs::write(folder.join("asked"), "XX * * * 2024-05-01T00:00:00 2024-05-02T00:00:00\n")
        .expect("written");
    let service = format!("http://{}/fdsnws", site.focus.address().expect("an address"));
    // It asks by POST for availability, and lists what its own store lacks of that: all of it.
    let told = rover(
        &folder,
        &[
            "list-retrieve",
            "asked",
            "--availability-url",
            &format!("{service}/availability/1/query"),
            "--dataselect-url",
            &format!("{service}/dataselect/1/query"),
        ],
    );
    let mut spans = Spans::new();
    let mut channel = String::new();
    for line in told.lines() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [name, _, "sec)"] if name.starts_with("XX_") => channel = name.to_owned(),
            [start, "-", end, _, "sec)"] => {
                let second = |time: &str| time.split('.').next().unwrap_or(time).to_owned();
                spans.entry(channel.clone()).or_default().push((second(start), second(end)));
            }
            _ => {}
        }
    }
    assert_eq!(spans, of_catalog(&site), "{told}");
    assert_eq!(spans.values().map(Vec::len).sum::<usize>(), 3, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_said_in_the_services_own_form() {
    let site = site().await;
    for (path, status) in [
        ("query?colour=red", 400),
        ("query?start=yesterday", 400),
        ("query?net=A&network=B", 400),
        ("query?cha=%ff", 400),
        ("extent?mergegaps=1", 400),
        ("query?net=ZZ&nodata=404", 404),
    ] {
        let answer = ask(&site.focus, path);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.body.starts_with(&format!("Error {status}: ")), "{path}: {}", answer.body);
        for part in [
            "Request:\nGET /fdsnws/availability/1/",
            "Request Submitted:\n",
            "Service Version:\n1.0.0",
        ] {
            assert!(answer.body.contains(part), "{path}: {}", answer.body);
        }
    }
    // Also what the server says before the service is asked.
    for (method, path, status) in [
        ("DELETE", format!("{BASE}/query"), 405),
        ("GET", format!("{BASE}/nothing"), 404),
        ("GET", "/fdsnws/dataselect/1/query".to_owned(), 404),
    ] {
        let answer = site.focus.ask(method, &path, "", false).expect("an answer");
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(answer.body.starts_with(&format!("Error {status}: ")), "{path}: {}", answer.body);
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    }
    let selections =
        |count| "XX HILL 00 HSF 2024-05-01T00:00:00 2024-05-02T00:00:00\n".repeat(count);
    for (count, status) in [(1_000, 200), (1_001, 400), (10_000, 413)] {
        let answer = site.focus.ask("POST", &format!("{BASE}/query"), &selections(count), false);
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, status, "{count}: {}", answer.body);
        assert!(status == 200 || answer.body.starts_with("Error "), "{}", answer.body);
    }
    assert_eq!(ask(&site.focus, "query?net=ZZ").status, 204);
    let body = site.focus.ask("POST", &format!("{BASE}/query"), "nonsense", false);
    assert_eq!(body.expect("an answer").status, 400);
    // Without codes the service is off, and says what to do.
    let mut other = Site::new(&[]);
    other.focus.serve().await;
    let answer = ask(&other.focus, "query");
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("[fdsn]"), "{}", answer.body);
}
