//! Hints by HTTP: what they tell of is looked at at once, and nothing of them is believed.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use focus_testkit::wait::until;
use serde_json::{Value, json};

use crate::site::{LIMIT, long};
use crate::unwatched::{SETTLE_MS, Unwatched, write};

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_watch_every_form_of_hint_brings_its_recording_into_the_catalog() {
    let mut site = Unwatched::new("");
    site.serve().await;
    let status = site.focus.status().expect("a status");
    let root = &status["roots"][0];
    assert_eq!(root["watch"], "scanning", "{root:#}");
    assert!(root["watch_reason"].as_str().is_some_and(|words| words.contains("`watch`")));
    let top = site.root().display().to_string();
    let event = |rest: &str| {
        format!(r#"{{"specversion": "1.0", "id": "1", "source": "/s", "type": "t", {rest}}}"#)
    };
    let binary = "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n";
    let forms = [
        ("a/paths", JSON.to_owned(), r#"{"paths": ["a/paths.dat"]}"#.to_owned()),
        (
            "a/rooted",
            JSON.to_owned(),
            json!({ "paths": ["a/rooted.json"], "root": top }).to_string(),
        ),
        ("b/untold", String::new(), r#"{"paths": ["b/untold.json"]}"#.to_owned()),
        ("b/line", "Content-Type: text/plain\r\n".to_owned(), "b/line.dat\n".to_owned()),
        ("b/absolute", String::new(), format!("{top}/b/absolute.dat")),
        (
            "c d/s\u{fc}3",
            JSON.to_owned(),
            r#"{"Records": [{"s3": {"object": {"key": "c+d/s%C3%BC3.dat"}}}]}"#.to_owned(),
        ),
        (
            "e/subject",
            "Content-Type: application/cloudevents+json\r\n".to_owned(),
            event(r#""subject": "e/subject.dat""#),
        ),
        (
            "e/batch",
            "Content-Type: application/cloudevents-batch+json\r\n".to_owned(),
            format!("[{}]", event(r#""data": {"path": "e/batch.dat"}"#)),
        ),
        ("f g/binary", format!("{binary}ce-subject: f%20g/binary.dat\r\n"), String::new()),
        ("f/body", format!("{binary}{JSON}"), r#"{"path": "f/body.dat"}"#.to_owned()),
        ("h/i/folder", JSON.to_owned(), r#"{"paths": ["h"]}"#.to_owned()),
    ];
    let mut landed = Vec::new();
    for (path, headers, body) in &forms {
        site.land(path);
        let answer = site.hint(headers, body.as_bytes());
        assert_eq!(answer, (202, json!({ "accepted": 1, "ignored": 0 })), "{path}");
        landed.push(format!("{path}.dat"));
        landed.sort_unstable();
        let wanted: Vec<&str> = landed.iter().map(String::as_str).collect();
        site.until_documents(&wanted, LIMIT).await;
    }
    assert_eq!(site.counted("http", "accepted"), forms.len() as u64);
    // What was removed is told of in the same way.
    for extension in ["dat", "json"] {
        fs::remove_file(site.root().join(format!("a/paths.{extension}"))).expect("removed");
    }
    assert_eq!(site.hint(JSON, br#"{"paths": ["a/paths.dat"]}"#).0, 202);
    until("the removed one is marked", LIMIT, || async {
        let rows = site.documents();
        let deleted: Vec<_> = rows.iter().filter(|row| row.1).map(|row| row.0.as_str()).collect();
        if deleted == ["a/paths.dat"] { Ok(()) } else { Err(format!("{rows:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_before_its_files_waits_for_them() {
    let mut site = Unwatched::new("");
    site.serve().await;
    let hints = br#"{"paths": ["late/one.dat", "late/two.json", "folder/"]}"#;
    assert_eq!(site.hint(JSON, hints).1, json!({ "accepted": 3, "ignored": 0 }));
    // Beyond the time in which files settle: nothing but the hint tells of them any more.
    tokio::time::sleep(Duration::from_millis(10 * SETTLE_MS)).await;
    site.land("late/one");
    site.land("folder/three");
    site.until_documents(&["folder/three.dat", "late/one.dat"], LIMIT).await;
    // The data file alone is not what the hint waits for.
    fs::write(site.root().join("late/two.dat"), "data").expect("written");
    until("it is told of", LIMIT, || async {
        let listed = site.focus.get("/api/v1/unrecognised")?;
        if listed.contains("late/two") { Ok(()) } else { Err(listed) }
    })
    .await;
    site.land("late/two");
    site.land("folder/four");
    site.until_documents(
        &["folder/four.dat", "folder/three.dat", "late/one.dat", "late/two.dat"],
        LIMIT,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_at_what_is_hidden_outside_or_behind_a_link_are_counted_and_nothing_is_read() {
    let mut site = Unwatched::new("");
    let outside = site.dir.path().join("outside");
    write(&outside, "x/secret");
    symlink(&outside, site.root().join("link")).expect("a link");
    symlink(outside.join("x/secret.dat"), site.root().join("file.dat")).expect("a link");
    site.land(".snapshot/1/copy");
    site.serve().await;
    let unrecognised = site.focus.get("/api/v1/unrecognised").expect("a list");
    let hidden = [
        "../outside/x/secret.dat".to_owned(),
        format!("{}/x/secret.dat", outside.display()),
        format!("{}/../outside/x/secret.dat", site.root().display()),
        "link/../../outside/x/secret.dat".to_owned(),
        ".snapshot/1/copy.dat".to_owned(),
        ".snapshot/".to_owned(),
        "notes.txt".to_owned(),
        "a\0.dat".to_owned(),
        "x".repeat(5_000),
    ];
    let body = json!({ "paths": hidden }).to_string();
    let ignored = json!({ "accepted": 0, "ignored": hidden.len() });
    assert_eq!(site.hint(JSON, body.as_bytes()), (202, ignored));
    // The form of these is good, and only a look tells more: it follows no link.
    let linked =
        json!({ "paths": ["link/x/secret.dat", "link/x/", "link", "absent/", "no/no.dat"] });
    let accepted = json!({ "accepted": 5, "ignored": 0 });
    assert_eq!(site.hint(JSON, linked.to_string().as_bytes()), (202, accepted));
    let other = json!({ "paths": ["no.dat"], "root": "/other" }).to_string();
    assert_eq!(site.hint(JSON, other.as_bytes()).1, json!({ "accepted": 0, "ignored": 1 }));
    site.land("last");
    assert_eq!(site.hint("", b"last.dat").0, 202);
    site.until_documents(&["last.dat"], LIMIT).await;
    assert_eq!(site.focus.status().expect("a status")["recordings"], 1);
    let items = |list: &str| serde_json::from_str::<Value>(list).expect("JSON")["items"].clone();
    let now = site.focus.get("/api/v1/unrecognised").expect("a list");
    assert_eq!(items(&now), items(&unrecognised));
    assert_eq!(site.counted("http", "accepted"), 6);
    assert_eq!(site.counted("http", "ignored"), hidden.len() as u64 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_hints_or_without_the_right_is_refused() {
    let mut site = Unwatched::new("");
    let (hints, operate) = ("h".repeat(32), "o".repeat(32));
    let at = |name: &str| site.dir.path().join(name);
    fs::write(at("h"), &hints).expect("a token");
    fs::write(at("o"), &operate).expect("a token");
    site.settings(&format!(
        "tokens = [{{ name = 'h', token_file = {:?}, allow = ['hints'] }}, {{ name = 'o', token_file = {:?}, allow = ['operate'] }}]",
        at("h"),
        at("o")
    ));
    site.serve().await;
    let body = br#"{"paths": ["a.dat"]}"#;
    assert_eq!(site.hint_as(&hints, JSON, body).0, 202);
    assert_eq!(site.hint_as(&operate, JSON, body).0, 403);
    assert_eq!(site.hint_as("", JSON, body).0, 401);
    for (headers, body, status) in [
        (JSON, &b"{}"[..], 400),
        (JSON, b"", 400),
        (JSON, b"{\"paths\": [}", 400),
        ("", b"\n", 400),
        ("Content-Type: application/xml\r\n", b"<a/>", 415),
        ("Content-Encoding: gzip\r\n", b"\x1f\x8b", 415),
        (JSON, &vec![b' '; (1 << 20) + 1], 413),
    ] {
        let (found, problem) = site.hint(headers, body);
        assert_eq!(found, status, "{problem}");
        assert_eq!(problem["status"], status);
    }
    assert_eq!(site.focus.ask("GET", "/api/v1/hints", "", true).expect("an answer").status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_during_an_outage_make_recordings_pending() {
    let mut site = Unwatched::new("");
    site.serve().await;
    site.outage(&[], |path| assert_eq!(site.hint("", path.as_bytes()).0, 202)).await;
}

/// A flood of hints, nearly all of them at nothing. Real ones among them are catalogued soon, memory stays bounded, and
/// every hint is counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_nonsense_holds_up_no_hint_that_is_true() {
    let mut site = Unwatched::new("");
    site.serve().await;
    let messages = if long() { 100_usize } else { 4 };
    let mut slowest = Duration::ZERO;
    let mut wanted = Vec::new();
    for message in 0..messages {
        let real = format!("real/{message:03}");
        site.land(&real);
        let nonsense: String =
            (0..9_999).map(|n| format!("nothing/{message}/here-{n}.dat\n")).collect();
        let began = Instant::now();
        let (status, taken) = site.hint("", format!("{nonsense}{real}.dat").as_bytes());
        assert_eq!((status, &taken["accepted"]), (202, &json!(10_000)));
        wanted.push(format!("{real}.dat"));
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        site.until_documents(&names, LIMIT).await;
        slowest = slowest.max(began.elapsed());
    }
    println!("the slowest of {messages} real hints took {} ms", slowest.as_millis());
    assert_eq!(site.counted("http", "accepted"), messages as u64 * 10_000);
    let status =
        fs::read_to_string(format!("/proc/{}/status", site.focus.pid().expect("a process")));
    let status = status.expect("its memory");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("memory at most: {} MiB", kib / 1_024);
    assert!(kib < 200 * 1_024, "{kib} KiB");
}
