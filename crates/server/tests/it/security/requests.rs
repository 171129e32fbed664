//! Who may ask, and what a request may hold: browsers, names, tokens, parameters.

use std::time::Duration;

use serde_json::Value;

use super::{address, get, raw, server_file, status_of};
use crate::site::{LIMIT, Site};

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
        assert_eq!(answer.contains("/docs#error-other-site"), status == "403", "{answer}");
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
        ("/api/v1/held/approve", "{\"root\":\"r\"}"),
        ("/api/v1/jobs", "{\"kind\":\"scan\"}"),
        ("/api/v1/drills", "{}"),
    ] {
        let shorter = &token[..token.len() - 1];
        for header in [
            String::new(),
            "Authorization: Bearer \r\n".to_owned(),
            format!("Authorization: Bearer {shorter}\r\n"),
            format!("Authorization: Bearer {token}0\r\n"),
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
    ] {
        let answer = get(&address, path, &host);
        assert_eq!(status_of(&answer), "404", "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}: {answer}");
    }
    for path in ["/api/v1/recordings/%ff", "/api/v1/%c3%28", "/docs/%80"] {
        let answer = get(&address, path, &host);
        assert_eq!(status_of(&answer), "400", "{path}: {answer}");
        assert!(
            answer.contains("application/problem+json") && answer.contains("UTF-8"),
            "{answer}"
        );
    }
    for path in ["/api/v1/held?root=../../etc", "/api/v1/held?root=%2Fetc%2Fpasswd"] {
        let answer = get(&address, path, &host);
        assert_eq!(status_of(&answer), "400", "{path}: {answer}");
    }
    for (query, status) in [
        ("cursor=-9223372036854775808", "400"),
        ("cursor=7fffffffffffffff-7fffffffffffffff-00000000", "400"),
        ("cursor=", "400"),
        ("cursor=1%20OR%201=1", "400"),
        ("from=-9223372036854775808", "400"),
        ("limit=1001", "400"),
        ("limit=-1", "400"),
        ("text=%27%3B%20DROP%20TABLE%20recordings%3B--", "200"),
        ("text=%00", "200"),
        ("text=%ff%fe", "400"),
        ("from=0&to=7258118400", "200"),
        ("text=a&text=b", "400"),
    ] {
        let answer = get(&address, &format!("/api/v1/recordings?{query}"), &host);
        assert_eq!(status_of(&answer), status, "{query}: {answer}");
    }
    // A wildcard in the text is a letter like any other.
    for (text, found) in [("rec-0000001", 1), ("%25", 0), ("_ec", 0), ("%5C", 0)] {
        let answer = site.focus.get(&format!("/api/v1/recordings?text={text}")).expect("an answer");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["items"].as_array().map(Vec::len), Some(found), "{text}: {answer}");
    }
}
