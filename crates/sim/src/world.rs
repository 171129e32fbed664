//! The world of one schedule: storage, database, servers, and the faults that befall them.

use std::collections::{BTreeMap, BTreeSet};

use focus_core::batch::Call;
use focus_core::reconcile::Event;
use focus_core::recording::Recording;
use focus_core::settle::Closed;

use crate::catalog::{Catalog, Data, ROOT};
use crate::server::Server;
use crate::storage::{Storage, all_places, place};

/// Recordings by name: few, so that they meet.
const UUIDS: [&str; 7] = ["u0", "u1", "u2", "u3", "u4", "u5", "u6"];

/// Events of a schedule before it heals.
const EVENTS: usize = 160;

/// Rounds within which it has to converge once everything is well.
const ROUNDS_MAX: usize = 1_500;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Done and acknowledged.
    Good,
    /// Not done.
    Lost,
    /// Done, and the acknowledgement is lost.
    Unheard,
    /// Of a batch some are done, the others fail.
    Half,
    /// Fails, and is done later.
    Late,
}

/// The kinds of fault.
pub(crate) const FAULTS: [&str; 30] = [
    "land",
    "land_in_place",
    "grow",
    "rewrite",
    "rename",
    "remove",
    "corrupt",
    "hint_lost",
    "hint_doubled",
    "hints_reordered",
    "overflow",
    "outage",
    "return",
    "primary_change",
    "roll_back",
    "restored",
    "emptied",
    "swapped",
    "altered",
    "deleted_by_hand",
    "refuses",
    "late_write",
    "index_lost",
    "index_old",
    "unmounted",
    "mounted",
    "crash",
    "pause",
    "cut_off",
    "approve",
];

/// The world.
pub(crate) struct World {
    pub(crate) random: fastrand::Rng,
    pub(crate) true_ms: u64,
    pub(crate) storage: Storage,
    pub(crate) catalog: Catalog,
    pub(crate) delayed: Vec<Call>,
    /// Who was granted which token, in this life of the database.
    pub(crate) granted: BTreeMap<i64, (String, u64)>,
    /// Calls may fail.
    faulty: bool,
    /// Everything that the catalog ever held.
    written: BTreeMap<String, Vec<Recording>>,
    /// Somebody else, or a write of the past, changed documents behind the holder's back.
    behind_the_back: bool,
    starts: u64,
}

impl World {
    /// What becomes of the next call.
    pub(crate) fn fate(&mut self, connected: bool) -> Fate {
        if !connected {
            return Fate::Lost;
        }
        if !self.faulty {
            return Fate::Good;
        }
        match self.random.u8(0..40) {
            0..=2 => Fate::Lost,
            3..=5 => Fate::Unheard,
            6 => Fate::Half,
            7 => Fate::Late,
            _ => Fate::Good,
        }
    }

    /// The index cannot store it.
    pub(crate) fn index_fails(&mut self) -> bool {
        self.faulty && self.random.u8(0..80) == 0
    }

    /// Keeps what the catalog holds now, for checking acknowledgements.
    pub(crate) fn remember(&mut self) {
        for stored in self.catalog.data.documents.values() {
            let Some(recording) = &stored.recording else { continue };
            let known = self.written.entry(stored.uuid.clone()).or_default();
            if !known.contains(recording) {
                known.push(recording.clone());
            }
        }
    }

    /// The catalog has held exactly this.
    pub(crate) fn was_written(&self, recording: &Recording) -> bool {
        self.written.get(&recording.uuid).is_some_and(|known| known.contains(recording))
    }

    fn hint(&mut self, servers: &mut [Server], at: &focus_core::recording::Place, closed: bool) {
        let closed = Closed { data: closed, sidecar: closed };
        for server in servers {
            server.hints.push((at.clone(), closed));
        }
    }

