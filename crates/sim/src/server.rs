//! One server: the real core, and a shell whose every step can fail.

mod checks;
mod folders;
mod jobs;

use focus_core::answer::Failure;
use focus_core::exclude::Exclude;
use focus_core::lease::{Grant, Lease, LeaseDone, LeaseJob, LeaseNext};
use focus_core::look::Look;
use focus_core::pair::PairForm;
use focus_core::reconcile::{Bounds, Event, Reconciler};
use focus_core::recording::Place;
use focus_core::settle::{Closed, Conclusion, Rules, judge};

use self::folders::KnownFolders;
pub(crate) use self::jobs::Flight;
use crate::catalog::{Catalog, ROOT};
use crate::index::{Index, Proofs};
use crate::storage::{RootIs, Storage, exclude};
use crate::world::{Delayed, Fate, World};

/// How long files must stand still.
pub(crate) const SETTLE_MS: u64 = 500;

/// The lease's length.
pub(crate) const LEASE_MS: u64 = 10_000;

const BOUNDS: Bounds = Bounds { batch_first: 2, batch_max: 4, batch_bytes_max: 1_000, page: 3 };

/// Bounds by which nearly every batch has another one after it.
const NARROW: Bounds = Bounds { batch_first: 1, batch_max: 2, page: 2, ..BOUNDS };

/// When an answer is heard.
fn ready_ms(fate: Fate, world: &mut World) -> u64 {
    let late_ms = if fate == Fate::Slow { world.random.u64(100..12_000) } else { 0 };
    world.true_ms + late_ms
}

/// One server.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) index: Index,
    pub(crate) core: Reconciler,
    pub(crate) lease: Lease,
    bounds: Bounds,
    pub(crate) hints: Vec<(Place, Closed)>,
    pub(crate) flight: Option<Flight>,
    /// What the index does beside that.
    pub(crate) beside: Option<Flight>,
    lease_flight: Option<(LeaseDone, u64)>,
    /// True times of the first and the last of the reads of the lease without a gap between them.
    reads: Option<(u64, u64)>,
    pub(crate) epoch: u64,
    /// True time of the start of its process.
    pub(crate) started_ms: u64,
    /// The least that the wall clock was ahead of true time since then, milliseconds.
    pub(crate) least_ahead_ms: i64,
    /// The connection that the present epoch is about.
    pub(crate) connection: Option<u64>,
    pub(crate) cut_off: bool,
    pub(crate) paused_until_ms: u64,
    /// Its own clock: an offset, and a thousandth more or less of speed.
    offset_ms: u64,
    drift: i64,
    process: u64,
    /// The token held now, and the highest one held before it: in any process, in any database.
    pub(crate) tokens: (i64, i64),
    /// Its settings hide a folder.
    pub(crate) excludes: bool,
    pub(crate) exclude: Exclude,
    /// What its scans remember of folders.
    folders: KnownFolders,
    /// An earlier state of the index.
    pub(crate) copy: Option<Index>,
    /// It does nothing, until there is a copy of the root that it can serve.
    pub(crate) is_idle: bool,
    /// The copy of the root that it serves; none: the root itself.
    pub(crate) copied: Option<Storage>,
    watermarks: u64,
}

impl Server {
    pub(crate) fn new(name: &str, offset_ms: u64, drift: i64) -> Server {
        let index = Index::new();
        let mut server = Server {
            core: Reconciler::new(ROOT, index.memory.clone(), BOUNDS),
            lease: Lease::new(name, 0, 0, LEASE_MS),
            name: name.to_owned(),
            index,
            bounds: BOUNDS,
            hints: Vec::new(),
            flight: None,
            beside: None,
            lease_flight: None,
            reads: None,
            epoch: 0,
            started_ms: 0,
            least_ahead_ms: 0,
            connection: None,
            cut_off: false,
            paused_until_ms: 0,
            offset_ms,
            drift,
            process: 0,
            tokens: (0, 0),
            excludes: false,
            exclude: Exclude::default(),
            folders: KnownFolders::default(),
            copy: None,
            is_idle: false,
            copied: None,
            watermarks: 0,
        };
        server.lease.set_place(server.marker_place());
        server
    }

    /// The same with narrow batches, from its start on.
    pub(crate) fn narrow(self, is_narrow: bool) -> Server {
        let bounds = if is_narrow { NARROW } else { BOUNDS };
        let core = Reconciler::new(ROOT, self.index.memory.clone(), bounds);
        Server { bounds, core, ..self }
    }

    /// Its boot-time clock.
    pub(crate) fn now_ms(&self, true_ms: u64) -> u64 {
        let fast = i64::try_from(true_ms).unwrap_or(0) * self.drift / 1_000;
        (self.offset_ms + true_ms).saturating_add_signed(fast)
    }

