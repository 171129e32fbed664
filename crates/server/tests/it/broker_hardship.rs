//! Queues in hardship, for each broker: connections that are cut or silent, certificates, the catalog away, and messages
//! that cannot be read.

use std::fs;

use focus_testkit::amqp::RabbitMq;
use focus_testkit::certificates::Authority;
use focus_testkit::mqtt::Mosquitto;
use focus_testkit::nats::NatsServer;
use focus_testkit::proxy::{Mode, Proxy};
use focus_testkit::wait::until;

use crate::nats::{queue, until_queue};
use crate::site::LIMIT;
use crate::unwatched::Unwatched;

/// What the settings of a queue hold besides name and address.
const NATS: &str = "subject = \"focus.>\"";
const JETSTREAM: &str = "subject = \"focus.>\"\nstream = \"FOCUS\"\ndurable = \"focus-{server}\"";
const MQTT: &str = "topic = \"focus/#\"";
const AMQP: &str =
    "queue = \"hints-{server}\"\nexchange = \"amq.topic\"\nrouting_key = \"focus.#\"";

/// A server that listens to one queue.
async fn site(kind: &str, url: &str, more: &str) -> Unwatched {
    let queue = format!("[[hints.{kind}]]\nname = \"q\"\nurl = \"{url}\"\n{more}\n");
    let mut site = Unwatched::new(&queue);
    site.serve().await;
    site
}

/// A hint that comes now is taken, and its recording joins those that are there.
async fn takes(site: &Unwatched, there: &mut Vec<String>, publish: impl Fn(&str)) {
    let path = format!("r{}", there.len());
    until_queue(site, "connected").await;
    site.land(&path);
    publish(&format!("{path}.dat"));
    there.push(format!("{path}.dat"));
    let wanted: Vec<&str> = there.iter().map(String::as_str).collect();
    site.until_documents(&wanted, LIMIT).await;
}

/// A connection through a proxy that is cut, and one on which nothing comes any more, are made again.
async fn is_made_again(site: &Unwatched, proxy: &Proxy, publish: impl Fn(&str)) {
    let mut there = Vec::new();
    takes(site, &mut there, &publish).await;
    for mode in [Mode::Reset, Mode::BlackHole, Mode::Refuse] {
        proxy.set(mode);
        until_queue(site, "failing").await;
        proxy.set(Mode::Pass);
        takes(site, &mut there, &publish).await;
    }
    let there: Vec<&str> = there.iter().map(String::as_str).collect();
    site.outage(&there, publish).await;
}

/// A certificate of an authority that is not named is told; once the file names it, hints are taken.
async fn trusts(kind: &str, url: &str, more: &str, authority: &Authority, publish: impl Fn(&str)) {
    let other = Authority::make().expect("another one");
    let file = other.ca_file().with_extension("trusted");
    fs::copy(other.ca_file(), &file).expect("copied");
    let ca = format!("{more}\nca_file = {file:?}");
    let site = site(kind, url, &ca).await;
    told(&site, &format!("signed by none of those in {}", file.display())).await;
    fs::write(&file, "").expect("written");
    told(&site, "no certificate in PEM").await;
    fs::copy(authority.ca_file(), &file).expect("copied");
    takes(&site, &mut Vec::new(), publish).await;
    assert!(!site.focus.log().contains("hunter22"), "{}", site.focus.log());
    assert!(!site.focus.status().expect("a status").to_string().contains("hunter22"));
}

/// The queue fails with these words.
async fn told(site: &Unwatched, words: &str) {
    until(words, LIMIT, || async {
        let queue = queue(site, 0)?;
        let reason = queue["reason"].as_str().unwrap_or_default();
        if reason.contains(words) { Ok(()) } else { Err(queue.to_string()) }
    })
    .await;
}

