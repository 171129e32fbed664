//! SIGHUP: the server reads its settings again and goes on.

use std::fs;

use focus_testkit::focus::Focus;
use focus_testkit::wait::until;

use crate::security::{address, get, status_of};
use crate::site::{BINARY, LIMIT, Site};

/// A server whose settings are in a file, and that file.
async fn served(text: &str) -> (Site, std::path::PathBuf) {
    let mut site = Site::new(&[]);
    site.land(3);
    let file = site.dir.path().join("focus.toml");
    fs::write(&file, text).expect("settings");
    let config = file.display().to_string();
    site.focus = Focus::new(BINARY, site.tree.root(), &site.state(), &["--config", &config]);
    site.focus.serve().await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site.focus.until_status("recordings", 3, LIMIT).await;
    (site, file)
}

/// Writes these settings, hangs up, and waits until the log has these words.
async fn reloaded(site: &Site, file: &std::path::Path, text: &str, words: &str) {
    fs::write(file, text).expect("settings");
    site.focus.hang_up();
    until("the settings were read again", LIMIT, || async {
        let log = site.focus.log();
        if log.contains(words) { Ok(()) } else { Err(log) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_hung_up_reads_its_settings_again_and_goes_on() {
    let (mut site, file) = served("settle_ms = 100\n").await;
    let pid = site.focus.pid();
    let address = address(&site);
    let named = || {
        let answer = get(&address, "/ack", "Host: focus.example\r\n");
        status_of(&answer).to_owned()
    };
    assert_eq!(named(), "421");
    let text = "settle_ms = 100\nallowed_hosts = [\"focus.example\"]\nlog = \"debug\"\n";
    reloaded(&site, &file, text, "allowed_hosts, log changed").await;
    assert_eq!(named(), "200");

    // An interval of an hour becomes one of a second: a root without a watch would be scanned by it.
    let text = format!("{text}scan_interval_ms = 1000\nlisten = \"127.0.0.1:1\"\n");
    reloaded(&site, &file, &text, "the settings were read again: scan_interval_ms changed").await;
    let scanned =
        |site: &Site| site.focus.status().map(|status| status["roots"][0]["last_scan_at"].clone());
    let before = scanned(&site);
    until("it is scanned again", LIMIT, || async {
        let now = scanned(&site)?;
        if Ok(now.clone()) != before && now.is_string() { Ok(()) } else { Err(site.focus.log()) }
    })
    .await;

    site.land(2);
    site.focus.until_status("recordings", 5, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.pid(), pid);
    assert_eq!(site.focus.answers(), Ok(()), "commands find it where they did");
    assert_eq!(site.focus.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_restart_is_told_and_a_mistake_changes_nothing() {
    let (mut site, file) = served("settle_ms = 100\n").await;
    let text = "settle_ms = 100\nstate_dir = \"/elsewhere\"\n";
    reloaded(&site, &file, text, "nothing that takes effect has changed").await;
    // The state folder is a flag here, and flags win.
    let text = "settle_ms = \"soon\"\nnonsense = 1\n";
    reloaded(&site, &file, text, "the settings were read again and stay as they were").await;
    let log = site.focus.log();
    assert!(log.contains("line 1") && log.contains("line 2"), "{log}");
    site.land(1);
    site.focus.until_status("recordings", 4, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_hang_ups_in_a_row_lose_nothing_and_end_nothing() {
    let (mut site, file) = served("settle_ms = 100\n").await;
    for turn in 0..20 {
        fs::write(&file, format!("settle_ms = 100\nscan_interval_ms = {}\n", 1_000 + turn))
            .expect("settings");
        site.focus.hang_up();
        site.land(1);
    }
    site.focus.until_status("recordings", 23, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
}

#[test]
fn a_filter_of_the_log_that_is_none_is_refused_by_name() {
    let site = Site::new(&[]);
    for (filter, word) in
        [("debgu", "\"debgu\""), ("focus_engine=loud", "focus_engine=loud"), ("=debug", "=debug")]
    {
        let output = std::process::Command::new(BINARY)
            .args(["serve", "--root"])
            .arg(site.tree.root())
            .args(["--listen", "127.0.0.1:0", "--state-dir"])
            .arg(site.state())
            .env("FOCUS_LOG", filter)
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("FOCUS_LOG") && said.contains(word) && said.contains("debug"),
            "{said}"
        );
    }
}
