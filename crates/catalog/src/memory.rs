//! A catalog in memory, for tests. A test can take it away, and make its calls fail.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use focus_core::answer::{Answer, Failure};
use focus_core::compare::Page;
use focus_core::lease::LeaseDoc;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    Backend, Catalog, OpenedCatalog, Reach, RootPlace, Stored, UnrecognisedDoc, Versioned,
};

/// The catalog in memory.
#[derive(Debug)]
pub struct MemoryCatalog {
    reach: watch::Sender<Reach>,
    data: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    epoch: u64,
    identity: String,
    documents: BTreeMap<String, Stored>,
    watermarks: BTreeMap<String, String>,
    /// The token under which each was written, and the text.
    alerts: BTreeMap<String, (i64, String)>,
    leases: BTreeMap<String, LeaseDoc>,
    token: i64,
    unrecognised: BTreeMap<(String, String), UnrecognisedDoc>,
    failures: VecDeque<(Failure, bool)>,
}

impl MemoryCatalog {
    /// An empty catalog that takes writes.
    pub fn start() -> Arc<MemoryCatalog> {
        let data = Contents {
            epoch: 1,
            identity: uuid::Uuid::new_v4().to_string(),
            ..Contents::default()
        };
        let reach = watch::Sender::new(Reach::Up { epoch: 1 });
        Arc::new(MemoryCatalog { reach, data: Mutex::new(data) })
    }

    /// Takes the catalog away.
    pub fn take_away(&self) {
        self.reach.send_replace(Reach::Down { why: "taken away".to_owned(), refused: false });
    }

    /// Brings the catalog back.
    pub fn bring_back(&self) {
        let mut data = self.data();
        data.epoch += 1;
        self.reach.send_replace(Reach::Up { epoch: data.epoch });
    }

    /// Empties the catalog, as if another database were in its place.
    pub fn empty(&self) {
        let mut data = self.data();
        *data = Contents {
            epoch: data.epoch,
            identity: uuid::Uuid::new_v4().to_string(),
            ..Contents::default()
        };
    }

    /// Adds a document of somebody else.
    pub fn put(&self, document: Stored) {
        self.data().documents.insert(document.uuid.clone(), document);
    }

    /// Makes the next call fail like this. If `done`, the call does its work all the same.
    pub fn fail_next(&self, failure: Failure, done: bool) {
        self.data().failures.push_back((failure, done));
    }

    fn data(&self) -> parking_lot::MutexGuard<'_, Contents> {
        self.data.lock()
    }

    fn call<T>(&self, work: impl FnOnce(&mut Contents) -> T) -> Result<T, Failure> {
        if !matches!(*self.reach.borrow(), Reach::Up { .. }) {
            return Err(Failure::transient("the database cannot be reached"));
        }
        let mut data = self.data();
        match data.failures.pop_front() {
            Some((failure, done)) => {
                if done {
                    work(&mut data);
                }
                Err(failure)
            }
            None => Ok(work(&mut data)),
        }
    }
}

fn store(document: &Versioned) -> Stored {
    let recording = &document.recording;
    Stored {
        uuid: recording.uuid.clone(),
        root: Some(recording.root.clone()),
        version: Some(document.version),
        deleted: recording.deleted,
        path: Some(recording.path.clone()),
        recording: Some(recording.clone()),
    }
}

fn duplicate() -> Answer {
    Answer::Duplicate { words: "the uuid is there already".to_owned() }
}

/// Stores the document if `may` accepts what is there.
fn replace(data: &mut Contents, document: &Versioned, may: impl Fn(&Stored) -> bool) -> Answer {
    match data.documents.get(&document.recording.uuid) {
        Some(stored) if may(stored) => {
            data.documents.insert(document.recording.uuid.clone(), store(document));
            Answer::Written
        }
        _ => duplicate(),
    }
}

fn insert(data: &mut Contents, document: &Versioned) -> Answer {
    if data.documents.contains_key(&document.recording.uuid) {
        return duplicate();
    }
    data.documents.insert(document.recording.uuid.clone(), store(document));
    Answer::Written
}

#[async_trait]
impl Catalog for MemoryCatalog {
    fn kind(&self) -> Backend {
        Backend::Memory
    }

    fn address(&self) -> String {
        "memory".to_owned()
    }

    fn reach(&self) -> watch::Receiver<Reach> {
        self.reach.subscribe()
    }

    fn doubt(&self) {}

    async fn open(&self, root: &RootPlace) -> Result<OpenedCatalog, Failure> {
        self.call(|data| OpenedCatalog {
            identity: data.identity.clone(),
            watermark: data.watermarks.get(&root.id).cloned(),
        })
    }

    async fn identify(&self, _: &RootPlace) -> Result<String, Failure> {
        self.call(|data| data.identity.clone())
    }

