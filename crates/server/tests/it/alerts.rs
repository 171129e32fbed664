//! Alerts: who is told of what, once, whatever happens to the server and to the channels.

use std::fs;
use std::process::{Command, Stdio};

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use serde_json::{Value, json};

use crate::alert_host::{
    Answer, Host, QUICK, ROUTING_KEY, SECRET, a_while, alerted, channel, is_signed,
};
use crate::site::{BINARY, LIMIT, Site, no_server_to_end};

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
    assert_eq!(listed["items"][0]["rule"], "catalog_down", "{listed:#}");
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
        if listed.contains("\"rule\":\"unrecognised_growth\",") { Ok(()) } else { Err(listed) }
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
