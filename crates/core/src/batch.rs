//! One batch of pending recordings on its way into the catalog.
//!
//! Every recording takes its own path through the stages below. The batch makes one call for all
//! recordings at the same stage. What the database answers for one recording never decides about
//! another.
//!
//! ```text
//! Insert ──written──► acknowledged      Upsert ──written──► acknowledged
//!    └─duplicate─► Read                    └─duplicate─► Read
//! Read: ours, same values ─► acknowledged, nothing written
//!       ours, at another path ─► Prefer (does that path still have it?) ─► left, or Upsert
//!       ours, older ─► Upsert    ours, newer ─► generation raised, or a higher token taken
//!       nobody's ─► Adopt        another root's, live ─► duplicate_id
//!       not there ─► Insert      another root's, deleted ─► TakeOver
//!                                ours, its version spoilt by hand ─► TakeOver
//! Remove (a drill's recording, gone) ──► Read: none of ours there ─► removed
//!       ours, without the drill's mark ─► Upsert, then Remove    ours, newer ─► as above
//! ```

use std::sync::Arc;

use crate::answer::{Answer, Class, Failure};
use crate::broken::{self, Broken};
use crate::document::{self, Stored, Versioned};
use crate::entry::EntryId;
use crate::entry::claimed::duplicate_of_another_root;
use crate::recording::Recording;
use crate::state::{Fault, State};

/// A recording is read back at most so often in one batch; then it is left for the next batch.
const READS_MAX: u8 = 3;

/// A pending recording, as the index gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Which it is.
    pub id: EntryId,
    /// The generation of this content.
    pub generation: i64,
    /// The catalog is believed to have a document of it.
    pub known: bool,
    /// The content.
    pub recording: Recording,
}

/// Which pending recordings of the index a batch is made of, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// At most so many.
    pub limit: usize,
    /// At most so many bytes, but always one recording.
    pub bytes_max: usize,
    /// Only entries below this one.
    pub before: Option<EntryId>,
    /// None of these, which are in the batch that is being written.
    pub but: Vec<EntryId>,
}

impl Pick {
    /// The newest ones, whatever their size.
    pub fn newest(limit: usize) -> Pick {
        Pick { limit, bytes_max: usize::MAX, before: None, but: Vec::new() }
    }
}

/// Pending recordings as they were picked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picked {
    /// Newest first.
    pub items: Vec<Item>,
    /// A bound ended the reading: there may be more.
    pub more: bool,
}

/// What a recording of the batch came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The catalog has it in this generation.
    Acknowledged,
    /// The catalog has no document of it any more.
    Removed,
    /// It cannot be written: it is reported, and tried again slowly.
    Refused(Fault),
    /// The catalog has a later generation of it. The recording gets this generation, which is higher, and
    /// stays pending.
    Raise(i64),
    /// It stays pending as it is.
    Left,
}

/// The outcome of one recording.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemOutcome {
    /// Which it is.
    pub id: EntryId,
    /// The generation that was sent.
    pub generation: i64,
    /// What it came to.
    pub outcome: Outcome,
}

/// A call on the catalog, or a question to the index, for some recordings of the batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Insert these.
    Insert(Arc<Vec<Versioned>>),
    /// Upsert these, conditional on root and version.
    Upsert(Arc<Vec<Versioned>>),
    /// Remove these, conditional on root, version and the drill's mark.
    Remove(Arc<Vec<Versioned>>),
    /// Read the documents with these uuids.
    Read(Vec<String>),
    /// Adopt a document without root.
    Adopt(Box<Versioned>),
    /// Take over a deleted document of another root, or one of ours whose version was spoilt.
    TakeOver(Box<Versioned>, Box<Stored>),
    /// Ask the index whether the path in the catalog still claims this uuid. If so, that path has the
    /// recording.
    Prefer {
        /// The uuid that two paths claim.
        uuid: String,
        /// The path in the catalog.
        path: String,
    },
}

impl Call {
    /// Its name, for people who read of it in a log or a status.
    pub fn name(&self) -> &'static str {
        match self {
            Call::Insert(_) => "insert",
            Call::Upsert(_) => "upsert",
            Call::Remove(_) => "remove",
            Call::Read(_) => "read",
            Call::Adopt(_) => "adopt",
            Call::TakeOver(..) => "take over",
            Call::Prefer { .. } => "prefer",
        }
    }

    /// It may change documents of the catalog.
    pub fn writes_catalog(&self) -> bool {
        match self {
            Call::Insert(_)
            | Call::Upsert(_)
            | Call::Remove(_)
            | Call::Adopt(_)
            | Call::TakeOver(..) => true,
            Call::Read(_) | Call::Prefer { .. } => false,
        }
    }
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// One answer per document, in order: to `Insert`, `Upsert`, `Adopt`, `TakeOver`.
    Answers(Vec<Answer>),
    /// To `Remove`: every document that met the conditions is removed.
    Removed,
    /// Documents found, in any order: to `Read`.
    Documents(Vec<Stored>),
    /// To `Prefer`: whether the path in the catalog has the recording.
    Preferred(bool),
}

