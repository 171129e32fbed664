//! `focus put`, against a real server.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use super::form::{files, sidecar};
use super::serving;
use crate::ledger;
use crate::site::{BINARY, Site};

/// A recording beside the site, to be handed over.
fn outside(site: &Site, name: &str, uuid: &str, bytes: usize) -> String {
    let folder = site.dir.path().join("outside");
    fs::create_dir_all(&folder).expect("a folder");
    let data: Vec<u8> = (0..bytes).map(|n| u8::try_from(n % 251).expect("small")).collect();
    fs::write(folder.join(format!("{name}.dat")), data).expect("written");
    fs::write(folder.join(format!("{name}.json")), sidecar(uuid).to_string()).expect("written");
    folder.join(format!("{name}.dat")).display().to_string()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_put_once_however_often_the_command_runs() {
    let site = serving("").await;
    let file = outside(&site, "r1", "first", 1_500_000);
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let put = site.focus.run(&["put", &file]);
    assert_eq!(put.status.code(), Some(0), "{put:?}");
    let words = text(&put);
    assert!(words.starts_with("r1.dat: taken, 1500000 bytes, "), "{words}");
    assert!(words.ends_with(", uuid first\n"), "{words}");
    ledger::settled(&site, 1).await;
    let again = site.focus.run(&["put", &file]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert_eq!(text(&again), "r1.dat: was there already, 1500000 bytes, catalogued, uuid first\n");
    let again = site.focus.run(&["put", &file, "--json"]);
    assert_eq!(json(&again)["created"], false);
    assert_eq!(json(&again)["path"], "r1.dat");
    let source = site.dir.path().join("outside/r1.dat");
    let landed = site.tree.root().join("r1.dat");
    assert!(fs::read(source).expect("read") == fs::read(landed).expect("read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_ends_with_2_and_what_cannot_be_told_with_3() {
    let mut site = serving("").await;
    let file = outside(&site, "r1", "first", 1_000);
    let place = site.dir.path().join("outside/r1.json").display().to_string();
    let run = |site: &Site, more: &[&str]| site.focus.run(&[&["put", &file], more].concat());
    let put = run(&site, &["--sidecar", &place, "--path", "2026/05/r1", "--json"]);
    assert_eq!(
        (put.status.code(), &json(&put)["created"]),
        (Some(0), &Value::from(true)),
        "{put:?}"
    );
    assert_eq!(json(&put)["path"], "2026/05/r1.dat");
    for (more, words) in [
        (&["--path", "other"][..], "has this uuid"),
        (&["--path", "../x"], "`..`"),
        (&["--sidecar", "/nowhere"], "--sidecar FILE"),
    ] {
        let refused = run(&site, more);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(site.focus.stop(), Some(0));
    let away = run(&site, &[]);
    assert_eq!(away.status.code(), Some(3), "{away:?}");
    assert!(String::from_utf8_lossy(&away.stderr).contains("focus serve"), "{away:?}");
    assert_eq!(files(site.tree.root()), ["2026/05/r1.dat", "2026/05/r1.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_for_a_while_is_waited_for() {
    let mut site = serving("").await;
    let file = outside(&site, "r1", "first", 1_000);
    let address = site.focus.address().expect("an address");
    let token = site.dir.path().join("token");
    fs::write(&token, crate::security::token(&site)).expect("written");
    // It listens no more, and is there again under another address and token.
    let root = site.tree.root().to_owned();
    let aside = site.dir.path().join("aside");
    fs::rename(&root, &aside).expect("moved");
    let mut put = Command::new(BINARY)
        .args(["put", &file, "--json", "--state-dir", &site.state().display().to_string()])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(put.try_wait().expect("its state"), None, "it waits");
    assert_eq!(site.focus.stop(), Some(0));
    fs::rename(&aside, &root).expect("moved");
    site.focus.serve().await;
    let ended = put.wait_with_output().expect("it ends");
    assert_eq!(
        (ended.status.code(), &json(&ended)["created"]),
        (Some(0), &Value::from(true)),
        "{ended:?}"
    );
    // Another server is named by its address and a token.
    let token = token.display().to_string();
    let url = format!("http://{address}");
    let wrong = site.focus.run(&[
        "put",
        &file,
        "--server",
        &url,
        "--token-file",
        &token,
        "--retry-for",
        "0s",
    ]);
    assert_eq!(wrong.status.code(), Some(3), "{wrong:?}");
    let url = format!("http://{}", site.focus.address().expect("an address"));
    let wrong = site.focus.run(&["put", &file, "--server", &url, "--token-file", &token]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    fs::write(&token, crate::security::token(&site)).expect("written");
    let right = site.focus.run(&["put", &file, "--server", &url, "--token-file", &token]);
    assert_eq!(right.status.code(), Some(0), "{right:?}");
}
