//! Damage, action by action, to every file that the server reads. Each is mended by itself or told in
//! one clear message; nothing is lost; and once the file is as it was, everything is.

mod actions;
mod places;

use std::fs;
use std::process::Command;
use std::time::Duration;

use actions::Action;
use places::{Outcome, Place};
use serde_json::Value;

use crate::ledger;
use crate::site::{BINARY, LIMIT, Site};

/// Recordings in the site.
const COUNT: usize = 12;

/// Seeds of flipped bytes: some, with `FOCUS_TEST_LONG=1` all of them. `FOCUS_TEST_SEED` names one (`158`),
/// or those of a longer search (`200..5000`).
fn seeds() -> std::ops::Range<u64> {
    let Ok(named) = std::env::var("FOCUS_TEST_SEED") else {
        return 0..if crate::site::long() { 200 } else { 24 };
    };
    let number = |text: &str| text.parse::<u64>().expect("a seed, or two as in 200..5000");
    named.split_once("..").map_or_else(
        || number(&named)..number(&named) + 1,
        |(first, end)| number(first)..number(end),
    )
}

/// What is said of damage that a repair has mended.
const REPAIRED: &str = "mended by a repair";

/// What makes a program somebody who may not read what is shut.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// A site with a used state folder, as a killed server leaves it.
async fn used() -> Site {
    let settings = |dir: &std::path::Path| dir.join("focus.toml");
    let folder = tempfile::tempdir().expect("a folder");
    let args = settings(folder.path()).display().to_string();
    fs::write(settings(folder.path()), "lease_ms = 2000\n").expect("settings");
    let mut site = Site::new(&["--config", &args]);
    site.land(COUNT);
    site.focus.serve().await;
    ledger::settled(&site, COUNT).await;
    site.focus.post("/api/v1/verify", "{}").expect("a verification");
    site.focus.kill();
    let moved = site.dir.path().join("settings");
    fs::rename(folder.keep(), moved).expect("moved");
    site
}

/// The same, closed in order.
async fn closed() -> Site {
    let mut site = copy_of(&used().await, "closed");
    site.focus.serve().await;
    ledger::settled(&site, COUNT).await;
    assert_eq!(site.focus.stop(), Some(0));
    site
}

/// A copy of a used site.
fn copy_of(used: &Site, name: &str) -> Site {
    let dir = tempfile::Builder::new().prefix(name).tempdir().expect("a folder");
    for part in ["root", "state", "settings"] {
        let done = Command::new("cp")
            .arg("-a")
            .arg(used.dir.path().join(part))
            .arg(dir.path())
            .status()
            .expect("cp runs");
        assert!(done.success());
    }
    let settings = dir.path().join("settings/focus.toml").display().to_string();
    let root = dir.path().join("root");
    let args = ["--settle-ms", "200", "--config", &settings];
    let focus = focus_testkit::focus::Focus::new(BINARY, &root, &dir.path().join("state"), &args);
    Site {
        tree: focus_testkit::tree::Tree::new(&root),
        planted: used.planted.clone(),
        focus,
        marker: used.marker.clone(),
        dir,
    }
}

/// Everything is the user nobody's, and so is the server.
fn give_to_nobody(site: &mut Site) {
    if rustix::process::getuid().is_root() {
        let done = Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(site.dir.path())
            .status()
            .expect("chown runs");
        assert!(done.success());
        site.focus.by = NOBODY.map(str::to_owned).to_vec();
    }
}

fn can_be_nobody() -> bool {
    if !rustix::process::getuid().is_root() {
        return true;
    }
    let tried = Command::new(NOBODY[0]).args(&NOBODY[1..]).arg(BINARY).arg("--version").output();
    tried.is_ok_and(|output| output.status.success())
}

/// Damages one file of a stopped server, and starts it.
async fn damage(used: &Site, place: Place, action: Action) {
    let what = format!("{place:?} {action:?}");
    let mut site = copy_of(used, "damage");
    let path = site.dir.path().join(place.path());
    let kept = fs::read(&path).expect("the file");
    give_to_nobody(&mut site);
    action.strike(&path);
    site.focus.spawn();
    let outcome = place.outcome(action);
    let seen = watch(&mut site, &what, outcome).await;
    println!("{what}: {seen}");
    assert!(!site.focus.log().contains("panicked"), "{what}\n{}", site.focus.log());
    if outcome == Outcome::Verified && seen == REPAIRED {
        // Nothing is left to be put back.
    } else if outcome != Outcome::Mended {
        actions::restore(&path, &kept);
        if site.focus.pid().is_none() {
            site.focus.serve().await;
        }
    }
    ledger::settled(&site, COUNT).await;
    for path in ["/api/v1/verify", "/recordings_in_time_range"] {
        let body =
            if path.ends_with("verify") { "{}" } else { r#"{"start_time":0,"end_time":9e9}"# };
        let body = body.replace("9e9", "9999999999");
        let answer = site.focus.post(path, &body).unwrap_or_else(|error| panic!("{what}: {error}"));
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer.is_array() || answer["in_order"] == true, "{what}: {answer:#}");
    }
    assert_eq!(site.focus.stop(), Some(0), "{what}");
    ledger::agrees(&site, &[], &[]);
    ledger::index_is_sound(&site);
}

