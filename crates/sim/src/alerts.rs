//! Alerts in a world of their own: two servers and one lease, conditions that flap, channels that fail or lose
//! their answers, an outage of the catalog, clocks that are set, and servers that are killed at any moment, between
//! telling and noting too.

use std::collections::{BTreeMap, BTreeSet};

use focus_core::alert::{
    AlertKey, Board, Due, Hearing, Holds, Kept, Observation, Owed, Record, Rule, Silence, Tried,
};
use focus_core::lease::LastHolder;

/// Looks of a schedule before everything is well, and after: longer than a channel is left alone.
const LOOKS: usize = 120;
const WELL: usize = 100;

/// An alert that lasts is told again after so long, milliseconds; or never.
const REPEATS_MS: [u64; 2] = [0, 40_000];

const AFTER_MS: u64 = 5_000;
const CLEAR_AFTER_MS: u64 = 8_000;

/// A standby takes over once it has seen the same lease for so long, milliseconds.
const LEASE_MS: u64 = 10_000;

const ROOTS: [&str; 2] = ["r", "s"];

/// What a catalog has of each root, and who wrote it.
type Records = BTreeMap<&'static str, (usize, Record)>;

/// A message as a channel tells it from others.
type Id = (String, bool, i64, u32);

/// A channel, and what it has come to know.
#[derive(Debug, Default)]
struct Channel {
    is_away: bool,
    /// Messages that it took, with how often.
    took: BTreeMap<Id, u32>,
    /// Alerts that fire, as far as it was told.
    firing: BTreeSet<AlertKey>,
    /// How often it may be told what it was told before: what was not noted, and what two servers tell.
    repeats_max: u32,
    repeated: u32,
}

#[derive(Debug, Default)]
struct Server {
    board: Board,
    /// What its state folder has.
    disk: Kept,
    is_up: bool,
    /// It has found the catalog there since its start or the last outage.
    is_connected: bool,
    /// It held the lease last, as far as it knows.
    knows_itself: bool,
    /// It has seen the other renew the lease since the catalog was there.
    sees_renewals: bool,
    saw_renewals: bool,
    /// It has gone on from what another told, since it took the lease.
    is_taken: bool,
}

struct World {
    random: fastrand::Rng,
    servers: [Server; 2],
    /// Who has the lease in the catalog, and since when it has not been renewed while the catalog is there.
    holder: usize,
    stale_ms: Option<u64>,
    /// What the catalog has of each root.
    handed: Records,
    /// A copy that was made of it.
    copy: Records,
    channels: BTreeMap<String, Channel>,
    truth: BTreeMap<AlertKey, bool>,
    now_ms: u64,
    /// By how much the wall clock is wrong, milliseconds.
    clock_ms: i64,
    repeat_ms: u64,
    is_well: bool,
    /// The catalog was there at the last round.
    was_there: bool,
    fate: Fate,
}

/// Which servers there are, and what befalls them. Two servers that both take themselves for the last holder and
/// cannot reach the catalog know nothing of one another: no rule of theirs can order what they tell, so no schedule
/// has that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// One server, killed at any moment; channels lose messages.
    Alone,
    /// The first of two dies in this look for good; channels lose messages.
    Dies(usize),
    /// Two, which restart while the catalog is there; what is told comes at once.
    BothRestart,
}

fn down() -> AlertKey {
    AlertKey { rule: Rule::CatalogDown, root: String::new() }
}

fn keys() -> [AlertKey; 4] {
    let key = |rule, root: &str| AlertKey { rule, root: root.to_owned() };
    [
        down(),
        key(Rule::DeletionsHeld, "r"),
        key(Rule::DeletionsHeld, "s"),
        key(Rule::DriftFound, "r"),
    ]
}

/// Runs the schedule of a seed. The violation, if there is one.
pub(crate) fn run(seed: u64) -> Option<String> {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x0a1e_2700);
    let repeat_ms = REPEATS_MS[random.usize(..REPEATS_MS.len())];
    let names = ["one", "two"].map(str::to_owned);
    let fate = match random.u8(0..3) {
        0 => Fate::Alone,
        1 => Fate::Dies(random.usize(..LOOKS)),
        _ => Fate::BothRestart,
    };
    let mut world = World {
        random,
        servers: <[Server; 2]>::default(),
        holder: 0,
        stale_ms: None,
        handed: Records::new(),
        copy: Records::new(),
        channels: names.iter().map(|name| (name.clone(), Channel::default())).collect(),
        truth: keys().into_iter().map(|key| (key, false)).collect(),
        now_ms: 1_000,
        clock_ms: 0,
        repeat_ms,
        is_well: false,
        was_there: true,
        fate,
    };
    world.servers[0].knows_itself = true;
    world.start(0);
    if fate != Fate::Alone {
        world.start(1);
    }
    world.go().err()
}