    /// One fault, by its name. False: there was nothing to do it to.
    fn fault(&mut self, servers: &mut [Server], name: &str) -> bool {
        let at = place(&mut self.random);
        let uuid = UUIDS[self.random.usize(..UUIDS.len())];
        let now_ms = self.true_ms;
        self.starts += 1;
        let victim = self.random.usize(..servers.len());
        match name {
            "land" => {
                self.storage.remove(&at);
                self.storage.data(&at, now_ms);
                self.storage.sidecar(&at, uuid, self.starts, true, now_ms);
                self.hint(servers, &at, true);
            }
            "land_in_place" => {
                self.storage.data(&at, now_ms);
                let whole = self.random.bool();
                self.storage.sidecar(&at, uuid, self.starts, whole, now_ms);
                self.hint(servers, &at, false);
            }
            "grow" if self.storage.places.contains_key(&at) => {
                self.storage.data(&at, now_ms);
                self.hint(servers, &at, false);
            }
            "rewrite" if self.storage.places.contains_key(&at) => {
                self.storage.sidecar(&at, uuid, self.starts, true, now_ms);
                self.hint(servers, &at, false);
            }
            "rename" => {
                let to = place(&mut self.random);
                if !self.storage.rename(&at, &to, now_ms) {
                    return false;
                }
                self.hint(servers, &at, false);
                self.hint(servers, &to, true);
            }
            "remove" if self.storage.places.contains_key(&at) => {
                self.storage.remove(&at);
                self.hint(servers, &at, false);
            }
            "corrupt" if self.storage.places.contains_key(&at) => {
                self.storage.sidecar(&at, uuid, self.starts, false, now_ms);
                self.hint(servers, &at, true);
            }
            "hint_lost" => return servers[victim].hints.pop().is_some(),
            "hint_doubled" => {
                let Some(last) = servers[victim].hints.last().cloned() else { return false };
                servers[victim].hints.push(last);
            }
            "hints_reordered" => self.random.shuffle(&mut servers[victim].hints),
            "overflow" => {
                servers[victim].hints.clear();
                servers[victim].scanned = false;
            }
            "outage" if self.catalog.up => {
                self.catalog.up = false;
                self.catalog.cut();
            }
            "return" if !self.catalog.up => self.catalog.up = true,
            "primary_change" => self.catalog.cut(),
            "roll_back" | "restored" => self.restore(name == "roll_back"),
            "emptied" => {
                self.replace(Data { identity: format!("made at {now_ms}"), ..Data::default() })
            }
            "swapped" => {
                let mut other = self.catalog.copies[0].clone();
                other.identity = format!("other {now_ms}");
                self.replace(other);
            }
            "altered" => {
                return self.alter(|data, random| {
                    let uuid = pick(&data.documents, random)?;
                    let stored = data.documents.get_mut(&uuid)?;
                    stored.recording.as_mut()?.size += 1_000;
                    Some(())
                });
            }
            "deleted_by_hand" => {
                return self.alter(|data, random| {
                    let uuid = pick(&data.documents, random)?;
                    data.documents.remove(&uuid).map(|_| ())
                });
            }
            "refuses" => {
                self.catalog.refused = self.random.bool().then(|| uuid.to_owned());
            }
            "late_write" => {
                let Some(call) = self.delayed.pop() else { return false };
                self.catalog.call(&call, None);
                self.remember();
                self.behind_the_back = true;
            }
            "index_lost" => {
                let server = &mut servers[victim];
                server.index = crate::index::Index::new();
                server.crash();
            }
            "index_old" => {
                let server = &mut servers[victim];
                let now = server.index.clone();
                let Some(copy) = server.copy.replace(now) else { return false };
                server.index = copy;
                server.crash();
            }
            "unmounted" if self.storage.there => self.storage.there = false,
            "mounted" if !self.storage.there => {
                self.storage.there = true;
                servers.iter_mut().for_each(|server| server.scanned = false);
            }
            "crash" => servers[victim].crash(),
            "pause" => {
                let for_ms = [300, 3_000, 20_000][self.random.usize(0..3)];
                servers[victim].paused_until_ms = now_ms + for_ms;
            }
            "cut_off" => servers[victim].cut_off = self.random.bool(),
            "approve" => {
                let server = &mut servers[victim];
                if server.index.approve(now_ms).is_empty() {
                    return false;
                }
                server.core.handle(Event::Wake);
            }
            _ => return false,
        }
        true
    }