/// Waits for what was said to come of it; in words, what came.
async fn watch(site: &mut Site, what: &str, outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(words) => {
            let focus = &mut site.focus;
            let ended = focus_testkit::wait::until(what, Duration::from_secs(20), || {
                let ended = focus.ended();
                let log = focus.log();
                async move { ended.ok_or(log) }
            })
            .await;
            let log = site.focus.log();
            assert_eq!(ended.code(), Some(2), "{what}\n{log}");
            let last = log.lines().last().unwrap_or_default().to_owned();
            assert!(last.contains(words), "{what}: {words:?} is not in {last:?}");
            last
        }
        Outcome::Told(pointer, words) => {
            focus_testkit::wait::until(what, LIMIT, || async {
                let status = site.focus.status()?;
                let told = status.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                if told.contains(words) {
                    Ok(())
                } else {
                    Err(format!("{status:#}\n{}", site.focus.log()))
                }
            })
            .await;
            let status = site.focus.status().expect("a status");
            assert!(site.focus.get("/ack").is_ok(), "{what}: served on");
            status.pointer(pointer).map(ToString::to_string).unwrap_or_default()
        }
        Outcome::Mended => {
            ledger::settled(site, COUNT).await;
            "mended by itself".to_owned()
        }
        Outcome::Verified => repaired(site, what).await,
    }
}

/// What a person is told of damage that cannot be mended: the file's own, or a document that says now
/// that it is another root's, which nobody may take from that.
const TOLD: [&str; 2] = ["It is damaged: bring back a copy", "duplicate_id: the uuid"];