impl World {
    fn now(&self) -> (u64, i64) {
        (self.now_ms, i64::try_from(self.now_ms).unwrap_or(0) + 1_700_000_000_000 + self.clock_ms)
    }

    fn is_catalog_there(&self) -> bool {
        !self.truth[&down()]
    }

    /// A server starts, with what its state folder has.
    fn start(&mut self, at: usize) {
        let hearing =
            Hearing { rules: Rule::ALL.into(), repeat_ms: self.repeat_ms, resolved_for_ms: 0 };
        let hearing = self.channels.keys().map(|name| (name.clone(), hearing.clone()));
        let (hearing, now) = (hearing.collect(), self.now());
        let server = &mut self.servers[at];
        server.board = Board::resumed(server.disk.clone(), now);
        server.board.set_channels(hearing);
        (server.is_up, server.is_connected, server.is_taken) = (true, false, false);
        (server.sees_renewals, server.saw_renewals) = (false, false);
    }

    fn go(&mut self) -> Result<(), String> {
        for look in 0..LOOKS {
            self.now_ms += self.random.u64(200..4_000);
            if self.fate == Fate::Dies(look) {
                self.servers[0].is_up = false;
            }
            self.befall();
            self.round()?;
        }
        self.is_well = true;
        self.channels.values_mut().for_each(|channel| channel.is_away = false);
        self.truth.insert(down(), false);
        for at in 0..2 {
            let is_dead = matches!((self.fate, at), (Fate::Dies(_), 0) | (Fate::Alone, 1));
            if !is_dead && !self.servers[at].is_up {
                self.start(at);
            }
        }
        for _ in 0..WELL {
            self.now_ms += 5_000;
            self.round()?;
        }
        self.agrees()
    }

    /// What happens to the world.
    fn befall(&mut self) {
        match self.random.u8(0..8) {
            0..=2 => {
                let key = keys()[self.random.usize(0..4)].clone();
                let is_true = self.random.bool();
                self.truth.insert(key, is_true);
            }
            3 if self.fate != Fate::BothRestart => {
                let at = self.random.usize(..self.channels.len());
                let is_away = self.random.bool();
                if let Some(channel) = self.channels.values_mut().nth(at) {
                    channel.is_away = is_away;
                }
            }
            4 => {
                let at = self.random.usize(0..2);
                let stays = self.random.bool();
                match self.fate {
                    Fate::Alone => self.start(0),
                    Fate::Dies(_) => {}
                    Fate::BothRestart if !self.is_catalog_there() => {}
                    Fate::BothRestart if stays => self.start(at),
                    Fate::BothRestart => self.servers[at].is_up = false,
                }
            }
            5 if self.random.u8(0..4) == 0 => {
                let key = keys()[self.random.usize(0..4)].clone();
                let until_ms = self.now().1 + self.random.i64(1_000..60_000);
                let id = self.now_ms.to_string();
                let silence = Silence { id, rule: key.rule, root: None, until_ms };
                self.servers.iter_mut().for_each(|server| server.board.silence(silence.clone()));
            }
            6 if self.random.u8(0..4) == 0 => self.clock_ms += self.random.i64(-40_000..40_000),
            _ => {}
        }
    }

    /// The lease is renewed, and every server looks and tells.
    fn round(&mut self) -> Result<(), String> {
        self.come_back();
        self.renew();
        (0..2).for_each(|at| self.connect(at));
        for at in 0..2 {
            if !self.servers[at].is_up {
                continue;
            }
            self.take(at);
            self.look(at);
            self.tell(at)?;
            self.hand(at);
        }
        Ok(())
    }