impl Reply {
    /// Its name, for people who read of it in a log or a status.
    pub fn name(&self) -> &'static str {
        match self {
            Reply::Answers(_) => "answers",
            Reply::Removed => "removed",
            Reply::Documents(_) => "documents",
            Reply::Preferred(_) => "preferred",
        }
    }
}

/// How far a recording of the batch has come: the call that it needs next, or its outcome.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// The catalog is not known to have it.
    Insert,
    /// The catalog has it, in an earlier generation.
    Upsert,
    /// A drill planted it, and its files are gone.
    Remove,
    /// What the catalog has of it is to be read, because of this refusal.
    Read {
        /// The database's words; empty where nothing was refused.
        words: String,
    },
    /// The catalog has a document of nobody's.
    Adopt,
    /// The catalog has a deleted document of another root, or one whose version was spoilt.
    TakeOver(Box<Stored>),
    /// The catalog has it at this other path.
    Prefer { path: String },
    /// Nothing more is to be done for it.
    Done(Outcome),
}

/// A recording of the batch.
#[derive(Clone, Debug)]
struct BatchEntry {
    id: EntryId,
    generation: i64,
    stage: Stage,
    /// How often it was read back in this batch.
    reads: u8,
}

/// A batch and how far each of its recordings has come.
#[derive(Clone, Debug)]
pub struct Batch {
    root: String,
    documents: Arc<Vec<Versioned>>,
    entries: Vec<BatchEntry>,
    /// Entries of the call under way.
    in_call: Vec<usize>,
    /// Documents in one call at most; halved after a call that was too large.
    call_max: usize,
    /// The highest token met in the catalog that is above ours.
    token_met: Option<i64>,
    /// Documents written so far.
    written: usize,
}

impl Batch {
    /// A batch of these recordings under this token.
    pub fn new(root: &str, token: i64, items: Vec<Item>) -> Batch {
        let mut entries = Vec::with_capacity(items.len());
        let mut documents = Vec::with_capacity(items.len());
        for item in items {
            entries.push(BatchEntry {
                id: item.id,
                generation: item.generation,
                stage: if item.recording.is_leaving() {
                    Stage::Remove
                } else if item.known {
                    Stage::Upsert
                } else if item.recording.deleted_at_ms.is_some() {
                    // Its files went before anything was acknowledged: a mark is written only where the catalog
                    // has a document of it.
                    Stage::Read { words: String::new() }
                } else {
                    Stage::Insert
                },
                reads: 0,
            });
            let version = document::version(token, item.generation);
            documents.push(Versioned { recording: item.recording, version });
        }
        Batch {
            root: root.to_owned(),
            call_max: entries.len().max(1),
            documents: Arc::new(documents),
            entries,
            in_call: Vec::new(),
            token_met: None,
            written: 0,
        }
    }

    /// How many recordings it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// It holds no recordings.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many documents it has written so far. Its other recordings were in the catalog already, or could
    /// not be written.
    pub fn written(&self) -> usize {
        self.written
    }

    /// Its recordings.
    pub fn ids(&self) -> Vec<EntryId> {
        self.entries.iter().map(|entry| entry.id).collect()
    }

    /// Leaves these out, because they are not pending any more.
    pub fn leave(&mut self, ids: &[EntryId]) {
        for entry in &mut self.entries {
            if ids.contains(&entry.id) {
                entry.stage = Stage::Done(Outcome::Left);
            }
        }
    }

    /// The lowest among its recordings.
    pub fn lowest_id(&self) -> Option<EntryId> {
        self.entries.iter().map(|entry| entry.id).min()
    }

    /// The highest token above ours that a document had. If the lease is still ours, a token above this one
    /// has to be taken before the recordings left by this batch can be written.
    pub fn token_met(&self) -> Option<i64> {
        self.token_met
    }

