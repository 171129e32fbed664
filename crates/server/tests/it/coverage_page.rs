//! The page of coverage: what it shows is what the API says, whatever names lanes have, and every range has a page.

use std::fs;
use std::path::Path;

use focus_testkit::focus::Focus;
use focus_testkit::wait::until;
use serde_json::{Value, json};

use crate::site::{BINARY, LIMIT, Site};
use crate::visitor::Visitor;

/// Writes a recording of 2024-05-01 that lasts from one minute of the day to another; none: it is live.
fn plant(root: &Path, name: &str, from: u32, to: Option<u32>, sensor: &str) {
    let at = |minute: u32| format!("2024-05-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
    let sidecar = json!({ "start_time": at(from), "end_time": to.map(at), "sensor": sensor });
    fs::write(root.join(format!("{name}.dat")), "data").expect("data");
    fs::write(root.join(format!("{name}.json")), sidecar.to_string()).expect("a sidecar");
}

/// An answer as a browser gets it: code, head in lower case, body.
fn browse(focus: &Focus, method: &str, path: &str) -> (u16, String, String) {
    let mut visitor = Visitor::of(&focus.address().expect("it serves"));
    let seen = visitor.ask(method, path, "Accept: text/html\r\n", "");
    (seen.status, seen.head.to_lowercase(), seen.body)
}

fn page(focus: &Focus, path: &str) -> String {
    let (code, head, body) = browse(focus, "GET", path);
    assert_eq!(code, 200, "{path}: {head}\n{body}");
    body
}

fn get(focus: &Focus, path: &str) -> Value {
    serde_json::from_str(&focus.get(path).expect("an answer")).expect("JSON")
}

/// The values of an attribute, in the order of the page, as text.
fn values(page: &str, name: &str) -> Vec<String> {
    let begin = format!(" {name}=\"");
    let parts = page.split(&begin).skip(1);
    let value = |part: &str| part.split('"').next().unwrap_or_default().to_owned();
    let unescaped = |text: String| {
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        text.replace("&amp;", "&")
    };
    parts.map(value).map(unescaped).collect()
}

/// A name as the page shows it: without what could turn the line around.
fn escaped(name: &str) -> String {
    let escaped = |char: char| match char {
        '\u{202e}' | '\u{7}' | '\r' | '\n' => char.escape_unicode().to_string(),
        other => other.to_string(),
    };
    name.chars().map(escaped).collect()
}

/// Fields of a CSV file: RFC 4180.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match (char, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => row.push(std::mem::take(&mut field)),
            ('\n', false) => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            ('\r', false) => {}
            (other, _) => field.push(other),
        }
    }
    rows
}

const DAY: &str = "from=2024-05-01T00:00:00Z&to=2024-05-02T00:00:00Z";

/// A site with lanes by `sensor`.
fn site() -> Site {
    let mut site = Site::new(&[]);
    let file = site.dir.path().join("focus.toml");
    fs::write(&file, "indexed_metadata = [\"sensor\"]\n").expect("settings");
    let config = file.display().to_string();
    let args = ["--settle-ms", "200", "--config", &config];
    site.focus = Focus::new(BINARY, site.tree.root(), &site.state(), &args);
    site
}