    fn alter(&mut self, change: impl FnOnce(&mut Data, &mut fastrand::Rng) -> Option<()>) -> bool {
        let done = change(&mut self.catalog.data, &mut self.random).is_some();
        self.behind_the_back |= done;
        self.remember();
        done
    }

    /// Another state of the database, in place of the present one.
    fn replace(&mut self, data: Data) {
        self.catalog.copies.push(self.catalog.data.clone());
        self.catalog.data = data;
        self.catalog.cut();
        self.delayed.clear();
        self.granted.clear();
    }

    fn restore(&mut self, latest: bool) {
        let at = if latest {
            self.catalog.copies.len() - 1
        } else {
            self.random.usize(..self.catalog.copies.len())
        };
        let copy = self.catalog.copies[at].clone();
        self.replace(copy);
    }

    /// Lets some true time pass.
    fn pass(&mut self, healed: bool) {
        self.true_ms += match self.random.u8(0..20) {
            _ if healed => 100,
            0 => self.random.u64(2_000..15_000),
            1..=4 => self.random.u64(200..1_500),
            _ => self.random.u64(1..120),
        };
    }
}

fn pick<T>(of: &BTreeMap<String, T>, random: &mut fastrand::Rng) -> Option<String> {
    let at = random.usize(..of.len().max(1));
    of.keys().nth(at).cloned()
}

/// What a schedule came to.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) events: u64,
    /// Faults, and the phases of the first server that they met.
    pub(crate) reached: BTreeSet<(&'static str, &'static str)>,
    pub(crate) violation: Option<String>,
    /// The events, where they were asked for.
    pub(crate) log: Vec<String>,
}

/// Runs the schedule of a seed. Faults in `left_out` do not happen.
pub(crate) fn run(seed: u64, left_out: &BTreeSet<&str>, keep_log: bool) -> Ran {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut servers = vec![Server::new("a", 5_000, random.i64(-5..=5))];
    if random.bool() {
        servers.push(Server::new("b", 90_000, random.i64(-5..=5)));
    }
    // Every schedule has its own mix: rare combinations come up when common ones are left out.
    let mut mix: Vec<&'static str> = FAULTS.into_iter().filter(|_| random.u8(0..3) != 0).collect();
    mix.push("land");
    let mut world = World {
        faulty: random.u8(0..4) != 0,
        storage: Storage { there: true, ..Storage::default() },
        catalog: Catalog::new(),
        delayed: Vec::new(),
        granted: BTreeMap::new(),
        written: BTreeMap::new(),
        behind_the_back: false,
        starts: 0,
        true_ms: 1_000,
        random,
    };
    let mut ran = Ran::default();
    let done = events(&mut world, &mut servers, &mix, left_out, keep_log, &mut ran)
        .and_then(|()| converge(&mut world, &mut servers, keep_log, &mut ran));
    ran.violation = done.err();
    ran
}

