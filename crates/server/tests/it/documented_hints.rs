//! The examples of docs/hints.md work as they are written: of each section, the settings and then the command.

use std::fs;
use std::process::Command;

use focus_testkit::mqtt::Mosquitto;
use focus_testkit::nats::NatsServer;

use crate::nats::until_queue;
use crate::site::LIMIT;
use crate::unwatched::Unwatched;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/hints.md");

/// The indented blocks of a section.
pub(crate) fn blocks(heading: &str) -> Vec<String> {
    let document = fs::read_to_string(DOCUMENT).expect("docs/hints.md");
    let (_, section) = document.split_once(&format!("\n{heading}\n")).expect("the section");
    let section = section.split("\n##").next().unwrap_or_default();
    let mut blocks = vec![String::new()];
    for line in section.lines() {
        match line.strip_prefix("    ") {
            Some(code) => {
                let block = blocks.last_mut().expect("a block");
                block.push_str(code);
                block.push('\n');
            }
            None if blocks.last().is_some_and(|block| !block.is_empty()) => {
                blocks.push(String::new());
            }
            None => {}
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

pub(crate) fn run(command: &str, token: &str) -> String {
    let output = Command::new("sh").args(["-ec", command]).env("TOKEN", token).output();
    let output = output.expect("a shell");
    assert!(output.status.success(), "{command}\n{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_hints_by_http_works_as_it_is_written() {
    let blocks = blocks("## By HTTP");
    let mut site = Unwatched::new("");
    let token = site.dir.path().join("token");
    fs::write(&token, "0123456789abcdef0123").expect("a token");
    let settings = blocks[0].replace("/run/secrets/focus-hints", &token.display().to_string());
    site.settings(&settings);
    site.serve().await;
    site.land("2024/05/r1");
    let address = site.focus.address().expect("an address");
    let answer = run(&blocks[1].replace("127.0.0.1:8480", &address), "0123456789abcdef0123");
    assert_eq!(answer.trim(), blocks[2].trim());
    site.until_documents(&["2024/05/r1.dat"], LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_hints_by_nats_work_as_they_are_written() {
    let Some(nats) = NatsServer::start().await else {
        return println!("left out, needs nats-server (`apt-get install nats-server`)");
    };
    nats.make_stream("FOCUS", "focus.>");
    let blocks = blocks("### NATS");
    for settings in [&blocks[0], &blocks[2]] {
        let mut site = Unwatched::new(&settings.replace("127.0.0.1:4222", &nats.address()));
        site.serve().await;
        until_queue(&site, "connected").await;
        site.land("2024/05/r1");
        run(&blocks[1].replace("127.0.0.1:4222", &nats.address()), "");
        site.until_documents(&["2024/05/r1.dat"], LIMIT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_hints_by_mqtt_works_as_it_is_written() {
    let Some(broker) = Mosquitto::start("").await else {
        return println!("left out, needs mosquitto (`apt-get install mosquitto`)");
    };
    if focus_testkit::broker::installed("mosquitto_pub").is_none() {
        return println!("left out, needs mosquitto_pub (`apt-get install mosquitto-clients`)");
    }
    let blocks = blocks("### MQTT");
    let address = broker.address();
    let (_, port) = address.split_once(':').expect("a port");
    let mut site = Unwatched::new(&blocks[0].replace("127.0.0.1:1883", &address));
    site.serve().await;
    until_queue(&site, "connected").await;
    site.land("2024/05/r1");
    run(&blocks[1].replace("-p 1883", &format!("-p {port}")), "");
    site.until_documents(&["2024/05/r1.dat"], LIMIT).await;
}
