//! An index and a catalog in memory around a reconciler.

use std::collections::BTreeMap;

use super::*;
use crate::answer::{Answer, Failure};
use crate::batch::{Call, Item, ItemOutcome, Outcome, Pick, Picked, Reply};
use crate::compare::{Claims, Compared, ComparedEntry, Page, Row, SpotCheck};
use crate::document::{OpenedCatalog, Stored, Versioned};
use crate::entry::EntryId;
use crate::json::Value;
use crate::lease::Grant;
use crate::recording::Recording;
use crate::window::Window;

/// An index and a catalog in memory around the reconciler, with faults drawn from a seed.
pub(super) struct World {
    pub(super) core: Reconciler,
    /// What was handed out beside the present job.
    pub(super) beside: Option<Job>,
    pub(super) memory: CatalogMemory,
    pub(super) rows: BTreeMap<i64, RowState>,
    pub(super) catalog: BTreeMap<String, Versioned>,
    pub(super) identity: String,
    pub(super) watermark: Option<String>,
    pub(super) up: bool,
    pub(super) epoch: u64,
    /// The catalog's token counter.
    pub(super) tokens: i64,
    pub(super) drawn: u64,
    pub(super) random: u64,
    pub(super) writes: u64,
    /// Documents that the index was told of as missing.
    pub(super) missing: Vec<String>,
    /// What the index was told of uuids that others have.
    pub(super) claims: Vec<Claims>,
    /// Rows that the index drops before it stores what was compared next.
    pub(super) drops: Vec<i64>,
    pub(super) now_ms: u64,
}

#[derive(Clone)]
pub(super) struct RowState {
    pub(super) generation: i64,
    pub(super) acked: Option<i64>,
    pub(super) size: i64,
}

pub(super) fn recording(id: i64, size: i64) -> Recording {
    Recording {
        uuid: format!("u{id:04}"),
        start_ms: 1,
        end_ms: None,
        deleted: false,
        deleted_at_ms: None,
        recording_id: format!("u{id:04}"),
        root: "r".to_owned(),
        path: format!("{id}.dat"),
        size,
        fingerprint: String::new(),
        metadata: Value::Object(Vec::new()),
    }
}

pub(super) const BOUNDS: Bounds =
    Bounds { batch_first: 3, batch_max: 8, batch_bytes_max: 1_000, page: 4 };

impl World {
    pub(super) fn new(seed: u64) -> World {
        let memory = CatalogMemory { owed: true, token: 1, ..CatalogMemory::default() };
        World {
            core: Reconciler::new("r", memory.clone(), BOUNDS),
            beside: None,
            memory,
            rows: BTreeMap::new(),
            catalog: BTreeMap::new(),
            identity: "first".to_owned(),
            watermark: None,
            up: false,
            epoch: 0,
            tokens: 1,
            drawn: 0,
            random: seed.wrapping_mul(2) + 1,
            writes: 0,
            missing: Vec::new(),
            claims: Vec::new(),
            drops: Vec::new(),
            now_ms: 0,
        }
    }

    pub(super) fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    pub(super) fn land(&mut self, id: i64) {
        let row = self.rows.entry(id).or_insert(RowState { generation: 0, acked: None, size: 0 });
        row.generation += 1;
        row.size += 1;
        self.core.handle(Event::Wake);
    }

    pub(super) fn bring_up(&mut self, epoch: u64) {
        self.up = true;
        self.epoch = epoch;
        self.core.handle(Event::Up { epoch });
        self.granted(self.tokens, true);
    }

    pub(super) fn granted(&mut self, token: i64, continuous: bool) {
        self.disputed(token, continuous, 0);
    }

    pub(super) fn disputed(&mut self, token: i64, continuous: bool, disputed_until_ms: u64) {
        self.tokens = self.tokens.max(token);
        let (epoch, until_ms) = (self.epoch, u64::MAX);
        let grant = Grant { epoch, token, until_ms, continuous, disputed_until_ms };
        self.core.handle(Event::Lease(Right::Granted(grant)));
    }

