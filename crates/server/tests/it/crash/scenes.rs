//! What goes on around a crash: what was there before, what leads to the point, and what has to be
//! true once a server without it has run.

use std::fs;
use std::sync::Arc;

use focus_crash::{Point, Step};
use focus_testkit::mongo::MongoServer;
use focus_testkit::tree::Planted;
use focus_testkit::wait::until;
use mongodb::bson::Document;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ingest::form::{self, Handed};
use crate::ledger;
use crate::site::{LIMIT, Site};

/// Recordings that are there from the beginning.
const COUNT: usize = 12;

/// Recordings of [`Scene::Backlog`]: three batches, of which the first two are full.
const BACKLOG: usize = 3_500;

/// The body that forgets the root of [`Scene::Forgotten`].
const FORGET: &str = r#"{"root": "removed"}"#;

/// What goes on around a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// A first run, from nothing.
    First,
    /// Recordings were changed and added.
    Changed,
    /// More recordings wait than a batch holds.
    Backlog,
    /// The catalog holds documents of others with our uuids.
    Others,
    /// Two paths have one uuid, the catalog has the later one, and the index is lost.
    TwoPaths,
    /// Some recordings are gone.
    Gone,
    /// What a drill planted is gone.
    Drilled,
    /// All are gone, and to be held.
    Held,
    /// All are held, and approved.
    Approved,
    /// The index knows a root that is not configured, and forgets it.
    Forgotten,
    /// A key of the metadata is to be indexed, and so are texts.
    Indexed,
    /// The sidecars of the root mean something else by now.
    Reformed,
    /// The index saw everything on another mount.
    Remounted,
    /// The index is damaged.
    Rebuilt,
    /// The catalog was altered by hand, and is repaired.
    Repair,
    /// A verification stores its result.
    Verified,
    /// The server is stopped in order.
    Stopped,
    /// A recording is handed over.
    HandedOver,
}

/// One server that is to die.
pub(crate) struct Trial {
    pub(crate) site: Site,
    scene: Scene,
    /// Uuids whose recordings are gone for good.
    gone: Vec<String>,
    /// The catalog before the crash, where it has to stay as it was.
    before: Vec<Document>,
    /// Where the catalog is, if not embedded: server and collection.
    server: Option<Arc<MongoServer>>,
    collection: String,
    /// The catalog is kept busy until the server knows storage.
    busy: Option<rusqlite::Connection>,
    settings: TempDir,
}

/// The recording of [`Scene::HandedOver`].
fn handed_over() -> Handed {
    Handed::over("handed/r", "handed", &[9; 70_000])
}