    /// The next call; none where every recording has its outcome.
    pub fn next_call(&mut self) -> Option<Call> {
        let (first, stage) = self
            .entries
            .iter()
            .enumerate()
            .find(|(_, entry)| !matches!(entry.stage, Stage::Done(_)))
            .map(|(at, entry)| (at, entry.stage.clone()))?;
        let alike = |entry: &BatchEntry| {
            std::mem::discriminant(&entry.stage) == std::mem::discriminant(&stage)
        };
        let group = self.entries.iter().enumerate().filter(|(_, entry)| alike(entry));
        self.in_call = match stage {
            Stage::Insert | Stage::Upsert | Stage::Remove => {
                group.map(|(at, _)| at).take(self.call_max).collect()
            }
            Stage::Read { .. } => group.map(|(at, _)| at).collect(),
            _ => vec![first],
        };
        let document = || Box::new(self.documents[first].clone());
        Some(match stage {
            Stage::Insert => Call::Insert(self.called()),
            Stage::Upsert => Call::Upsert(self.called()),
            Stage::Remove => Call::Remove(self.called()),
            Stage::Read { .. } => Call::Read(
                self.in_call.iter().map(|&at| self.documents[at].recording.uuid.clone()).collect(),
            ),
            Stage::Adopt => Call::Adopt(document()),
            Stage::TakeOver(from) => Call::TakeOver(document(), from),
            Stage::Prefer { path } => {
                Call::Prefer { uuid: self.documents[first].recording.uuid.clone(), path }
            }
            Stage::Done(_) => return None,
        })
    }

    /// The documents of the call under way; shared, not copied, where it is the whole batch.
    fn called(&self) -> Arc<Vec<Versioned>> {
        if self.in_call.len() == self.documents.len() {
            return Arc::clone(&self.documents);
        }
        Arc::new(self.in_call.iter().map(|&at| self.documents[at].clone()).collect())
    }

    /// Every recording has its outcome: there is no further call.
    pub fn is_over(&self) -> bool {
        self.entries.iter().all(|entry| matches!(entry.stage, Stage::Done(_)))
    }

    /// A reply of this kind answers the last call.
    pub fn awaits(&self, reply: &Reply) -> bool {
        let Some(&first) = self.in_call.first() else { return false };
        matches!(
            (&self.entries[first].stage, reply),
            (Stage::Insert | Stage::Upsert | Stage::Adopt | Stage::TakeOver(_), Reply::Answers(_))
                | (Stage::Remove, Reply::Removed)
                | (Stage::Read { .. }, Reply::Documents(_))
                | (Stage::Prefer { .. }, Reply::Preferred(_))
        )
    }

    /// Takes the reply to the last call.
    pub fn replied(&mut self, reply: Reply) {
        let called = std::mem::take(&mut self.in_call);
        match reply {
            Reply::Answers(answers) => {
                let mut answers = answers.into_iter();
                for at in called {
                    // A missing answer acknowledges nothing.
                    let answer = answers.next().unwrap_or_else(|| {
                        Answer::Failed(Failure::transient("the database left this one out"))
                    });
                    self.answered(at, answer);
                }
            }
            Reply::Removed => {
                for at in called {
                    let entry = &mut self.entries[at];
                    entry.stage = if entry.reads >= READS_MAX {
                        Stage::Done(Outcome::Left)
                    } else {
                        entry.reads += 1;
                        Stage::Read { words: String::new() }
                    };
                }
            }
            Reply::Documents(documents) => {
                for at in called {
                    let uuid = &self.documents[at].recording.uuid;
                    let stored = documents.iter().find(|stored| stored.uuid == *uuid);
                    self.read_back(at, stored);
                }
            }
            Reply::Preferred(preferred) => {
                for at in called {
                    self.entries[at].stage =
                        if preferred { Stage::Done(Outcome::Left) } else { Stage::Upsert };
                }
            }
        }
    }

    /// Takes the failure of the last call as a whole. True: the batch goes on with `next_call`. False: the
    /// batch is given up, and its recordings stay pending.
    pub fn failed(&mut self, failure: &Failure) -> bool {
        let called = std::mem::take(&mut self.in_call);
        let removal = called.first().is_some_and(|&at| self.entries[at].stage == Stage::Remove);
        if removal && failure.class == Class::RefusedClient {
            // A server without the right to remove may still write: what a drill left holds up nobody.
            for at in called {
                self.entries[at].stage = unremovable(failure);
            }
            return true;
        }
        if !matches!(failure.class, Class::TooLarge | Class::RefusedDocument) {
            return false;
        }
        if let [only] = called[..] {
            self.entries[only].stage = refused(&failure.to_string());
        } else {
            self.call_max = (called.len() / 2).max(1);
        }
        true
    }

    /// The outcome of every recording.
    pub fn outcomes(&self) -> Vec<ItemOutcome> {
        self.entries
            .iter()
            .map(|entry| ItemOutcome {
                id: entry.id,
                generation: entry.generation,
                outcome: match &entry.stage {
                    Stage::Done(outcome) => outcome.clone(),
                    _ => Outcome::Left,
                },
            })
            .collect()
    }

