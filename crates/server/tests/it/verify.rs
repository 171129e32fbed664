//! `focus verify`: every kind of finding planted, found exactly, mended, and found no more.

use std::collections::BTreeSet;
use std::fs;

use focus_testkit::mongo::{MongoServer, Program, find};
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use serde_json::Value;

use crate::site::{LIMIT, Site, embedded_only, no_server_to_end};

async fn begin(server: &MongoServer, count: usize) -> Site {
    let mut site = Site::with(server, &[]);
    site.land(count);
    // Where the database tells of changes, what is planted below would be mended before it is found.
    let is_ours = !matches!(find(), Some(Program::Deployment(_)));
    if is_ours {
        let fails = doc! { "failCommands": ["aggregate"], "errorCode": 40573, "appName": "focus" };
        server.fail_command("alwaysOn", fails).await;
    }
    site.focus.serve().await;
    site.converged(server, "node4").await;
    if is_ours {
        server.fail_command("off", doc! {}).await;
    }
    site.focus.until_status("pending", 0, LIMIT).await;
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
        let mut site = begin(&server, 30).await;
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
        assert_eq!((code, told(&again)), (Some(1), planted));
        assert_eq!(fs::read_to_string(csv).expect("written").lines().count(), 5);

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
