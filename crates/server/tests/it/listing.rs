//! `focus query`: all on a pipe, a page on a terminal, by start, through the server and without it.

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::site::{BINARY, LIMIT, Site};

/// More than a page of the server's.
const COUNT: usize = 1_200;

async fn served(count: usize) -> Site {
    let mut site = Site::new(&[]);
    site.land(count);
    site.focus.serve().await;
    site.focus.until_status("recordings", count as u64, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site
}

fn text(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&text(output)).expect("one JSON value")
}

/// What a terminal of this width shows of a command.
fn on_terminal(site: &Site, width: usize, command: &str) -> String {
    let (root, state) = (site.tree.root().display(), site.state());
    let state = state.display();
    let line =
        format!("stty cols {width} && '{BINARY}' {command} --root '{root}' --state-dir '{state}'");
    let output = Command::new("script")
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .expect("script runs");
    text(&output).replace('\r', "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_on_a_pipe_lists_all_by_start_with_a_server_and_without() {
    let mut site = served(COUNT).await;
    let left = site.planted.iter().filter(|one| !one.deleted);
    let planted: BTreeSet<&str> = left.map(|one| &*one.uuid).collect();
    let (count, deleted) = (planted.len(), COUNT - planted.len());
    let through_the_server = text(&site.focus.run(&["query"]));
    let whole = json(&site.focus.run(&["query", "--json"]));
    assert_eq!(site.focus.stop(), Some(0));
    assert_eq!(text(&site.focus.run(&["query"])), through_the_server);
    assert_eq!(through_the_server.lines().count(), count + 1, "a header, and a line for each");
    let rows = whole["items"].as_array().expect("rows");
    let uuids: BTreeSet<&str> = rows.iter().filter_map(|row| row["uuid"].as_str()).collect();
    assert_eq!((rows.len(), uuids), (count, planted));
    let gone = json(&site.focus.run(&["query", "--json", "--state", "deleted"]));
    assert_eq!(gone["items"].as_array().map(Vec::len), Some(deleted));
    let starts: Vec<&str> = rows.iter().filter_map(|row| row["start_time"].as_str()).collect();
    assert!(starts.is_sorted(), "{starts:?}");
    assert_eq!((&whole["next_cursor"], &whole["more"]), (&Value::Null, &0.into()));
    for field in ["complete_through", "pending", "source"] {
        assert!(whole.get(field).is_some(), "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_on_a_terminal_shows_a_page_that_fits_and_says_how_to_see_the_rest() {
    let site = served(150).await;
    let left = site.planted.iter().filter(|one| !one.deleted).count();
    let more = left - 100;
    for width in [80, 60, 200] {
        let shown = on_terminal(&site, width, "query");
        let wide = shown.lines().filter(|line| line.chars().count() > width).count();
        assert_eq!(wide, 0, "{width}: {shown}");
        assert!(shown.contains(&format!("\n{more} more, use --all")), "{width}: {shown}");
        assert_eq!(shown.matches(".dat").count(), 100, "{width}: {shown}");
    }
    let shown = on_terminal(&site, 80, "query --all");
    assert_eq!(shown.matches(".dat").count(), left, "{shown}");
    assert!(!shown.contains(" more"), "{shown}");
    let shown = on_terminal(&site, 80, &format!("query --limit {left}"));
    assert!(!shown.contains(" more"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_lead_through_a_query_with_a_server_and_without() {
    let mut site = served(30).await;
    let left = site.planted.iter().filter(|one| !one.deleted).count();
    let mut seen = BTreeSet::new();
    let mut cursor: Option<String> = None;
    let mut pages = 0;
    loop {
        let mut command = vec!["query", "--json", "--limit", "10"];
        command.extend(cursor.iter().flat_map(|text| ["--cursor", text.as_str()]));
        let page = json(&site.focus.run(&command));
        pages += 1;
        for row in page["items"].as_array().expect("rows") {
            assert!(seen.insert(row["uuid"].to_string()), "twice: {row}");
        }
        assert_eq!(page["more"], (left - seen.len()) as u64, "{page}");
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = Some(next.to_owned());
        if pages == 1 {
            // Cursors of the server and of the index are the same.
            assert_eq!(site.focus.stop(), Some(0));
        }
    }
    assert_eq!((pages, seen.len()), (left.div_ceil(10), left));
    let cut = site.focus.run(&["query", "--limit", "10"]);
    assert!(
        String::from_utf8_lossy(&cut.stderr).contains(&format!("{} more, use --all", left - 10)),
        "{cut:?}"
    );
    let cursor = cursor.expect("a cursor");
    let other = ["query", "--state", "pending", "--cursor", &cursor];
    assert_eq!(site.focus.run(&other).status.code(), Some(2));
    site.focus.serve().await;
    assert_eq!(site.focus.run(&other).status.code(), Some(2));
}

#[test]
fn a_query_whose_window_ends_before_it_begins_is_refused() {
    let site = Site::new(&[]);
    let window = ["--from", "2024-05-02T00:00:00Z", "--to", "2024-05-01T00:00:00Z"];
    let output = site.focus.run(&[&["query"][..], &window].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--from is after --to"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unrecognised_recordings_are_all_listed_with_a_server_and_without() {
    let mut site = Site::new(&[]);
    for n in 0..COUNT {
        let file = site.tree.root().join(format!("alone-{n}.dat"));
        std::fs::write(file, b"data").expect("written");
    }
    site.focus.serve().await;
    site.focus.until_status("unrecognised", COUNT as u64, LIMIT).await;
    let shown = text(&site.focus.run(&["unrecognised"]));
    let whole = json(&site.focus.run(&["unrecognised", "--json"]));
    assert_eq!(site.focus.stop(), Some(0));
    assert_eq!(text(&site.focus.run(&["unrecognised"])), shown);
    assert_eq!(shown.lines().count(), 2 * COUNT, "a line with the path, and one with the reason");
    assert_eq!(whole["items"].as_array().map(Vec::len), Some(COUNT));
    assert_eq!(whole["next_cursor"], Value::Null);
    let some = json(&site.focus.run(&["unrecognised", "--limit", "1100", "--json"]));
    assert_eq!(some["items"].as_array().map(Vec::len), Some(1_100));
    assert!(some["next_cursor"].is_string(), "{}", some["next_cursor"]);
}