    async fn insert(&self, _: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure> {
        self.call(|data| batch.iter().map(|document| insert(data, document)).collect())
    }

    async fn upsert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure> {
        self.call(|data| {
            batch
                .iter()
                .map(|document| {
                    let ours = |stored: &Stored| {
                        stored.root.as_ref() == Some(&root.id)
                            && stored.version.is_none_or(|version| version <= document.version)
                    };
                    match replace(data, document, ours) {
                        Answer::Written => Answer::Written,
                        _ => insert(data, document),
                    }
                })
                .collect()
        })
    }

    async fn adopt(&self, _: &RootPlace, document: &Versioned) -> Result<Answer, Failure> {
        self.call(|data| replace(data, document, |stored| stored.root.is_none()))
    }

    async fn take_over(
        &self,
        _: &RootPlace,
        document: &Versioned,
        from: &Stored,
    ) -> Result<Answer, Failure> {
        self.call(|data| {
            replace(data, document, |stored| {
                let same = stored.root == from.root && stored.version == from.version;
                same && (stored.deleted || !from.deleted)
            })
        })
    }

    async fn remove_drilled(&self, root: &RootPlace, batch: &[Versioned]) -> Result<(), Failure> {
        self.call(|data| {
            for document in batch {
                let may = |stored: &Stored| {
                    stored.root.as_ref() == Some(&root.id)
                        && stored.version.is_none_or(|version| version <= document.version)
                        && stored.is_drilled()
                };
                let uuid = &document.recording.uuid;
                if data.documents.get(uuid).is_some_and(may) {
                    data.documents.remove(uuid);
                }
            }
        })
    }

    async fn read(&self, _: &RootPlace, uuids: &[String]) -> Result<Vec<Stored>, Failure> {
        self.call(|data| {
            uuids.iter().filter_map(|uuid| data.documents.get(uuid).cloned()).collect()
        })
    }

    async fn page(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        through: Option<&str>,
        limit: usize,
    ) -> Result<Page<Stored>, Failure> {
        let filled = self.call(|data| {
            let after = after.unwrap_or("");
            let rest = data.documents.values().filter(|stored| {
                stored.root.as_ref() == Some(&root.id)
                    && stored.uuid.as_str() > after
                    && through.is_none_or(|through| stored.uuid.as_str() <= through)
            });
            let bytes = |stored: &Stored| {
                stored.recording.as_ref().map_or(0, |recording| recording.metadata.to_text().len())
            };
            Page::fill(
                limit,
                rest.map(|stored| Ok::<_, Infallible>((stored.clone(), bytes(stored)))),
            )
        })?;
        match filled {
            Ok(page) => Ok(page),
        }
    }

    async fn mark(&self, root: &RootPlace, watermark: &str) -> Result<(), Failure> {
        self.call(|data| {
            data.watermarks.insert(root.id.clone(), watermark.to_owned());
        })
    }

    async fn put_alerts(&self, root: &RootPlace, token: i64, text: &str) -> Result<(), Failure> {
        self.call(|data| {
            let kept = data.alerts.entry(root.id.clone()).or_insert((token, String::new()));
            if kept.0 <= token {
                *kept = (token, text.to_owned());
            }
        })
    }

    async fn alerts(&self, root: &RootPlace) -> Result<Option<String>, Failure> {
        self.call(|data| data.alerts.get(&root.id).map(|(_, text)| text.clone()))
    }

    async fn lease(&self, root: &RootPlace) -> Result<Option<LeaseDoc>, Failure> {
        self.call(|data| data.leases.get(&root.id).cloned())
    }

    async fn draw_token(&self, above: i64) -> Result<i64, Failure> {
        self.call(|data| {
            data.token = data.token.max(above) + 1;
            data.token
        })
    }

    async fn put_lease(
        &self,
        root: &RootPlace,
        expected: Option<&LeaseDoc>,
        new: &LeaseDoc,
    ) -> Result<bool, Failure> {
        self.call(|data| {
            let as_expected = match (data.leases.get(&root.id), expected) {
                (Some(stored), Some(expected)) => stored.is_same_state(expected),
                (stored, expected) => stored.is_none() && expected.is_none(),
            };
            if as_expected {
                data.leases.insert(root.id.clone(), new.clone());
            }
            as_expected
        })
    }

    async fn put_unrecognised(
        &self,
        root: &RootPlace,
        batch: &[UnrecognisedDoc],
    ) -> Result<(), Failure> {
        self.call(|data| {
            for item in batch {
                data.unrecognised.insert((root.id.clone(), item.folder_name.clone()), item.clone());
            }
        })
    }

    async fn remove_unrecognised(
        &self,
        root: &RootPlace,
        folder_names: &[String],
    ) -> Result<(), Failure> {
        self.call(|data| {
            for name in folder_names {
                data.unrecognised.remove(&(root.id.clone(), name.clone()));
            }
        })
    }

    async fn page_unrecognised(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UnrecognisedDoc>, Failure> {
        self.call(|data| {
            let after = after.unwrap_or("");
            data.unrecognised
                .iter()
                .filter(|((of, name), _)| *of == root.id && name.as_str() > after)
                .map(|(_, item)| item.clone())
                .take(limit)
                .collect()
        })
    }

    async fn count(&self, root: &RootPlace) -> Result<u64, Failure> {
        self.call(|data| {
            let ours = |stored: &&Stored| stored.root.as_ref() == Some(&root.id) && !stored.deleted;
            data.documents.values().filter(ours).count() as u64
        })
    }

    async fn foreign(&self, roots: &[RootPlace]) -> Result<u64, Failure> {
        self.call(|data| {
            let is_of = |stored: &Stored, root: &RootPlace| stored.root.as_ref() == Some(&root.id);
            let others = |stored: &&Stored| !roots.iter().any(|root| is_of(stored, root));
            data.documents.values().filter(others).count() as u64
        })
    }

    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}