fn left_out(what: &str) {
    println!("left out, needs the broker and openssl: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_nats_that_is_cut_or_silent_is_made_again() {
    let Some(nats) = NatsServer::start().await else { return left_out("a proxy before NATS") };
    nats.make_stream("FOCUS", "focus.>");
    let publish = |path: &str| nats.publish("focus.x", &[], path.as_bytes());
    for more in [NATS, JETSTREAM] {
        let proxy = Proxy::start(nats.port()).await;
        let site = site("nats", &format!("nats://{}", proxy.address()), more).await;
        is_made_again(&site, &proxy, publish).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_mqtt_that_is_cut_or_silent_is_made_again() {
    let Some(broker) = Mosquitto::start("").await else { return left_out("a proxy before MQTT") };
    let publish = |path: &str| broker.publish("focus/x", &[], &[path.as_bytes()]);
    let proxy = Proxy::start(broker.port()).await;
    let site = site("mqtt", &format!("mqtt://{}", proxy.address()), MQTT).await;
    is_made_again(&site, &proxy, publish).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_nats_has_to_be_signed_by_the_authority_that_is_named() {
    let Some(authority) = Authority::make() else { return left_out("TLS with NATS") };
    let (certificate, key) = (authority.certificate(), authority.key());
    // The publisher of the test speaks no TLS.
    let tls =
        format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}\nallow_non_tls: true\n");
    let Some(nats) = NatsServer::start_with(&tls).await else { return left_out("TLS with NATS") };
    let publish = |path: &str| nats.publish("focus.x", &[], path.as_bytes());
    let url = format!("tls://user:hunter22@{}", nats.address());
    trusts("nats", &url, NATS, &authority, publish).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_mqtt_has_to_be_signed_by_the_authority_that_is_named() {
    let Some(authority) = Authority::make() else { return left_out("TLS with MQTT") };
    let port = focus_testkit::broker::free_port();
    let (certificate, key) = (authority.certificate(), authority.key());
    let listener = format!(
        "listener {port} 127.0.0.1\ncertfile {}\nkeyfile {}",
        certificate.display(),
        key.display()
    );
    let Some(broker) = Mosquitto::start(&listener).await else { return left_out("TLS with MQTT") };
    let publish = |path: &str| broker.publish("focus/x", &[], &[path.as_bytes()]);
    let url = format!("mqtts://user:hunter22@localhost:{port}");
    trusts("mqtt", &url, MQTT, &authority, publish).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_jetstream_that_cannot_be_read_holds_up_no_other() {
    let Some(nats) = NatsServer::start().await else { return left_out("headers of JetStream") };
    nats.make_stream("FOCUS", "focus.>");
    let site = site("nats", &format!("nats://{}", nats.address()), JETSTREAM).await;
    let publish = |path: &str| nats.publish("focus.x", &[], path.as_bytes());
    let mut there = Vec::new();
    takes(&site, &mut there, publish).await;
    nats.publish_headed("focus.x", "NATS/1.0\r\nno colon\r\n\r\n", "nothing.dat");
    takes(&site, &mut there, publish).await;
    nats.publish_headed("focus.x", "NATS/1.0 409 Consumer Deleted\r\n\r\n", "nothing.dat");
    takes(&site, &mut there, publish).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_follows_the_subject_of_the_settings() {
    let Some(nats) = NatsServer::start().await else { return left_out("subjects of JetStream") };
    nats.make_stream("FOCUS", "focus.>");
    let url = format!("nats://{}", nats.address());
    let mut site = site("nats", &url, JETSTREAM).await;
    takes(&site, &mut Vec::new(), |path| nats.publish("focus.x", &[], path.as_bytes())).await;
    assert_eq!(site.focus.stop(), Some(0));
    let narrow = JETSTREAM.replace("focus.>", "focus.narrow");
    site.settings(&format!("[[hints.nats]]\nname = \"q\"\nurl = \"{url}\"\n{narrow}\n"));
    site.serve().await;
    until_queue(&site, "connected").await;
    nats.publish("focus.x", &[], b"of-nobody.dat");
    let mut there = vec!["r0.dat".to_owned()];
    takes(&site, &mut there, |path| nats.publish("focus.narrow", &[], path.as_bytes())).await;
    assert_eq!(queue(&site, 0).expect("a status")["received"], 1);
}

/// One broker for all, because it takes long to start.
#[tokio::test(flavor = "multi_thread")]
async fn queues_of_amqp_come_through_all_of_it() {
    let Some(authority) = Authority::make() else { return left_out("AMQP in hardship") };
    let port = focus_testkit::broker::free_port();
    let (ca, certificate, key) = (authority.ca_file(), authority.certificate(), authority.key());
    // Frames are as small as the standard allows.
    let settings = format!(
        "frame_max = 4096\nlisteners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\nssl_options.verify = verify_none\n",
        ca.display(),
        certificate.display(),
        key.display()
    );
    let Some(broker) = RabbitMq::start_with(&settings).await else {
        return left_out("AMQP in hardship");
    };
    let publish = |path: &str| {
        broker.publish("amq.topic", "focus.x", "text/plain", path.as_bytes());
    };
    let url = format!("amqps://localhost:{port}");
    trusts("amqp", &url, AMQP, &authority, publish).await;

    // A port that speaks TLS, and an address that does not.
    let plain = site("amqp", &format!("amqp://127.0.0.1:{port}"), AMQP).await;
    told(&plain, "speaks no AMQP").await;
    drop(plain);

    let proxy = Proxy::start(broker.port()).await;
    let site = site("amqp", &format!("amqp://{}", proxy.address()), AMQP).await;
    is_made_again(&site, &proxy, publish).await;

    // A media type that is no text, and a body of many frames.
    let mut there: Vec<String> = site.documents().into_iter().map(|(path, _)| path).collect();
    there.retain(|path| path != "meanwhile.dat");
    let long = format!("{}\n", "nothing/here.dat\n".repeat(20_000));
    broker.publish("amq.topic", "focus.x", "text/plain", long.as_bytes());
    broker.publish_typed("amq.topic", "focus.x", b"\xFFx", b"nothing.dat");
    let name = fs::read_to_string(site.dir.path().join("state/identity")).expect("a name");
    let name = format!("hints-{}", name.trim());
    assert!(broker.delete_queue(&name), "{name}");
    // It is made anew, with its binding; what comes before is nobody's.
    until("the queue is made anew", LIMIT, || async {
        let log = site.focus.log();
        if log.contains("the queue has gone") { Ok(()) } else { Err(log) }
    })
    .await;
    until_queue(&site, "connected").await;
    site.land("r9");
    publish("r9.dat");
    there.extend(["meanwhile.dat".to_owned(), "r9.dat".to_owned()]);
    there.sort();
    let wanted: Vec<&str> = there.iter().map(String::as_str).collect();
    site.until_documents(&wanted, LIMIT).await;
}
