//! `focus verify`: every kind of finding planted, found exactly, mended, and found no more.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use focus_testkit::focus::Focus;
use focus_testkit::mongo::{MongoServer, Program, find};
use focus_testkit::wait::until;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use serde_json::Value;

use crate::site::{BINARY, LIMIT, Site, embedded_only, no_server_to_end};

async fn begin(server: &MongoServer, count: usize) -> Site {
    let mut site = Site::with(server, &[]);
    site.land(count);
    site.focus.serve().await;
    site.converged(server, "node4").await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site
}

/// As `begin`, where the database has no change streams: else what is planted would be mended before it is
/// found.
async fn begin_untold(server: &MongoServer, count: usize) -> Site {
    if matches!(find(), Some(Program::Deployment(_))) {
        return begin(server, count).await;
    }
    let fails = doc! { "failCommands": ["aggregate"], "errorCode": 40573, "appName": "focus" };
    server.fail_command("alwaysOn", fails).await;
    let site = begin(server, count).await;
    until("it is known that there are none", LIMIT, || async {
        let status = site.focus.status()?;
        let said = status["catalog_remarks"].to_string().contains("no change streams");
        if said { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    // It is asked once in a connection; what else is an aggregation is answered again.
    server.fail_command("off", doc! {}).await;
    site
}

async fn nodes(server: &MongoServer) -> Collection<Document> {
    server.client().await.database(server.database()).collection("node4")
}

/// Runs `focus verify`; its exit code and result.
fn verify(site: &Site, extra: &[&str]) -> (Option<i32>, Value) {
    let mut command = vec!["verify", "--json"];
    command.extend(extra);
    let output = site.focus.run(&command);
    let said = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    assert!(!said.is_null(), "{output:?}");
    (output.status.code(), said)
}

fn told(said: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = said["findings"].as_array().expect("findings");
    findings.iter().map(|one| (text(&one["kind"]), text(&one["uuid"]))).collect()
}

/// What is planted: kind and uuid.
async fn plant(server: &MongoServer, site: &Site) -> BTreeSet<(String, String)> {
    let nodes = nodes(server).await;
    let uuid = |at: usize| site.planted[at].uuid.clone();
    nodes.delete_one(doc! { "uuid": uuid(0) }).await.expect("deleted");
    let set = doc! { "$set": { "size": 77_i64, "note": "of others" } };
    nodes.update_one(doc! { "uuid": uuid(1) }, set).await.expect("altered");
    let set = doc! { "$set": { "start_time": "a text" } };
    nodes.update_one(doc! { "uuid": uuid(2) }, set).await.expect("altered");
    let mut document =
        nodes.find_one(doc! { "uuid": uuid(3) }).await.expect("read").expect("there");
    document.remove("_id");
    document.insert("uuid", "of nobody");
    document.insert("recording_id", "nothing");
    let path = document.get_str("path").expect("a path").to_owned();
    let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    document.insert("path", format!("{folder}nothing.dat"));
    nodes.insert_one(document).await.expect("inserted");
    nodes.insert_one(doc! { "uuid": "foreign", "mine": true }).await.expect("inserted");
    [
        ("dark", uuid(0)),
        ("mismatch", uuid(1)),
        ("mismatch", uuid(2)),
        ("missing", "of nobody".into()),
    ]
    .map(|(kind, uuid)| (kind.to_owned(), uuid))
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_drift_is_found_exactly_mended_and_found_no_more() {
    if embedded_only("drift") {
        return;
    }
    for running in [true, false] {
        let server = MongoServer::start().await;
        let mut site = begin_untold(&server, 30).await;
        assert_eq!(verify(&site, &[]).0, Some(0));
        if !running {
            assert_eq!(site.focus.stop(), Some(0));
        }
        let planted = plant(&server, &site).await;
        let (code, said) = verify(&site, &[]);
        assert_eq!((code, told(&said)), (Some(1), planted.clone()), "{said:#}");
        assert_eq!((&said["foreign"], &said["repaired"]), (&1.into(), &0.into()), "{said:#}");
        let fields = said["findings"].as_array().expect("findings").iter();
        let of = |uuid: &str| {
            let one = fields.clone().find(|one| one["uuid"] == uuid).expect("found");
            one["fields"][0].clone()
        };
        let size = of(&site.planted[1].uuid);
        assert_eq!((&size["field"], &size["catalog"]), (&"size".into(), &"77".into()));
        assert_eq!(of(&site.planted[2].uuid)["field"], "document");
        // Read alone: found the same again, and written out a line each.
        let csv = site.dir.path().join("drift.csv");
        let (code, again) = verify(&site, &["--csv", &csv.display().to_string()]);
        assert_eq!((code, told(&again)), (Some(1), planted), "{again:#}");
        let lines = fs::read_to_string(csv).expect("written");
        let mut lines: Vec<&str> = lines.split("\r\n").collect();
        assert_eq!(lines.remove(0), "kind,uuid,root,path,field,storage,catalog,reason");
        assert_eq!((lines.pop(), lines.len()), (Some(""), 4), "{lines:?}");
        for one in said["findings"].as_array().expect("findings") {
            let field =
                |of: &Value, name: &str| of[name].as_str().unwrap_or("").replace('"', "\"\"");
            let mut line: Vec<String> = ["kind", "uuid", "root", "path"]
                .map(|name| format!("\"{}\"", field(one, name)))
                .into();
            match one["fields"].get(0) {
                Some(of) => line.extend(
                    ["field", "storage", "catalog"].map(|name| format!("\"{}\"", field(of, name))),
                ),
                None => line.extend([String::new(), String::new(), String::new()]),
            }
            line.push("\"\"".to_owned());
            assert!(lines.contains(&line.join(",").as_str()), "{line:?} in {lines:#?}");
        }

        let (code, mended) = verify(&site, &["--repair"]);
        assert_eq!((code, told(&mended)), (Some(0), BTreeSet::new()), "{mended:#}");
        assert_eq!(mended["repaired"], 4, "{mended:#}");
        assert_eq!(verify(&site, &[]).0, Some(0));
        let nodes = nodes(&server).await;
        let read = async |uuid: &str| {
            nodes.find_one(doc! { "uuid": uuid }).await.expect("read").expect("there")
        };
        assert_eq!(read(&site.planted[1].uuid).await.get_str("note").ok(), Some("of others"));
        assert_eq!(read("of nobody").await.get_bool("deleted").ok(), Some(true));
        let mut foreign = read("foreign").await;
        foreign.remove("_id");
        assert_eq!(foreign, doc! { "uuid": "foreign", "mine": true });
        nodes
            .delete_many(doc! { "uuid": { "$in": ["foreign", "of nobody"] } })
            .await
            .expect("gone");
        site.converged(&server, "node4").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_told_and_left_to_a_person() {
    if embedded_only("duplicates") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = begin(&server, 5).await;
    assert_eq!(site.focus.stop(), Some(0));
    let nodes = nodes(&server).await;
    nodes.drop_index("uuid_1").await.expect("dropped");
    let uuid = &site.planted[2].uuid;
    let mut twice = nodes.find_one(doc! { "uuid": uuid }).await.expect("read").expect("there");
    twice.remove("_id");
    nodes.insert_one(twice).await.expect("inserted");
    let (code, said) = verify(&site, &[]);
    let wanted = BTreeSet::from([("duplicate".to_owned(), uuid.clone())]);
    assert_eq!((code, told(&said)), (Some(1), wanted), "{said:#}");
    assert_eq!(nodes.count_documents(doc! {}).await.ok(), Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unrecognised_or_unsettled_is_listed_and_is_no_drift() {
    if embedded_only("unrecognised in a verification") {
        return;
    }
    let server = MongoServer::start().await;
    let site = begin(&server, 5).await;
    let root = site.tree.root();
    fs::write(root.join("bad.dat"), b"data").expect("written");
    fs::write(root.join("bad.json"), b"{").expect("written");
    site.focus.until_status("unrecognised", 1, LIMIT).await;
    let (code, said) = verify(&site, &[]);
    assert_eq!(code, Some(0), "{said:#}");
    assert_eq!((&said["counts"]["unrecognised"], &said["in_order"]), (&1.into(), &true.into()));
    let last: Value =
        serde_json::from_str(&site.focus.get("/api/v1/drift").expect("drift")).expect("json");
    assert_eq!(last["last"]["counts"]["unrecognised"], 1, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_that_land_and_go_during_verifications_are_no_drift() {
    if embedded_only("verifying while recordings land") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = begin(&server, 200).await;
    for round in 0..6 {
        site.land(100);
        let [gone, ..] = &site.planted[round..] else { panic!("some") };
        let data = site.tree.root().join(&gone.path);
        fs::remove_file(data.with_extension("json")).expect("removed");
        fs::remove_file(data).expect("removed");
        let (_, said) = verify(&site, &[]);
        let kinds: BTreeSet<_> = told(&said).into_iter().map(|(kind, _)| kind).collect();
        assert!(kinds.is_subset(&BTreeSet::from(["missing".to_owned()])), "{said:#}");
    }
    // What went is marked by now, and nothing differs.
    site.focus.until_status("deleted", 6, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(verify(&site, &[]).0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_root_or_catalog_it_cannot_tell() {
    if no_server_to_end("verifying without a catalog") {
        return;
    }
    let mut server = MongoServer::start().await;
    let mut site = begin(&server, 5).await;
    assert_eq!(site.focus.stop(), Some(0));
    let root = site.tree.root().to_owned();
    let aside = site.dir.path().join("aside");
    fs::rename(&root, &aside).expect("moved");
    assert_eq!(verify(&site, &[]).0, Some(3));
    fs::rename(&aside, &root).expect("moved");
    server.kill();
    assert_eq!(verify(&site, &[]).0, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_embedded_catalog_too() {
    let mut site = Site::new(&[]);
    site.land(20);
    site.focus.serve().await;
    site.focus.until_status("recordings", 20, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(verify(&site, &[]).0, Some(0));
    assert_eq!(site.focus.stop(), Some(0));
    assert_eq!(verify(&site, &[]).0, Some(0));
    // A catalog that is not there is no empty one.
    fs::remove_dir_all(site.state().join("catalog")).expect("removed");
    assert_eq!(verify(&site, &[]).0, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_shown_on_a_terminal_and_in_the_status_and_not_in_a_pipe() {
    if no_server_to_end("progress of a verification") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = begin(&server, 250).await;
    // What is read of the catalog takes its time.
    let slow = doc! {
        "failCommands": ["find"], "blockConnection": true, "blockTimeMS": 600, "appName": "focus",
    };
    server.fail_command("alwaysOn", slow).await;
    for running in [true, false] {
        if !running {
            assert_eq!(site.focus.stop(), Some(0));
        }
        let mut command = format!("'{BINARY}' verify --root '{}'", site.tree.root().display());
        command.push_str(&format!(" --state-dir '{}'", site.state().display()));
        server.args().iter().for_each(|arg| command.push_str(&format!(" '{arg}'")));
        // `script` runs it on a terminal of its own, and copies what it shows.
        let on_terminal = Command::new("script")
            .args(["-q", "-e", "-c", &command, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script runs");
        if running {
            until("the status shows it", LIMIT, || async {
                let now = site.focus.status()?["verification"].take();
                let told =
                    now["of"] == 250 && now["stage"].as_str().is_some_and(|one| !one.is_empty());
                if told { Ok(()) } else { Err(now.to_string()) }
            })
            .await;
        }
        let output = on_terminal.wait_with_output().expect("its end");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{shown}");
        assert!(shown.contains("catalog: 0 of 250 recordings"), "{shown}");
        assert!(shown.contains("The catalog is true to storage."), "{shown}");
        let piped = site.focus.run(&["verify"]);
        assert!(piped.status.success(), "{piped:?}");
        let said = String::from_utf8_lossy(&piped.stdout).into_owned();
        assert!(said.starts_with("250 recordings compared in "), "{said}");
        assert!(!String::from_utf8_lossy(&piped.stderr).contains("of 250"), "{piped:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_verification_is_kept_over_a_restart_and_shown() {
    if embedded_only("a scheduled verification") {
        return;
    }
    let server = MongoServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("focus.toml");
    fs::write(&settings, "verify_interval_ms = 500\n").expect("settings");
    let mut site = Site::with(&server, &["--config", &settings.display().to_string()]);
    site.land(20);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    let last = |site: &Site| -> Result<Value, String> {
        let drift = site.focus.get("/api/v1/drift")?;
        let drift: Value = serde_json::from_str(&drift).map_err(|error| error.to_string())?;
        Ok(drift["last"].clone())
    };
    until("it was verified, and all was in order", LIMIT, || async {
        let last = last(&site)?;
        let good = last["in_order"] == true && last["compared"] == 20;
        if good { Ok(()) } else { Err(last.to_string()) }
    })
    .await;
    // Nobody can mend this one but a person.
    let nodes = nodes(&server).await;
    nodes.drop_index("uuid_1").await.expect("dropped");
    let uuid = site.planted[2].uuid.clone();
    let mut twice = nodes.find_one(doc! { "uuid": &uuid }).await.expect("read").expect("there");
    twice.remove("_id");
    nodes.insert_one(twice).await.expect("inserted");
    let found = until("the drift is found", LIMIT, || async {
        let last = last(&site)?;
        let found = last["in_order"] == false && last["counts"]["duplicate"] == 1;
        if found { Ok(last) } else { Err(format!("{last}\n{}", site.focus.log())) }
    })
    .await;
    assert_eq!(told(&found), BTreeSet::from([("duplicate".to_owned(), uuid)]));
    let log = site.focus.log();
    assert!(log.contains("the catalog is not true to storage"), "{log}");
    site.focus.kill();
    // Kept: shown before anything has been verified anew.
    fs::write(&settings, "verify_interval_ms = 0\n").expect("settings");
    site.focus.serve().await;
    let kept = last(&site).expect("kept");
    assert_eq!(told(&kept), told(&found));
    assert!(kept["began_at"].as_str() >= found["began_at"].as_str(), "{kept} {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_missing_than_may_vanish_at_once_are_held_by_a_repair_until_they_are_approved() {
    if embedded_only("many missing") {
        return;
    }
    let server = MongoServer::start().await;
    let site = begin(&server, 40).await;
    let nodes = nodes(&server).await;
    let like = nodes.find_one(doc! { "uuid": &site.planted[0].uuid }).await;
    let like = like.expect("read").expect("there");
    let ghosts: Vec<Document> = (0..150)
        .map(|n| {
            let mut ghost = like.clone();
            ghost.remove("_id");
            ghost.insert("uuid", format!("ghost-{n:03}"));
            ghost.insert("recording_id", format!("ghost-{n:03}"));
            ghost.insert("path", format!("ghost-{n:03}.dat"));
            ghost
        })
        .collect();
    nodes.insert_many(ghosts).await.expect("inserted");
    let (code, said) = verify(&site, &[]);
    assert_eq!((code, &said["counts"]["missing"]), (Some(1), &150.into()), "{said:#}");
    let (code, said) = verify(&site, &["--repair"]);
    assert_eq!((code, &said["counts"]["missing"]), (Some(1), &150.into()), "{said:#}");
    let marked = doc! { "deleted": true, "uuid": { "$gte": "ghost", "$lt": "ghosu" } };
    assert_eq!(nodes.count_documents(marked.clone()).await.ok(), Some(0));
    site.focus.until_status("held", 150, LIMIT).await;
    let approved = site.focus.run(&["approve"]);
    assert!(approved.status.success(), "{approved:?}");
    until("they are marked", LIMIT, || async {
        match nodes.count_documents(marked.clone()).await {
            Ok(150) => Ok(()),
            other => Err(format!("{other:?}\n{}", site.focus.log())),
        }
    })
    .await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(verify(&site, &[]).0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_is_refused_where_another_server_has_the_lease_and_takes_it_where_none_has() {
    if embedded_only("a repair and the lease") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = begin_untold(&server, 10).await;
    let nodes = nodes(&server).await;
    let spoil = doc! { "$set": { "size": 77_i64 } };
    nodes.update_one(doc! { "uuid": &site.planted[1].uuid }, spoil).await.expect("altered");
    // Another state folder, without a server of its own, beside the server that writes.
    let settings = site.dir.path().join("short.toml");
    fs::write(&settings, "lease_ms = 2000\n").expect("settings");
    let mut args = server.args();
    args.extend(["--config".to_owned(), settings.display().to_string()]);
    args.extend(["--settle-ms".to_owned(), "200".to_owned()]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let beside = Focus::new(BINARY, site.tree.root(), &site.dir.path().join("beside"), &args);
    let token = async || {
        let meta = server.client().await.database(server.database());
        let meta = meta.collection::<Document>("focus_meta");
        let lease = meta.find_one(doc! { "_id": format!("lease:{}", site.marker) }).await;
        let lease = lease.expect("read").expect("a lease");
        (lease.get_i64("token").expect("a token"), lease.get_bool("released").expect("told"))
    };
    let (before, _) = token().await;
    // Reading needs no lease; to an index that has acknowledged nothing, young files are no drift.
    until("the drift is found beside it", LIMIT, || async {
        let output = beside.run(&["verify"]);
        if output.status.code() == Some(1) { Ok(()) } else { Err(format!("{output:?}")) }
    })
    .await;
    let refused = beside.run(&["verify", "--repair"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}\n{}", site.focus.log());
    assert!(words.contains("another server has the lease"), "{words}");
    assert_eq!(token().await, (before, false));
    assert_eq!(site.focus.stop(), Some(0));
    let repaired = beside.run(&["verify", "--repair"]);
    assert_eq!(repaired.status.code(), Some(0), "{repaired:?}");
    let (after, released) = token().await;
    assert!(after > before && released, "{after} after {before}, released: {released}");
    site.converged(&server, "node4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_being_written_is_unsettled_and_no_drift() {
    if embedded_only("unsettled in a verification") {
        return;
    }
    let server = MongoServer::start().await;
    let site = begin(&server, 5).await;
    let root = site.tree.root().to_owned();
    fs::write(root.join("grows.json"), br#"{"start_time": 1700000000, "end_time": 1700000060}"#)
        .expect("written");
    let going_on = Arc::new(AtomicBool::new(true));
    let (go_on, data) = (Arc::clone(&going_on), root.join("grows.dat"));
    let writer = tokio::spawn(async move {
        let mut file = fs::File::create(data).expect("a file");
        while go_on.load(Ordering::Relaxed) {
            std::io::Write::write_all(&mut file, b"more").expect("written");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    site.focus.until_status("unsettled", 1, LIMIT).await;
    let (code, said) = verify(&site, &[]);
    assert_eq!((code, &said["counts"]["unsettled"]), (Some(0), &1.into()), "{said:#}");
    let places: Vec<_> = said["findings"].as_array().expect("findings").iter().collect();
    assert!(places.iter().any(|one| one["kind"] == "unsettled" && one["path"] == "grows"));
    going_on.store(false, Ordering::Relaxed);
    writer.await.expect("no panic");
    site.focus.until_status("recordings", 6, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let (code, said) = verify(&site, &[]);
    assert_eq!((code, &said["counts"]["unsettled"]), (Some(0), &0.into()), "{said:#}");
}
