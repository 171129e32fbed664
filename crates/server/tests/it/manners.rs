//! The manners of the HTTP API: what an error says, entity tags, compression, and tokens with rights.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::security::{address, token};
use crate::site::{LIMIT, Site};

async fn served(arguments: &[&str]) -> Site {
    let mut site = Site::new(arguments);
    site.land(30);
    site.focus.serve().await;
    site.focus.until_status("recordings", 30, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site
}

/// An answer, byte by byte.
struct Raw {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Raw {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.head))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let wanted = |line: &&str| line.to_lowercase().starts_with(&format!("{name}:"));
        self.head.lines().find(wanted)?.split_once(':').map(|(_, value)| value.trim())
    }
}

/// Asks with these headers, each with its line end, over a connection of its own.
fn ask(site: &Site, method: &str, path: &str, headers: &str, body: &str) -> Raw {
    let address = address(site);
    let mut stream = TcpStream::connect(&address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer that ends");
    let ends = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&answer[..ends]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Raw { status, head, body: answer[ends..].to_vec() }
}

/// Method, path, headers and body; status, kind and field of the error, and words of its remedy.
type Case<'a> = (&'a str, &'a str, &'a str, &'a str, u16, &'a str, Option<&'a str>, &'a str);

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn each_error_has_its_type_and_names_the_field_and_the_remedy() {
    let site = served(&[]).await;
    let bearer = format!("Authorization: Bearer {}\r\n{JSON}", token(&site));
    let large = "x".repeat(100_000);
    let page = ask(&site, "GET", "/api/v1/recordings?limit=5", "", "").json();
    let other = format!(
        "/api/v1/recordings?text=x&cursor={}",
        page["next_cursor"].as_str().expect("a cursor")
    );
    let cases: &[Case<'_>] = &[
        (
            "GET",
            "/api/v1/recordings?colour=red",
            "",
            "",
            400,
            "unknown-parameter",
            Some("colour"),
            "what can be given is",
        ),
        ("GET", "/api/v1/recordings?limit=0", "", "", 400, "bad-value", Some("limit"), "1 to 1000"),
        (
            "GET",
            "/api/v1/recordings?limit=1&limit=2",
            "",
            "",
            400,
            "bad-value",
            Some("limit"),
            "give it once",
        ),
        (
            "GET",
            "/api/v1/recordings?state=typo",
            "",
            "",
            400,
            "bad-value",
            Some("state"),
            "catalogued",
        ),
        ("GET", "/api/v1/recordings?order=size", "", "", 400, "bad-value", Some("order"), "-start"),
        (
            "GET",
            "/api/v1/recordings?from=yesterday",
            "",
            "",
            400,
            "bad-value",
            Some("from"),
            "RFC 3339",
        ),
        (
            "GET",
            "/api/v1/recordings?from=1700000001&to=1700000000",
            "",
            "",
            400,
            "bad-value",
            Some("from"),
            "earlier time",
        ),
        (
            "GET",
            "/api/v1/recordings?root=none",
            "",
            "",
            400,
            "bad-value",
            Some("root"),
            "focus status",
        ),
        ("GET", "/api/v1/recordings?text=%f", "", "", 400, "bad-value", Some("text"), "%XX"),
        (
            "GET",
            "/api/v1/recordings?meta.=1",
            "",
            "",
            400,
            "bad-value",
            Some("meta."),
            "meta.sensor=north",
        ),
        ("GET", &other, "", "", 400, "bad-cursor", Some("cursor"), "begin without it"),
        (
            "GET",
            "/api/v1/unrecognised?state=typo",
            "",
            "",
            400,
            "bad-value",
            Some("state"),
            "time_invalid",
        ),
        (
            "GET",
            "/api/v1/unrecognised?cursor=x",
            "",
            "",
            400,
            "bad-cursor",
            Some("cursor"),
            "begin without it",
        ),
        (
            "GET",
            "/api/v1/status?x=1",
            "",
            "",
            400,
            "unknown-parameter",
            Some("x"),
            "nothing can be given",
        ),
        ("GET", "/api/v1/recordings/none", "", "", 404, "not-found", Some("uuid"), "lists them"),
        ("GET", "/api/v1/nothing", "", "", 404, "unknown-path", None, "/docs"),
        ("DELETE", "/api/v1/recordings", "", "", 405, "wrong-method", None, "Allow"),
        ("POST", "/api/v1/alerts/silences", JSON, "{}", 401, "no-token", None, "server.json"),
        (
            "POST",
            "/api/v1/alerts/silences",
            &bearer,
            "{}",
            400,
            "bad-body",
            Some("rule"),
            "missing",
        ),
        (
            "POST",
            "/api/v1/alerts/silences",
            bearer.trim_end_matches(JSON),
            "{}",
            415,
            "wrong-media-type",
            None,
            "application/json",
        ),
        ("POST", "/recordings_in_time_range", "", &large, 413, "too-large", None, "65536"),
    ];
    for (method, path, headers, body, status, kind, field, remedy) in cases {
        let answer = ask(&site, method, path, headers, body);
        let told = answer.json();
        assert_eq!(answer.status, *status, "{method} {path}: {told}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        assert!(answer.header("cache-control").is_some(), "{path}");
        assert_eq!(told["type"], format!("/docs#error-{kind}"), "{path}: {told}");
        assert_eq!(told["field"].as_str(), *field, "{path}: {told}");
        assert_eq!(told["status"], *status, "{told}");
        let detail = told["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(remedy), "{path}: {detail}");
        if *status == 405 {
            assert_eq!(answer.header("allow"), Some("GET,HEAD,POST"), "{}", answer.head);
        }
    }
    let docs = ask(&site, "GET", "/docs", "", "");
    let docs = String::from_utf8_lossy(&docs.body).into_owned();
    for (.., kind, _, _) in cases {
        assert!(docs.contains(&format!("id=\"error-{kind}\"")), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_shown_whole_and_not_again_to_who_has_it() {
    let site = served(&[]).await;
    let uuid = site.planted.iter().find(|one| !one.deleted).expect("one").uuid.clone();
    let path = format!("/api/v1/recordings/{}", focus_common::client::escape(&uuid));
    let first = ask(&site, "GET", &path, "", "");
    let one = first.json();
    assert_eq!((first.status, &one["uuid"]), (200, &Value::from(uuid)), "{one}");
    for field in ["metadata", "recording_id", "path", "size", "fingerprint", "root", "start_time"] {
        assert!(!one[field].is_null(), "{field}: {one}");
    }
    assert!(one["first_seen_at"].is_string() && one["acknowledged_at"].is_string(), "{one}");
    assert_eq!((&one["state"], &one["pending"]), (&"catalogued".into(), &0.into()), "{one}");
    let tag = first.header("etag").expect("a tag").to_owned();
    let again = ask(&site, "GET", &path, &format!("If-None-Match: {tag}\r\n"), "");
    assert_eq!((again.status, again.body.len()), (304, 0), "{}", again.head);
    for name in ["focus-complete-through", "focus-pending", "focus-source", "cache-control", "etag"]
    {
        assert!(first.header(name).is_some() && again.header(name).is_some(), "{name}");
    }
    let unknown = ask(&site, "GET", "/api/v1/recordings/none", "", "");
    assert_eq!((unknown.status, unknown.header("focus-source")), (404, Some("index")));
    let head = ask(&site, "HEAD", &path, "", "");
    assert_eq!((head.status, head.body.len()), (200, 0), "{}", head.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_is_compressed_for_who_asks_and_a_streamed_one_ends_well() {
    let site = served(&[]).await;
    let window = r#"{"start_time": 0, "end_time": 7000000000}"#;
    for coding in ["gzip", "zstd"] {
        let wanted = format!("Accept-Encoding: {coding}\r\n{JSON}");
        let page = ask(&site, "GET", "/api/v1/recordings", &wanted, "");
        assert_eq!((page.status, page.header("content-encoding")), (200, Some(coding)));
        let small = ask(&site, "GET", "/livez", &wanted, "");
        assert_eq!((small.status, small.header("content-encoding")), (200, None));
        let streamed = ask(&site, "POST", "/recordings_in_time_range", &wanted, window);
        assert_eq!((streamed.status, streamed.header("content-encoding")), (200, Some(coding)));
        assert!(streamed.body.len() > 10, "{}", streamed.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_do_what_its_table_allows_and_is_shown_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let (reads, operates) = ("r".repeat(32), "o".repeat(32));
    std::fs::write(folder.path().join("reads"), format!("{reads}\n")).expect("written");
    std::fs::write(folder.path().join("operates"), &operates).expect("written");
    let at = folder.path().display();
    let config = folder.path().join("focus.toml");
    let text = format!(
        "read_needs_token = true\n[[tokens]]\nname = \"page\"\ntoken_file = \"{at}/reads\"\nallow = [\"read\"]\n\
         [[tokens]]\nname = \"crew\"\ntoken_file = \"{at}/operates\"\nallow = [\"operate\"]\n"
    );
    std::fs::write(&config, text).expect("written");
    let config = config.display().to_string();
    let site = served(&["--config", &config]).await;
    let with = |token: &str| format!("Authorization: Bearer {token}\r\n{JSON}");
    let silence = r#"{"rule": "disk_low", "for_ms": 1000}"#;
    let own = token(&site);
    for (token, read, changed) in
        [(&reads, 200, 403), (&operates, 403, 201), (&own, 200, 201), (&"x".repeat(32), 401, 401)]
    {
        let answer = ask(&site, "GET", "/api/v1/recordings", &with(token), "");
        assert_eq!(answer.status, read, "{}", answer.head);
        let answer = ask(&site, "POST", "/api/v1/alerts/silences", &with(token), silence);
        assert_eq!(answer.status, changed, "{}", answer.head);
    }
    for (path, status) in
        [("/livez", 200), ("/readyz", 200), ("/metrics", 401), ("/api/v1/status", 401)]
    {
        assert_eq!(ask(&site, "GET", path, "", "").status, status, "{path}");
    }
    // A call that reads needs it whatever its method is.
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let within = "start=2024-01-01T00:00:00Z&end=2024-01-02T00:00:00Z";
    for path in ["/fdsnws/availability/1/query", "/recordings_in_time_range"] {
        for method in ["GET", "POST"] {
            let (body, query) = if method == "POST" { (within, "") } else { ("", within) };
            let answer = ask(&site, method, &format!("{path}?{query}"), form, body);
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.head);
        }
    }
    let shown = site.focus.run(&["config", "show"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("page") && !shown.contains(&reads) && !shown.contains(&operates),
        "{shown}"
    );
    assert!(!site.focus.log().contains(&operates));
}
