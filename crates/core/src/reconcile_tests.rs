use std::collections::BTreeMap;

use super::*;
use crate::answer::Answer;
use crate::document::Versioned;
use crate::json::Value;
use crate::recording::Recording;

/// An index and a catalog in memory around the reconciler, with faults drawn from a seed.
struct World {
    core: Reconciler,
    memory: CatalogMemory,
    rows: BTreeMap<i64, RowState>,
    catalog: BTreeMap<String, Versioned>,
    identity: String,
    watermark: Option<String>,
    up: bool,
    epoch: u64,
    /// The catalog's token counter.
    tokens: i64,
    drawn: u64,
    random: u64,
    writes: u64,
    now_ms: u64,
}

#[derive(Clone)]
struct RowState {
    generation: i64,
    acked: Option<i64>,
    size: i64,
}

fn recording(id: i64, size: i64) -> Recording {
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

const BOUNDS: Bounds = Bounds { batch_first: 3, batch_max: 8, batch_bytes_max: 1_000, page: 4 };

impl World {
    fn new(seed: u64) -> World {
        let memory = CatalogMemory { owed: true, token: 1, ..CatalogMemory::default() };
        World {
            core: Reconciler::new("r", memory.clone(), BOUNDS),
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
            now_ms: 0,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn land(&mut self, id: i64) {
        let row = self.rows.entry(id).or_insert(RowState { generation: 0, acked: None, size: 0 });
        row.generation += 1;
        row.size += 1;
        self.core.handle(Event::Wake);
    }

    fn bring_up(&mut self, epoch: u64) {
        self.up = true;
        self.epoch = epoch;
        self.core.handle(Event::Up { epoch });
        self.granted(self.tokens, true);
    }

    fn granted(&mut self, token: i64, continuous: bool) {
        self.disputed(token, continuous, 0);
    }

    fn disputed(&mut self, token: i64, continuous: bool, disputed_until_ms: u64) {
        self.tokens = self.tokens.max(token);
        let (epoch, until_ms) = (self.epoch, u64::MAX);
        let grant = Grant { epoch, token, until_ms, continuous, disputed_until_ms };
        self.core.handle(Event::Lease(Right::Granted(grant)));
    }

    /// Another server has the lease for a while, and changes what it likes.
    fn another_writes(&mut self) {
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

    fn take_down(&mut self) {
        self.up = false;
        self.core.handle(Event::Down);
    }

    /// The server is killed and started again: only the index's memory is left.
    fn crash(&mut self, epoch: u64) {
        self.core = Reconciler::new("r", self.memory.clone(), BOUNDS);
        if self.up {
            self.epoch = epoch;
            self.core.handle(Event::Up { epoch });
            self.granted(self.tokens + 1, true);
        }
    }

    /// One job; false where there is nothing to do.
    fn step(&mut self, faults: bool) -> bool {
        match self.core.next_action(self.now_ms) {
            Next::Idle => false,
            Next::Wait { .. } => {
                self.core.handle(Event::Timer);
                true
            }
            Next::Run(job) => {
                let done = self.carry_out(job, faults);
                self.core.handle(Event::Done(done));
                true
            }
        }
    }

    fn lost<T>(&self) -> Result<T, Failure> {
        let _ = self;
        Err(Failure::transient("lost"))
    }

    fn carry_out(&mut self, job: Job, faults: bool) -> Done {
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
            Job::Pick { limit, before, .. } => Done::Picked(
                self.rows
                    .iter()
                    .rev()
                    .filter(|(id, row)| {
                        row.acked != Some(row.generation) && before.is_none_or(|b| **id < b)
                    })
                    .take(limit)
                    .map(|(id, row)| Item {
                        id: *id,
                        generation: row.generation,
                        acknowledged: row.acked.is_some(),
                        recording: recording(*id, row.size),
                    })
                    .collect(),
            ),
            Job::Note { .. } => {
                self.drawn += 1;
                let watermark = format!("w{}", self.drawn);
                self.memory.noted = Some(watermark.clone());
                Done::Noted { watermark, gone: Vec::new() }
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
            Job::Acknowledge { watermark, outcomes } => {
                self.acknowledge(&outcomes);
                if watermark.is_some() {
                    self.memory.remembered = watermark;
                    self.memory.noted = None;
                }
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
            Job::Page { .. } if fate == 0 => Done::Page(self.lost()),
            Job::Page { after, limit } => {
                let rest = self
                    .catalog
                    .values()
                    .filter(|document| Some(&document.recording.uuid) > after.as_ref());
                Done::Page(Ok(Page::of(limit, rest.map(stored))))
            }
            Job::Rows { after, through, limit } => Done::Rows(self.range(after, through, limit)),
            Job::Found { findings, .. } => {
                for (id, generation, finding) in findings {
                    let Some(row) = self.rows.get_mut(&id) else { continue };
                    if row.generation == generation {
                        row.acked = (finding == Compared::Same).then_some(generation);
                    }
                }
                Done::Stored
            }
            Job::Sweep { .. } if fate == 0 => Done::Swept(self.lost()),
            Job::Sweep { .. } => Done::Swept(Ok(None)),
            Job::Finish { identity, watermark } => {
                self.memory.identity = Some(identity);
                self.memory.owed = false;
                self.memory.remembered = Some(watermark);
                self.memory.noted = None;
                Done::Stored
            }
        }
    }

    fn acknowledge(&mut self, outcomes: &[(i64, i64, Outcome)]) {
        for (id, generation, outcome) in outcomes {
            let Some(row) = self.rows.get_mut(id) else { continue };
            match outcome {
                Outcome::Acknowledged => row.acked = Some(*generation),
                Outcome::Raise(to) => row.generation = row.generation.max(*to),
                Outcome::SetAside(fault) => panic!("nothing is refused here: {fault:?}"),
                Outcome::Removed => panic!("no drill planted anything here"),
                Outcome::Left => {}
            }
        }
    }

    fn range(&self, after: Option<String>, through: Option<String>, limit: usize) -> Page<Row> {
        let rows = self
            .rows
            .iter()
            .map(|(id, row)| Row {
                id: *id,
                generation: row.generation,
                acknowledged: row.acked.is_some(),
                vanished: false,
                marked: false,
                changed: row.generation > 1 && row.acked != Some(row.generation),
                recording: recording(*id, row.size),
            })
            .filter(|row| Some(&row.recording.uuid) > after.as_ref())
            .filter(|row| through.as_ref().is_none_or(|through| row.recording.uuid <= *through));
        Page::of(limit, rows)
    }

    fn call(&mut self, call: Call) -> Reply {
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

    fn put(&mut self, document: &Versioned, replace: bool) -> Answer {
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
    fn converges(&mut self, seed: u64) {
        for _ in 0..5_000 {
            if !self.step(false) {
                break;
            }
        }
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

fn stored(document: &Versioned) -> Stored {
    Stored {
        uuid: document.recording.uuid.clone(),
        root: Some("r".to_owned()),
        version: Some(document.version),
        deleted: false,
        path: Some(document.recording.path.clone()),
        recording: Some(document.recording.clone()),
    }
}

#[test]
fn on_any_schedule_of_outages_crashes_and_lost_answers_the_catalog_becomes_the_index() {
    for seed in 0..3_000 {
        let mut world = World::new(seed);
        let mut epoch = 0;
        let mut copies = vec![(world.catalog.clone(), world.watermark.clone())];
        for _ in 0..120 {
            match world.draw(24) {
                0..=5 => {
                    let id = i64::try_from(world.draw(30)).expect("small");
                    world.land(id);
                }
                6 => {
                    epoch += 1;
                    world.bring_up(epoch);
                }
                7 => world.take_down(),
                8 => {
                    epoch += 1;
                    world.crash(epoch);
                }
                9 => copies.push((world.catalog.clone(), world.watermark.clone())),
                10 => {
                    // Restored from an older copy while away.
                    let at = usize::try_from(world.draw(copies.len() as u64)).expect("small");
                    (world.catalog, world.watermark) = copies[at].clone();
                    epoch += 1;
                    world.take_down();
                    world.bring_up(epoch);
                }
                11 => {
                    world.identity = format!("other {epoch}");
                    world.catalog.clear();
                    world.watermark = None;
                    copies.clear();
                    copies.push((BTreeMap::new(), None));
                    epoch += 1;
                    world.take_down();
                    world.bring_up(epoch);
                }
                12 if world.up => world.another_writes(),
                13 => world.core.handle(Event::Lease(Right::Unknown)),
                _ => {
                    world.step(true);
                }
            }
        }
        world.take_down();
        world.bring_up(epoch + 1);
        world.converges(seed);
    }
}

#[test]
fn a_database_as_remembered_gets_the_pending_alone() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    let before = world.writes;
    world.take_down();
    world.land(5);
    world.land(99);
    world.bring_up(2);
    assert!(!world.core.owed());
    world.converges(1);
    assert_eq!(world.writes, before + 2);
    assert!(world.core.comparing().is_none());
}

#[test]
fn an_index_that_was_rebuilt_writes_nothing_where_all_is_there() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    let before = world.writes;
    world.memory = CatalogMemory { owed: true, token: 1, ..CatalogMemory::default() };
    world.rows.values_mut().for_each(|row| {
        row.acked = None;
        row.generation = 1;
    });
    world.crash(2);
    world.converges(1);
    assert_eq!(world.writes, before);
}

#[test]
fn a_recording_changed_in_flight_stays_pending() {
    let mut world = World::new(1);
    world.land(1);
    world.bring_up(1);
    loop {
        match world.core.next_action(0) {
            Next::Run(Job::Call(call)) => {
                let reply = world.call(call);
                world.land(1);
                world.core.handle(Event::Done(Done::Replied(Ok(reply))));
                break;
            }
            Next::Run(job) => {
                let done = world.carry_out(job, false);
                world.core.handle(Event::Done(done));
            }
            other => panic!("{other:?}"),
        }
    }
    world.converges(1);
    assert_eq!(world.catalog["u0001"].recording.size, 2);
}

#[test]
fn a_refused_client_is_tried_again_slowly_and_without_end() {
    let mut world = World::new(1);
    world.bring_up(1);
    let mut last = 0;
    for _ in 0..12 {
        assert_eq!(world.core.next_action(0), Next::Run(Job::Open));
        world.core.handle(Event::Done(Done::Opened(Err(Failure::refused_client("no")))));
        assert_eq!(world.core.phase(), Phase::Down);
        let Next::Wait { within_ms } = world.core.next_action(0) else { panic!("a wait") };
        assert!(within_ms >= last && within_ms <= 30_000);
        last = within_ms;
        world.core.handle(Event::Timer);
    }
    assert_eq!(last, 30_000);
}

#[test]
fn without_the_lease_nothing_is_written() {
    let mut world = World::new(1);
    world.land(1);
    world.up = true;
    world.core.handle(Event::Up { epoch: 1 });
    while world.step(false) {}
    assert_eq!((world.writes, world.core.phase()), (0, Phase::Recovering));
    world.core.handle(Event::Lease(Right::Standby));
    while world.step(false) {}
    assert_eq!((world.writes, world.core.phase()), (0, Phase::Standby));
    // A grant of another connection, or one that has lapsed, is none.
    for (epoch, until_ms) in [(2, 1), (1, 0)] {
        let grant = Grant { epoch, token: 2, until_ms, continuous: false, disputed_until_ms: 0 };
        world.core.handle(Event::Lease(Right::Granted(grant)));
        while world.step(false) {}
        assert_eq!(world.writes, 0);
    }
    world.epoch = 1;
    world.granted(2, false);
    world.converges(1);
    assert_eq!(world.memory.token, 2);
}

#[test]
fn a_standby_compares_read_only_and_a_new_holder_compares_once_more() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    world.memory.owed = true;
    for row in world.rows.values_mut() {
        row.acked = None;
    }
    world.crash(2);
    world.core.handle(Event::Lease(Right::Standby));
    let before = world.writes;
    while world.step(false) {}
    assert!(world.rows.values().all(|row| row.acked == Some(row.generation)));
    assert!(world.memory.owed, "what a standby compares does not settle the debt");
    world.granted(9, false);
    world.converges(1);
    assert_eq!((world.writes, world.memory.owed), (before, false));
}

#[test]
fn what_a_database_said_before_the_connection_changed_is_not_believed_of_the_next() {
    let mut world = World::new(1);
    world.land(0);
    world.bring_up(1);
    world.converges(1);
    let asked = |world: &mut World| match world.core.next_action(world.now_ms) {
        Next::Run(job @ Job::Open) => world.carry_out(job, false),
        other => panic!("{other:?}"),
    };
    world.bring_up(2);
    let answer = asked(&mut world);
    // An empty copy takes its place before the answer is heard.
    world.catalog.clear();
    world.watermark = None;
    world.bring_up(3);
    world.core.handle(Event::Done(answer));
    let answer = asked(&mut world);
    world.core.handle(Event::Done(answer));
    world.converges(1);
}

#[test]
fn what_a_standby_has_compared_is_compared_once_more_where_its_own_lease_goes_on() {
    let mut world = World::new(1);
    world.land(0);
    world.bring_up(1);
    world.converges(1);
    // Sent, and not marked: the watermark tells nothing of it.
    let (before, watermark) = (world.catalog.clone(), world.watermark.clone());
    world.land(1);
    while world.catalog.len() < 2 {
        assert!(world.step(false));
    }
    world.crash(2);
    world.core.handle(Event::Lease(Right::Standby));
    while world.step(false) {}
    assert!(world.rows.values().all(|row| row.acked == Some(row.generation)));
    assert_eq!(world.watermark, watermark);
    world.catalog = before;
    world.crash(3);
    world.converges(1);
}

#[test]
fn what_the_other_writes_under_a_lease_taken_back_is_found_by_a_comparison_after_it() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    world.disputed(9, false, 1_000);
    world.now_ms = 999;
    world.converges(1);
    assert!(world.memory.owed, "the other may still write");
    assert!(!world.step(false), "what can be compared meanwhile is compared once");
    // And does, after all was compared.
    world.catalog.get_mut("u0003").expect("there").recording.size += 7;
    world.now_ms = 1_000;
    world.converges(1);
    assert!(!world.memory.owed);
}

#[test]
fn a_comparison_under_an_earlier_token_settles_no_debt_of_a_new_one() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    world.core.handle(Event::CompareDue);
    while world.core.comparing().is_none_or(|count| count < 8) {
        assert!(world.step(false));
    }
    // What was compared already, another wrote since.
    world.catalog.get_mut("u0000").expect("there").recording.size += 7;
    world.granted(9, false);
    world.converges(1);
    assert!(!world.memory.owed);
}

#[test]
fn the_debt_of_a_new_token_is_stored_before_the_token() {
    let mut world = World::new(1);
    world.bring_up(1);
    world.converges(1);
    assert!(!world.memory.owed);
    world.granted(7, false);
    world.step(false);
    assert_eq!((world.memory.owed, world.memory.token), (true, 1));
    world.step(false);
    assert_eq!((world.memory.owed, world.memory.token), (true, 7));
}

#[test]
fn a_comparison_that_is_due_asks_anew_who_the_database_is() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    // Dropped and made again, or altered by hand, while connected.
    world.identity = "dropped".to_owned();
    world.catalog.clear();
    world.core.handle(Event::CompareDue);
    world.converges(1);
    assert_eq!(world.memory.identity.as_deref(), Some("dropped"));
    world.catalog.get_mut("u0003").expect("there").recording.size += 7;
    world.core.handle(Event::CompareDue);
    world.converges(1);
    assert!(!world.memory.owed);
}

#[test]
fn a_database_that_refuses_us_since_it_was_met_gets_nothing_more() {
    let mut world = World::new(1);
    (0..5).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    let before = world.writes;
    world.core.handle(Event::CompareDue);
    assert_eq!(world.core.next_action(0), Next::Run(Job::Open));
    let refused = Failure::refused_client("uuid cannot be unique");
    world.core.handle(Event::Done(Done::Opened(Err(refused))));
    assert_eq!(world.core.phase(), Phase::Down);
    world.land(9);
    world.core.handle(Event::Timer);
    assert_eq!(world.core.next_action(0), Next::Run(Job::Open));
    assert_eq!(world.writes, before);
    let stranger =
        OpenedCatalog { identity: world.identity.clone(), watermark: world.watermark.clone() };
    world.core.handle(Event::Done(Done::Opened(Ok(stranger))));
    assert!(world.core.owed(), "it was due, and still is");
    world.converges(1);
}