/// Verifies and repairs until all is in order, or a person is told what to do; in words, what came.
async fn repaired(site: &Site, what: &str) -> String {
    focus_testkit::wait::until(what, LIMIT, || async {
        // A repair that is refused waits longer than this asks for: then the status tells.
        let answer = site.focus.ask("POST", "/api/v1/verify", r#"{"repair": true}"#, true);
        let (body, answer) = answer.map_or_else(
            |error| (error, Value::Null),
            |answer| (answer.body.clone(), answer.json()),
        );
        if answer["in_order"] == true {
            return Ok(REPAIRED.to_owned());
        }
        let status = site.focus.status()?;
        let told = [&body, &status["catalog_reason"].to_string()]
            .into_iter()
            .find(|words| TOLD.iter().any(|told| words.contains(told)))
            .cloned();
        told.ok_or_else(|| format!("{body}\n{status:#}\n{}", site.focus.log()))
    })
    .await
}

/// A document of a planted recording says now that it is another root's.
fn names_another_root(site: &Site) -> bool {
    let ours = |document: &mongodb::bson::Document| {
        let uuid = document.get_str("uuid").unwrap_or_default();
        site.planted.iter().any(|planted| planted.uuid == uuid)
    };
    let documents = ledger::documents(site);
    documents.iter().any(|one| ours(one) && one.get_str("root").ok() != Some(site.marker.as_str()))
}

/// Bytes flipped at places that follow from a seed, in a file that a server has closed in order.
async fn flip(used: &Site, file: &str, seed: u64) -> String {
    let what = format!("{file}, seed {seed}");
    let mut site = copy_of(used, "flipped");
    let path = site.dir.path().join(file);
    let whole = fs::read(&path).expect("the file");
    let mut bytes = whole.clone();
    actions::flip(&mut bytes, seed);
    fs::write(&path, &bytes).expect("damaged");
    site.focus.serve().await;
    let seen = repaired(&site, &what).await;
    if (seen == REPAIRED || seen.contains(TOLD[1])) && names_another_root(&site) {
        // It is left to that root, and what lies here is told of.
        focus_testkit::wait::until(&what, LIMIT, || async {
            let told = site.focus.get("/api/v1/unrecognised")?;
            if told.contains("duplicate_id") { Ok(()) } else { Err(told) }
        })
        .await;
        assert_eq!(site.focus.stop(), Some(0), "{what}");
        return "told that another root has it".to_owned();
    }
    if seen != REPAIRED {
        actions::restore(&path, &whole);
        site.focus.until_status("catalog_reason", Value::Null, LIMIT).await;
    }
    ledger::settled(&site, COUNT).await;
    assert_eq!(repaired(&site, &what).await, REPAIRED);
    let rebuilt = site.focus.status().expect("a status")["index_state"] == "rebuilt";
    assert_eq!(site.focus.stop(), Some(0), "{what}");
    assert!(!site.focus.log().contains("panicked"), "{what}\n{}", site.focus.log());
    // A document whose uuid was damaged is of no recording, and marked as that.
    let planted: Vec<&str> = site.planted.iter().map(|one| one.uuid.as_str()).collect();
    let damaged: Vec<String> = ledger::documents(&site)
        .iter()
        .filter_map(|document| document.get_str("uuid").ok())
        .filter(|uuid| !planted.contains(uuid))
        .map(str::to_owned)
        .collect();
    assert!(damaged.len() <= 1, "{what}: {damaged:?}");
    ledger::agrees(&site, &damaged, &[]);
    let seen = if rebuilt { "index rebuilt".to_owned() } else { seen };
    println!("{what}: {}", seen.chars().take(90).collect::<String>());
    seen
}

async fn flips(file: &str) -> Vec<String> {
    let used = closed().await;
    let seeds = seeds().map(|seed| flip(&used, file, seed));
    futures_util::StreamExt::collect(futures_util::StreamExt::buffer_unordered(
        futures_util::stream::iter(seeds),
        4,
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_flipped_anywhere_in_the_index_never_reach_the_catalog() {
    let seen = flips("state/index.db").await;
    let rebuilt = seen.iter().filter(|seen| *seen == "index rebuilt").count();
    println!("{rebuilt} of {} indexes were rebuilt", seen.len());
    assert!(rebuilt > 0 || seen.len() == 1, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_flipped_anywhere_in_the_embedded_catalog_are_mended_or_told() {
    flips("state/catalog/catalog.db").await;
}

async fn all_actions(place: Place) {
    if !can_be_nobody() {
        println!("left out, needs setpriv and a binary that everybody can run: {place:?}");
        return;
    }
    let used = used().await;
    let mut failed = Vec::new();
    for actions in Action::ALL.chunks(3) {
        let trials = actions.iter().map(|action| async {
            let trial = std::panic::AssertUnwindSafe(damage(&used, place, *action));
            futures_util::FutureExt::catch_unwind(trial).await.map_err(|_| *action)
        });
        let ended = futures_util::future::join_all(trials).await;
        failed.extend(ended.into_iter().filter_map(Result::err));
    }
    assert!(failed.is_empty(), "{place:?}: {failed:?}");
}

/// A test for each place, and the list of those that have one.
macro_rules! damaged {
    ($($test:ident: $place:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                all_actions(Place::$place).await;
            }
        )*

        #[test]
        fn every_place_is_damaged() {
            assert_eq!(Place::ALL, [$(Place::$place,)*]);
        }
    };
}

damaged! {
    damage_to_the_index_is_mended_or_told: Index,
    damage_to_the_index_log_is_mended_or_told: IndexLog,
    damage_to_the_embedded_catalog_is_mended_or_told: Catalog,
    damage_to_the_identity_is_mended_or_told: Identity,
    damage_to_the_marker_is_told: Marker,
    damage_to_the_settings_is_told: Settings,
    damage_to_the_last_result_is_mended: Result,
    damage_to_the_servers_address_is_mended_or_told: Server,
}

/// What is held is an answer of the index: of another one it may be another set.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_on_a_damaged_index_approves_nothing_and_says_what_to_do() {
    let mut site = Site::new(&[]);
    site.land(COUNT);
    site.focus.serve().await;
    ledger::settled(&site, COUNT).await;
    for planted in &site.planted {
        let data = site.tree.root().join(&planted.path);
        fs::remove_file(data.with_extension("json")).expect("removed");
        fs::remove_file(data).expect("removed");
    }
    site.focus.until_status("held", COUNT, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    let run = |command: &str| {
        let ran = site.focus.run(&[command, "--json"]);
        let words = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
        println!("{command} ended with {:?}: {words}", ran.status.code());
        (ran.status.code(), words)
    };
    Action::FirstFlipped.strike(&site.state().join("index.db"));
    for wanted in [3, 2] {
        let (code, words) = run("approve");
        assert_eq!(code, Some(wanted), "{words}");
        assert!(words.contains("`focus scan"), "{words}");
    }
    ledger::agrees(&site, &[], &[]);
    let (code, words) = run("scan");
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("\"held\": 12"), "{words}");
    let (code, words) = run("approve");
    assert_eq!(code, Some(0), "{words}");
    let gone: Vec<String> = site.planted.iter().map(|planted| planted.uuid.clone()).collect();
    ledger::agrees(&site, &gone, &[]);
}
