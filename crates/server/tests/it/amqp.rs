//! Hints by AMQP: from a message to a document, through outages of the broker.

use focus_testkit::amqp::RabbitMq;
use focus_testkit::wait::until;

use crate::nats::{queue, until_queue};
use crate::site::LIMIT;
use crate::unwatched::Unwatched;

/// A broker takes a minute to start where there is much to do: it has one test.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_amqp_bring_recordings_in_on_two_servers_also_after_the_broker_was_killed() {
    let Some(mut broker) = RabbitMq::start().await else {
        return println!(
            "left out, needs RabbitMQ and amqp-publish (`apt-get install rabbitmq-server amqp-tools`): hints by AMQP"
        );
    };
    let settings = |name: &str| {
        let binding = "exchange = \"amq.topic\"\nrouting_key = \"focus.#\"";
        let url = format!("amqp://guest:guest@{}/%2F", broker.address());
        format!(
            "[[hints.amqp]]\nname = \"{name}\"\nurl = \"{url}\"\nqueue = \"hints-{{server}}\"\n{binding}\n"
        )
    };
    let mut sites = [Unwatched::new(&settings("one")), Unwatched::new(&settings("other"))];
    for site in &mut sites {
        // The queue is not there: it is made, and bound.
        site.serve().await;
        until_queue(site, "connected").await;
        site.land("a/json");
        site.land("b c/structured");
    }
    broker.publish("amq.topic", "focus.a", "application/json", br#"{"paths": ["a/json.dat"]}"#);
    let event = br#"{"specversion": "1.0", "subject": "b c/structured.dat"}"#;
    broker.publish("amq.topic", "focus.b.c", "application/cloudevents+json", event);
    // What is no hint is counted, and stops nothing.
    broker.publish("amq.topic", "focus.c", "application/json", b"{");
    broker.publish("amq.topic", "focus.c", "", &vec![b'x'; (1 << 20) + 1]);
    for site in &sites {
        site.until_documents(&["a/json.dat", "b c/structured.dat"], LIMIT).await;
        until("all have come", LIMIT, || async {
            let queue = queue(site, 0)?;
            let is_all =
                queue["received"].as_u64() >= Some(4) && queue["accepted"].as_u64() >= Some(2);
            if is_all { Ok(()) } else { Err(queue.to_string()) }
        })
        .await;
    }
    // The queue of a server that is not there keeps what comes, also while the broker is killed.
    assert_eq!(sites[1].focus.stop(), Some(0));
    broker.publish("amq.topic", "focus.d", "text/plain", b"kept.dat");
    sites[0].land("kept");
    sites[1].land("kept");
    sites[0].until_documents(&["a/json.dat", "b c/structured.dat", "kept.dat"], LIMIT).await;
    broker.kill();
    until_queue(&sites[0], "failing").await;
    broker.restart().await;
    until_queue(&sites[0], "connected").await;
    sites[1].serve().await;
    until("what was kept has come", LIMIT, || async {
        let queue = queue(&sites[1], 0)?;
        if queue["accepted"].as_u64() >= Some(1) { Ok(()) } else { Err(queue.to_string()) }
    })
    .await;
    for site in &sites {
        site.land("late");
    }
    broker.publish("amq.topic", "focus.e", "", b"late.json\n");
    for site in &sites {
        let wanted = ["a/json.dat", "b c/structured.dat", "kept.dat", "late.dat"];
        site.until_documents(&wanted, LIMIT).await;
    }
    assert!(sites[0].counted("amqp", "accepted") >= 4);

    // A queue that somebody has made is taken as it is: here the one of the first server.
    let name = std::fs::read_to_string(sites[0].dir.path().join("state/identity")).expect("a name");
    let blocks = crate::documented_hints::blocks("### AMQP");
    let settings = blocks[0].replace("127.0.0.1:5672", &broker.address());
    assert_eq!(sites[0].focus.stop(), Some(0));
    let mut third =
        Unwatched::new(&settings.replace("focus-{server}", &format!("hints-{}", name.trim())));
    third.serve().await;
    until_queue(&third, "connected").await;
    // The example of the documents, as it is written.
    third.land("2024/05/r1");
    crate::documented_hints::run(&blocks[1].replace("127.0.0.1:5672", &broker.address()), "");
    third.until_documents(&["2024/05/r1.dat"], LIMIT).await;
}