    fn answered(&mut self, at: usize, answer: Answer) {
        let entry = &mut self.entries[at];
        entry.stage = match answer {
            // The document has the drill's mark again, without which it cannot be removed.
            Answer::Written if self.documents[at].recording.is_leaving() => Stage::Remove,
            Answer::Written => {
                self.written += 1;
                Stage::Done(Outcome::Acknowledged)
            }
            Answer::Duplicate { .. } if broken::is(Broken::DuplicateNotRead) => {
                Stage::Done(Outcome::Acknowledged)
            }
            Answer::Duplicate { .. } if entry.reads >= READS_MAX => Stage::Done(Outcome::Left),
            Answer::Duplicate { words } => {
                entry.reads += 1;
                Stage::Read { words }
            }
            Answer::Refused { .. } if broken::is(Broken::RefusalIgnored) => {
                Stage::Done(Outcome::Acknowledged)
            }
            Answer::Refused { words } => refused(&words),
            Answer::Failed(_) if broken::is(Broken::PendingClearedOnSend) => {
                Stage::Done(Outcome::Acknowledged)
            }
            Answer::Failed(_) => Stage::Done(Outcome::Left),
        };
    }

    fn read_back(&mut self, at: usize, stored: Option<&Stored>) {
        let entry = &self.entries[at];
        let document = &self.documents[at];
        let Some(stored) = stored else {
            let Stage::Read { words } = &entry.stage else { return };
            if document.recording.is_leaving() {
                self.entries[at].stage = Stage::Done(Outcome::Removed);
                return;
            }
            if document.recording.deleted_at_ms.is_some() {
                self.entries[at].stage = Stage::Done(Outcome::Acknowledged);
                return;
            }
            // It was refused twice as a duplicate, and no document has its uuid: another unique index refuses it.
            let next = if entry.reads >= 2 { refused(words) } else { Stage::Insert };
            self.entries[at].stage = next;
            return;
        };
        let leaving = document.recording.is_leaving();
        let next = match stored.root.as_deref() {
            Some(root) if root == self.root && leaving => compare_leaving(document, stored),
            // A document of another root, or of none, is not ours to remove.
            _ if leaving => Stage::Done(Outcome::Removed),
            None => Stage::Adopt,
            Some(root) if root == self.root => self.compare_ours(document, stored),
            Some(_) if stored.deleted => Stage::TakeOver(Box::new(stored.clone())),
            Some(_) => Stage::Done(Outcome::Refused(duplicate_of_another_root(stored))),
        };
        if let (Stage::Done(Outcome::Left), Some(version)) = (&next, stored.version) {
            let met = document::token(version);
            self.token_met = Some(self.token_met.unwrap_or(0).max(met));
        }
        self.entries[at].stage = next;
    }

    /// The document is of our root. It is this recording, an older form of it, or a newer one.
    fn compare_ours(&self, document: &Versioned, stored: &Stored) -> Stage {
        if stored.is_true_to(&document.recording) {
            return Stage::Done(Outcome::Acknowledged);
        }
        newer(document, stored).unwrap_or_else(|| match &stored.path {
            Some(path) if *path != document.recording.path && !stored.deleted => {
                Stage::Prefer { path: path.clone() }
            }
            _ => Stage::Upsert,
        })
    }
}

/// A drill planted the recording, its files are gone, and its document is still there.
fn compare_leaving(document: &Versioned, stored: &Stored) -> Stage {
    newer(document, stored).unwrap_or(match stored.is_drilled() {
        true => Stage::Remove,
        false => Stage::Upsert,
    })
}

/// What follows where the catalog has a later version than ours.
fn newer(document: &Versioned, stored: &Stored) -> Option<Stage> {
    let version = stored.version.filter(|version| *version > document.version)?;
    Some(if document::is_spoilt(version) {
        // No version of ours is above it: the document is replaced only if it still is as it was read.
        Stage::TakeOver(Box::new(stored.clone()))
    } else if document::token(version) > document::token(document.version) {
        // It stays pending, and the caller takes a higher token.
        Stage::Done(Outcome::Left)
    } else {
        Stage::Done(Outcome::Raise(document::generation(version).saturating_add(1)))
    })
}

fn unremovable(failure: &Failure) -> Stage {
    Stage::Done(Outcome::Refused(Fault::new(
        State::CatalogRefused,
        format!(
            "a drill planted it, its files are gone, and its document cannot be removed: {failure}. Let the server remove documents; it is tried again by itself"
        ),
    )))
}

fn refused(words: &str) -> Stage {
    Stage::Done(Outcome::Refused(Fault::new(
        State::CatalogRefused,
        format!(
            "the catalog's database refuses this document: {words}. Mend the sidecar, or the rule in the database; it is tried again by itself"
        ),
    )))
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
