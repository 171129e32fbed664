//! Two servers on one root and one database: one writes, and what becomes of it is told.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::proxy::{Mode, Proxy};

use crate::site::{BINARY, LIMIT, Site, embedded_only, no_server_to_end};

/// The lease's length in these tests.
const LEASE_MS: u64 = 3_000;

/// A site whose server, and a standby on the same root, have a short lease.
struct Pair {
    site: Site,
    standby: Focus,
    _settings: tempfile::TempDir,
}

impl Pair {
    /// The first server holds the lease, and the other stands by. `uri`: how the first reaches the database.
    async fn start(server: &MongoServer, uri: &str) -> Pair {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = folder.path().join("focus.toml");
        fs::write(&settings, format!("lease_ms = {LEASE_MS}\n")).expect("settings");
        let settings = settings.display().to_string();
        let with = |uri: &str| {
            let mut args = server.args_through(uri);
            args.extend(["--config".to_owned(), settings.clone()]);
            args
        };
        let first = with(uri);
        let mut site = Site::new(&first.iter().map(String::as_str).collect::<Vec<_>>());
        let mut second = with(&server.uri());
        second.extend(["--settle-ms".to_owned(), "200".to_owned()]);
        let second: Vec<&str> = second.iter().map(String::as_str).collect();
        let mut standby =
            Focus::new(BINARY, site.tree.root(), &site.dir.path().join("standby"), &second);
        site.land(20);
        site.focus.serve().await;
        has(&site.focus, "held").await;
        standby.serve().await;
        has(&standby, "standby").await;
        Pair { site, standby, _settings: folder }
    }

    /// The standby writes, and what landed is in the catalog, as it should be.
    async fn taken_over(&mut self, server: &MongoServer, what: &str) {
        let began = Instant::now();
        self.site.land(30);
        has(&self.standby, "held").await;
        println!("{what}: taken over after {} ms of {LEASE_MS}", began.elapsed().as_millis());
        self.site.converged(server, "node4").await;
        self.standby.until_status("pending", 0, LIMIT).await;
    }
}

async fn has(focus: &Focus, lease: &str) {
    focus.until_status("/roots/0/lease", lease, LIMIT).await;
}

fn token(focus: &Focus) -> i64 {
    let status = focus.status().expect("a status");
    status["roots"][0]["lease_token"].as_i64().expect("a token")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_from_a_holder_that_was_killed() {
    if embedded_only("a holder killed") {
        return;
    }
    let server = MongoServer::start().await;
    let mut pair = Pair::start(&server, &server.uri()).await;
    let before = token(&pair.site.focus);
    pair.site.focus.kill();
    pair.taken_over(&server, "killed").await;
    assert!(token(&pair.standby) > before);
    // The one that was killed comes back, and stands by.
    pair.site.focus.serve().await;
    has(&pair.site.focus, "standby").await;
    pair.site.focus.until_status("catalog_state", "standby", LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_hands_the_lease_over_at_once() {
    if embedded_only("a clean stop") {
        return;
    }
    let server = MongoServer::start().await;
    let mut pair = Pair::start(&server, &server.uri()).await;
    assert_eq!(pair.site.focus.stop(), Some(0));
    pair.taken_over(&server, "released").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_stopped_wakes_without_the_lease_and_writes_nothing_under_it() {
    if embedded_only("a holder stopped") {
        return;
    }
    let server = MongoServer::start().await;
    let mut pair = Pair::start(&server, &server.uri()).await;
    for _ in 0..3 {
        // Half of a batch may be under way.
        pair.site.land(1_500);
        tokio::time::sleep(Duration::from_millis(230)).await;
        pair.site.focus.pause();
        pair.taken_over(&server, "stopped").await;
        let holder = token(&pair.standby);
        pair.site.focus.resume();
        has(&pair.site.focus, "standby").await;
        pair.site.land(10);
        pair.site.converged(&server, "node4").await;
        assert_eq!(token(&pair.standby), holder);
        let status = pair.site.focus.status().expect("a status");
        assert!(status["roots"][0]["lease_lost"].as_u64() > Some(0), "{status}");
        std::mem::swap(&mut pair.site.focus, &mut pair.standby);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_cut_off_from_the_database_loses_the_lease_to_one_that_is_not() {
    if embedded_only("a holder cut off") {
        return;
    }
    let server = MongoServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    for mode in [Mode::Refuse, Mode::BlackHole] {
        let mut pair = Pair::start(&server, &proxy.uri()).await;
        proxy.set(mode);
        pair.taken_over(&server, "cut off").await;
        proxy.set(Mode::Pass);
        has(&pair.site.focus, "standby").await;
        pair.site.land(10);
        pair.site.converged(&server, "node4").await;
        assert_eq!(pair.standby.stop(), Some(0));
        has(&pair.site.focus, "held").await;
        let client = server.client().await;
        client.database(server.database()).drop().await.expect("an empty database");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_the_last_holder_goes_first() {
    if no_server_to_end("the last holder first") {
        return;
    }
    let mut server = MongoServer::start().await;
    let mut pair = Pair::start(&server, &server.uri()).await;
    let before = token(&pair.site.focus);
    for _ in 0..3 {
        server.kill();
        pair.site.focus.until_status("catalog_state", "down", LIMIT).await;
        pair.standby.until_status("catalog_state", "down", LIMIT).await;
        pair.site.land(20);
        pair.site.focus.until_status("pending", 20, LIMIT).await;
        server.restart().await;
        pair.site.focus.until_status("catalog_state", "in_step", LIMIT).await;
        pair.site.converged(&server, "node4").await;
        has(&pair.standby, "standby").await;
        assert_eq!(token(&pair.site.focus), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_the_same_state_folder_resumes_at_once_under_a_new_token() {
    if embedded_only("a restart") {
        return;
    }
    let server = MongoServer::start().await;
    let mut pair = Pair::start(&server, &server.uri()).await;
    let before = token(&pair.site.focus);
    pair.site.focus.kill();
    pair.site.focus.serve().await;
    has(&pair.site.focus, "held").await;
    assert!(token(&pair.site.focus) > before);
    has(&pair.standby, "standby").await;
    pair.site.land(10);
    pair.site.converged(&server, "node4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_that_names_an_older_holder_is_taken_back_by_the_highest_token() {
    if no_server_to_end("an older holder restored") {
        return;
    }
    let mut server = MongoServer::start().await;
    let mut pair = Pair::start(&server, &server.uri()).await;
    let data = server.data_dir().to_owned();
    let copied = pair.site.dir.path().join("copy");
    server.stop();
    copy(&data, &copied);
    server.restart().await;
    has(&pair.site.focus, "held").await;
    pair.site.focus.kill();
    pair.taken_over(&server, "killed before a restore").await;
    let highest = token(&pair.standby);
    server.stop();
    pair.standby.until_status("catalog_state", "down", LIMIT).await;
    pair.site.land(10);
    fs::remove_dir_all(&data).expect("removed");
    copy(&copied, &data);
    server.restart().await;
    has(&pair.standby, "held").await;
    assert!(token(&pair.standby) > highest);
    pair.site.converged(&server, "node4").await;
}
