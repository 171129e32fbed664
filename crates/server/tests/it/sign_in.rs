//! Signing in to the page: tokens, codes, cookies, and what keeps a session its own.

use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::wait::until;
use serde_json::Value;

use crate::security::{address, token};
use crate::site::{BINARY, LIMIT, Site};
use crate::visitor::{Seen, Visitor};

const READER: &str = "reads-and-nothing-else";
const OPERATOR: &str = "reads-and-operates-here";
const HINTER: &str = "tells-hints-and-nothing";

/// A server with lasting tokens, whose settings begin with these lines.
async fn site(lines: &str) -> Site {
    let mut site = Site::new(&[]);
    write(&site, lines, &[("reader", READER), ("operator", OPERATOR), ("hinter", HINTER)]);
    let file = site.dir.path().join("focus.toml").display().to_string();
    let args = ["--settle-ms", "200", "--config", &file];
    site.focus = Focus::new(BINARY, site.tree.root(), &site.state(), &args);
    site.focus.serve().await;
    site
}

fn write(site: &Site, lines: &str, tokens: &[(&str, &str)]) {
    let mut text = lines.to_owned();
    for (name, token) in tokens {
        let file = site.dir.path().join(format!("{name}.token"));
        std::fs::write(&file, token).expect("a token");
        let allow = match *name {
            "reader" => "\"read\"",
            "operator" => "\"read\", \"operate\"",
            _ => "\"hints\"",
        };
        let file = file.display();
        text.push_str(&format!(
            "[[tokens]]\nname = \"{name}\"\ntoken_file = \"{file}\"\nallow = [{allow}]\n"
        ));
    }
    std::fs::write(site.dir.path().join("focus.toml"), text).expect("settings");
}