    /// Killed and started again with these settings, at this true time and with the wall clock so far ahead of it: only
    /// what the index holds is left.
    pub(crate) fn crash(&mut self, excludes: bool, true_ms: u64, wall_ahead_ms: i64) {
        self.process += 1;
        (self.started_ms, self.least_ahead_ms) = (true_ms, wall_ahead_ms);
        self.excludes = excludes;
        self.exclude = exclude(excludes);
        self.core = Reconciler::new(ROOT, self.index.memory.clone(), self.bounds);
        self.lease =
            Lease::new(&self.name, self.index.memory.token, self.index.token_seen, LEASE_MS);
        self.lease.set_place(self.marker_place());
        self.flight = None;
        self.beside = None;
        self.lease_flight = None;
        self.reads = None;
        self.folders = KnownFolders::default();
        self.hints.clear();
        self.connection = None;
        self.index.start();
        self.index.show_again(&self.exclude);
    }

    pub(crate) fn is_connected(&self, catalog: &Catalog) -> bool {
        catalog.up && !self.cut_off && self.connection == Some(catalog.connection)
    }

    /// The probe notices what has become of the connection.
    pub(crate) fn notice(&mut self, catalog: &Catalog) {
        if self.is_connected(catalog) {
            return;
        }
        self.reads = None;
        if self.connection.take().is_some() {
            self.core.handle(Event::Down);
            self.lease.down();
        } else if catalog.up && !self.cut_off {
            self.epoch += 1;
            self.connection = Some(catalog.connection);
            self.core.handle(Event::Up { epoch: self.epoch });
            self.lease.up(self.epoch);
        }
    }

    /// The grant that it believes in now.
    pub(crate) fn believes(&self, true_ms: u64, catalog: &Catalog) -> Option<Grant> {
        let grant = self.lease.grant()?;
        let good = grant.epoch == self.epoch
            && self.is_connected(catalog)
            && self.now_ms(true_ms) < grant.until_ms;
        good.then_some(grant)
    }

    /// The next step of the lease: a call, or its answer.
    pub(crate) fn lease_step(&mut self, world: &mut World) -> Result<(), String> {
        let now_ms = self.now_ms(world.true_ms);
        if let Some((_, ready_ms)) = self.lease_flight
            && ready_ms > world.true_ms
        {
            return Ok(());
        }
        if let Some((done, _)) = self.lease_flight.take() {
            self.lease.done(now_ms, done);
            self.index.token_seen = self.index.token_seen.max(self.lease.known());
            return self.check_token(world);
        }
        let LeaseNext::Run(job) = self.lease.next(now_ms) else { return Ok(()) };
        let fate = world.fate(self.is_connected(&world.catalog));
        let lost = || Failure::transient("lost");
        if fate == Fate::Late {
            world.delayed.push(Delayed::Lease(job.clone()));
        }
        let sent = !matches!(fate, Fate::Lost | Fate::Late);
        if sent {
            self.check_takeover(&job, world)?;
        }
        let answer = sent.then(|| world.catalog.lease(&job));
        let done = match (answer, job) {
            (Some(answer), _) if matches!(fate, Fate::Good | Fate::Slow) => answer,
            (_, LeaseJob::Read) => LeaseDone::Read(Err(lost())),
            (_, LeaseJob::Draw { .. }) => LeaseDone::Drawn(Err(lost())),
            (_, LeaseJob::Put { .. }) => LeaseDone::Put(Err(lost())),
        };
        match &done {
            LeaseDone::Read(Ok(_)) => {
                let first_ms = self.reads.filter(|(_, last_ms)| world.true_ms - last_ms <= 2_100);
                let first_ms = first_ms.map_or(world.true_ms, |(first_ms, _)| first_ms);
                self.reads = Some((first_ms, world.true_ms));
            }
            LeaseDone::Read(Err(_)) => self.reads = None,
            _ => {}
        }
        self.lease_flight = Some((done, ready_ms(fate, world)));
        Ok(())
    }

    /// Another's lease is taken after it was read, unchanged and without a gap, over its whole length.
    /// So the last holder goes first after an outage, and a pause of one's own takes nothing from anybody.
    fn check_takeover(&self, job: &LeaseJob, world: &World) -> Result<(), String> {
        let LeaseJob::Put { expected: Some(from), new } = job else { return Ok(()) };
        let older = from.token < self.tokens.0.max(self.tokens.1);
        if world.catalog.data.lease.as_ref() != Some(from)
            || from.released
            || from.holder == new.holder
            || older
        {
            return Ok(());
        }
        let span_ms = self.reads.map_or(0, |(first_ms, last_ms)| last_ms - first_ms);
        if span_ms * 100 >= LEASE_MS * 98 {
            return Ok(());
        }
        Err(format!("last_holder_goes_first: {} took it after {span_ms} ms of reading", self.name))
    }

