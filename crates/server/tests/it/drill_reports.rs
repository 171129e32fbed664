//! Reports of real drills: kept, listed, and written for programs, CI and people.

use std::fs;

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::schema;
use serde_json::Value;

use crate::site::{BINARY, LIMIT, Site, no_server_to_end};

/// The JSON that a command printed last.
fn last_value(output: &std::process::Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let values: Result<Vec<Value>, _> = values.collect();
    values.expect("only JSON").pop().unwrap_or_else(|| panic!("{output:?}"))
}

/// Tags that do not close in their order; empty where all do. Enough for XML that holds no CDATA.
fn ill_formed(text: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    for part in text.split('<').skip(1) {
        let (tag, text) = part.split_once('>')?;
        if text.contains("]]>") {
            return Some(format!("]]> in {text:?}"));
        }
        let entities = tag.split('&').chain(text.split('&').skip(1)).skip(1);
        for entity in entities {
            let name = entity.split(';').next().unwrap_or_default();
            let known =
                ["amp", "lt", "gt", "quot", "apos"].contains(&name) || name.starts_with('#');
            if !known {
                return Some(format!("&{entity}"));
            }
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        match tag {
            _ if tag.starts_with('?') || tag.ends_with('/') => {}
            _ if tag.starts_with('/') => match open.pop() {
                Some(last) if last == tag.trim_start_matches('/') => {}
                other => return Some(format!("{tag} closes {other:?}")),
            },
            _ => open.push(name),
        }
    }
    open.pop().map(|left| format!("{left} is left open"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_leaves_reports_for_programs_ci_and_people_that_say_the_same() {
    if no_server_to_end("a drill's reports") {
        return;
    }
    let server = MongoServer::start().await;
    let pid = server.pid().expect("a process of our own");
    let mut site = Site::with(&server, &[]);
    site.land(10);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let file = |name: &str| site.dir.path().join(name).display().to_string();
    let (down, up) = (format!("kill -STOP {pid}"), format!("kill -CONT {pid}"));
    let (html, junit) = (file("drill.html"), file("drill.xml"));
    let drill = site.focus.run(&[
        "drill",
        "run",
        "--outage",
        "command",
        "--down",
        &down,
        "--up",
        &up,
        "--count",
        "3",
        "--outage-for",
        "3s",
        "--allow",
        "--html",
        &html,
        "--junit",
        &junit,
        "--json",
    ]);
    let said = last_value(&drill);
    assert_eq!((drill.status.code(), &said["verdict"]), (Some(0), &"passed".into()), "{said:#}");

    let schema_text = include_str!("../../../../docs/drill-report.schema.json");
    let schema: Value = serde_json::from_str(schema_text).expect("a schema");
    let wrong = schema::check(&schema, &said);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let id = said["id"].as_str().expect("an id");

    // Kept as it was said, and found by the beginning of its id.
    let listed = last_value(&site.focus.run(&["drill", "list", "--json"]));
    assert_eq!(listed["drills"][0]["id"], id, "{listed:#}");
    assert_eq!(listed["drills"][0]["verdict"], "passed");
    for name in [id, &id[..id.len() - 2]] {
        assert_eq!(last_value(&site.focus.run(&["drill", "report", name, "--json"])), said);
    }
    let shown = site.focus.run(&["drill", "report", id]);
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(shown.starts_with("PASSED") && shown.contains("clean_up"), "{shown}");

    // The server has it, and knows that it was the last.
    let shown = site.focus.get(&format!("/api/v1/drills/{id}")).expect("shown");
    assert_eq!(serde_json::from_str::<Value>(&shown).expect("JSON"), said);
    let posted = fs::read_to_string(site.state().join("drill/last_posted.json"));
    assert!(posted.as_ref().is_ok_and(|last| last.contains(id)), "{posted:?}\n{drill:?}");
    assert!(!String::from_utf8_lossy(&drill.stderr).contains("has not taken"), "{drill:?}");

    // A drill with a state folder of its own has no token to post with: it says so, and the verdict stands.
    let mut args = vec!["--root", site.tree.root().to_str().expect("text")];
    let (of_server, own) = (server.args(), file("own-state"));
    args.extend(of_server.iter().map(String::as_str));
    args.extend(["--state-dir", &own]);
    let elsewhere = Focus::with_args(BINARY, site.dir.path(), &args);
    let address = format!("http://{}", site.focus.address().expect("an address"));
    let drill = ["drill", "run", "--outage", "command", "--down", &down, "--up", &up, "--allow"];
    let further = ["--outage-for", "3s", "--server", &address, "--json"];
    let drill = elsewhere.run(&[&drill[..], &further[..]].concat());
    let told = String::from_utf8_lossy(&drill.stderr).into_owned();
    assert_eq!(drill.status.code(), Some(0), "{drill:?}");
    assert!(told.contains("the verdict stands") && told.contains("no token"), "{told}");
    let posted = fs::read_to_string(site.state().join("drill/last_posted.json"));
    assert!(posted.is_ok_and(|last| last.contains(id)), "the first is the last posted");

    // The files are those that the report makes again.
    let (page, cases) = (fs::read_to_string(&html), fs::read_to_string(&junit));
    let (page, cases) = (page.expect("a page"), cases.expect("cases"));
    let (again_html, again_junit) = (file("again.html"), file("again.xml"));
    let again = ["drill", "report", id, "--html", &again_html, "--junit", &again_junit];
    assert_eq!(site.focus.run(&again).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&again_html).ok().as_ref(), Some(&page));
    assert_eq!(fs::read_to_string(&again_junit).ok().as_ref(), Some(&cases));
    assert_eq!(ill_formed(&cases), None, "{cases}");
    assert_eq!(cases.matches("<testcase ").count(), 10 + 3 + 1, "{cases}");
    assert!(!cases.contains("<failure") && !cases.contains("<error"), "{cases}");
    let picture = page.find("<svg").zip(page.find("</svg>")).expect("a picture");
    assert_eq!(ill_formed(&page[picture.0..picture.1 + 6]), None, "{page}");
    assert!(page.contains("The database was unreachable from"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_drills_there_is_nothing_to_list_and_no_report() {
    let site = Site::new(&[]);
    let listed = site.focus.run(&["drill", "list", "--json"]);
    assert_eq!(listed.status.code(), Some(0));
    assert_eq!(last_value(&listed)["drills"], Value::Array(Vec::new()));
    for id in ["none", "../plan", ""] {
        let report = site.focus.run(&["drill", "report", id]);
        assert_eq!(report.status.code(), Some(2), "{report:?}");
        assert!(String::from_utf8_lossy(&report.stderr).contains("drill list"), "{report:?}");
    }
    // A file that cannot be written is told before anything is broken.
    let run = site.focus.run(&[
        "drill",
        "run",
        "--outage",
        "command",
        "--down",
        "false",
        "--up",
        "false",
        "--allow",
        "--html",
        "/nowhere/drill.html",
    ]);
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    assert!(String::from_utf8_lossy(&run.stderr).contains("/nowhere/drill.html"), "{run:?}");
}