    /// The catalog that comes back may be another one, which knows nothing of what was told, or an older copy.
    fn come_back(&mut self) {
        let is_there = self.is_catalog_there();
        if std::mem::replace(&mut self.was_there, is_there) || !is_there {
            if self.random.u8(0..16) == 0 {
                self.copy = self.handed.clone();
            }
            return;
        }
        match self.random.u8(0..8) {
            0 | 1 => self.handed.clear(),
            2 => self.handed = self.copy.clone(),
            _ => {}
        }
        self.servers.iter_mut().for_each(|server| server.is_connected = false);
    }

    /// A server finds the catalog there, after its start or an outage.
    fn connect(&mut self, at: usize) {
        // A standby waits for what the holder writes.
        let is_there = self.is_catalog_there()
            && self.servers[at].is_up
            && (self.holder == at || !self.handed.is_empty());
        let server = &mut self.servers[at];
        let holds = match (self.holder == at, server.is_taken) {
            (false, _) => Holds::No,
            (true, false) => Holds::Anew,
            (true, true) => Holds::Still,
        };
        if is_there && !std::mem::replace(&mut server.is_connected, true) {
            for root in ROOTS {
                let lineage = self.handed.get(root).map(|(_, record)| &record.lineage);
                server.board.met(root, root == ROOTS[0], lineage, holds);
            }
            server.disk = server.board.kept();
            // What is there of another has not been read by whoever held the root before.
            server.is_taken &= self.handed.values().all(|(by, _)| *by == at);
        }
    }

    /// Whoever holds the lease renews it; a standby takes it once it has not been renewed for its length.
    fn renew(&mut self) {
        if !self.is_catalog_there() {
            self.stale_ms = None;
            self.servers
                .iter_mut()
                .for_each(|server| (server.sees_renewals, server.saw_renewals) = (false, false));
            return;
        }
        if self.servers[self.holder].is_up {
            self.servers[self.holder].knows_itself = true;
            self.stale_ms = None;
        } else {
            let since_ms = *self.stale_ms.get_or_insert(self.now_ms);
            let other = 1 - self.holder;
            if self.servers[other].is_up && self.now_ms - since_ms >= LEASE_MS {
                (self.holder, self.stale_ms) = (other, None);
                let server = &mut self.servers[other];
                (server.knows_itself, server.is_taken) = (true, false);
            }
        }
        let standby = 1 - self.holder;
        let is_late = self.stale_ms.is_some_and(|since| self.now_ms - since >= LEASE_MS / 2);
        let renews = self.servers[self.holder].is_up;
        let server = &mut self.servers[standby];
        if server.is_up {
            server.knows_itself = false;
            server.sees_renewals = renews || server.sees_renewals && !is_late;
            server.saw_renewals |= server.sees_renewals;
        }
    }

    fn last_holder(&self, at: usize) -> LastHolder {
        let held = self.is_catalog_there() && self.holder == at;
        if held && !self.servers[at].is_taken {
            return LastHolder::Other;
        }
        if self.servers[at].knows_itself {
            return LastHolder::Me;
        }
        if self.servers[at].sees_renewals { LastHolder::OtherRenews } else { LastHolder::Other }
    }

    /// Goes on from what another has told.
    fn take(&mut self, at: usize) {
        if !self.is_catalog_there() || self.holder != at || self.servers[at].is_taken {
            return;
        }
        let (now, is_exact) = (self.now(), self.servers[at].saw_renewals);
        for root in ROOTS {
            let (board, leads) = (&mut self.servers[at].board, root == ROOTS[0]);
            let there = self.handed.get(root).filter(|(by, _)| *by != at);
            let there = there.map(|(_, record)| record.clone());
            board.take_over(root, leads, there, is_exact, now);
        }
        self.servers[at].is_taken = true;
        self.allow(8);
    }

    /// Writes what it has told, for whoever takes over; a standby reads it.
    fn hand(&mut self, at: usize) {
        let can = self.servers[at].is_up && self.is_catalog_there();
        if can && self.holder != at {
            for (root, (_, record)) in self.handed.iter().filter(|(_, (by, _))| *by != at) {
                self.servers[at].board.saw(root, record.clone());
            }
            self.servers[at].disk = self.servers[at].board.kept();
        }
        if can && self.holder == at && self.servers[at].is_taken {
            for root in ROOTS {
                let handed = self.servers[at].board.handed(root, root == ROOTS[0]);
                let there = self.handed.get(root).map(|(_, record)| &record.lineage);
                let board = &mut self.servers[at].board;
                let lineage = board.next_lineage(root, there, || format!("{at}-{}", self.now_ms));
                let record = Record { lineage, handed };
                board.set_handed(root, &record);
                self.handed.insert(root, (at, record));
            }
            self.servers[at].disk = self.servers[at].board.kept();
        }
    }

