//! The catalog's database: documents, watermarks, leases, and everything that can become of them.

use std::collections::BTreeMap;

use focus_core::answer::{Answer, Failure};
use focus_core::batch::{Call, Reply};
use focus_core::compare::Page;
use focus_core::document::{OpenedCatalog, Stored, Versioned};
use focus_core::lease::{LeaseDoc, LeaseDone, LeaseJob};

/// The one root's marker.
pub(crate) const ROOT: &str = "root";

/// The id that the root had before it was made anew.
pub(crate) const EARLIER: &str = "earlier";

/// What a database holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    pub(crate) identity: String,
    pub(crate) documents: BTreeMap<String, Stored>,
    pub(crate) watermark: Option<String>,
    pub(crate) lease: Option<LeaseDoc>,
    pub(crate) tokens: i64,
    /// Under which token each document was written last.
    pub(crate) writers: BTreeMap<String, i64>,
}

/// The database, and what is known of it from outside.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) data: Data,
    /// Copies that may be restored.
    pub(crate) copies: Vec<Data>,
    pub(crate) up: bool,
    /// Grows with everything that ends connections.
    pub(crate) connection: u64,
    /// A document that the database refuses.
    pub(crate) refused: Option<String>,
    /// What a newer holder wrote was written over by an older one.
    pub(crate) stale_overwrite: Option<String>,
    token: i64,
}

impl Catalog {
    pub(crate) fn new() -> Catalog {
        let data = Data { identity: "first".to_owned(), ..Data::default() };
        Catalog {
            copies: vec![data.clone()],
            data,
            up: true,
            connection: 1,
            refused: None,
            stale_overwrite: None,
            token: 0,
        }
    }

    /// Ends all connections.
    pub(crate) fn cut(&mut self) {
        self.connection += 1;
    }

    /// Who the database is, and what it remembers.
    pub(crate) fn open(&self) -> OpenedCatalog {
        OpenedCatalog {
            identity: self.data.identity.clone(),
            watermark: self.data.watermark.clone(),
        }
    }

    /// Carries out a call; of a batch only the first `part` documents, where that is given.
    /// `token` is the lease's under which it was sent, whatever the version says.
    pub(crate) fn call(&mut self, call: &Call, part: Option<usize>, token: i64) -> Reply {
        self.token = token;
        let part = part.unwrap_or(usize::MAX);
        let failed = || Answer::Failed(Failure::transient("half of it"));
        match call {
            Call::Insert(batch) | Call::Upsert(batch) => {
                let upsert = matches!(call, Call::Upsert(_));
                let answers = batch.iter().enumerate();
                Reply::Answers(
                    answers
                        .map(|(at, one)| if at < part { self.put(one, upsert) } else { failed() })
                        .collect(),
                )
            }
            Call::Read(uuids) => Reply::Documents(self.read(uuids.iter())),
            Call::Remove(batch) => {
                for one in batch.iter().take(part) {
                    self.remove(one);
                }
                Reply::Removed
            }
            Call::Adopt(one) => {
                let free = |stored: &Stored| stored.root.is_none();
                Reply::Answers(vec![self.replace(one, free)])
            }
            Call::TakeOver(one, from) => {
                let as_read = |stored: &Stored| {
                    stored.root == from.root && stored.version == from.version && stored.deleted
                };
                Reply::Answers(vec![self.replace(one, as_read)])
            }
            Call::Prefer { .. } => Reply::Preferred(false),
        }
    }

    /// The documents with these uuids, of any root.
    pub(crate) fn read<'a>(&self, uuids: impl Iterator<Item = &'a String>) -> Vec<Stored> {
        uuids.filter_map(|uuid| self.data.documents.get(uuid).cloned()).collect()
    }

    fn put(&mut self, one: &Versioned, upsert: bool) -> Answer {
        let uuid = &one.recording.uuid;
        if self.refused.as_ref() == Some(uuid) {
            return Answer::Refused { words: "a rule".to_owned() };
        }
        match self.data.documents.get(uuid) {
            None => {
                self.store(one);
                Answer::Written
            }
            Some(stored)
                if upsert
                    && stored.root.as_deref() == Some(ROOT)
                    && stored.version.is_none_or(|version| version <= one.version) =>
            {
                self.store(one);
                Answer::Written
            }
            Some(_) => Answer::Duplicate { words: "uuid".to_owned() },
        }
    }

    fn remove(&mut self, one: &Versioned) {
        let may = |stored: &Stored| {
            stored.root.as_deref() == Some(ROOT)
                && stored.version.is_none_or(|version| version <= one.version)
                && stored.is_drilled()
        };
        if self.data.documents.get(&one.recording.uuid).is_some_and(may) {
            self.data.documents.remove(&one.recording.uuid);
            // Where no document is left, nothing fences an older holder: a comparison finds what it makes.
            self.data.writers.remove(&one.recording.uuid);
        }
    }

    fn replace(&mut self, one: &Versioned, may: impl Fn(&Stored) -> bool) -> Answer {
        match self.data.documents.get(&one.recording.uuid) {
            Some(stored) if may(stored) => {
                self.store(one);
                Answer::Written
            }
            _ => Answer::Duplicate { words: "not as read".to_owned() },
        }
    }

    fn store(&mut self, one: &Versioned) {
        let uuid = one.recording.uuid.clone();
        let before = self.data.writers.insert(uuid.clone(), self.token);
        if before.is_some_and(|before| before > self.token) {
            self.stale_overwrite = Some(uuid.clone());
        }
        let stored = Stored {
            uuid: uuid.clone(),
            root: Some(one.recording.root.clone()),
            version: Some(one.version),
            deleted: one.recording.deleted,
            path: Some(one.recording.path.clone()),
            recording: Some(one.recording.clone()),
        };
        self.data.documents.insert(uuid, stored);
    }

    /// A page of our documents.
    pub(crate) fn page(
        &self,
        after: Option<&String>,
        through: Option<&String>,
        limit: usize,
    ) -> Page<Stored> {
        let rest = self.data.documents.values().filter(|stored| {
            stored.root.as_deref() == Some(ROOT)
                && Some(&stored.uuid) > after
                && through.is_none_or(|through| stored.uuid <= *through)
        });
        Page::of(limit, rest.cloned())
    }

    /// Carries out a call on the lease.
    pub(crate) fn lease(&mut self, job: &LeaseJob) -> LeaseDone {
        match job {
            LeaseJob::Read => LeaseDone::Read(Ok(self.data.lease.clone())),
            LeaseJob::Draw { above } => {
                self.data.tokens = self.data.tokens.max(*above) + 1;
                LeaseDone::Drawn(Ok(self.data.tokens))
            }
            LeaseJob::Put { expected, new } => {
                let as_expected = match (&self.data.lease, expected) {
                    (Some(stored), Some(expected)) => stored.is_same_state(expected),
                    (stored, expected) => stored.is_none() && expected.is_none(),
                };
                if as_expected {
                    self.data.lease = Some(new.clone());
                }
                LeaseDone::Put(Ok(as_expected))
            }
        }
    }
}
