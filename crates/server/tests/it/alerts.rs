//! Alerts: who is told of what, once, whatever happens to the server and to the channels.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use serde_json::{Value, json};

use crate::site::{BINARY, LIMIT, Site, no_server_to_end};

/// A key of 32 bytes.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// What a channel's host was sent.
#[derive(Clone, Debug)]
struct Sent {
    path: String,
    headers: Vec<(String, String)>,
    raw: String,
    body: Value,
}

impl Sent {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// What the host answers next.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Code(u16),
    /// Nothing, for longer than anybody waits.
    Hang,
}

/// A host that takes messages.
#[derive(Clone, Debug)]
struct Host {
    address: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Host {
    fn start() -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = Host {
            address: listener.local_addr().expect("an address").to_string(),
            sent: Arc::default(),
            answers: Arc::default(),
        };
        let served = host.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let host = served.clone();
                std::thread::spawn(move || host.serve(stream));
            }
        });
        host
    }

    fn serve(&self, stream: std::net::TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let answer = self.answers.lock().expect("not poisoned").pop_front();
        let code = match answer {
            Some(Answer::Hang) => {
                // Until the other side has had enough.
                let _ = reader.read_to_end(&mut Vec::new());
                return None;
            }
            Some(Answer::Code(code)) => code,
            None => 202,
        };
        let raw = String::from_utf8(body).ok()?;
        let body = serde_json::from_str(&raw).ok()?;
        if code < 300 {
            self.sent.lock().expect("not poisoned").push(Sent { path, headers, raw, body });
        }
        let mut stream = stream;
        write!(stream, "HTTP/1.1 {code} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("not poisoned").clone()
    }

    fn answers(&self, answers: &[Answer]) {
        self.answers.lock().expect("not poisoned").extend(answers);
    }

    /// Waits until so many messages have come.
    async fn until(&self, count: usize) -> Vec<Sent> {
        until(&format!("{count} messages"), LIMIT, || async {
            let sent = self.sent();
            if sent.len() >= count { Ok(()) } else { Err(format!("{sent:#?}")) }
        })
        .await;
        self.sent()
    }
}

/// A channel of the settings file.
fn channel(name: &str, kind: &str, host: &Host, more: &str) -> String {
    let address = &host.address;
    format!(
        "[[alerts.channels]]\nname = {name:?}\nkind = {kind:?}\nurl = \"http://{address}/hidden-path\"\n{more}\n"
    )
}

/// Rules that lose no time.
const QUICK: &str = "[alerts.rules.catalog_down]\nafter_ms = 500\nclear_after_ms = 500\n\
    [alerts.rules.unrecognised_growth]\nclear_after_ms = 500\n\
    [alerts.rules.disk_low]\nenabled = false\n";

/// A site with these alerts; its server runs.
async fn alerted(server: &MongoServer, alerts: &str) -> Site {
    let mut site = Site::with(server, &[]);
    site.focus = with_alerts(server, &site, alerts);
    site.land(5);
    site.focus.serve().await;
    site.converged(server, "node4").await;
    site
}

fn with_alerts(server: &MongoServer, site: &Site, alerts: &str) -> Focus {
    let settings = site.dir.path().join("focus.toml");
    fs::write(&settings, format!("{alerts}{QUICK}")).expect("settings");
    let settings = settings.display().to_string();
    let mut args = server.args();
    args.extend(["--settle-ms", "200", "--config", &settings].map(str::to_owned));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Focus::new(BINARY, site.tree.root(), &site.dir.path().join("state"), &args)
}