    /// Another server has the lease for a while, and changes what it likes.
    pub(super) fn another_writes(&mut self) {
        self.core.handle(Event::Lease(Right::Standby));
        self.tokens += 1;
        for document in self.catalog.values_mut() {
            document.version = crate::document::version(self.tokens, 3);
            document.recording.size += 1_000;
        }
        for _ in 0..self.draw(20) {
            self.step(true);
        }
        self.granted(self.tokens + 1, false);
    }

    pub(super) fn take_down(&mut self) {
        self.up = false;
        self.core.handle(Event::Down);
    }

    /// The server is killed and started again: only the index's memory is left.
    pub(super) fn crash(&mut self, epoch: u64) {
        self.core = Reconciler::new("r", self.memory.clone(), BOUNDS);
        self.beside = None;
        if self.up {
            self.epoch = epoch;
            self.core.handle(Event::Up { epoch });
            self.granted(self.tokens + 1, true);
        }
    }

    /// One job; false where there is nothing to do.
    pub(super) fn step(&mut self, faults: bool) -> bool {
        match self.core.next_action(self.now_ms) {
            Next::Idle { .. } => self.step_beside(),
            Next::Wait { .. } => {
                self.core.handle(Event::Timer);
                true
            }
            Next::Run(job) => {
                // What the index does beside it may take longer, or not have begun.
                while self.draw(3) != 0 && self.step_beside() {}
                let done = self.carry_out(job, faults);
                self.core.handle(Event::Done(done));
                assert_eq!(self.core.violation(), None);
                true
            }
        }
    }

    /// Hands out what is to be done beside, or does what was handed out; false where there is nothing.
    pub(super) fn step_beside(&mut self) -> bool {
        if let Some(job) = self.beside.take() {
            let done = self.carry_out(job, false);
            self.core.handle(Event::DoneBeside(done));
            assert_eq!(self.core.violation(), None);
            return true;
        }
        self.beside = self.core.next_beside(self.now_ms);
        self.beside.is_some()
    }

    /// Runs without faults until there is nothing to do.
    pub(super) fn runs(&mut self) {
        for _ in 0..5_000 {
            if !self.step(false) {
                return;
            }
        }
        panic!("it never rests: {:?}", self.core);
    }

    /// Runs until a job of this name is asked for, which is not carried out.
    pub(super) fn runs_to(&mut self, name: &str) -> Job {
        for _ in 0..5_000 {
            match self.core.next_action(self.now_ms) {
                Next::Run(job) if job.name() == name => return job,
                Next::Run(job) => {
                    let done = self.carry_out(job, false);
                    self.core.handle(Event::Done(done));
                }
                Next::Wait { .. } => self.core.handle(Event::Timer),
                Next::Idle { .. } if self.step_beside() => {}
                Next::Idle { .. } => break,
            }
        }
        panic!("{name} is never asked for: {:?}", self.core);
    }

    /// Others have changed these documents, and the database tells of it.
    pub(super) fn told(&mut self, uuids: &[&str], everything: bool) {
        let uuids = uuids.iter().map(|uuid| (*uuid).to_owned()).collect();
        self.core.handle(Event::ChangedByOthers { uuids, everything });
    }

    pub(super) fn lost<T>(&self) -> Result<T, Failure> {
        let _ = self;
        Err(Failure::transient("lost"))
    }