fn events(
    world: &mut World,
    servers: &mut [Server],
    mix: &[&'static str],
    left_out: &BTreeSet<&str>,
    keep_log: bool,
    ran: &mut Ran,
) -> Result<(), String> {
    for _ in 0..EVENTS {
        ran.events += 1;
        world.pass(false);
        if world.random.u8(0..4) == 0 {
            let fault = mix[world.random.usize(..mix.len())];
            let phase = servers[0].core.phase().name();
            // Drawn all the same, so that leaving one out changes nothing else.
            if !left_out.contains(fault) && world.fault(servers, fault) {
                ran.reached.insert((fault, phase));
                if keep_log {
                    ran.log.push(format!("{:>8} ms  {fault}", world.true_ms));
                }
            }
            if world.random.u8(0..12) == 0 {
                let copy = world.catalog.data.clone();
                world.catalog.copies.push(copy);
            }
        }
        for at in 0..servers.len() {
            for _ in 0..world.random.u8(0..6) {
                let server = &mut servers[at];
                if server.paused_until_ms > world.true_ms {
                    break;
                }
                let what = step(server, world)?;
                if keep_log && let Some(what) = what {
                    let line = format!("{:>8} ms  {} {what}", world.true_ms, servers[at].name);
                    ran.log.push(line);
                }
            }
        }
        check(world, servers)?;
    }
    Ok(())
}

/// One step of a server, whichever comes.
fn step(server: &mut Server, world: &mut World) -> Result<Option<String>, String> {
    let text = |words: &str| Some(words.to_owned());
    Ok(match world.random.u8(0..12) {
        0..=4 => server.job_step(world)?.then(|| format!("works: {}", server.doing())),
        5..=6 => {
            server.lease_step(world)?;
            Some(format!("keeps the lease: {}", server.lease_words(world)))
        }
        7 => {
            server.notice(&world.catalog);
            text("looks at the connection")
        }
        8..=9 => {
            let count = world.random.usize(1..4);
            server.observe(count, world)?;
            text("observes")
        }
        10 => {
            server.conclude(world)?;
            text("concludes")
        }
        _ => match world.random.u8(0..10) {
            0..=2 => {
                server.scan(world)?;
                text("scans")
            }
            3 => {
                server.core.handle(Event::CompareDue);
                text("compares")
            }
            4 => {
                server.index.retry();
                server.core.handle(Event::Wake);
                text("tries again")
            }
            _ => None,
        },
    })
}

/// The invariants of every moment.
fn check(world: &World, servers: &[Server]) -> Result<(), String> {
    let holders: Vec<_> = servers
        .iter()
        .filter_map(|server| Some((server, server.believes(world.true_ms, &world.catalog)?)))
        .collect();
    for (one, mine) in &holders {
        for (other, theirs) in &holders {
            // Who held a higher token takes a restored database's lease back at once: the other's writes
            // are of an older token, and refused.
            if mine.token > theirs.token && one.tokens.1 <= theirs.token {
                return Err(format!(
                    "no_write_without_lease: two hold the lease at once: {} and {}",
                    one.lease_words(world),
                    other.lease_words(world)
                ));
            }
        }
    }
    match &world.catalog.stale_overwrite {
        Some(uuid) => Err(format!("no_stale_overwrite: {uuid} of a newer holder by an older one")),
        None => Ok(()),
    }
}

/// Everything is well again: within a bound the catalog is as storage is.
fn converge(
    world: &mut World,
    servers: &mut [Server],
    keep_log: bool,
    ran: &mut Ran,
) -> Result<(), String> {
    world.faulty = false;
    world.storage.there = true;
    world.catalog.up = true;
    world.catalog.refused = None;
    world.delayed.clear();
    for server in servers.iter_mut() {
        server.cut_off = false;
        server.paused_until_ms = 0;
        server.index.retry();
        server.core.handle(Event::Wake);
        if world.behind_the_back {
            server.core.handle(Event::CompareDue);
        }
    }
    let mut last = String::new();
    for round in 0..ROUNDS_MAX {
        ran.events += 1;
        world.pass(true);
        for server in servers.iter_mut() {
            server.notice(&world.catalog);
            server.lease_step(world)?;
            if keep_log {
                let words = server.lease_words(world);
                ran.log.push(format!("{:>8} ms  {} heals: {words}", world.true_ms, server.name));
            }
            server.observe(100, world)?;
            if round % 50 == 0 {
                server.index.retry();
                server.core.handle(Event::Wake);
            }
            if round % 30 == 0 {
                server.scan(world)?;
            }
            server.conclude(world)?;
            if round % 100 == 99 && !server.index.approve(world.true_ms).is_empty() {
                server.core.handle(Event::Wake);
            }
            for _ in 0..6 {
                if !server.job_step(world)? {
                    break;
                }
                if keep_log {
                    let words = server.doing();
                    ran.log
                        .push(format!("{:>8} ms  {} works: {words}", world.true_ms, server.name));
                }
            }
        }
        check(world, servers)?;
        if round % 25 == 24 {
            match agrees(world, servers) {
                Ok(()) => return Ok(()),
                Err(differs) => last = differs,
            }
        }
    }
    let states: Vec<String> = servers.iter().map(|server| server.index_words(&last)).collect();
    Err(format!("converges_when_healthy: after {ROUNDS_MAX} rounds: {last}; {states:?}"))
}

/// Every good recording is in the catalog as storage has it, and nothing else of ours is live there.
fn agrees(world: &World, servers: &[Server]) -> Result<(), String> {
    let mut claims: BTreeMap<String, Vec<Recording>> = BTreeMap::new();
    for at in all_places() {
        let Some(files) = world.storage.places.get(&at) else { continue };
        let (Some(data), Some((_, bytes))) = (files.data, &files.sidecar) else { continue };
        let stem = String::from_utf8_lossy(&at.stem).into_owned();
        let Ok(sidecar) = focus_core::sidecar::parse(bytes, &stem, None) else { continue };
        let recording = Recording {
            uuid: sidecar.uuid.clone(),
            start_ms: sidecar.start_ms,
            end_ms: sidecar.end_ms,
            deleted: sidecar.deleted,
            deleted_at_ms: None,
            recording_id: stem.clone(),
            root: ROOT.to_owned(),
            path: format!("{}/{stem}.dat", String::from_utf8_lossy(&at.folder)),
            size: data.size,
            fingerprint: String::new(),
            metadata: sidecar.metadata,
        };
        claims.entry(sidecar.uuid).or_default().push(recording);
    }
    let corrupt: BTreeSet<String> = all_places()
        .filter(|at| world.storage.places.contains_key(at))
        .map(|at| {
            let (folder, stem) =
                (String::from_utf8_lossy(&at.folder), String::from_utf8_lossy(&at.stem));
            format!("{folder}/{stem}.dat")
        })
        .filter(|path| !claims.values().flatten().any(|claim| claim.path == *path))
        .collect();
    for (uuid, wanted) in &claims {
        let found = world.catalog.data.documents.get(uuid);
        let content = found.and_then(|stored| stored.recording.clone()).map(|mut recording| {
            recording.fingerprint = String::new();
            recording
        });
        let Some(content) = content else {
            return Err(format!("no_recording_lost: {uuid} is not in the catalog"));
        };
        // A recording that turned bad keeps its last good document.
        if !wanted.contains(&content) && !corrupt.contains(&content.path) {
            return Err(format!("{uuid} is {content:?} in the catalog, and {wanted:?} on storage"));
        }
    }
    // What lies at its place cannot be read, and may be it.
    let kept = |uuid: &str| {
        servers.iter().filter_map(|server| server.index.entries.get(uuid)).any(|entry| {
            matches!(entry.gone, Some(crate::index::Gone::Candidate(_)))
                && corrupt.contains(&entry.recording.path)
        })
    };
    for stored in world.catalog.data.documents.values() {
        let path = stored.path.clone().unwrap_or_default();
        if !stored.deleted
            && !claims.contains_key(&stored.uuid)
            && !corrupt.contains(&path)
            && !kept(&stored.uuid)
        {
            return Err(format!(
                "{} at {path} is live in the catalog, and not on storage",
                stored.uuid
            ));
        }
    }
    Ok(())
}