    /// A token is one process's alone, for as long as the database remembers who drew it.
    fn check_token(&mut self, world: &mut World) -> Result<(), String> {
        if let Some(grant) = self.lease.grant()
            && self.tokens.0 != grant.token
        {
            self.tokens = (grant.token, self.tokens.1.max(self.tokens.0));
        }
        let Some(grant) = self.believes(world.true_ms, &world.catalog) else { return Ok(()) };
        let me = (self.name.clone(), self.process);
        let holder = world.granted.entry(grant.token).or_insert_with(|| me.clone());
        if *holder == me {
            return Ok(());
        }
        Err(format!("tokens_are_unique: {} was {holder:?}'s, and is {me:?}'s", grant.token))
    }

    /// The wall clock, or less where that was set forward since the start.
    fn steady_wall_ns(&self, world: &World) -> i64 {
        let true_ms = i64::try_from(world.true_ms).unwrap_or(i64::MAX);
        (true_ms + world.wall_ahead_ms.min(self.least_ahead_ms)) * 1_000_000
    }

    /// Looks at a place, and stores what it is.
    pub(crate) fn look(
        &mut self,
        place: &Place,
        closed: Closed,
        world: &World,
    ) -> Result<(), String> {
        let known = self.index.sight(place);
        let unchanged = known.known_sidecar().filter(|_| !closed.sidecar);
        let began_wall_ns = Some(self.steady_wall_ns(world));
        let Some(look) = world.storage.look(place, unchanged) else { return Ok(()) };
        let mut look = Look { began_wall_ns, ..look };
        if self.exclude.hides_folder(&place.folder) {
            look = Look::default();
        }
        let rules = Rules { root: ROOT, form: PairForm::focus(), settle_ms: SETTLE_MS };
        let now_ms = self.now_ms(world.true_ms);
        let mut judged = judge(place, &known, &look, closed, rules, now_ms);
        let unread = look.sidecar.as_ref().is_some_and(|sidecar| sidecar.bytes.is_none());
        if unread && judged.conclusion == Conclusion::Unsettled {
            // The data changed under a sidecar that was not read again: it is read now.
            let Some(again) = world.storage.look(place, None) else { return Ok(()) };
            judged = judge(place, &known, &Look { began_wall_ns, ..again }, closed, rules, now_ms);
        }
        if let Conclusion::Settled(recording) = &judged.conclusion {
            let files = &world.storage.places[place];
            let stood_ms = world.true_ms.saturating_sub(files.changed_ms);
            let is_closed = [judged.sight.data, judged.sight.sidecar]
                .iter()
                .all(|file| file.is_some_and(|file| file.closed));
            // Nobody knows of a clock that was set before the start.
            let set_ms = world.clock_set_ms;
            let was_set = files.changed_ms <= set_ms && set_ms <= self.started_ms;
            if !is_closed && !was_set && stood_ms * 100 < SETTLE_MS * 95 {
                return Err(format!(
                    "nothing_half_written: {} settled after {stood_ms} ms",
                    recording.path
                ));
            }
        }
        self.folders.looked(&place.folder, &known, &judged.sight);
        if self.index.observe(place, judged, look.mount, world.wall_ms()) {
            self.core.handle(Event::Wake);
        }
        Ok(())
    }

    /// Looks at what is due and at some of what was hinted.
    pub(crate) fn observe(&mut self, count: usize, world: &World) -> Result<(), String> {
        for _ in 0..count {
            let Some((place, closed)) = self.hints.pop() else { break };
            self.look(&place, closed, world)?;
        }
        let now_ms = self.now_ms(world.true_ms);
        let due = self.index.due(now_ms);
        for place in due {
            self.look(&place, Closed::default(), world)?;
        }
        Ok(())
    }

    /// Everything on storage against the index.
    pub(crate) fn scan(&mut self, world: &World) -> Result<(), String> {
        if world.storage.root != RootIs::There {
            return Ok(());
        }
        for place in crate::storage::all_places() {
            self.look(&place, Closed::default(), world)?;
        }
        self.index.settle_mounts(&|folder| world.storage.mount(folder));
        self.core.handle(Event::Scanned);
        Ok(())
    }

    /// Proves absence, and marks or holds.
    pub(crate) fn conclude(&mut self, world: &World) -> Result<(), String> {
        // What came in before has been read: a hint that waits may be of a move.
        if !self.hints.is_empty() {
            return Ok(());
        }
        // What is there may be another recording's: it is looked at before anything is concluded.
        for place in self.index.candidates() {
            self.look(&place, Closed::default(), world)?;
        }
        let before = self.index.counted(world.wall_ms());
        let proofs = Proofs {
            absent: &|place| world.storage.is_absent(place),
            mount: &|folder| world.storage.mount(folder),
            exclude: &self.exclude,
            archive: world.archive,
            now_ms: self.now_ms(world.true_ms),
            wall_ms: world.wall_ms(),
        };
        let deleted = self.index.conclude(&proofs);
        self.check_deleted(&deleted, before, world)?;
        if !deleted.is_empty() {
            self.core.handle(Event::Wake);
        }
        Ok(())
    }
}