    pub(super) fn carry_out(&mut self, job: Job, faults: bool) -> Done {
        // 0: the call is lost; 1: its acknowledgement is; else it goes well.
        let fate = if !self.up {
            0
        } else if faults {
            self.draw(6)
        } else {
            9
        };
        match job {
            Job::Open if fate == 0 => Done::Opened(self.lost()),
            Job::Open => Done::Opened(Ok(OpenedCatalog {
                identity: self.identity.clone(),
                watermark: self.watermark.clone(),
            })),
            Job::Owe { identity } => {
                self.memory.identity = Some(identity);
                self.memory.owed = true;
                Done::Stored
            }
            Job::Pick(pick) => Done::Picked(self.pick(&pick)),
            Job::Note { ahead, .. } => {
                self.drawn += 1;
                let watermark = format!("w{}", self.drawn);
                if !ahead {
                    self.memory.noted = Some(watermark.clone());
                }
                Done::Noted { watermark, not_pending: Vec::new() }
            }
            Job::Call(_) if fate == 0 => Done::Replied(self.lost()),
            Job::Call(call) => {
                let reply = self.call(call);
                Done::Replied(if fate == 1 { self.lost() } else { Ok(reply) })
            }
            Job::Mark { .. } if fate == 0 => Done::Marked(self.lost()),
            Job::Mark { watermark } => {
                self.watermark = Some(watermark);
                Done::Marked(if fate == 1 { self.lost() } else { Ok(()) })
            }
            Job::Acknowledge { watermark, outcomes, next } => {
                self.acknowledge(&outcomes);
                self.memory.remembered = Some(watermark);
                self.memory.noted = next;
                Done::Stored
            }
            Job::Token(token) => {
                self.memory.token = token;
                Done::Stored
            }
            Job::Met(token) => {
                self.granted(token.max(self.tokens) + 1, true);
                Done::Stored
            }
            Job::Report => Done::Reported(Ok(0)),
            Job::Window { .. } if fate == 0 => Done::Window(self.lost()),
            Job::Window { after, limit } => {
                let rows = self.range(after.clone(), None, Window::rows(limit));
                let bound = rows.items.last().filter(|_| rows.more);
                let bound = bound.map(|row| row.recording.uuid.clone());
                let within = self
                    .catalog
                    .values()
                    .filter(|document| Some(&document.recording.uuid) > after.as_ref())
                    .filter(|document| {
                        bound.as_ref().is_none_or(|bound| document.recording.uuid <= *bound)
                    });
                let page = Page::of(limit, within.map(stored));
                Done::Window(Ok(Window::of(page, bound)))
            }
            Job::Rows { after, through, limit } => Done::Rows(self.range(after, through, limit)),
            Job::SpotCheck { .. } if fate == 0 => Done::SpotChecked(self.lost()),
            Job::SpotCheck { uuids } => {
                let documents = uuids.iter().filter_map(|uuid| self.catalog.get(uuid));
                let documents = documents.map(stored).collect();
                let rows = self.range(None, None, usize::MAX).items.into_iter();
                let rows = rows.filter(|row| uuids.contains(&row.recording.uuid)).collect();
                Done::SpotChecked(Ok(SpotCheck { rows, documents }))
            }
            Job::Held { .. } => Done::Uuids(std::collections::BTreeSet::new()),
            Job::Claims(claims) => {
                self.claims.push(claims);
                Done::Stored
            }
            Job::Found { findings, missing } => {
                self.missing.extend(missing.into_iter().map(|stored| stored.uuid));
                let mut dropped = 0;
                for id in std::mem::take(&mut self.drops) {
                    self.rows.remove(&id);
                    dropped += u64::from(findings.iter().any(|one| one.id == EntryId(id)));
                }
                for ComparedEntry { id, generation, found } in findings {
                    let Some(row) = self.rows.get_mut(&id.0) else { continue };
                    if row.generation == generation {
                        row.acked = (found == Compared::Same).then_some(generation);
                    }
                }
                Done::Found { dropped }
            }
            Job::Sweep { .. } if fate == 0 => Done::Swept(self.lost()),
            Job::Sweep { .. } => Done::Swept(Ok(None)),
            Job::Finish { identity, watermark, again } => {
                self.memory.identity = Some(identity);
                self.memory.owed = again;
                self.memory.remembered = Some(watermark);
                self.memory.noted = None;
                Done::Stored
            }
        }
    }