fn scan(visitor: &mut Visitor, headers: &str) -> Seen {
    let headers = format!("Content-Type: application/json\r\n{headers}");
    visitor.ask("POST", "/api/v1/jobs", &headers, "{\"kind\":\"scan\"}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_begins_a_session_with_two_cookies_that_no_script_reads() {
    let site = site("").await;
    let address = address(&site);
    let mut visitor = Visitor::of(&address);
    let form = visitor.get("/sign-in?next=%2Fheld%3Flimit%3D5");
    assert_eq!(form.status, 200, "{form:?}");
    assert!(form.body.contains("value=\"/held?limit=5\""), "{}", form.body);
    let fields = [("token", OPERATOR), ("next", "/held?limit=5")];
    let seen = visitor.post("/sign-in", &fields, &format!("Origin: http://{address}\r\n"));
    assert_eq!((seen.status, seen.location()), (303, "/held?limit=5"), "{seen:?}");
    let cookies = seen.all("set-cookie");
    let of = |part: &str| {
        *cookies.iter().find(|cookie| cookie.contains(part)).unwrap_or_else(|| panic!("{seen:?}"))
    };
    for (name, site) in [("focus-reading", "SameSite=Lax"), ("focus-changing", "SameSite=Strict")] {
        let cookie = of(name);
        assert!(cookie.contains(site) && cookie.contains("HttpOnly"), "{cookie}");
        assert!(cookie.contains("Path=/") && !cookie.contains("Secure"), "{cookie}");
        assert!(!cookie.contains(OPERATOR) && !cookie.contains("Domain"), "{cookie}");
    }
    let page = visitor.get("/");
    assert!(page.body.contains("Sign out"), "{}", page.body);
    assert!(!page.body.contains(OPERATOR) && !site.focus.log().contains(OPERATOR));

    let csrf = page.csrf();
    let refused = visitor.post("/sign-out", &[("csrf", "another")], "");
    assert_eq!(refused.status, 403, "{refused:?}");
    let kept = visitor.cookies.clone();
    let out = visitor.post("/sign-out", &[("csrf", &csrf)], "");
    assert_eq!((out.status, out.location()), (303, "/"), "{out:?}");
    assert!(visitor.cookies.is_empty(), "{:?}", visitor.cookies);
    visitor.cookies = kept;
    assert!(visitor.get("/").body.contains("Sign in"), "the session is over on the server too");
    let csrf = format!("Focus-Csrf: {csrf}\r\n");
    assert_eq!(scan(&mut visitor, &csrf).status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changing_call_needs_the_changing_cookie_and_the_value_of_that_very_session() {
    let site = site("").await;
    let address = address(&site);
    let mut visitor = Visitor::signed_in(&address, OPERATOR);
    let mut other = Visitor::signed_in(&address, OPERATOR);
    let header = |seen: &Seen| format!("Focus-Csrf: {}\r\n", seen.csrf());
    let (mine, theirs) = (header(&visitor.get("/")), header(&other.get("/")));
    for wrong in ["", "Focus-Csrf: \r\n", "Focus-Csrf: no\r\n", &theirs] {
        let seen = scan(&mut visitor, wrong);
        assert_eq!(seen.status, 403, "{wrong}: {seen:?}");
        assert!(seen.body.contains("/docs#error-no-csrf"), "{seen:?}");
    }
    let seen = scan(&mut visitor.only("reading"), &mine);
    assert_eq!(seen.status, 401, "what a link carries changes nothing: {seen:?}");
    for from in ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        let seen = scan(&mut visitor, &format!("{mine}{from}"));
        assert_eq!(seen.status, 403, "{seen:?}");
        assert!(seen.body.contains("/docs#error-other-site"), "{seen:?}");
    }
    let navigates = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n";
    for path in ["/sign-in", "/sign-out"] {
        let seen = visitor.post(path, &[("token", READER)], navigates);
        assert_eq!(seen.status, 403, "a form of another site: {seen:?}");
        assert!(seen.all("set-cookie").is_empty(), "{seen:?}");
    }
    assert_eq!(scan(&mut visitor, &mine).status, 202);
    assert_eq!(scan(&mut visitor.only("changing"), &mine).status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_may_what_its_token_may() {
    let site = site("").await;
    let address = address(&site);
    let mut reader = Visitor::signed_in(&address, READER);
    let csrf = format!("Focus-Csrf: {}\r\n", reader.get("/").csrf());
    let seen = scan(&mut reader, &csrf);
    assert_eq!(seen.status, 403, "{seen:?}");
    assert!(seen.body.contains("/docs#error-no-right"), "{seen:?}");
    let mut visitor = Visitor::of(&address);
    for (token, status) in [(HINTER, 403), ("no-token-of-this-server", 401), ("", 401)] {
        let seen = visitor.post("/sign-in", &[("token", token)], "");
        assert_eq!(seen.status, status, "{seen:?}");
        assert!(seen.body.contains("type=\"password\""), "the form again: {}", seen.body);
        assert!(seen.all("set-cookie").is_empty(), "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_leads_to_no_other_host() {
    let site = site("").await;
    let address = address(&site);
    for next in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\r\nLocation: //evil.example",
        "evil.example",
    ] {
        let mut visitor = Visitor::of(&address);
        let seen = visitor.post("/sign-in", &[("token", OPERATOR), ("next", next)], "");
        assert_eq!((seen.status, seen.location()), (303, "/"), "{next:?}: {seen:?}");
        assert_eq!(seen.all("location").len(), 1, "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_token_and_with_the_server() {
    let mut site = site("").await;
    let address = address(&site);
    let mut visitor = Visitor::signed_in(&address, OPERATOR);
    let mut own = Visitor::signed_in(&address, &token(&site));
    let csrf = format!("Focus-Csrf: {}\r\n", visitor.get("/").csrf());
    assert_eq!(scan(&mut visitor, &csrf).status, 202);
    write(&site, "", &[("reader", READER)]);
    site.focus.hang_up();
    until("the session is over", LIMIT, || {
        let seen = scan(&mut visitor, &csrf);
        async move { if seen.status == 401 { Ok(()) } else { Err(format!("{seen:?}")) } }
    })
    .await;
    assert!(visitor.get("/").body.contains("Sign in"));
    assert!(own.get("/").body.contains("Sign out"));
    site.focus.stop();
    site.focus.serve().await;
    let kept = own.cookies;
    let mut own = Visitor::of(&crate::security::address(&site));
    // The new server may have another port, and so other names for cookies.
    let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
    let (before, now) = (port(&address), port(&crate::security::address(&site)));
    let renamed = |name: String| {
        name.replace(&before.clone().unwrap_or_default(), &now.clone().unwrap_or_default())
    };
    own.cookies = kept.into_iter().map(|(name, value)| (renamed(name), value)).collect();
    assert!(own.get("/").body.contains("Sign in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_reading_needs_a_token_a_page_leads_to_signing_in() {
    let site = site("read_needs_token = true\n").await;
    let address = address(&site);
    let mut visitor = Visitor::of(&address);
    for (path, next) in [("/", "%2F"), ("/held?limit=5", "%2Fheld%3Flimit%3D5")] {
        let seen = visitor.get(path);
        let wanted = format!("/sign-in?next={next}");
        assert_eq!((seen.status, seen.location()), (303, wanted.as_str()), "{seen:?}");
    }
    let seen = visitor.post("/held", &[("csrf", "x")], "");
    assert_eq!((seen.status, seen.location()), (303, "/sign-in?next=%2Fheld"), "{seen:?}");
    for path in ["/api/v1/status", "/api/v1/events", "/metrics", "/recordings_in_time_range"] {
        assert_eq!(visitor.get(path).status, 401, "{path}");
    }
    let form = visitor.get("/sign-in");
    assert_eq!(form.status, 200, "{form:?}");
    assert!(!form.body.contains("data-field"), "it says nothing of the server: {}", form.body);
    let (_, style) = form.body.split_once("href=\"/page/style.css").expect("a style sheet");
    let style = format!("/page/style.css{}", style.split('"').next().unwrap_or_default());
    assert_eq!(visitor.get(&style).status, 200);
    assert_eq!(visitor.get("/page/live.js").status, 200);

    let seen = visitor.post("/sign-in", &[("token", READER), ("next", "/held")], "");
    assert_eq!((seen.status, seen.location()), (303, "/held"), "{seen:?}");
    assert_eq!(visitor.get("/held").status, 200);
    assert_eq!(visitor.only("reading").get("/api/v1/status").status, 200);
    assert_eq!(visitor.only("changing").get("/api/v1/status").status, 401);
    let events = visitor.ask("HEAD", "/api/v1/events", "", "");
    assert_eq!(events.status, 200, "{events:?}");
    let mut elsewhere = visitor.only("reading");
    let seen = elsewhere.ask("GET", "/api/v1/status", "Sec-Fetch-Site: cross-site\r\n", "");
    assert_eq!(seen.status, 403, "another site reads nothing by the cookie: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_focus_open_signs_in_once() {
    let site = site("").await;
    let address = address(&site);
    let output = site.focus.run(&["open", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let opened = said["address"].as_str().expect("an address");
    let path = opened.strip_prefix(&format!("http://{address}")).expect("this server's");
    assert!(path.starts_with("/sign-in?code=") && !path.contains(&token(&site)), "{path}");
    let mut visitor = Visitor::of(&address);
    let seen = visitor.ask("HEAD", path, "", "");
    assert_eq!(seen.status, 200, "it uses nothing up: {seen:?}");
    let seen = visitor.ask("GET", path, "Sec-Purpose: prefetch\r\n", "");
    assert!(seen.all("set-cookie").is_empty(), "{seen:?}");
    let seen = visitor.get(path);
    assert_eq!((seen.status, seen.location()), (303, "/"), "{seen:?}");
    let csrf = format!("Focus-Csrf: {}\r\n", visitor.get("/").csrf());
    assert_eq!(scan(&mut visitor, &csrf).status, 202);
    let seen = Visitor::of(&address).get(path);
    assert_eq!(seen.status, 401, "{seen:?}");
    assert!(seen.body.contains("focus open") && seen.all("set-cookie").is_empty(), "{seen:?}");

    let printed = site.focus.run(&["open"]);
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.starts_with(&format!("http://{address}/sign-in?code=")), "{printed}");
    let code = visitor.ask("POST", "/api/v1/sign-in-codes", "", "");
    assert_eq!(code.status, 403, "not without the value of the session: {code:?}");
    assert_eq!(Visitor::of(&address).ask("POST", "/api/v1/sign-in-codes", "", "").status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_tokens_is_slowed_and_keeps_nobody_out() {
    let site = site("").await;
    let address = address(&site);
    let began = Instant::now();
    let guess = || {
        let address = address.clone();
        std::thread::spawn(move || {
            let wrong = [("token", "no-token-of-this-server")];
            Visitor::of(&address).post("/sign-in", &wrong, "").status
        })
    };
    let guesses: Vec<_> = (0..100).map(|_| guess()).collect();
    // The same address as theirs, and while they wait: it takes its time, and lets its person in.
    let mut visitor = Visitor::signed_in(&address, OPERATOR);
    assert!(visitor.get("/").body.contains("Sign out"));
    assert_eq!(site.focus.get("/ack").as_deref(), Ok("{}"));
    for guess in guesses {
        assert_eq!(guess.join().expect("answered"), 401);
    }
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
}
