//! An index in a folder of its own, and a storage that exists only as a table of looks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use focus_core::batch::{Item, Pick};
use focus_core::look::{DataSeen, FileIdentity, FileStat, Look, SidecarSeen};
use focus_core::mount::Mount;
use focus_core::pair::PairForm;
use focus_core::recording::Place;
use focus_core::settle::{Closed, Rules, Sight, judge};
use focus_core::vanish::MaxVanished;
use focus_index::{
    Ack, Answer, Concluded, Index, Listed, Listing, Observation, Observed, ProvedTwice, RootId,
};

pub(crate) const MARKER: &str = "root-1";

/// What is at a place: the sidecar's text, and the times both files were changed.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) sidecar: String,
    pub(crate) changed: i64,
}

pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) index: Index,
    pub(crate) root: RootId,
    pub(crate) files: BTreeMap<Place, Files>,
    pub(crate) now_ms: u64,
    /// The mount that everything is on.
    pub(crate) mount: Option<Arc<Mount>>,
}

impl Fixture {
    pub(crate) async fn new() -> Fixture {
        let dir = tempfile::tempdir().expect("a folder");
        let index = Index::open(&dir.path().join("index.db")).expect("an index").index;
        let root = remember(&index).await;
        Fixture { dir, index, root, files: BTreeMap::new(), now_ms: 1_000, mount: None }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("index.db")
    }

    /// Closes the index and opens it again.
    pub(crate) async fn reopen(&mut self) {
        self.index.close();
        let opened = Index::open(&self.path()).expect("an index");
        assert_eq!(opened.rebuilt, None, "a file that was closed in order is in order");
        self.index = opened.index;
        self.root = remember(&self.index).await;
    }

    /// Puts files at a place, and looks at it.
    pub(crate) async fn put(&mut self, place: &str, sidecar: &str) -> Observed {
        self.write(place, sidecar);
        self.look(&[place_of(place)]).await
    }

    /// Puts files at a place.
    pub(crate) fn write(&mut self, place: &str, sidecar: &str) {
        self.now_ms += 1;
        let changed = i64::try_from(self.now_ms).expect("small");
        self.files.insert(place_of(place), Files { sidecar: sidecar.to_owned(), changed });
    }

    /// Removes the files of a place, and looks at it.
    pub(crate) async fn remove(&mut self, place: &str) -> Observed {
        self.files.remove(&place_of(place));
        self.look(&[place_of(place)]).await
    }

    /// Looks at places, and at those contested by that.
    pub(crate) async fn look(&mut self, places: &[Place]) -> Observed {
        let mut places = places.to_vec();
        let mut all = Observed::default();
        for _ in 0..10 {
            let batch = self.judge(&places);
            let observed = self.index.observe(self.root, batch, 5_000).await.expect("observe");
            all.changed += observed.changed;
            all.returned += observed.returned;
            all.reported += observed.reported;
            places.clone_from(&observed.contested);
            all.contested.extend(observed.contested);
            if places.is_empty() {
                return all;
            }
        }
        panic!("places contest each other for ever: {places:?}");
    }

    /// Proves twice that what is gone is gone, and concludes; `elsewhere` was on another mount.
    pub(crate) async fn conclude(&self, max: MaxVanished, elsewhere: bool) -> Concluded {
        self.conclude_on(max, elsewhere, false).await
    }

    /// The same of what an exclude hides.
    pub(crate) async fn conclude_hidden(&self, max: MaxVanished) -> Concluded {
        self.conclude_on(max, false, true).await
    }

    async fn conclude_on(&self, max: MaxVanished, elsewhere: bool, hidden: bool) -> Concluded {
        let (index, root) = (self.index.clone(), self.root);
        let work = move || {
            let ids = || {
                let found =
                    index.reader().vanish_candidates(root, None, 1_000).expect("candidates");
                found.iter().map(|one| one.id).collect::<Vec<_>>()
            };
            index.vanish_proved_blocking(ids(), 10).expect("stored");
            let proved = |id| ProvedTwice { id, elsewhere, hidden };
            let ready = ids().into_iter().map(proved).collect();
            index.vanish_conclude_blocking(root, ready, max, false, 9_000).expect("stored")
        };
        tokio::task::spawn_blocking(work).await.expect("no panic")
    }

    /// Looks at places, and stores nothing.
    pub(crate) fn judge(&mut self, places: &[Place]) -> Vec<Observation> {
        self.now_ms += 1;
        let known = self.index.reader().sights(self.root, places).expect("sights");
        let judge = |(place, known): (&Place, &Sight)| {
            let look = look_of(self.files.get(place));
            let rules = Rules { root: MARKER, form: PairForm::focus(), settle_ms: 0 };
            let closed = Closed { data: true, sidecar: true };
            let judged = judge(place, known, &look, closed, rules, self.now_ms);
            Observation {
                place: place.clone(),
                conclusion: judged.conclusion,
                sight: judged.sight,
                due_ms: judged.due_ms,
                mount: self.mount.clone(),
            }
        };
        places.iter().zip(&known).map(judge).collect()
    }

    pub(crate) fn pending(&self) -> Vec<Item> {
        self.index.reader().pick(self.root, &Pick::newest(10_000)).expect("pick").items
    }

    /// The catalog took everything that is pending.
    pub(crate) async fn acknowledge_all(&self) {
        let acks = self
            .pending()
            .into_iter()
            .map(|one| Ack { id: one.id, generation: one.generation, answer: Answer::Acknowledged })
            .collect();
        self.index.acknowledge(self.root, None, acks, 6_000).await.expect("acknowledge");
    }