    fn pick(&self, pick: &Pick) -> Picked {
        let is_wanted = |(id, row): &(&i64, &RowState)| {
            let id = EntryId(**id);
            row.acked != Some(row.generation)
                && pick.before.is_none_or(|before| id < before)
                && !pick.but.contains(&id)
        };
        let items: Vec<Item> = self
            .rows
            .iter()
            .rev()
            .filter(is_wanted)
            .take(pick.limit)
            .map(|(id, row)| Item {
                id: EntryId(*id),
                generation: row.generation,
                known: row.acked.is_some(),
                recording: recording(*id, row.size),
            })
            .collect();
        Picked { more: items.len() == pick.limit, items }
    }

    pub(super) fn acknowledge(&mut self, outcomes: &[ItemOutcome]) {
        for ItemOutcome { id, generation, outcome } in outcomes {
            let Some(row) = self.rows.get_mut(&id.0) else { continue };
            match outcome {
                Outcome::Acknowledged => row.acked = Some(*generation),
                Outcome::Raise(to) => row.generation = row.generation.max(*to),
                Outcome::Refused(fault) => panic!("nothing is refused here: {fault:?}"),
                Outcome::Removed => panic!("no drill planted anything here"),
                Outcome::Left => {}
            }
        }
    }

    pub(super) fn range(
        &self,
        after: Option<String>,
        through: Option<String>,
        limit: usize,
    ) -> Page<Row> {
        let rows = self
            .rows
            .iter()
            .map(|(id, row)| Row {
                id: EntryId(*id),
                generation: row.generation,
                known: row.acked.is_some(),
                vanished: false,
                marked: false,
                changed: row.generation > 1 && row.acked != Some(row.generation),
                recording: recording(*id, row.size),
            })
            .filter(|row| Some(&row.recording.uuid) > after.as_ref())
            .filter(|row| through.as_ref().is_none_or(|through| row.recording.uuid <= *through));
        Page::of(limit, rows)
    }

    pub(super) fn call(&mut self, call: Call) -> Reply {
        match &call {
            Call::Insert(batch) => {
                Reply::Answers(batch.iter().map(|one| self.put(one, false)).collect())
            }
            Call::Upsert(batch) => {
                Reply::Answers(batch.iter().map(|one| self.put(one, true)).collect())
            }
            Call::Read(uuids) => Reply::Documents(
                uuids.iter().filter_map(|uuid| self.catalog.get(uuid)).map(stored).collect(),
            ),
            Call::Prefer { .. } => Reply::Preferred(false),
            Call::Adopt(_) | Call::TakeOver(_, _) | Call::Remove(_) => {
                panic!("there are no others here, and no drill: {call:?}")
            }
        }
    }

    pub(super) fn put(&mut self, document: &Versioned, replace: bool) -> Answer {
        let uuid = document.recording.uuid.clone();
        let may = match self.catalog.get(&uuid) {
            None => true,
            Some(there) => replace && there.version <= document.version,
        };
        if !may {
            return Answer::Duplicate { words: "there".to_owned() };
        }
        self.writes += 1;
        self.catalog.insert(uuid, document.clone());
        Answer::Written
    }

    /// Runs without faults until nothing is to be done, and checks that the catalog is the index.
    pub(super) fn converges(&mut self, seed: u64) {
        self.runs();
        assert_eq!(self.core.phase(), Phase::InStep, "seed {seed}");
        for (id, row) in &self.rows {
            let wanted = recording(*id, row.size);
            let found = self.catalog.get(&wanted.uuid).map(|document| &document.recording);
            assert_eq!(found, Some(&wanted), "seed {seed}");
            assert_eq!(row.acked, Some(row.generation), "seed {seed}");
        }
        assert_eq!(self.catalog.len(), self.rows.len(), "seed {seed}");
    }
}

pub(super) fn stored(document: &Versioned) -> Stored {
    Stored {
        uuid: document.recording.uuid.clone(),
        root: Some("r".to_owned()),
        version: Some(document.version),
        deleted: false,
        path: Some(document.recording.path.clone()),
        recording: Some(document.recording.clone()),
    }
}
