//! Hints by NATS: from a message to a document, through outages of the broker.

use std::time::Duration;

use focus_testkit::nats::NatsServer;
use focus_testkit::wait::until;
use serde_json::Value;

use crate::site::LIMIT;
use crate::unwatched::Unwatched;

/// A server of its own; none, and the test says so, where NATS is not installed.
async fn server(test: &str) -> Option<NatsServer> {
    let server = NatsServer::start().await;
    if server.is_none() {
        println!("left out, needs nats-server (`apt-get install nats-server`): {test}");
    }
    server
}

fn core(server: &NatsServer) -> String {
    format!(
        "[[hints.nats]]\nname = \"core\"\nurl = \"nats://{}\"\nsubject = \"focus.>\"\n",
        server.address()
    )
}

fn jetstream(server: &NatsServer) -> String {
    let durable = "stream = \"FOCUS\"\ndurable = \"focus-{server}\"";
    format!(
        "[[hints.nats]]\nname = \"stream\"\nurl = \"nats://{}\"\nsubject = \"focus.>\"\n{durable}\n",
        server.address()
    )
}

pub(crate) fn queue(site: &Unwatched, at: usize) -> Result<Value, String> {
    Ok(site.focus.status()?["hints"][at].clone())
}

pub(crate) async fn until_queue(site: &Unwatched, state: &str) {
    until(&format!("the queue is {state}"), LIMIT, || async {
        let queue = queue(site, 0)?;
        if queue["state"] == state { Ok(()) } else { Err(format!("{queue}\n{}", site.focus.log())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_nats_bring_recordings_in_also_after_the_broker_was_killed() {
    let Some(mut nats) = server("hints by NATS").await else { return };
    let mut site = Unwatched::new(&core(&nats));
    site.serve().await;
    until_queue(&site, "connected").await;
    site.land("a/json");
    nats.publish("focus.a", &[], br#"{"paths": ["a/json.dat"]}"#);
    site.until_documents(&["a/json.dat"], LIMIT).await;
    site.land("b c/binary");
    let headers = [("ce-specversion", "1.0"), ("ce-subject", "b%20c/binary.dat")];
    nats.publish("focus.b", &headers, b"");
    site.until_documents(&["a/json.dat", "b c/binary.dat"], LIMIT).await;
    // What is no hint is counted, and stops nothing.
    nats.publish("focus.c", &[], b"{");
    nats.publish("focus.c", &[], &vec![b'x'; 1_000_000]);
    until("all have come", LIMIT, || async {
        let queue = queue(&site, 0)?;
        if queue["received"] == 4 { Ok(()) } else { Err(queue.to_string()) }
    })
    .await;

    nats.kill();
    until_queue(&site, "failing").await;
    let failing = queue(&site, 0).expect("a status");
    assert!(failing["reason"].as_str().is_some_and(|words| !words.is_empty()), "{failing}");
    nats.restart().await;
    until_queue(&site, "connected").await;
    site.land("late");
    nats.publish("focus.d", &[], b"late.json\n");
    site.until_documents(&["a/json.dat", "b c/binary.dat", "late.dat"], LIMIT).await;
    let queue = queue(&site, 0).expect("a status");
    assert_eq!((&queue["name"], &queue["kind"]), (&"core".into(), &"nats".into()));
    assert_eq!((&queue["received"], &queue["accepted"]), (&5.into(), &3.into()), "{queue}");
    assert!(queue["reason"].is_null(), "{queue}");
    assert_eq!((site.counted("nats", "accepted"), site.counted("nats", "ignored")), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_with_durables_of_their_own_both_see_every_hint_of_a_stream() {
    let Some(mut nats) = server("hints by JetStream").await else { return };
    let settings = jetstream(&nats);
    let (mut one, mut other) = (Unwatched::new(&settings), Unwatched::new(&settings));
    one.serve().await;
    // The stream is made by somebody else, and may come late.
    until_queue(&one, "failing").await;
    nats.make_stream("FOCUS", "focus.>");
    other.serve().await;
    let mut wanted = Vec::new();
    for (n, is_killed) in [(0, false), (1, true), (2, false)] {
        until_queue(&one, "connected").await;
        until_queue(&other, "connected").await;
        if is_killed {
            nats.kill();
            until_queue(&one, "failing").await;
            nats.restart().await;
        }
        let path = format!("r{n}");
        one.land(&path);
        other.land(&path);
        // The stream keeps it until both have it, also where none of them is connected.
        nats.publish("focus.x", &[], format!("{path}.dat").as_bytes());
        wanted.push(format!("{path}.dat"));
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        one.until_documents(&names, LIMIT).await;
        other.until_documents(&names, LIMIT).await;
    }
    // What was acknowledged does not come again.
    for site in [&mut one, &mut other] {
        assert_eq!(site.focus.stop(), Some(0));
        site.serve().await;
        until_queue(site, "connected").await;
        site.land("last");
    }
    nats.publish("focus.x", &[], b"last.dat");
    for site in [&one, &other] {
        until("the last hint came", LIMIT, || async {
            let queue = queue(site, 0)?;
            if queue["received"] == 1 { Ok(()) } else { Err(queue.to_string()) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_a_broker_turns_up_nowhere() {
    let Some(nats) = server("secrets of NATS").await else { return };
    let address = nats.address();
    drop(nats);
    let site = Unwatched::new("");
    let file = site.dir.path().join("url");
    std::fs::write(&file, format!("nats://user:hunter22-{{}}@{address}\n")).expect("an address");
    site.settings(&format!(
        "log = \"trace\"\n[[hints.nats]]\nname = \"q\"\nurl_file = {file:?}\nsubject = \"s\"\n"
    ));
    let mut site = site;
    site.serve().await;
    until_queue(&site, "failing").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let shown = site.focus.run(&["config", "show", "--json"]);
    let status = site.focus.status().expect("a status").to_string();
    let all = [site.focus.log(), status, String::from_utf8_lossy(&shown.stdout).into_owned()];
    assert!(all[2].contains("url_file"), "{}", all[2]);
    all.iter().for_each(|text| assert!(!text.contains("hunter22"), "{text}"));
}