impl Trial {
    /// Everything as it is before the server that dies is started.
    pub(crate) async fn prepare(
        scene: Scene,
        server: Option<Arc<MongoServer>>,
        name: &str,
    ) -> Trial {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("focus.toml");
        let settings = "lease_ms = 2000\nrefused_retry_ms = 200\ningest = true\n";
        fs::write(&file, settings).expect("settings");
        let mut args = vec!["--config".to_owned(), file.display().to_string()];
        let collection = format!("{scene:?}_{name}");
        if let Some(server) = &server {
            args.extend(server.args());
            args.extend(["--collection".to_owned(), collection.clone()]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut trial = Trial {
            site: Site::new(&args),
            scene,
            gone: Vec::new(),
            before: Vec::new(),
            server,
            collection,
            busy: None,
            settings: folder,
        };
        trial.site.land(COUNT);
        trial.set_up().await;
        trial
    }

    async fn set_up(&mut self) {
        match self.scene {
            Scene::First => self.plant("lonely.dat", "data"),
            Scene::Stopped | Scene::Verified | Scene::HandedOver => {}
            Scene::Changed => {
                self.catalogued(COUNT).await;
                (0..4).for_each(|at| self.alter(at));
                self.site.land(6);
            }
            Scene::Backlog => {
                self.catalogued(COUNT).await;
                self.site.land(BACKLOG);
                self.busy = Some(ledger::busy(&self.site));
            }
            Scene::Others => {
                self.catalogued(COUNT).await;
                self.site.land(6);
                self.others();
            }
            Scene::TwoPaths => {
                let sidecar = r#"{"uuid": "twice", "start_time": 1700000000}"#;
                self.plant("z/twice.dat", "data");
                self.plant("z/twice.json", sidecar);
                self.site.focus.serve().await;
                ledger::settled(&self.site, COUNT + 1).await;
                self.plant("a/twice.dat", "data");
                self.plant("a/twice.json", sidecar);
                self.site.focus.until_status("unrecognised", 1, LIMIT).await;
                self.catalogued(COUNT + 1).await;
                fs::remove_file(self.site.state().join("index.db")).expect("lost");
                self.busy = Some(ledger::busy(&self.site));
            }
            Scene::Gone => {
                self.catalogued(COUNT).await;
                (0..2).for_each(|at| self.remove(at));
            }
            Scene::Drilled => {
                for name in ["planted-0", "planted-1"] {
                    let sidecar = r#"{"start_time": 1700000000, "focus_drill": "d1"}"#;
                    self.plant(&format!("{name}.dat"), "data");
                    self.plant(&format!("{name}.json"), sidecar);
                }
                self.catalogued(COUNT + 2).await;
                for file in ["planted-0.dat", "planted-0.json", "planted-1.dat", "planted-1.json"] {
                    fs::remove_file(self.site.tree.root().join(file)).expect("removed");
                }
            }
            Scene::Held => {
                self.catalogued(COUNT).await;
                (0..COUNT).for_each(|at| self.remove(at));
            }
            Scene::Approved => {
                self.catalogued(COUNT).await;
                (0..COUNT).for_each(|at| self.remove(at));
                self.site.focus.serve().await;
                self.site.focus.until_status("held", COUNT, LIMIT).await;
                assert_eq!(self.site.focus.stop(), Some(0));
            }
            Scene::Forgotten => {
                self.catalogued(COUNT).await;
                let index = self.site.state().join("index.db");
                let index = rusqlite::Connection::open(index).expect("the index");
                let rows = "INSERT INTO roots(id, marker, path) VALUES(7, 'removed', '/removed');
                    INSERT INTO folders(id, root, path) VALUES(70, 7, '');
                    INSERT INTO files(root, folder, stem) VALUES(7, 70, 'r');";
                index.execute_batch(rows).expect("a root");
            }
            Scene::Indexed => {
                self.catalogued(COUNT).await;
                let settings = "lease_ms = 2000\nindexed_metadata = [\"station\"]\n";
                fs::write(self.settings.path().join("focus.toml"), settings).expect("settings");
            }
            Scene::Reformed => {
                self.catalogued(COUNT).await;
                let root = self.site.tree.root().display().to_string();
                let settings = format!(
                    "lease_ms = 2000\nroots = [{{ path = {root:?}, start_time = \"/count\", end_time = {{ duration_s = \"/gain\" }} }}]\n"
                );
                fs::write(self.settings.path().join("focus.toml"), settings).expect("settings");
                for (count, planted) in (0..).zip(&mut self.site.planted) {
                    let data = self.site.tree.root().join(&planted.path);
                    let sidecar = fs::read(data.with_extension("json")).expect("a sidecar");
                    planted.metadata = serde_json::from_slice(&sidecar).expect("JSON");
                    let fields = planted.metadata.as_object_mut().expect("an object");
                    fields.retain(|key, _| !["uuid", "deleted", "count"].contains(&key.as_str()));
                    planted.start_ms = count * 1_000;
                    planted.end_ms = Some(count * 1_000 + 1_500);
                }
            }
            Scene::Remounted => {
                self.catalogued(COUNT).await;
                let index = self.site.state().join("index.db");
                let index = rusqlite::Connection::open(index).expect("the index");
                let changed = index.execute("UPDATE mounts SET file_system = 'another'", []);
                assert!(changed.expect("changed") > 0);
                self.remove(0);
            }
            Scene::Rebuilt => {
                self.plant("lonely.dat", "data");
                self.site.focus.serve().await;
                self.site.focus.until_status("unrecognised", 1, LIMIT).await;
                let told = "SELECT count(*) FROM unrecognized_recordings";
                until("it is told", LIMIT, || async {
                    let count = ledger::number(&self.site, told);
                    if count == 1 { Ok(()) } else { Err(count.to_string()) }
                })
                .await;
                self.catalogued(COUNT).await;
                self.before = ledger::documents(&self.site);
                self.plant("lonely.json", r#"{"start_time": 1700000000, "end_time": 1700000001}"#);
                self.site.planted.push(Planted {
                    uuid: "lonely".to_owned(),
                    recording_id: "lonely".to_owned(),
                    path: "lonely.dat".to_owned(),
                    start_ms: 1_700_000_000_000,
                    end_ms: Some(1_700_000_001_000),
                    deleted: false,
                    size: 4,
                    metadata: json!({}),
                });
                fs::write(self.site.state().join("index.db"), [0x5A; 50_000]).expect("damaged");
            }
            Scene::Repair => {
                self.catalogued(COUNT).await;
                self.tamper();
            }
        }
        if matches!(self.scene, Scene::Stopped | Scene::Verified) {
            self.catalogued(COUNT).await;
        }
    }

    /// A server has catalogued so many, and was stopped.
    async fn catalogued(&mut self, count: usize) {
        if self.site.focus.pid().is_none() {
            self.site.focus.serve().await;
        }
        ledger::settled(&self.site, count).await;
        assert_eq!(self.site.focus.stop(), Some(0));
    }

    fn plant(&self, path: &str, text: &str) {
        let path = self.site.tree.root().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("planted");
    }

    /// Another field in a sidecar.
    fn alter(&mut self, at: usize) {
        let planted = &mut self.site.planted[at];
        let path = self.site.tree.root().join(&planted.path).with_extension("json");
        let text = fs::read(&path).expect("a sidecar");
        let mut sidecar: Value = serde_json::from_slice(&text).expect("JSON");
        sidecar["altered"] = json!(true);
        planted.metadata["altered"] = json!(true);
        fs::write(path, sidecar.to_string()).expect("altered");
    }

    fn remove(&mut self, at: usize) {
        let planted = &self.site.planted[at];
        let data = self.site.tree.root().join(&planted.path);
        fs::remove_file(data.with_extension("json")).expect("removed");
        fs::remove_file(data).expect("removed");
        self.gone.push(planted.uuid.clone());
    }

    /// Documents of others with uuids of ours: without root, deleted elsewhere, and live elsewhere.
    fn others(&self) {
        let roots = [("NULL", 0), ("'elsewhere'", 1), ("'elsewhere'", 0)];
        for (planted, (root, deleted)) in self.site.planted[COUNT..].iter().zip(roots) {
            ledger::change(
                &self.site,
                &format!(
                    "INSERT INTO recordings(uuid, root, start_time, deleted, path, version)
                     VALUES('{}', {root}, 0, {deleted}, 'theirs.dat', 5)",
                    planted.uuid
                ),
            );
        }
    }

    /// Documents removed, altered, and one too many.
    fn tamper(&mut self) {
        let uuid = |at: usize| self.site.planted[at].uuid.clone();
        let sql = format!(
            "DELETE FROM recordings WHERE uuid IN ('{}', '{}');
             UPDATE recordings SET path = 'wrong.dat', size = 1 WHERE uuid = '{}';
             INSERT INTO recordings(uuid, root, start_time, deleted, recording_id, path, size, fingerprint,
               metadata, indexed_at, version)
             VALUES('ghost', '{}', 1700000000000, 0, 'ghost', 'day-00/ghost.dat', 4, 'f', '{{}}', 0, 4294967297);",
            uuid(0),
            uuid(1),
            uuid(2),
            self.site.marker
        );
        ledger::change(&self.site, &sql);
        self.gone.push("ghost".to_owned());
    }

    /// An approval of all that the running server shows as held.
    fn approval(&self) -> String {
        let held = self.site.focus.get("/api/v1/held").expect("held deletions");
        let held: serde_json::Value = serde_json::from_str(&held).expect("JSON");
        let through = &held["items"][0]["through"];
        format!(r#"{{"root": "{}", "through": {through}}}"#, self.site.marker)
    }

    /// Leads the server that was started to its point.
    pub(crate) async fn provoke(&mut self) {
        let (path, body) = match self.scene {
            Scene::TwoPaths => {
                self.site.focus.until_status("unrecognised", 1, LIMIT).await;
                self.busy = None;
                return;
            }
            Scene::Backlog => {
                self.site.focus.until_status("pending", BACKLOG, LIMIT).await;
                self.busy = None;
                return;
            }
            Scene::Approved => ("/api/v1/held/approve", String::new()),
            Scene::Forgotten => ("/api/v1/roots/forget", FORGET.to_owned()),
            Scene::Repair => ("/api/v1/verify", r#"{"repair": true}"#.to_owned()),
            Scene::Verified => ("/api/v1/verify", "{}".to_owned()),
            Scene::Stopped => ("", String::new()),
            Scene::HandedOver => {
                self.site.focus.until_status("catalog_state", "in_step", LIMIT).await;
                let (address, token) = form::server(&self.site);
                // It dies before it answers.
                let _ = handed_over().to(&address, &token);
                return;
            }
            _ => return,
        };
        self.site.focus.until_status("catalog_state", "in_step", LIMIT).await;
        let body = if self.scene == Scene::Approved { self.approval() } else { body };
        if self.scene == Scene::Stopped {
            self.site.focus.terminate();
        } else {
            // It dies before it answers, or a moment after it has taken the job.
            let _ = self.site.focus.ask("POST", path, &body, true);
        }
    }

    /// What has to be true with a server that was started again.
    pub(crate) async fn check(&mut self, point: Point) {
        match self.scene {
            Scene::Held => {
                self.site.focus.until_status("held", COUNT, LIMIT).await;
                self.gone.clear();
                self.in_order(COUNT, &[]).await;
            }
            Scene::Approved => {
                let held = if matches!(point, Point::Uncommitted(_)) { COUNT } else { 0 };
                self.site.focus.until_status("held", held, LIMIT).await;
                // The counts are the index's; the set is told once the root is there again.
                self.site.focus.until_status("/roots/0/state", "present", LIMIT).await;
                let body = self.approval();
                let job = self.site.focus.job("/api/v1/held/approve", &body).await.expect("a job");
                assert_eq!(job["result"]["approved"], held, "{job:#}");
                self.in_order(0, &[]).await;
            }
            Scene::Forgotten => {
                let wanted = if matches!(point, Point::Uncommitted(_)) { 200 } else { 404 };
                let asked = self.site.focus.ask("POST", "/api/v1/roots/forget", FORGET, true);
                assert_eq!(asked.expect("an answer").status, wanted);
                self.in_order(COUNT, &[]).await;
            }
            Scene::Others => {
                let theirs = self.site.planted[COUNT + 2].uuid.clone();
                self.site.focus.until_status("unrecognised", 1, LIMIT).await;
                self.in_order(COUNT + 6, &[&theirs]).await;
                let sql = "SELECT count(*) FROM recordings WHERE root = 'elsewhere' AND deleted = 0
                    AND version = 5 AND path = 'theirs.dat'";
                assert_eq!(ledger::number(&self.site, sql), 1);
            }
            Scene::Drilled => {
                self.in_order(COUNT, &[]).await;
                let there = ledger::number(&self.site, "SELECT count(*) FROM recordings");
                assert_eq!(usize::try_from(there).ok(), Some(COUNT));
            }
            Scene::TwoPaths => {
                self.site.focus.until_status("unrecognised", 1, LIMIT).await;
                self.in_order(COUNT + 1, &["twice"]).await;
                let sql =
                    "SELECT count(*) FROM recordings WHERE uuid = 'twice' AND path = 'z/twice.dat'
                    AND deleted = 0";
                assert_eq!(ledger::number(&self.site, sql), 1);
            }
            Scene::Rebuilt => {
                self.in_order(COUNT + 1, &[]).await;
                let mut after = ledger::documents(&self.site);
                after.retain(|document| document.get_str("uuid").ok() != Some("lonely"));
                assert_eq!(after, self.before, "nothing is written anew");
                let told = "SELECT count(*) FROM unrecognized_recordings";
                assert_eq!(ledger::number(&self.site, told), 0);
                assert!(self.site.state().join("index.db.damaged-1").exists());
            }
            Scene::Repair => {
                self.site.focus.until_status("catalog_state", "in_step", LIMIT).await;
                let body = r#"{"repair": true}"#;
                let asked = self.site.focus.post("/api/v1/verify", body).expect("a verification");
                let found: Value = serde_json::from_str(&asked).expect("JSON");
                assert_eq!(found["in_order"], true, "{found:#}");
                self.in_order(COUNT, &[]).await;
            }
            Scene::Verified => {
                let told = self.site.focus.ask("GET", "/api/v1/drift", "", true);
                let last = told.expect("an answer").json()["last"].clone();
                assert!(last.is_null(), "half a result is none: {last:#}");
                self.in_order(COUNT, &[]).await;
            }
            Scene::Indexed => {
                until("the key is indexed", LIMIT, || async {
                    let key = self.site.focus.status()?["indexed_metadata"][0].clone();
                    if key["state"] == "ready" { Ok(()) } else { Err(key.to_string()) }
                })
                .await;
                until("texts are indexed", LIMIT, || async {
                    let texts = self.site.focus.status()?["text_index"].clone();
                    if texts["done"] == COUNT { Ok(()) } else { Err(texts.to_string()) }
                })
                .await;
                self.in_order(COUNT, &[]).await;
            }
            Scene::HandedOver => {
                until("no part is left", LIMIT, || async {
                    let mut files = form::files(self.site.tree.root());
                    files.retain(|file| file.contains(".focus-ingest-"));
                    if files.is_empty() { Ok(()) } else { Err(format!("{files:?}")) }
                })
                .await;
                self.site.focus.until_status("/roots/0/state", "present", LIMIT).await;
                let (address, token) = form::server(&self.site);
                let again = handed_over().to(&address, &token).expect("an answer");
                let was_whole = matches!(
                    point,
                    Point::At(Step::IngestSidecar | Step::IngestSynced | Step::IngestIndexed)
                );
                assert_eq!(again.status, if was_whole { 200 } else { 201 }, "{again:?}");
                self.site.planted.push(Planted {
                    uuid: "handed".to_owned(),
                    recording_id: "r".to_owned(),
                    path: "handed/r.dat".to_owned(),
                    start_ms: 1_700_000_000_000,
                    end_ms: Some(1_700_000_060_000),
                    deleted: false,
                    size: 70_000,
                    metadata: json!({ "gain": 3 }),
                });
                self.in_order(COUNT + 1, &[]).await;
                assert_eq!(form::files(&self.site.tree.root().join("handed")), ["r.dat", "r.json"]);
            }
            Scene::Gone | Scene::Remounted => self.in_order(COUNT - self.gone.len(), &[]).await,
            Scene::Changed => self.in_order(COUNT + 6, &[]).await,
            Scene::Backlog => self.in_order(COUNT + BACKLOG, &[]).await,
            Scene::First | Scene::Stopped | Scene::Reformed => self.in_order(COUNT, &[]).await,
        }
    }

    /// In step, stopped in order, the catalog true to storage, and the index sound.
    async fn in_order(&mut self, recordings: usize, others: &[&str]) {
        ledger::settled(&self.site, recordings).await;
        assert_eq!(self.site.focus.stop(), Some(0), "{}", self.site.focus.log());
        match self.server.clone() {
            None => ledger::agrees(&self.site, &self.gone, others),
            Some(server) => self.site.converged(&server, &self.collection).await,
        }
        ledger::index_is_sound(&self.site);
    }
}