    pub(crate) fn listed(&self) -> Vec<Listed> {
        let listing = Listing { limit: 10_000, ..Listing::default() };
        self.index.reader().recordings(&listing).expect("a listing").rows
    }

    /// Path and state of every unrecognised place.
    pub(crate) fn unrecognised(&self) -> Vec<(String, String)> {
        let rows = self.index.reader().unrecognised(&[], None, None, 10_000).expect("unrecognised");
        rows.into_iter().map(|row| (row.path, row.state)).collect()
    }

    #[track_caller]
    pub(crate) fn is_in_order(&self) {
        let broken = self.index.reader().broken_invariants().expect("invariants");
        assert!(broken.is_empty(), "{broken:?}");
    }
}

pub(crate) async fn remember(index: &Index) -> RootId {
    index.root(MARKER.to_owned(), "/data".to_owned(), 1_000).await.expect("a root").id
}

/// A sidecar with this uuid and start, in milliseconds.
pub(crate) fn sidecar(uuid: &str, start_ms: i64) -> String {
    format!(
        r#"{{"uuid":"{uuid}","start_time":{start_ms},"end_time":{},"metadata":{{}}}}"#,
        start_ms + 1_000
    )
}

/// A mount at the top of the root, of this file system.
pub(crate) fn mount(file_system: &str) -> Mount {
    Mount {
        point: Vec::new(),
        kind: "ext4".to_owned(),
        within: b"/".to_vec(),
        file_system: file_system.to_owned(),
    }
}

/// Turns the tables of a file into those of an earlier version.
pub(crate) fn as_version(version: u32, connection: &rusqlite::Connection) {
    let steps = [
        (12, "ALTER TABLE roots DROP COLUMN meaning; ALTER TABLE roots DROP COLUMN extensions;"),
        (
            11,
            "DROP TRIGGER recordings_made; DROP TRIGGER recordings_removed; DROP TABLE uuids; DROP TABLE uuids_new;
             CREATE UNIQUE INDEX recordings_uuid ON recordings(uuid);",
        ),
        (
            10,
            "DROP TRIGGER text_made; DROP TRIGGER text_removed; DROP TRIGGER text_updated; DROP TABLE text_index;
             DROP TABLE text_chunks; DROP TABLE text_postings; DROP TABLE text_changed;",
        ),
        (
            9,
            "DROP TRIGGER holds_made; DROP TRIGGER holds_removed; DROP TRIGGER holds_moved; DROP INDEX files_claims;
             ALTER TABLE files DROP COLUMN holds;
             CREATE INDEX files_uuid ON files(uuid) WHERE uuid IS NOT NULL;",
        ),
        (
            8,
            "DROP TABLE metadata_keys; DROP TABLE metadata_values; DROP TABLE metadata_entries;
             ALTER TABLE covered_days RENAME COLUMN lane TO root;
             ALTER TABLE covered_hours RENAME COLUMN lane TO root;",
        ),
        (
            7,
            "ALTER TABLE recordings DROP COLUMN first_seen_ms; ALTER TABLE recordings DROP COLUMN acknowledged_ms;",
        ),
        (
            6,
            "DROP TABLE covered_days; DROP TABLE covered_hours; DELETE FROM meta WHERE key = 'coverage';",
        ),
        (
            5,
            "DROP INDEX recordings_mount; DROP INDEX recordings_mount_last;
             ALTER TABLE recordings DROP COLUMN mount_last; ALTER TABLE recordings DROP COLUMN mount;
             ALTER TABLE folders DROP COLUMN mount; ALTER TABLE folders DROP COLUMN mount_now;
             ALTER TABLE folders ADD COLUMN device INTEGER; ALTER TABLE folders ADD COLUMN device_now INTEGER;
             DROP TABLE mounts;
             DROP TRIGGER files_reported; DROP TRIGGER files_report_removed;
             DROP TRIGGER files_report_changed; DROP TABLE unrecognised;
             DROP INDEX recordings_waiting;
             CREATE INDEX recordings_waiting ON recordings(pending_since_ms) WHERE pending = 1;",
        ),
        (
            4,
            "ALTER TABLE files DROP COLUMN side_inode; ALTER TABLE files DROP COLUMN side_ctime_ns;
             ALTER TABLE files DROP COLUMN side_sum; ALTER TABLE files DROP COLUMN side_counts_ms;",
        ),
        (3, "ALTER TABLE recordings DROP COLUMN sum;"),
        (
            2,
            "DROP INDEX recordings_drilled; DROP INDEX recordings_leaving;
             ALTER TABLE recordings DROP COLUMN drilled; ALTER TABLE roots DROP COLUMN generation_base;",
        ),
    ];
    for (_, statements) in steps.into_iter().filter(|(made, _)| *made > version) {
        connection.execute_batch(statements).expect("as it was");
    }
    connection.pragma_update(None, "user_version", version).expect("its version");
}

/// The place of `folder/stem`.
pub(crate) fn place_of(path: &str) -> Place {
    let (folder, stem) = path.rsplit_once('/').unwrap_or(("", path));
    Place { folder: folder.as_bytes().to_vec(), stem: stem.as_bytes().to_vec() }
}

fn look_of(files: Option<&Files>) -> Look {
    let Some(files) = files else { return Look::default() };
    let stat = |size: usize| FileStat {
        size: i64::try_from(size).expect("small"),
        mtime_ns: files.changed,
    };
    Look {
        data: Some(DataSeen { extension: "dat".to_owned(), stat: stat(10) }),
        sidecar: Some(SidecarSeen {
            stat: stat(files.sidecar.len()),
            identity: FileIdentity::default(),
            bytes: Some(files.sidecar.clone().into_bytes()),
        }),
        ..Look::default()
    }
}
