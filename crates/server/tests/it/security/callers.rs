//! Callers that are slow, greedy or endless keep nobody out.

use std::cell::RefCell;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::wait::until;

use super::{address, get, raw, status_of, token};
use crate::site::{BINARY, LIMIT, Site};

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
    let idle = RefCell::new(Vec::new());
    let leave_one = || {
        let mut stream = TcpStream::connect(&address).expect("a connection");
        stream.write_all(request.as_bytes()).expect("sent");
        idle.borrow_mut().push(stream);
    };
    (0..40).for_each(|_| leave_one());
    let whole = || site.focus.ask("POST", "/recordings_in_time_range", body, false);
    // On a busy machine the first are left before the last have begun: others take their places.
    until("the next one is told to wait", LIMIT, || async {
        leave_one();
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

/// A server with these settings, and an unsettled recording that a pass waits for.
async fn bounded(settings: &str) -> Site {
    let mut site = Site::new(&[]);
    let path = site.dir.path().join("focus.toml");
    std::fs::write(&path, settings).expect("settings");
    let path = path.display().to_string();
    let args = ["--settle-ms", "60000", "--config", &path];
    site.focus = Focus::new(BINARY, site.tree.root(), &site.state(), &args);
    std::fs::write(site.tree.root().join("young.dat"), "data").expect("written");
    site.focus.serve().await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_all_its_requests_in_work_says_when_to_ask_again_and_that_it_lives() {
    let site = bounded("requests_max = 1\n").await;
    let address = address(&site);
    // It answers when the pass is done, which waits for what is unsettled.
    let token = token(&site);
    let mut lasting = TcpStream::connect(&address).expect("a connection");
    let head = format!(
        "POST /api/v1/scan HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"
    );
    lasting.write_all(head.as_bytes()).expect("sent");
    until("a request is refused", Duration::from_secs(30), || async {
        let answer = site.focus.ask("GET", "/api/v1/status", "", false)?;
        let problem = answer.json();
        let is_busy = answer.status == 503
            && answer.header("retry-after") == Some("1")
            && problem["type"] == "/docs#error-busy"
            && problem["detail"].as_str().is_some_and(|words| words.contains("ask again"));
        if is_busy { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    assert_eq!(site.focus.ask("GET", "/livez", "", false).map(|answer| answer.status), Ok(200));
    drop(lasting);
    until("the next one is answered", Duration::from_secs(30), || async {
        let answer = site.focus.ask("GET", "/api/v1/status", "", false)?;
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_longer_than_it_may_is_ended_and_told_so() {
    let site = bounded("request_time_ms = 300\n").await;
    let address = address(&site);
    let token = token(&site);
    // A report of which the rest never comes.
    let mut slow = TcpStream::connect(&address).expect("a connection");
    let head = format!(
        "POST /api/v1/drills HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).expect("sent");
    slow.set_read_timeout(Some(Duration::from_secs(30))).expect("a bound");
    let mut answer = String::new();
    let mut line = std::io::BufReader::new(slow);
    while !answer.contains("timed-out") {
        let read = std::io::BufRead::read_line(&mut line, &mut answer).expect("an answer");
        assert!(read > 0, "{answer}");
    }
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("300 ms"), "{answer}");
    assert_eq!(
        site.focus.ask("GET", "/api/v1/status", "", false).map(|answer| answer.status),
        Ok(200)
    );
}
