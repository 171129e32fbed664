//! Two servers on one root and one database: one writes, and the status says which.

use std::fs;
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::proxy::{Mode, Proxy};
use focus_testkit::tree::Planted;
use focus_testkit::wait::until;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};

use crate::ledger;
use crate::site::{BINARY, LIMIT, Site, embedded_only, no_server_to_end};

/// The lease's length in these tests.
const LEASE_MS: u64 = 3_000;

/// A holder that fell silent is followed within this.
const LAPSED: Duration = Duration::from_millis(LEASE_MS + 1_000);

/// One that gave its lease up, within this.
const RELEASED: Duration = Duration::from_secs(1);

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
        site.converged(server, "node4").await;
        site.focus.until_status("pending", 0, LIMIT).await;
        Pair { site, standby, _settings: folder }
    }

    /// The standby has the lease within so long of `since`, writes, and what landed is in the catalog, as
    /// it should be.
    async fn taken_over(
        &mut self,
        server: &MongoServer,
        what: &str,
        since: Instant,
        bound: Duration,
    ) {
        self.site.land(30);
        has(&self.standby, "held").await;
        let after = since.elapsed();
        println!("{what}: taken over after {} ms of {}", after.as_millis(), bound.as_millis());
        assert!(after <= bound, "{what}: {after:?}");
        self.site.becomes_right(server, "node4").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_from_a_holder_that_was_killed() {
    if embedded_only("a holder killed") {
        return;
    }
    let server = MongoServer::start().await;
    let mut pair = Pair::start(&server, &server.uri()).await;
    let before = token(&pair.site.focus);
    pair.site.focus.kill();
    let killed = Instant::now();
    pair.taken_over(&server, "killed", killed, LAPSED).await;
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
    let stopped = Instant::now();
    pair.taken_over(&server, "released", stopped, RELEASED).await;
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
        let stopped = Instant::now();
        pair.taken_over(&server, "stopped", stopped, LAPSED).await;
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
        let cut = Instant::now();
        pair.taken_over(&server, "cut off", cut, LAPSED).await;
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
    let copied = pair.site.dir.path().join("copy");
    server.stop();
    server.save_store(&copied);
    server.restart().await;
    has(&pair.site.focus, "held").await;
    pair.site.focus.kill();
    let killed = Instant::now();
    pair.taken_over(&server, "killed before a restore", killed, LAPSED).await;
    let highest = token(&pair.standby);
    server.stop();
    pair.standby.until_status("catalog_state", "down", LIMIT).await;
    pair.site.land(10);
    server.restore_store(&copied);
    server.restart().await;
    has(&pair.standby, "held").await;
    assert!(token(&pair.standby) > highest);
    pair.site.converged(&server, "node4").await;
}

/// The tokens under which the documents of these recordings were written.
async fn tokens(server: &MongoServer, planted: &[Planted]) -> Vec<i64> {
    let nodes = server.client().await.database(server.database()).collection::<Document>("node4");
    let uuids: Vec<&str> = planted.iter().map(|one| one.uuid.as_str()).collect();
    let found = nodes.find(doc! { "uuid": { "$in": uuids } }).await.expect("read");
    let found: Vec<Document> = found.try_collect().await.expect("read");
    assert_eq!(found.len(), planted.len());
    found.iter().map(|document| document.get_i64("version").expect("a version") >> 32).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_stopped_with_a_batch_half_sent_sends_nothing_more_of_it_when_it_wakes() {
    if no_server_to_end("a batch half sent") {
        return;
    }
    let server = MongoServer::start().await;
    let mut pair = Pair::start(&server, &server.uri()).await;
    let before = token(&pair.site.focus);
    // Each recording is there already, without a root: a batch is one insert, one read, and then an
    // adoption for each, one by one. The third update is held in the server, longer than the lease.
    let landed = pair.site.planted.len();
    let nodes = server.client().await.database(server.database()).collection::<Document>("node4");
    let coming: Vec<Document> = (landed..landed + 40)
        .map(|n| {
            let stem = format!("rec-{n:07}");
            let uuid = if n % 4 == 0 { stem } else { format!("uuid-{n:07}-é") };
            doc! { "uuid": uuid, "note": "of others" }
        })
        .collect();
    nodes.insert_many(coming).await.expect("inserted");
    let held = doc! {
        "failCommands": ["update"], "blockConnection": true, "blockTimeMS": 400, "appName": "focus",
    };
    server.fail_command("alwaysOn", held).await;
    pair.site.land(40);
    let adopted = doc! { "note": "of others", "root": &pair.site.marker };
    until("a part of the batch is adopted", LIMIT, || async {
        let count = nodes.count_documents(adopted.clone()).await.expect("a count");
        if count > 0 { Ok(()) } else { Err(pair.site.focus.log()) }
    })
    .await;
    pair.site.focus.pause();
    let stopped = Instant::now();
    let early = nodes.count_documents(adopted.clone()).await.expect("a count");
    server.fail_command("off", doc! {}).await;
    assert!(early < 39, "{early} of 40 were adopted before it was stopped");
    pair.taken_over(&server, "stopped within a batch", stopped, LAPSED).await;
    let holder = token(&pair.standby);
    pair.site.focus.resume();
    has(&pair.site.focus, "standby").await;
    pair.site.land(10);
    pair.site.converged(&server, "node4").await;
    let batch = tokens(&server, &pair.site.planted[landed..landed + 40]).await;
    let old = batch.iter().filter(|token| **token == before).count() as u64;
    // Those adopted before, and the one that was held.
    assert!(old <= early + 1, "{old} under the old token, and {early} before it was stopped");
    assert!(batch.iter().all(|token| [before, holder].contains(token)), "{batch:?}");
    let since = tokens(&server, &pair.site.planted[landed + 40..]).await;
    assert!(since.iter().all(|token| *token == holder), "{since:?}");
    let status = pair.site.focus.status().expect("a status");
    assert!(status["roots"][0]["lease_lost"].as_u64() > Some(0), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_lost_is_contended_for_again() {
    if embedded_only("re-contention") {
        return;
    }
    let server = MongoServer::start().await;
    let mut pair = Pair::start(&server, &server.uri()).await;
    for _ in 0..3 {
        pair.site.focus.pause();
        let stopped = Instant::now();
        pair.taken_over(&server, "stopped", stopped, LAPSED).await;
        pair.site.focus.resume();
        has(&pair.site.focus, "standby").await;
        // Now the other one falls silent, and the first has it back, by challenging like anybody.
        std::mem::swap(&mut pair.site.focus, &mut pair.standby);
    }
}

/// A site with a short lease, whose catalog is where these arguments say.
async fn short(args: &[String]) -> (Site, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("focus.toml");
    fs::write(&settings, format!("lease_ms = {LEASE_MS}\n")).expect("settings");
    let settings = settings.display().to_string();
    let mut all: Vec<&str> = args.iter().map(String::as_str).collect();
    all.extend(["--config", &settings]);
    let mut site = Site::new(&all);
    site.land(10);
    site.focus.serve().await;
    ledger::settled(&site, 10).await;
    (site, folder)
}

/// Waits until the status and a pass both say these words of the lease, and that nothing is written.
async fn tells(site: &Site, words: &[&str]) {
    let is_told = |told: &serde_json::Value| {
        let reason = told["catalog_reason"].as_str().unwrap_or_default();
        words.iter().all(|word| reason.contains(word)) && reason.contains("nothing is written")
    };
    until("the lease's trouble is told", LIMIT, || async {
        let status = site.focus.status()?;
        let lapsed = status["roots"][0]["lease"] == "unknown";
        let good = is_told(&status) && lapsed && status["catalog_state"] == "recovering";
        if good { Ok(()) } else { Err(format!("{status:#}\n{}", site.focus.log())) }
    })
    .await;
    println!("{}", site.focus.status().expect("a status")["catalog_reason"]);
    let pass = site.focus.run(&["scan", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&pass.stdout).expect("JSON");
    assert_eq!(pass.status.code(), Some(3), "{report:#}");
    assert!(is_told(&report) && report["catalog_reached"] == false, "{report:#}");
    let log = site.focus.log();
    let logged = log.lines().filter(|line| line.contains("and nothing is written to the catalog"));
    assert_eq!(logged.count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_cannot_be_written_is_told_in_status_with_what_to_grant() {
    if no_server_to_end("a lease that is refused") {
        return;
    }
    let server = MongoServer::start().await;
    let (mut site, _settings) = short(&server.args()).await;
    let refused = doc! {
        "failCommands": ["find", "update", "findAndModify"], "errorCode": 13,
        "namespace": format!("{}.focus_meta", server.database()), "appName": "focus",
    };
    server.fail_command("alwaysOn", refused).await;
    site.land(5);
    tells(&site, &["focus_meta", "Grant the user the role readWrite"]).await;
    server.fail_command("off", doc! {}).await;
    ledger::settled(&site, 15).await;
    site.focus.until_status("catalog_reason", serde_json::Value::Null, LIMIT).await;
    has(&site.focus, "held").await;
    site.converged(&server, "node4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_table_is_gone_is_told_in_status_with_file_and_remedy() {
    let (mut site, _settings) = short(&[]).await;
    ledger::change(&site, "ALTER TABLE focus_meta RENAME TO away");
    site.land(5);
    let file = site.state().join("catalog/catalog.db").display().to_string();
    tells(&site, &[&file, "focus_meta", "bring back a copy"]).await;
    ledger::change(&site, "ALTER TABLE away RENAME TO focus_meta");
    ledger::settled(&site, 15).await;
    site.focus.until_status("catalog_reason", serde_json::Value::Null, LIMIT).await;
    has(&site.focus, "held").await;
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_ends_and_says_why_where_the_lease_cannot_be_written() {
    let (mut site, _settings) = short(&[]).await;
    assert_eq!(site.focus.stop(), Some(0));
    let shut = "CREATE TRIGGER shut BEFORE INSERT ON focus_meta WHEN NEW.id LIKE 'lease:%'
        BEGIN SELECT RAISE(ABORT, 'this row is shut'); END";
    ledger::change(&site, shut);
    site.land(5);
    let pass = site.focus.run(&["scan", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&pass.stdout).expect("JSON");
    assert_eq!(pass.status.code(), Some(3), "{report:#}");
    let reason = report["catalog_reason"].as_str().unwrap_or_default();
    assert!(reason.contains("cannot be written") && reason.contains("is shut"), "{report:#}");
    ledger::change(&site, "DROP TRIGGER shut");
    let pass = site.focus.run(&["scan", "--json"]);
    assert_eq!(pass.status.code(), Some(0), "{pass:?}");
    ledger::agrees(&site, &[], &[]);
}

/// What damage has left of them is nobody's lease, and no number: tokens are drawn above every one that
/// is known, so a lease taken anew over them is as good as any.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_lease_in_the_embedded_catalog_is_taken_anew_under_a_higher_token() {
    let (mut site, _settings) = short(&[]).await;
    let spoilt = ["CAST(x'ff20fe' AS TEXT)", "x'00ff'", "17", "CAST(x'33ff' AS TEXT)"];
    for (n, spoilt) in spoilt.into_iter().enumerate() {
        let before = token(&site.focus);
        let damage = format!(
            "UPDATE focus_meta SET value = {spoilt} WHERE id LIKE 'lease:%' OR id = 'token'"
        );
        ledger::change(&site, &damage);
        site.land(1);
        ledger::settled(&site, 11 + n).await;
        until("it is ours under a higher token", LIMIT, || async {
            let status = site.focus.status()?;
            let root = &status["roots"][0];
            let good = root["lease"] == "held" && root["lease_token"].as_i64() > Some(before);
            if good { Ok(()) } else { Err(format!("{spoilt}: {status:#}\n{}", site.focus.log())) }
        })
        .await;
    }
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
}