/// Time in which a message that must not come would have come.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_heard_by_every_kind_of_channel_and_so_is_its_end() {
    if no_server_to_end("alerts of an outage") {
        return;
    }
    let mut server = MongoServer::start().await;
    let hosts: Vec<Host> = (0..4).map(|_| Host::start()).collect();
    let [slack, pagerduty, webhook, manager] = &hosts[..] else { unreachable!() };
    let settings = [
        channel("chat", "slack", slack, ""),
        channel("duty", "pagerduty", pagerduty, &format!("routing_key = {ROUTING_KEY:?}")),
        channel("hook", "webhook", webhook, &format!("secret = {SECRET:?}")),
        channel("manager", "alertmanager", manager, ""),
    ]
    .concat();
    let mut site = alerted(&server, &settings).await;
    server.kill();
    for host in &hosts {
        host.until(1).await;
    }
    let first = |host: &Host| host.sent()[0].clone();
    let text = first(slack).body["text"].as_str().expect("a text").to_owned();
    assert!(text.starts_with("firing: catalog_down"), "{text}");
    let section = first(slack).body["blocks"][0]["text"]["text"].as_str().map(str::to_owned);
    assert!(section.is_some_and(|text| text.len() <= 3_000 && text.contains("critical")));

    let duty = first(pagerduty).body;
    assert_eq!(
        (&duty["event_action"], &duty["routing_key"]),
        (&json!("trigger"), &json!(ROUTING_KEY))
    );
    let dedup = duty["dedup_key"].as_str().expect("a key").to_owned();
    assert!(dedup.starts_with("focus/") && dedup.contains("/catalog_down/"), "{dedup}");
    assert_eq!(duty["payload"]["severity"], "critical");
    assert!(duty["payload"]["summary"].is_string() && duty["payload"]["source"].is_string());

    let hook = first(webhook);
    is_signed(&hook);
    assert_eq!(hook.header("content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(hook.body["type"], "io.focus-server.alert.firing");
    assert_eq!(hook.body["specversion"], "1.0");
    assert_eq!(
        (&hook.body["id"], &hook.body["subject"]),
        (&json!(hook.header("webhook-id")), &json!(dedup))
    );
    assert_eq!(hook.body["data"]["rule"], "catalog_down");

    let alert = first(manager);
    assert_eq!(alert.path, "/hidden-path/api/v2/alerts");
    assert_eq!(alert.body[0]["labels"]["alertname"], "catalog_down");

    // It is listed, and counted.
    let listed: Value =
        serde_json::from_str(&site.focus.get("/api/v1/alerts").expect("alerts")).expect("JSON");
    assert_eq!(listed["alerts"][0]["rule"], "catalog_down", "{listed:#}");
    let metrics = site.focus.get("/metrics").expect("metrics");
    assert!(metrics.contains("focus_alerts_firing{rule=\"catalog_down\",severity=\"critical\"} 1"));
    let shown = site.focus.run(&["alerts"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("catalog_down"), "{shown:?}");

    server.restart().await;
    for host in &hosts {
        host.until(2).await;
    }
    // That it was caught up with is told once, to those who keep nothing open.
    let recovered = |host: &Host| {
        host.sent().iter().filter(|sent| sent.raw.contains("catalog_recovered")).count()
    };
    for host in [slack, webhook] {
        until("it is told", LIMIT, || async {
            let told = recovered(host);
            if told == 1 { Ok(()) } else { Err(format!("{:#?}", host.sent())) }
        })
        .await;
    }
    let last = |host: &Host| {
        let sent = host.sent();
        let mut down = sent.iter().filter(|sent| sent.raw.contains("catalog_down"));
        down.next_back().expect("a message").clone()
    };
    assert!(
        last(slack).body["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("resolved: catalog_down"))
    );
    let duty = last(pagerduty).body;
    assert_eq!((&duty["event_action"], &duty["dedup_key"]), (&json!("resolve"), &json!(dedup)));
    is_signed(&last(webhook));
    assert_eq!(last(webhook).body["type"], "io.focus-server.alert.resolved");
    assert!(last(webhook).body["data"]["ended"].is_string());
    a_while().await;
    for (host, count) in [(slack, 3), (pagerduty, 2), (webhook, 3)] {
        assert_eq!(host.sent().len(), count, "{:#?}", host.sent());
    }
    assert_eq!(hosts.iter().map(recovered).collect::<Vec<_>>(), [1, 0, 1, 0]);
    // Nothing that the server says shows an address or a key.
    let said = [
        site.focus.log(),
        site.focus.get("/api/v1/alerts").expect("alerts"),
        site.focus.get("/api/v1/status").expect("a status"),
        site.focus.get("/metrics").expect("metrics"),
        String::from_utf8_lossy(&site.focus.run(&["config", "show"]).stdout).into_owned(),
    ];
    for secret in [SECRET, ROUTING_KEY, "hidden-path"] {
        assert!(said.iter().all(|text| !text.contains(secret)), "{secret}: {said:#?}");
    }
    assert_eq!(site.focus.stop(), Some(0));
}

/// The signature of Standard Webhooks 1.0, computed by another program.
fn is_signed(sent: &Sent) {
    let signed =
        format!("{}.{}.{}", sent.header("webhook-id"), sent.header("webhook-timestamp"), sent.raw);
    let script = "printf %s \"$1\" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf %s \"$2\" | base64 -d | od -An -vtx1 | tr -d ' \\n') -binary | base64 -w0";
    let key = SECRET.trim_start_matches("whsec_");
    let signature =
        Command::new("sh").args(["-c", script, "sh", &signed, key]).output().expect("openssl");
    let signature = String::from_utf8_lossy(&signature.stdout).into_owned();
    assert_eq!(sent.header("webhook-signature"), format!("v1,{signature}"), "{sent:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_during_an_outage_repeats_nothing_and_resolves_once() {
    if no_server_to_end("alerts over a kill") {
        return;
    }
    let mut server = MongoServer::start().await;
    let host = Host::start();
    let settings = channel("hook", "webhook", &host, &format!("secret = {SECRET:?}"));
    let mut site = alerted(&server, &settings).await;
    server.kill();
    host.until(1).await;
    // What is stored comes right after what was told.
    until("it is kept", LIMIT, || async {
        let kept = fs::read_to_string(site.state().join("alerts.json")).unwrap_or_default();
        if kept.contains("\"in_doubt\":false") { Ok(()) } else { Err(kept) }
    })
    .await;
    site.focus.kill();
    site.focus.serve().await;
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    a_while().await;
    assert_eq!(host.sent().len(), 1, "{:#?}", host.sent());
    // It ends while the server is off.
    site.focus.kill();
    server.restart().await;
    site.focus.serve().await;
    host.until(2).await;
    a_while().await;
    let sent = host.sent();
    let down: Vec<_> = sent.iter().filter(|sent| sent.raw.contains("catalog_down")).collect();
    assert_eq!(down.len(), 2, "{sent:#?}");
    assert_eq!(down[1].body["type"], "io.focus-server.alert.resolved");
    assert_eq!(down[1].body["subject"], down[0].body["subject"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_refuses_hangs_and_works_again_gets_the_present_once_and_delays_no_other() {
    if no_server_to_end("alerts of a failing channel") {
        return;
    }
    let mut server = MongoServer::start().await;
    let (bad, good) = (Host::start(), Host::start());
    bad.answers(&[Answer::Code(500), Answer::Code(500), Answer::Hang]);
    let settings =
        [channel("bad", "slack", &bad, ""), channel("good", "slack", &good, "")].concat();
    let site = alerted(&server, &settings).await;
    server.kill();
    good.until(1).await;
    assert_eq!(bad.sent().len(), 0);
    until("its failure is listed", LIMIT, || async {
        let listed = site.focus.get("/api/v1/alerts")?;
        let listed: Value = serde_json::from_str(&listed).map_err(|error| error.to_string())?;
        let bad = &listed["channels"][0];
        if bad["state"] == "failing" { Ok(()) } else { Err(format!("{listed:#}")) }
    })
    .await;
    let sent = bad.until(1).await;
    assert!(sent[0].body["text"].as_str().is_some_and(|text| text.starts_with("firing: ")));
    a_while().await;
    assert_eq!((bad.sent().len(), good.sent().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_bad_recordings_are_one_alert_and_a_silence_keeps_it_back() {
    let host = Host::start();
    let mut site = Site::new(&[]);
    let settings = site.dir.path().join("focus.toml");
    fs::write(&settings, format!("{}{QUICK}", channel("chat", "slack", &host, "")))
        .expect("written");
    let settings = settings.display().to_string();
    site.focus = Focus::new(
        BINARY,
        site.tree.root(),
        &site.state(),
        &["--settle-ms", "200", "--config", &settings],
    );
    site.focus.serve().await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    let silence = json!({ "rule": "unrecognised_growth", "for_ms": 600_000 }).to_string();
    let made =
        site.focus.ask("POST", "/api/v1/alerts/silences", &silence, true).expect("an answer");
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    // A first look at what is there, so that the thousand are new.
    a_while().await;
    for at in 0..1_000 {
        fs::write(site.tree.root().join(format!("bad{at}.dat")), "data").expect("written");
    }
    site.focus.until_status("unrecognised", 1_000, LIMIT).await;
    until("it is raised", LIMIT, || async {
        let listed = site.focus.get("/api/v1/alerts")?;
        if listed.contains("unrecognised_growth\",\"severity")
            || listed.contains("\"rule\":\"unrecognised_growth\",")
        {
            Ok(())
        } else {
            Err(listed)
        }
    })
    .await;
    a_while().await;
    assert_eq!(host.sent().len(), 0, "{:#?}", host.sent());
    let path = format!("/api/v1/alerts/silences/{id}");
    assert_eq!(site.focus.ask("DELETE", &path, "", true).expect("an answer").status, 204);
    let sent = host.until(1).await;
    let text = sent[0].body["text"].as_str().expect("a text");
    assert!(text.starts_with("firing: unrecognised_growth"), "{text}");
    a_while().await;
    assert_eq!(host.sent().len(), 1);
    // A rule that there is not, a time that is none, and a caller without the token.
    for (body, code) in
        [(r#"{"rule":"x","for_ms":1}"#, 400), (r#"{"rule":"disk_low","for_ms":0}"#, 400)]
    {
        let answer =
            site.focus.ask("POST", "/api/v1/alerts/silences", body, true).expect("an answer");
        assert_eq!(answer.status, code, "{answer:?}");
    }
    assert_eq!(
        site.focus.ask("POST", "/api/v1/alerts/silences", &silence, false).expect("it").status,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_tried_out_and_says_what_came_back() {
    let host = Host::start();
    let site = Site::new(&[]);
    let settings = site.dir.path().join("focus.toml");
    fs::write(&settings, channel("chat", "slack", &host, "")).expect("written");
    let path = settings.display().to_string();
    let test = |more: &[&str]| {
        let args = [&["alert", "test"][..], more, &["--config", &path]].concat();
        Command::new(BINARY).args(args).output().expect("it runs")
    };
    let tested = test(&["chat"]);
    assert_eq!(tested.status.code(), Some(0), "{tested:?}");
    assert!(host.sent()[0].body["text"].as_str().is_some_and(|text| text.starts_with("test: ")));
    host.answers(&[Answer::Code(404)]);
    let refused = test(&[]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(said.contains("404") && !said.contains("hidden-path"), "{said}");
    assert_eq!(test(&["nobody"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_shows_one_alert_and_then_none() {
    if no_server_to_end("an Alertmanager") {
        return;
    }
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("prometheus-alertmanager"))
        .find(|path| path.is_file());
    let Some(program) = found else {
        return println!(
            "left out, needs Alertmanager (`apt-get install prometheus-alertmanager`)"
        );
    };
    let mut server = MongoServer::start().await;
    let dir = tempfile::tempdir().expect("a folder");
    let port = focus_testkit::mongo::free_port();
    let config = dir.path().join("alertmanager.yml");
    fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n").expect("written");
    let mut manager = Command::new(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", dir.path().display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let settings = format!(
        "[[alerts.channels]]\nname = \"manager\"\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:{port}\"\n"
    );
    let site = alerted(&server, &settings).await;
    let address = format!("127.0.0.1:{port}");
    let active = || {
        let answer =
            focus_testkit::focus::ask(&address, "GET", "/api/v2/alerts?active=true", "", "")?;
        let alerts: Value =
            serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        Ok::<_, String>(alerts.as_array().cloned().unwrap_or_default())
    };
    server.kill();
    until("it shows the alert", LIMIT, || async {
        match active()?.as_slice() {
            [one] if one["labels"]["alertname"] == "catalog_down" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    server.restart().await;
    until("it shows none", LIMIT, || async {
        let active = active()?;
        if active.is_empty() { Ok(()) } else { Err(format!("{active:?}")) }
    })
    .await;
    drop(site);
    let _ = manager.kill();
    let _ = manager.wait();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_heard_by_mail_in_one_thread() {
    if no_server_to_end("alerts by mail") {
        return;
    }
    let there = Command::new("smtp-sink").arg("-h").stderr(Stdio::null()).status().is_ok();
    if !there {
        return println!("left out, needs smtp-sink (`apt-get install postfix`): alerts by mail");
    }
    let mut server = MongoServer::start().await;
    let dir = tempfile::tempdir().expect("a folder");
    let (port, mailbox) = (focus_testkit::mongo::free_port(), dir.path().join("mailbox"));
    // It asks whom to be where root runs it.
    let user: &[&str] = if rustix::process::getuid().is_root() { &["-u", "root"] } else { &[] };
    let mut sink = Command::new("smtp-sink")
        .args(user)
        .args(["-D", &mailbox.display().to_string(), &format!("127.0.0.1:{port}"), "16"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let settings = format!(
        "[[alerts.channels]]\nname = \"mail\"\nkind = \"email\"\nsmtp_url = \"smtp://127.0.0.1:{port}\"\n\
         from = \"focus@site.example\"\nto = [\"ops@site.example\", \"Duty <duty@site.example>\"]\n"
    );
    let site = alerted(&server, &settings).await;
    let holds = async |words: &str| {
        until(words, LIMIT, || async {
            let text = fs::read_to_string(&mailbox).unwrap_or_default();
            if text.contains(words) { Ok(()) } else { Err(format!("{text}\n{}", site.focus.log())) }
        })
        .await;
    };
    server.kill();
    holds("firing: catalog_down").await;
    server.restart().await;
    holds("resolved: catalog_down").await;
    holds("firing: catalog_recovered").await;
    a_while().await;
    let text = fs::read_to_string(&mailbox).expect("a mailbox");
    let values = |name: &str| -> Vec<String> {
        let found = text.lines().filter_map(|line| line.strip_prefix(name));
        found.map(|value| value.trim().to_owned()).collect()
    };
    let ids = values("Message-ID:");
    assert_eq!(ids.len(), 3, "{text}");
    let subjects = values("Subject:");
    assert_eq!(subjects.iter().filter(|subject| *subject == "[focus] catalog_down").count(), 2);
    assert!(subjects.contains(&"[focus] catalog_recovered".to_owned()), "{text}");
    assert_eq!(values("In-Reply-To:"), [ids[0].clone()], "{text}");
    assert_eq!(values("From:"), ["focus@site.example"; 3]);
    assert!(values("To:")[0].contains("duty@site.example"), "{text}");
    let _ = sink.kill();
    let _ = sink.wait();
}
