//! What an attacker tries, on the shipped binary: requests, files, names and mistakes that carry secrets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use serde_json::Value;

use crate::site::{BINARY, LIMIT, Site, embedded_only};

/// What must turn up nowhere.
const PASSWORD: &str = "hunter22-geheim";

fn server_file(site: &Site) -> Value {
    let text = std::fs::read(site.state().join("server.json")).expect("a running server");
    serde_json::from_slice(&text).expect("JSON")
}

fn address(site: &Site) -> String {
    server_file(site)["address"].as_str().expect("an address").to_owned()
}

/// Sends bytes as they are; what comes back until the connection ends, or `patience` is over.
fn raw(address: &str, request: &[u8], patience: Duration) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(patience)).expect("a limit");
    // The server may end the connection before all of it is sent.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: &str, path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    raw(address, request.as_bytes(), Duration::from_secs(10))
}

fn status_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

fn all_of(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_keeps_browsers_within_their_own_site() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    let address = address(&site);
    for path in ["/ack", "/api/v1/status", "/nothing/here"] {
        let answer = get(&address, path, &format!("Host: {address}\r\n")).to_lowercase();
        for header in [
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "content-security-policy: default-src 'none'",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(header), "{path} without {header}: {answer}");
        }
        assert!(!answer.contains("access-control-allow"), "{answer}");
    }
    // A page of another site that asks through a browser, also by a name that leads here.
    for (headers, status) in [
        (format!("Host: {address}\r\n"), "200"),
        ("Host: localhost:8480\r\n".to_owned(), "200"),
        (format!("Host: {address}\r\nOrigin: http://{address}\r\n"), "200"),
        ("Host: rebound.example:8480\r\n".to_owned(), "421"),
        (format!("Host: {address}\r\nOrigin: http://evil.example\r\n"), "403"),
        (format!("Host: {address}\r\nOrigin: null\r\n"), "403"),
        (format!("Host: {address}\r\nSec-Fetch-Site: cross-site\r\n"), "403"),
    ] {
        let answer = get(&address, "/api/v1/recordings", &headers);
        assert_eq!(status_of(&answer), status, "{headers}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_the_settings_is_answered_and_no_other() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("focus.toml");
    std::fs::write(&file, "allowed_hosts = [\"focus.example\"]\n").expect("a file");
    let mut site = Site::new(&["--config", &file.display().to_string()]);
    site.focus.serve().await;
    let address = address(&site);
    assert_eq!(status_of(&get(&address, "/ack", "Host: FOCUS.example:80\r\n")), "200");
    assert_eq!(status_of(&get(&address, "/ack", "Host: other.example\r\n")), "421");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_needs_the_whole_token() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    let (address, server) = (address(&site), server_file(&site));
    let token = server["token"].as_str().expect("a token");
    assert!(token.len() >= 32, "{} characters", token.len());
    let ask = |path: &str, body: &str, header: &str| {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{header}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        raw(&address, request.as_bytes(), Duration::from_secs(20))
    };
    for (path, body) in [
        ("/api/v1/scan", ""),
        ("/api/v1/verify", "{}"),
        ("/api/v1/deletions/approve", "{\"root\":\"r\"}"),
    ] {
        let shorter = &token[..token.len() - 1];
        for header in [
            String::new(),
            "Authorization: Bearer \r\n".to_owned(),
            format!("Authorization: Bearer {shorter}\r\n"),
            format!("Authorization: Bearer {token}0\r\n"),
            format!("Authorization: bearer {token}\r\n"),
            format!("Authorization: Basic {token}\r\n"),
            format!("Cookie: token={token}\r\n"),
        ] {
            let answer = ask(path, body, &header);
            assert_eq!(status_of(&answer), "401", "{path} {header}: {answer}");
            assert!(!answer.contains(token), "{answer}");
        }
    }
    let good = ask("/api/v1/scan", "", &format!("Authorization: Bearer {token}\r\n"));
    assert_eq!(status_of(&good), "200", "{good}");
    assert_eq!(status_of(&get(&address, &format!("/api/v1/scan?token={token}"), "")), "405");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_never_come_to_an_end_keep_nobody_out() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    let address = address(&site);
    let mut slow = Vec::new();
    for n in 0..600 {
        let mut stream = TcpStream::connect(&address).expect("a connection");
        let request = match n % 3 {
            0 => String::new(),
            1 => format!("GET /ack HTTP/1.1\r\nHost: {address}\r\nX-Slow: "),
            _ => format!(
                "POST /recordings_in_time_range HTTP/1.1\r\nHost: {address}\r\nContent-Length: 60\r\n\r\n{{"
            ),
        };
        stream.write_all(request.as_bytes()).expect("sent");
        slow.push(stream);
    }
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(site.focus.get("/ack").as_deref(), Ok("{}"));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
    let descriptors = || {
        let pid = site.focus.pid().expect("a process");
        std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").count()
    };
    // Our own bound, with what the server needs for itself.
    assert!(descriptors() < 256 + 60, "{} descriptors", descriptors());
    // Those that were not pushed out are ended by their own limits.
    until("the slow ones are gone", Duration::from_secs(30), || async {
        let count = descriptors();
        if count < 60 { Ok(()) } else { Err(format!("{count} descriptors")) }
    })
    .await;
    assert_eq!(site.focus.get("/ack").as_deref(), Ok("{}"));
    drop(slow);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_do_not_read_their_answers_keep_nobody_out() {
    let mut site = Site::new(&[]);
    std::fs::write(site.tree.root().join("one.dat"), "data").expect("a file");
    let sidecar = "{\"start_time\":1700000000000,\"end_time\":1700000000001}";
    std::fs::write(site.tree.root().join("one.json"), sidecar).expect("a file");
    site.focus.serve().await;
    site.focus.until_status("recordings", 1, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    // So many rows that the answer is longer than all the buffers on its way.
    let index = rusqlite::Connection::open(site.state().join("index.db")).expect("the index");
    index
        .execute_batch(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 150000)
             INSERT INTO recordings(root, uuid, file, start_ms, end_ms, span, deleted, recording_id,
               path, size, fingerprint, metadata, generation, acked, known, pending)
             SELECT root, uuid || n, file, start_ms, end_ms, span, deleted, recording_id,
               path, size, fingerprint, metadata, generation, acked, known, pending
             FROM recordings, n WHERE id = 1",
        )
        .expect("more rows");
    drop(index);
    site.focus.serve().await;
    let address = address(&site);
    let body = "{\"start_time\":0,\"end_time\":2000000000000000000}";
    let length = body.len();
    let request = format!(
        "POST /recordings_in_time_range HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut idle = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(&address).expect("a connection");
        stream.write_all(request.as_bytes()).expect("sent");
        idle.push(stream);
    }
    let whole = || site.focus.ask("POST", "/recordings_in_time_range", body, false);
    until("the next one is told to wait", Duration::from_secs(8), || async {
        let began = Instant::now();
        let answer = whole()?;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        if answer.status == 503 { Ok(()) } else { Err(format!("{}", answer.status)) }
    })
    .await;
    for path in ["/ack", "/api/v1/status", "/api/v1/recordings?limit=1"] {
        let began = Instant::now();
        site.focus.get(path).expect("an answer");
        assert!(began.elapsed() < Duration::from_secs(1), "{path}: {:?}", began.elapsed());
    }
    let answer = until("they are left", LIMIT, || async {
        let answer = whole()?;
        if answer.status == 200 { Ok(answer) } else { Err(format!("{}", answer.status)) }
    })
    .await;
    // In pieces, with their lengths between them.
    let rows = answer.body.matches("],[").count() + 1;
    assert!(rows > 149_000, "{rows} rows");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_told_so_and_one_that_is_too_large_or_deep_is_refused() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    let address = address(&site);
    let head = format!("POST /recordings_in_time_range HTTP/1.1\r\nHost: {address}\r\n");
    let late = format!("{head}Content-Length: 10\r\n\r\n{{");
    let answer = raw(&address, late.as_bytes(), Duration::from_secs(20));
    assert_eq!(status_of(&answer), "408", "{answer}");
    let window = "{\"start_time\":0,\"end_time\":1,\"x\":\"";
    let sized = |size: usize| {
        let body = format!("{window}{}\"}}", "x".repeat(size - window.len() - 2));
        format!("{head}Connection: close\r\nContent-Length: {size}\r\n\r\n{body}")
    };
    let ask = |request: &str| raw(&address, request.as_bytes(), Duration::from_secs(10));
    assert_eq!(status_of(&ask(&sized(64 * 1024))), "200");
    assert_eq!(status_of(&ask(&sized(64 * 1024 + 1))), "413");
    // Without a length, piece by piece.
    let piece = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", piece.repeat(20));
    assert_eq!(status_of(&ask(&chunked)), "413");
    let deep = |depth: usize| {
        let body = format!(
            "{{\"start_time\":0,\"end_time\":1,\"x\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        );
        format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    assert_eq!(status_of(&ask(&deep(64))), "200");
    assert_eq!(status_of(&ask(&deep(65))), "400");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_headers_is_refused() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    let address = address(&site);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(status_of(&get(&address, "/ack", &many)), "431");
    let long = format!("X-Long: {}\r\n", "x".repeat(100_000));
    let answer = get(&address, "/ack", &long);
    // The connection may be reset before the answer to what was not read is.
    assert!(answer.is_empty() || status_of(&answer) == "431", "{answer}");
    let path = format!("/{}", "x".repeat(100_000));
    let answer = get(&address, &path, "");
    assert!(answer.is_empty() || ["414", "431"].contains(&status_of(&answer)), "{answer}");
    for junk in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..], b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n"]
    {
        let answer = raw(&address, junk, Duration::from_secs(12));
        assert!(answer.is_empty() || status_of(&answer) == "400", "{answer}");
    }
    assert_eq!(site.focus.get("/ack").as_deref(), Ok("{}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_parameter_leads_out_of_the_index() {
    let mut site = Site::new(&[]);
    site.land(3);
    site.focus.serve().await;
    site.focus.until_status("recordings", 3, LIMIT).await;
    let address = address(&site);
    let host = format!("Host: {address}\r\n");
    for path in [
        "/../../../../etc/passwd",
        "/api/v1/../../etc/passwd",
        "/api/v1/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/recordings/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/api/v1/deletions/held?root=../../etc",
        "/api/v1/deletions/held?root=%2Fetc%2Fpasswd",
    ] {
        let answer = get(&address, path, &host);
        assert_eq!(status_of(&answer), "404", "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}: {answer}");
    }
    for (query, status) in [
        ("cursor=-9223372036854775808", "200"),
        ("cursor=9223372036854775807", "200"),
        ("cursor=9223372036854775808", "400"),
        ("cursor=1%20OR%201=1", "400"),
        ("from_ms=-9223372036854775808&to_ms=9223372036854775807", "200"),
        ("limit=1001", "400"),
        ("limit=-1", "400"),
        ("text=%27%3B%20DROP%20TABLE%20recordings%3B--", "200"),
        ("text=%00", "200"),
        ("text=%ff%fe", "200"),
        ("text=a&text=b", "400"),
    ] {
        let answer = get(&address, &format!("/api/v1/recordings?{query}"), &host);
        assert_eq!(status_of(&answer), status, "{query}: {answer}");
    }
    // A wildcard in the text is a letter like any other.
    for (text, found) in [("rec-0000001", 1), ("%25", 0), ("_ec", 0), ("%5C", 0)] {
        let answer = site.focus.get(&format!("/api/v1/recordings?text={text}")).expect("an answer");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["recordings"].as_array().map(Vec::len), Some(found), "{text}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_names_and_uuids_lead_nowhere_outside_the_root() {
    let mut site = Site::new(&[]);
    let outside = site.dir.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    let secret = format!("{{\"start_time\":1,\"password\":\"{PASSWORD}\"}}");
    for (name, text) in [("other.json", &*secret), ("other.dat", "data"), ("lone.json", &*secret)] {
        std::fs::write(outside.join(name), text).expect("a file");
    }
    let before = listing(&outside);
    let root = site.tree.root().to_owned();
    let file = |name: &str, text: &str| std::fs::write(root.join(name), text).expect("a file");
    symlink(&outside, root.join("folder")).expect("a link to a folder");
    symlink("../outside", root.join("relative")).expect("a link to a folder");
    symlink(".", root.join("loop")).expect("a loop");
    symlink(outside.join("other.dat"), root.join("both.dat")).expect("a link");
    symlink(outside.join("other.json"), root.join("both.json")).expect("a link");
    file("side.dat", "data");
    symlink(outside.join("other.json"), root.join("side.json")).expect("a link");
    file("dangling.json", "{\"start_time\":1}");
    symlink("/nowhere/at/all", root.join("dangling.dat")).expect("a link");
    file("fifo.dat", "data");
    let made = Command::new("mkfifo").arg(root.join("fifo.json")).status().expect("mkfifo");
    assert!(made.success());
    file("folder-name.dat", "data");
    std::fs::create_dir(root.join("folder-name.json")).expect("a folder");
    for (n, uuid) in
        ["../../outside/other", "/etc/passwd", "../", "a/../../b", "%2e%2e%2f"].iter().enumerate()
    {
        file(&format!("uuid-{n}.dat"), "data");
        file(&format!("uuid-{n}.json"), &format!("{{\"start_time\":1,\"uuid\":\"{uuid}\"}}"));
    }
    file("...dat", "data");
    file("...json", "{\"start_time\":1}");
    site.focus.serve().await;
    site.focus.until_status("recordings", 6, LIMIT).await;
    site.focus.until_status("unrecognised", 5, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let verified = site.focus.post("/api/v1/verify", "{\"repair\":true}").expect("verified");
    let listed = site.focus.get("/api/v1/recordings").expect("an answer");
    let bad = site.focus.get("/api/v1/unrecognised").expect("an answer");
    for text in [&verified, &listed, &bad, &site.focus.log()] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    assert!(bad.contains("is a symbolic link, which is not followed"), "{bad}");
    assert!(bad.contains("is not a regular file"), "{bad}");
    assert!(!files_hold(&site.state(), PASSWORD), "what lies outside was read");
    assert_eq!(listing(&outside), before, "something outside was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_is_a_link_makes_no_root() {
    let site = Site::new(&[]);
    let marker = site.tree.root().join(".focus-root");
    let elsewhere = site.dir.path().join("marker");
    std::fs::rename(&marker, &elsewhere).expect("moved");
    symlink(&elsewhere, &marker).expect("a link");
    let output = site.focus.run(&["scan", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(all_of(&output).contains("is damaged"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_path_leads_outside_touches_nothing_there() {
    if embedded_only("a document whose path leads outside") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    site.land(5);
    let outside = site.dir.path().join("outside.dat");
    std::fs::write(&outside, "data").expect("a file");
    site.focus.serve().await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site.converged(&server, "node4").await;
    let documents = server.client().await.database(server.database()).collection("node4");
    let date = mongodb::bson::DateTime::from_millis(1);
    for (n, path) in
        ["../outside.dat", "/etc/passwd", "a/../../outside.dat", "\0", ""].into_iter().enumerate()
    {
        let document = mongodb::bson::doc! {
            "uuid": format!("evil-{n}"), "root": &site.marker, "path": path, "start_time": date,
            "end_time": date, "deleted": false, "recording_id": "x", "size": 1_i64,
            "fingerprint": "x", "metadata": {}, "version": 1_i64,
        };
        documents.insert_one(document).await.expect("inserted");
    }
    let found = site.focus.post("/api/v1/verify", "{}").expect("verified");
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["counts"]["missing"], 5, "{found:#}");
    let repaired = site.focus.post("/api/v1/verify", "{\"repair\":true}").expect("verified");
    assert!(std::fs::read(&outside).is_ok_and(|bytes| bytes == b"data"), "{repaired}");
    assert_eq!(site.focus.get("/ack").as_deref(), Ok("{}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecars_are_taken_up_to_their_bounds_and_not_beyond() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    let plant = |name: &str, sidecar: &str| {
        std::fs::write(root.join(format!("{name}.dat")), "data").expect("a file");
        std::fs::write(root.join(format!("{name}.json")), sidecar).expect("a file");
    };
    let sized = |size: usize| {
        let head = "{\"start_time\":1,\"x\":\"";
        format!("{head}{}\"}}", "x".repeat(size - head.len() - 2))
    };
    let deep = |depth: usize| {
        let levels = depth - 1;
        format!("{{\"start_time\":1,\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    plant("size-good", &sized(1 << 20));
    plant("size-bad", &sized((1 << 20) + 1));
    plant("depth-good", &deep(64));
    plant("depth-bad", &deep(65));
    plant("depth-worse", &format!("{{\"x\":{}", "[".repeat(1_000_000)));
    plant("uuid-good", &format!("{{\"start_time\":1,\"uuid\":\"{}\"}}", "u".repeat(1_024)));
    plant("uuid-bad", &format!("{{\"start_time\":1,\"uuid\":\"{}\"}}", "u".repeat(1_025)));
    let keys: Vec<String> = (0..60_000).map(|n| format!("\"k{n}\":\n{n}")).collect();
    plant("keys-good", &format!("{{\"start_time\":1,{}}}", keys.join(",")));
    site.focus.serve().await;
    site.focus.until_status("recordings", 4, LIMIT).await;
    site.focus.until_status("/unrecognised_by_state/sidecar_invalid", 4, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_very_large_sidecars_are_never_all_in_memory() {
    let mut site = Site::new(&[]);
    // Small integers take the most memory for their bytes.
    let large = format!("{{\"start_time\":1,\"x\":[{}1]}}", "1,".repeat((1 << 19) - 20));
    for n in 0..48 {
        let root = site.tree.root();
        std::fs::write(root.join(format!("large-{n}.dat")), "data").expect("a file");
        std::fs::write(root.join(format!("large-{n}.json")), &large).expect("a file");
    }
    site.focus.serve().await;
    site.focus.until_status("recordings", 48, LIMIT).await;
    let pid = site.focus.pid().expect("a process");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let peak_kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .expect("its memory");
    println!("48 sidecars of 1 MiB: {} MiB at most", peak_kib / 1_024);
    // All at once they would take 48 * 17 MiB and more.
    assert!(peak_kib < 600 * 1_024, "{} MiB", peak_kib / 1_024);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_folder_is_its_users_alone() {
    let mut site = Site::new(&[]);
    let state = site.state();
    std::fs::create_dir_all(&state).expect("a folder");
    // Left over with wider rights.
    std::fs::write(state.join("index.db"), b"").expect("a file");
    let wide = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(state.join("index.db"), wide).expect("wider");
    site.land(3);
    site.focus.serve().await;
    site.focus.until_status("recordings", 3, LIMIT).await;
    site.focus.post("/api/v1/verify", "{}").expect("verified");
    for (path, mode) in modes(&state) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        // The log is the test's own.
        if name.as_deref() != Some("serve.log") {
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        }
    }
    // A folder that the server makes is closed to others too.
    let fresh = site.dir.path().join("fresh");
    let root = site.tree.root().display().to_string();
    let output = Command::new(BINARY)
        .args(["scan", "--root", &root, "--state-dir", &fresh.display().to_string()])
        .output()
        .expect("the binary runs");
    assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    let mode = std::fs::metadata(&fresh).expect("a folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_person_is_shown_moves_the_terminal_or_runs_in_a_table() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    std::fs::write(root.join("esc.dat"), "data").expect("a file");
    let sidecar = r#"{"start_time":1,"uuid":"\u001b]52;c;eA==\u0007\u001b[2J\u202egnp"}"#;
    std::fs::write(root.join("esc.json"), sidecar).expect("a file");
    std::fs::write(root.join("=1+1|x.dat"), "data").expect("a file");
    std::fs::write(root.join("bad\u{1b}[31m.dat"), "data").expect("a file");
    site.focus.serve().await;
    site.focus.until_status("recordings", 1, LIMIT).await;
    site.focus.until_status("unrecognised", 2, LIMIT).await;
    let csv = site.dir.path().join("found.csv");
    let file = csv.display().to_string();
    for command in
        [&["query"][..], &["unrecognised"], &["status"], &["verify", "--csv", &file], &["scan"]]
    {
        let shown = all_of(&site.focus.run(command));
        let acts = shown.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}');
        assert!(!acts, "{command:?}: {shown:?}");
    }
    let shown = all_of(&site.focus.run(&["query"]));
    assert!(shown.contains("\\u{1b}]52"), "{shown}");
    let text = std::fs::read_to_string(csv).expect("a file");
    assert!(text.contains("\"'=1+1|x\""), "{text}");
    for cell in text.split([',', '\n']) {
        let cell = cell.trim_start_matches('"');
        assert!(!cell.starts_with(['=', '+', '@']), "{cell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_turns_up_nowhere() {
    let closed = format!("127.0.0.1:{}", focus_testkit::mongo::free_port());
    let absent = format!("mongodb://anna:{PASSWORD}@{closed}/?directConnection=true");
    password_is_hidden(&absent, "down").await;
    if embedded_only("a password that a database refuses") {
        return;
    }
    // A database that knows no such user.
    let server = MongoServer::start().await;
    let refusing = format!(
        "mongodb://anna:{PASSWORD}@127.0.0.1:{}/?directConnection=true&authSource=admin",
        server.port()
    );
    password_is_hidden(&refusing, "down").await;
}

async fn password_is_hidden(uri: &str, state: &str) {
    let mut site = Site::new(&[]);
    site.focus.by =
        ["env", "FOCUS_LOG=trace", &format!("FOCUS_MONGODB_URI={uri}")].map(str::to_owned).to_vec();
    site.land(2);
    site.focus.serve().await;
    site.focus.until_status("catalog_state", state, LIMIT).await;
    site.focus.until_status("pending", 2, LIMIT).await;
    let mut said = vec![site.focus.log()];
    assert!(said[0].len() > 200, "a log at trace: {}", said[0]);
    for path in ["/readyz", "/api/v1/status", "/api/v1/recordings", "/api/v1/drift", "/nothing"] {
        said.push(format!("{:?}", site.focus.ask("GET", path, "", true)));
    }
    for (path, body) in [("/api/v1/scan", ""), ("/api/v1/verify", "{}")] {
        said.push(format!("{:?}", site.focus.ask("POST", path, body, true)));
    }
    let dir = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str], env: bool| {
        let root = site.tree.root().display().to_string();
        let mut command = Command::new(BINARY);
        command.args(args).args(["--root", &root]).current_dir(dir.path());
        command.env("FOCUS_LOG", "trace").env("XDG_STATE_HOME", dir.path());
        if env {
            command.env("FOCUS_MONGODB_URI", uri);
        }
        all_of(&command.output().expect("the binary runs"))
    };
    // These wait for the database.
    for args in [&["scan"][..], &["verify", "--json"], &["demo", "--json"]] {
        said.push(run(args, true));
    }
    let server = format!("http://{}", address(&site));
    let drill = ["drill", "run", "--server", &server, "--outage", "command", "--down", "true"];
    let more = ["--up", "true", "--count", "1", "--timeout", "3s", "--allow", "--json"];
    let files = ["--junit", "report.xml", "--html", "report.html", "--state-dir", "drilled"];
    said.push(run(&[&drill[..], &more, &files].concat(), true));
    assert!(
        dir.path().join("drilled/drill").is_dir(),
        "no drill was begun: {}",
        said[said.len() - 1]
    );
    assert!(!files_hold(dir.path(), PASSWORD), "a report of a drill holds the password");
    said.push(run(&["config", "check", "--json"], true));
    // On the command line, in its place and out of it.
    said.push(run(&["config", "check", "--mongodb-uri", uri], false));
    let typed = uri.replacen("mongodb:", "mongdb:", 1);
    let option = format!("{uri}&maxPoolSize=many&appname=x");
    for json in [&["--json"][..], &[]] {
        for args in [
            &["status"][..],
            &["query"],
            &["approve"],
            &["query", "--nonsense"],
            &["serve", "--listen", "nowhere"],
        ] {
            said.push(run(&[args, json].concat(), true));
        }
        for args in [
            &["config", "check", uri][..],
            &["config", "check", "--layout", uri],
            &["scan", "--mongodb-uri", &typed],
            &["scan", "--mongodb-uri", &option],
        ] {
            said.push(run(&[args, json].concat(), false));
        }
    }
    // In files: as it should be, and with mistakes beside it.
    for text in [
        format!("mongodb_uri = \"{uri}\"\nsettle = 1\n"),
        format!("mongodb_url = \"{uri}\"\n"),
        format!("mongodb_uri = \"{uri}\n"),
        format!("mongodb_uri = [\"{uri}\"]\n"),
        format!("\"{uri}\" = 1\n"),
        format!("layout = \"{uri}\"\n"),
    ] {
        std::fs::write(dir.path().join("focus.toml"), text).expect("a file");
        said.push(run(&["config", "check"], false));
    }
    std::fs::write(dir.path().join("uri"), uri).expect("a file");
    let file = format!("mongodb_uri_file = \"{}\"\n", dir.path().join("uri").display());
    std::fs::write(dir.path().join("focus.toml"), file).expect("a file");
    said.push(run(&["config", "check"], false));
    for text in &said {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    assert!(said.iter().any(|text| text.contains("***")), "nothing was hidden: is it said at all?");
    assert!(!files_hold(&site.state(), PASSWORD), "the password lies in the state folder");
    let token = server_file(&site)["token"].as_str().expect("a token").to_owned();
    assert!(!said.iter().any(|text| text.contains(&token)), "the token is shown");
    site.focus.stop();
    assert!(!files_hold(&site.state(), &token), "the token is left behind");
}

#[test]
fn a_panic_gives_no_secret_away() {
    // The same program once more, so that its stderr is all its own.
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this)
        .args(["security::panics_with_a_secret", "--exact", "--nocapture", "--ignored"])
        .env("FOCUS_TEST_PANIC", "1")
        .output()
        .expect("it runs");
    let said = all_of(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("a mistake in the program"), "{said}");
    assert!(said.contains("security.rs:"), "its place is told: {said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

#[test]
#[ignore = "panics: run by `a_panic_gives_no_secret_away`"]
fn panics_with_a_secret() {
    if std::env::var_os("FOCUS_TEST_PANIC").is_none() {
        return;
    }
    let uri = format!("mongodb://anna:{PASSWORD}@localhost/");
    focus_server::telemetry::hide(&focus_core::secret::Secrets::of_uri(&uri));
    focus_server::telemetry::tell_panics();
    panic!("the login {PASSWORD} for {uri} came to nothing");
}

/// Names and contents.
fn listing(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut listed: Vec<_> = entries
        .map(|entry| {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    listed.sort();
    listed
}

fn modes(dir: &Path) -> Vec<(std::path::PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        // A log of the database may go while it is looked at.
        let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
        found.push((path.clone(), meta.permissions().mode()));
        if meta.is_dir() {
            found.extend(modes(&path));
        }
    }
    found
}

/// Any file below holds the text, the server's address file with its token apart.
fn files_hold(dir: &Path, text: &str) -> bool {
    modes(dir).into_iter().any(|(path, _)| {
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