    /// Two servers may tell the same.
    fn allow(&mut self, count: u32) {
        self.channels.values_mut().for_each(|channel| channel.repeats_max += count);
    }

    /// One look at everything; what changed is stored before anybody is told.
    fn look(&mut self, at: usize) {
        let holder = self.last_holder(at);
        let seen = self.truth.iter().map(|(key, is_true)| Observation {
            key: key.clone(),
            is_true: *is_true,
            path: key.root.clone(),
            summary: "wrong".to_owned(),
            holder,
            stand_in_after_ms: (key.rule == Rule::CatalogDown).then_some(3 * AFTER_MS),
            after_ms: AFTER_MS,
            clear_after_ms: CLEAR_AFTER_MS,
        });
        let (seen, now) = (seen.collect(), self.now());
        let server = &mut self.servers[at];
        if server.board.observe(seen, now, "c".to_owned()) {
            server.disk = server.board.kept();
        }
    }

    /// Every channel is told what it is owed.
    fn tell(&mut self, at: usize) -> Result<(), String> {
        let tells = self.last_holder(at) == LastHolder::Me;
        for name in self.channels.keys().cloned().collect::<Vec<_>>() {
            for due in self.servers[at].board.owed(&name, self.now()) {
                let now = self.now();
                let board = &mut self.servers[at].board;
                if matches!(due.owed, Owed::Firing { .. }) && board.is_silenced(&due.key, now.1) {
                    return Err(format!("silenced_alerts_are_not_told: {:?}", due.key));
                }
                board.begin(&name, &due);
                self.servers[at].disk = self.servers[at].board.kept();
                if !tells {
                    self.allow(1);
                }
                let tried = self.deliver(&name, &due)?;
                // Killed between telling and noting.
                if !self.is_well && self.fate == Fate::Alone && self.random.u8(0..12) == 0 {
                    if tried == Tried::Delivered
                        && let Some(channel) = self.channels.get_mut(&name)
                    {
                        channel.repeats_max += 1;
                    }
                    self.start(at);
                    return Ok(());
                }
                let server = &mut self.servers[at];
                server.board.tried(&name, &due, tried, now);
                server.disk = server.board.kept();
                if tried != Tried::Delivered {
                    break;
                }
            }
        }
        Ok(())
    }

    /// A message goes to a channel, and an answer may come back.
    fn deliver(&mut self, name: &str, due: &Due) -> Result<Tried, String> {
        let is_sure = self.is_well || self.fate == Fate::BothRestart;
        let luck = self.random.u8(0..10);
        let Some(channel) = self.channels.get_mut(name) else { return Ok(Tried::Refused) };
        if channel.is_away || !is_sure && luck == 0 {
            return Ok(Tried::Failed { after_ms: None, in_doubt: false });
        }
        channel.take(due)?;
        if !is_sure && luck == 1 {
            // It took the message, and its answer is lost.
            channel.repeats_max += 1;
            return Ok(Tried::Failed { after_ms: None, in_doubt: true });
        }
        Ok(Tried::Delivered)
    }

    /// What each channel was told last is true.
    fn agrees(&self) -> Result<(), String> {
        for (name, channel) in &self.channels {
            for (key, is_true) in &self.truth {
                if channel.firing.contains(key) != *is_true {
                    return Err(format!(
                        "alerts_are_never_left_untold: {name} believes {:?} of {key:?}, which is {is_true}",
                        channel.firing.contains(key)
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Channel {
    fn take(&mut self, due: &Due) -> Result<(), String> {
        let (is_firing, since_ms, times) = match due.owed {
            Owed::Firing { raised, times } => (true, raised.since_ms, times),
            Owed::Resolved { raised, .. } => (false, raised.since_ms, 0),
        };
        let took = self.took.entry((due.identity.clone(), is_firing, since_ms, times)).or_default();
        *took += 1;
        if *took > 1 {
            self.repeated += 1;
        }
        if self.repeated > self.repeats_max {
            return Err(format!("only_what_was_in_flight_is_repeated: {due:?}"));
        }
        if is_firing {
            self.firing.insert(due.key.clone());
        } else {
            self.firing.remove(&due.key);
        }
        Ok(())
    }
}
