//! Hints by MQTT: from a message to a document, through outages of the broker.

use focus_testkit::mqtt::Mosquitto;
use focus_testkit::wait::until;

use crate::nats::{queue, until_queue};
use crate::site::LIMIT;
use crate::unwatched::Unwatched;

/// A broker of its own; none, and the test says so, where mosquitto is not installed.
async fn broker(test: &str, configuration: &str) -> Option<Mosquitto> {
    let broker = Mosquitto::start(configuration).await;
    if broker.is_none() {
        println!("left out, needs mosquitto (`apt-get install mosquitto`): {test}");
    }
    broker
}

fn settings(broker: &Mosquitto) -> String {
    format!(
        "[[hints.mqtt]]\nname = \"lab\"\nurl = \"mqtt://{}\"\ntopic = \"focus/#\"\n",
        broker.address()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_mqtt_bring_recordings_in_also_after_the_broker_was_killed() {
    let Some(mut broker) = broker("hints by MQTT", "").await else { return };
    let mut site = Unwatched::new(&settings(&broker));
    site.serve().await;
    until_queue(&site, "connected").await;
    site.land("a/json");
    broker.publish("focus/a", &[], &[br#"{"paths": ["a/json.dat"]}"#]);
    site.until_documents(&["a/json.dat"], LIMIT).await;
    site.land("b c/binary");
    let event = [("specversion", "1.0"), ("subject", "b%20c/binary.dat"), ("source", "/s")];
    broker.publish("focus/b/c", &event, &[b""]);
    site.until_documents(&["a/json.dat", "b c/binary.dat"], LIMIT).await;
    // What is no hint is counted, and stops nothing.
    broker.publish("focus/c", &[], &[b"{", &vec![b'\n'; 1 << 20], &vec![b'x'; (1 << 20) + 1]]);
    until("all have come", LIMIT, || async {
        let queue = queue(&site, 0)?;
        if queue["received"].as_u64() >= Some(5) { Ok(()) } else { Err(queue.to_string()) }
    })
    .await;

    broker.kill();
    until_queue(&site, "failing").await;
    broker.restart().await;
    until_queue(&site, "connected").await;
    site.land("late");
    broker.publish("focus/d", &[], &[b"late.json\n"]);
    site.until_documents(&["a/json.dat", "b c/binary.dat", "late.dat"], LIMIT).await;
    let queue = queue(&site, 0).expect("a status");
    assert_eq!((&queue["name"], &queue["kind"]), (&"lab".into(), &"mqtt".into()));
    // A broker that was killed may send again what was acknowledged.
    assert!(
        queue["received"].as_u64() >= Some(6) && queue["accepted"].as_u64() >= Some(3),
        "{queue}"
    );
    assert!(site.counted("mqtt", "accepted") >= 3 && site.counted("mqtt", "ignored") >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_both_get_what_mqtt_has_kept_for_them() {
    let Some(broker) = broker("sessions of MQTT", "").await else { return };
    let settings = settings(&broker);
    let mut sites = [Unwatched::new(&settings), Unwatched::new(&settings)];
    for site in &mut sites {
        site.serve().await;
        until_queue(site, "connected").await;
        assert_eq!(site.focus.stop(), Some(0));
    }
    // Both sessions outlast their connections.
    broker.publish("focus/x", &[], &[b"kept-1.dat", b"kept-2.dat"]);
    for site in &mut sites {
        site.serve().await;
        until("what was kept has come", LIMIT, || async {
            let queue = queue(site, 0)?;
            if queue["accepted"] == 2 { Ok(()) } else { Err(queue.to_string()) }
        })
        .await;
        // The hints wait for their files.
        site.land("kept-1");
        site.land("kept-2");
        site.until_documents(&["kept-1.dat", "kept-2.dat"], LIMIT).await;
        // What was acknowledged does not come again.
        assert_eq!(site.focus.stop(), Some(0));
        site.serve().await;
        until_queue(site, "connected").await;
        assert_eq!(queue(site, 0).expect("a status")["received"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_mqtt_that_refuses_is_told_with_the_reason() {
    let Some(broker) = broker("refusals of MQTT", "allow_anonymous false").await else { return };
    let mut site = Unwatched::new(&format!(
        "[[hints.mqtt]]\nname = \"q\"\nurl = \"mqtt://user:hunter22@{}\"\ntopic = \"a\"\n",
        broker.address()
    ));
    site.serve().await;
    until("the refusal is told", LIMIT, || async {
        let queue = queue(&site, 0)?;
        let reason = queue["reason"].as_str().unwrap_or_default();
        if reason.contains("refuses the connection") { Ok(()) } else { Err(queue.to_string()) }
    })
    .await;
    assert!(!site.focus.log().contains("hunter22"));
}