async fn until_ready(site: &Site, count: u64) {
    site.focus.until_status("recordings", count, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    until("the key is indexed and storage looked through", LIMIT, || async {
        let status = site.focus.status()?;
        let is_ready = status["indexed_metadata"][0]["state"] == "ready"
            && !status["complete_through"].is_null();
        if is_ready { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_coverage_shows_what_the_api_says_and_its_files_hold_it() {
    let mut site = site();
    let root = site.tree.root().to_owned();
    plant(&root, "a", 60, Some(90), "north");
    plant(&root, "b", 75, Some(150), "south");
    plant(&root, "c", 600, Some(600), "south");
    plant(&root, "d", 700, Some(760), "north");
    site.focus.serve().await;
    until_ready(&site, 4).await;
    for by in ["", "&by=root", "&by=sensor", "&by=sensor&lane=south"] {
        let asked = format!("{DAY}&buckets=24{by}");
        let covered = get(&site.focus, &format!("/api/v1/coverage?{asked}"));
        let text = page(&site.focus, &format!("/coverage?{asked}"));
        let items = covered["items"].as_array().expect("items");
        let lanes: Vec<&str> = items.iter().filter_map(|item| item["name"].as_str()).collect();
        let chart =
            text.split("id=\"chart\"").nth(1).and_then(|rest| rest.split("id=\"cursor\"").next());
        assert_eq!(values(chart.expect("a chart"), "data-lane"), lanes, "{by}");
        let shares: Vec<Value> = values(chart.expect("a chart"), "data-available")
            .iter()
            .map(|share| json!(share.parse::<f64>().expect("a number")))
            .collect();
        let wanted: Vec<Value> =
            items.iter().map(|item| item["available_percent"].clone()).collect();
        assert_eq!(shares, wanted, "{by}");
        if let [lane] = items.as_slice() {
            let windows = lane["buckets"].as_array().expect("buckets");
            let there = windows.iter().filter(|window| window["recordings"] != 0);
            let wanted: Vec<String> =
                there.map(|window| window["covered_ms"].to_string()).collect();
            assert_eq!(values(&text, "data-covered-ms"), wanted, "{by}");
        }

        let rows = csv(&page(&site.focus, &format!("/coverage/lanes.csv?{asked}")));
        assert_eq!(rows.len(), 1 + 24 * items.len(), "{by}");
        for (at, row) in rows.iter().skip(1).enumerate() {
            let lane = &items[at / 24];
            let window = &lane["buckets"][at % 24];
            assert_eq!(row[0], lane["name"].as_str().expect("a name"));
            assert_eq!(row[2], covered["starts"][at % 24].as_str().expect("a time"));
            let numbers =
                ["covered_ms", "recordings", "pending"].map(|name| window[name].to_string());
            assert_eq!(row[4..], numbers, "{by}");
        }
        gaps_are_those_of_the_api(&site.focus, &format!("{DAY}{by}"));
    }
    let text = page(&site.focus, &format!("/coverage?{DAY}&order=longest&by=sensor"));
    let (starts, ends) = (values(&text, "data-start"), values(&text, "data-end"));
    let at = |texts: &[String]| {
        texts.iter().map(|ms| ms.parse::<i64>().expect("ms")).collect::<Vec<_>>()
    };
    let lengths: Vec<i64> =
        at(&ends).iter().zip(at(&starts)).map(|(end, start)| end - start).collect();
    assert!(lengths.windows(2).all(|two| two[0] >= two[1]) && lengths.len() == 5, "{lengths:?}");

    let (code, head, body) = browse(&site.focus, "HEAD", &format!("/coverage?{DAY}"));
    assert_eq!((code, body.as_str()), (200, ""), "{head}");
    assert!(head.contains("content-security-policy"), "{head}");
    assert!(!text.contains(" style=") && !text.contains("<style"), "the policy forbids them");
}

fn gaps_are_those_of_the_api(focus: &Focus, asked: &str) {
    let gaps = get(focus, &format!("/api/v1/gaps?{asked}"));
    let text = page(focus, &format!("/coverage?{asked}"));
    let items = gaps["items"].as_array().expect("items");
    let ms = |value: &Value| {
        let text = value.as_str().expect("a time");
        focus_core::iso8601::from_text(text, None).expect("a time").to_string()
    };
    let wanted: Vec<[String; 2]> =
        items.iter().map(|gap| [ms(&gap["start"]), ms(&gap["end"])]).collect();
    let shown = values(&text, "data-start").into_iter().zip(values(&text, "data-end"));
    assert_eq!(shown.map(|(start, end)| [start, end]).collect::<Vec<_>>(), wanted, "{asked}");
    let rows = csv(&page(focus, &format!("/coverage/gaps.csv?{asked}")));
    let listed: Vec<Vec<&str>> = items
        .iter()
        .map(|gap| {
            ["lane", "start", "end"].map(|name| gap[name].as_str().expect("a text")).to_vec()
        })
        .collect();
    let rows: Vec<Vec<&str>> =
        rows.iter().skip(1).map(|row| row.iter().take(3).map(String::as_str).collect()).collect();
    assert_eq!(rows, listed, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_of_any_name_neither_mark_up_the_page_nor_are_formulas_and_lead_to_themselves() {
    let names = [
        "<script>alert(1)</script>".to_owned(),
        "\"><img src=x onerror=alert(1)>".to_owned(),
        "=HYPERLINK(\"http://x\")".to_owned(),
        "a,b\r\n\"c\"".to_owned(),
        "\u{202e}cba\u{7}".to_owned(),
        "a&amp;b=c#d?e%f+g".to_owned(),
        "w".repeat(255),
    ];
    let mut site = site();
    let root = site.tree.root().to_owned();
    for (at, name) in (0..).zip(&names) {
        plant(&root, &format!("r{at}"), at * 10, Some(at * 10 + 5), name);
    }
    site.focus.serve().await;
    until_ready(&site, names.len() as u64).await;
    let text = page(&site.focus, &format!("/coverage?{DAY}&by=sensor"));
    for markup in ["<script>alert", "<img", "\u{202e}", "\u{7}"] {
        assert!(!text.contains(markup), "{markup}");
    }
    let links = values(&text, "href");
    let alone: Vec<&String> =
        links.iter().filter(|link| link.contains("&lane=") && !link.contains("2024-04")).collect();
    for name in &names {
        let mut found = false;
        for link in &alone {
            let text = page(&site.focus, link);
            let chart = text.split("id=\"chart\"").nth(1).unwrap_or_default();
            found |= values(chart, "data-lane").first() == Some(&escaped(name));
            if found {
                break;
            }
        }
        assert!(found, "{name:?} in {alone:?}");
    }
    let rows = csv(&page(&site.focus, &format!("/coverage/lanes.csv?{DAY}&by=sensor&buckets=1")));
    assert_eq!(rows.len(), names.len() + 1);
    assert!(rows.iter().all(|row| row.len() == 7 && !row[0].starts_with('=')), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_range_has_a_page_and_what_cannot_be_taken_is_a_page_that_says_so() {
    let mut site = site();
    site.focus.serve().await;
    until_ready(&site, 0).await;
    assert!(page(&site.focus, "/coverage").contains("There are no recordings yet"));
    let root = site.tree.root().to_owned();
    plant(&root, "live", 60, None, "north");
    plant(&root, "moment", 30, Some(30), "south");
    until_ready(&site, 2).await;
    for (query, words) in [
        ("", "class=\"live\""),
        ("?by=sensor&from=2024-05-01T00:00:00Z&to=2024-05-01T02:00:00Z", "class=\"moments\""),
        ("?from=2199-01-01T00:00:00Z&to=2200-01-01T00:00:00Z", "nothing is known yet"),
        (
            "?from=2000-01-01T00:00:00Z&to=2000-02-01T00:00:00Z",
            "Nothing was recorded in this range",
        ),
        ("?from=2024-05-01T00:00:00.000Z&to=2024-05-01T00:00:00.001Z", "00:00:00.001"),
        ("?from=1970-01-01T00:00:00Z&to=2200-12-31T23:59:59Z", "2200-12-31"),
        ("?year=2200", "Days of 2200"),
        ("?by=&lane=", "id=\"chart\""),
    ] {
        let text = page(&site.focus, &format!("/coverage{query}"));
        assert!(text.contains(words), "{query}: {text}");
    }
    for (query, status, words) in [
        ("from=yesterday", 400, "RFC 3339"),
        ("from=2024-05-02T00:00:00Z&to=2024-05-01T00:00:00Z", 400, "after"),
        ("from=1066-10-14T00:00:00Z", 400, "1970-2200"),
        ("from=-5", 400, "1970-2200"),
        ("at=2024-02-30", 400, "no such day"),
        ("at=spring", 400, "2026-05-01"),
        ("at=2024-05-01&show=week", 400, "show"),
        ("year=1969", 400, "1970 to 2200"),
        ("by=colour", 400, "indexed_metadata"),
        ("lane=/nowhere", 400, "no such lane"),
        ("buckets=2001", 400, "2000"),
        ("buckets=2000&limit=1000", 400, "200000"),
        ("limit=1001", 400, "limit"),
        ("longer_than_ms=-1", 400, "longer_than_ms"),
        ("cursor=x", 400, "cursor"),
        ("order=longest&cursor=x", 400, "leave it out"),
        ("order=shortest", 400, "order"),
        ("colour=red", 400, "colour"),
    ] {
        let (code, head, body) = browse(&site.focus, "GET", &format!("/coverage?{query}"));
        assert_eq!(code, status, "{query}: {head}\n{body}");
        assert!(head.contains("text/html") && body.contains(words), "{query}: {body}");
    }
    for (query, wanted) in [
        ("at=2024-02-29", "/coverage?from=2024-02-29T00:00:00Z&to=2024-03-01T00:00:00Z"),
        (
            "at=2024-02-29&show=month&by=sensor",
            "/coverage?from=2024-02-01T00:00:00Z&to=2024-03-01T00:00:00Z&by=sensor",
        ),
        ("at=2024-02-29&show=year", "/coverage?from=2024-01-01T00:00:00Z&to=2025-01-01T00:00:00Z"),
    ] {
        let (code, head, _) = browse(&site.focus, "GET", &format!("/coverage?{query}"));
        let line = format!("location: {}", wanted.to_lowercase());
        assert!(code == 303 && head.lines().any(|one| one == line), "{query}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_stands_beside_the_lanes_and_leaves_no_gap_in_them() {
    let mut site = site();
    site.focus.serve().await;
    until_ready(&site, 0).await;
    let catalog = site.state().join("catalog");
    fs::rename(&catalog, site.state().join("away")).expect("taken away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    plant(site.tree.root(), "live", 0, None, "north");
    site.focus.until_status("pending", 1, LIMIT).await;
    let text = page(&site.focus, "/coverage");
    for class in ["outage", "pending", "live", "covered"] {
        let drawn = format!("class=\"{class}\" d=\"M");
        assert!(text.contains(&drawn), "{class}: {text}");
    }
    assert!(!text.contains("data-start="), "there is no gap: {text}");
    assert!(text.contains("/outages/1"), "{text}");
}
