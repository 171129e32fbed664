//! A standby follows what the holder of the lease writes: its answers are those of the holder.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};

use crate::site::{BINARY, LIMIT, Site, embedded_only, no_server_to_end};

/// What the catalog has shows in the standby's answers within this.
const SHOWN: Duration = Duration::from_secs(5);

/// A site with a second server on its root and database.
struct Two {
    server: MongoServer,
    site: Site,
    standby: Focus,
}

impl Two {
    async fn start(count: usize) -> Two {
        Two::on(MongoServer::start().await, count).await
    }

    async fn on(server: MongoServer, count: usize) -> Two {
        let mut site = Site::with(&server, &[]);
        site.land(count);
        site.focus.serve().await;
        site.converged(&server, "node4").await;
        let mut args = server.args();
        args.extend(["--settle-ms".to_owned(), "200".to_owned()]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let state = site.dir.path().join("standby");
        let mut standby = Focus::new(BINARY, site.tree.root(), &state, &args);
        standby.serve().await;
        standby.until_status("/roots/0/lease", "standby", LIMIT).await;
        standby.until_status("recordings", count as u64, LIMIT).await;
        standby.until_status("pending", 0, LIMIT).await;
        Two { server, site, standby }
    }

    /// Every document by its uuid.
    async fn documents(&self) -> BTreeMap<String, Document> {
        let client = self.server.client().await;
        let nodes = client.database(self.server.database()).collection::<Document>("node4");
        let all: Vec<Document> =
            nodes.find(doc! {}).await.expect("an answer").try_collect().await.expect("documents");
        let uuid = |one: &Document| one.get_str("uuid").expect("a uuid").to_owned();
        all.into_iter().map(|one| (uuid(&one), one)).collect()
    }

    fn files(&self, at: usize) -> [PathBuf; 2] {
        let data = self.site.tree.root().join(&self.site.planted[at].path);
        [data.with_extension("json"), data]
    }

    /// Both say the same, once the holder has nothing left to write.
    async fn agree(&self) {
        self.site.focus.until_status("pending", 0, LIMIT).await;
        until("the standby says what the holder says", SHOWN, || async {
            let (ours, theirs) = (self.site.focus.status()?, self.standby.status()?);
            let fields = ["recordings", "pending", "lag_ms", "unrecognised", "vanished", "held"];
            let differs = |field: &&str| ours[*field] != theirs[*field];
            match fields.iter().find(|field| differs(field)) {
                None => Ok(()),
                Some(field) => {
                    Err(format!("{field}: {ours:#}\n{theirs:#}\n{}", self.standby.log()))
                }
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_shows_within_seconds_what_the_holder_has_written() {
    if embedded_only("a standby's answers") {
        return;
    }
    let mut two = Two::start(20).await;
    let root = two.site.tree.root().to_owned();
    two.site.land(10);
    two.site.converged(&two.server, "node4").await;
    two.agree().await;
    // Copies, at smaller paths and at larger ones.
    for (at, folder) in [(20, "a"), (21, "z"), (22, "a"), (23, "z")] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
        for file in two.files(at) {
            let name = file.file_name().expect("a name").to_owned();
            fs::copy(&file, root.join(folder).join(name)).expect("copied");
        }
    }
    two.site.focus.until_status("unrecognised", 4, LIMIT).await;
    two.agree().await;
    // One changes, one goes, and another is replaced by one whose uuid another root has.
    let [sidecar, _] = two.files(4);
    let text = fs::read_to_string(&sidecar).expect("read").replace("\"gain\":1.5", "\"gain\":2.5");
    fs::write(&sidecar, text).expect("written");
    two.files(6).iter().for_each(|file| fs::remove_file(file).expect("removed"));
    let client = two.server.client().await;
    let nodes = client.database(two.server.database()).collection::<Document>("node4");
    let of_another = doc! { "uuid": "theirs", "root": "another", "version": 1_i64 << 32,
    "deleted": false, "path": "theirs.dat" };
    nodes.insert_one(of_another).await.expect("inserted");
    fs::write(root.join("theirs.dat"), "data").expect("written");
    let sidecar = r#"{"uuid": "theirs", "start_time": 1, "end_time": 2}"#;
    fs::write(root.join("theirs.json"), sidecar).expect("written");
    two.site.focus.until_status("deleted", 1, LIMIT).await;
    two.site.focus.until_status("unrecognised", 5, LIMIT).await;
    two.agree().await;
    assert_eq!(two.standby.status().expect("a status")["deleted"], 1);

    // The standby takes over, and writes nothing that is there.
    let before = two.documents().await;
    assert_eq!(two.site.focus.stop(), Some(0));
    two.standby.until_status("/roots/0/lease", "held", LIMIT).await;
    two.standby.until_status("catalog_state", "in_step", LIMIT).await;
    until("the new holder has compared everything", LIMIT, || async {
        let status = two.standby.status()?;
        let done = status["pending"] == 0
            && status["comparison"].is_null()
            && !status["missing"].is_null();
        if done { Ok(()) } else { Err(format!("{status:#}")) }
    })
    .await;
    assert_eq!(two.documents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_that_are_approved_at_the_holder_are_held_at_the_standby_no_more() {
    if embedded_only("approved at the holder") {
        return;
    }
    let two = Two::start(12).await;
    for at in 0..12 {
        two.files(at).iter().for_each(|file| fs::remove_file(file).expect("removed"));
    }
    two.site.focus.until_status("held", 12, LIMIT).await;
    two.standby.until_status("held", 12, LIMIT).await;
    let approved = two.site.focus.run(&["approve", "--json", "--yes"]);
    assert_eq!(approved.status.code(), Some(0), "{approved:?}");
    two.site.focus.until_status("deleted", 12, LIMIT).await;
    two.agree().await;
    assert_eq!(two.standby.status().expect("a status")["deleted"], 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_change_streams_a_standby_asks_for_what_it_believes_to_be_pending() {
    if no_server_to_end("a standby without change streams") {
        return;
    }
    let server = MongoServer::start().await;
    let fails = doc! { "failCommands": ["aggregate"], "errorCode": 40573, "appName": "focus" };
    server.fail_command("alwaysOn", fails).await;
    let mut two = Two::on(server, 20).await;
    let status = two.standby.status().expect("a status");
    let remarks = status["catalog_remarks"].as_array().cloned().unwrap_or_default();
    let said = |remark: &serde_json::Value| {
        remark.as_str().is_some_and(|words| words.contains("no change streams"))
    };
    assert!(remarks.iter().any(said), "{status:#}");
    // More than one question of a thousand asks for.
    two.site.land(1_200);
    two.site.converged(&two.server, "node4").await;
    two.agree().await;
    two.files(3).iter().for_each(|file| fs::remove_file(file).expect("removed"));
    two.site.focus.until_status("deleted", 1, LIMIT).await;
    two.agree().await;
}
