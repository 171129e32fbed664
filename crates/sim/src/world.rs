//! The world of one schedule: storage, database, servers, and the faults that befall them.

use std::collections::{BTreeMap, BTreeSet};

use focus_core::batch::Call;
use focus_core::document::Stored;
use focus_core::lease::LeaseJob;
use focus_core::reconcile::Event;
use focus_core::recording::{Place, Recording};
use focus_core::settle::Closed;

use crate::catalog::{Catalog, Data};
use crate::index::Index;
use crate::server::Server;
use crate::storage::{Alike, Files, RootIs, Sidecar, Storage, place};

/// Recordings by name: few, so that they meet.
pub(crate) const UUIDS: [&str; 7] = ["u0", "u1", "u2", "u3", "u4", "u5", "u6"];

/// The wall clock's time at the beginning: far enough from its zero to be set back.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// How a call ends.
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
    /// Done, and acknowledged much later.
    Slow,
}

impl Fate {
    /// Those that are faults, by name.
    pub(crate) const FAULTS: [(Fate, &'static str); 5] = [
        (Fate::Lost, "call_lost"),
        (Fate::Unheard, "acknowledgement_lost"),
        (Fate::Half, "half_a_batch"),
        (Fate::Late, "call_done_late"),
        (Fate::Slow, "slow_answer"),
    ];
}

/// The kinds of fault.
pub(crate) const FAULTS: [&str; 53] = [
    "land",
    "drill_lands",
    "land_in_place",
    "replaced_alike",
    "rewritten_alike",
    "touched",
    "data_alone",
    "late_sidecar",
    "grow",
    "rewrite",
    "rename",
    "moved_away",
    "moved_back",
    "remove",
    "corrupt",
    "hint_lost",
    "hint_doubled",
    "hints_reordered",
    "overflow",
    "outage",
    "return",
    "primary_change",
    "backed_up",
    "roll_back",
    "restored",
    "emptied",
    "swapped",
    "altered",
    "deleted_by_hand",
    "made_by_others",
    "other_roots",
    "refuses",
    "late_write",
    "index_lost",
    "index_old",
    "unmounted",
    "root_emptied",
    "root_swapped",
    "mounted",
    "remounted",
    "mounted_over",
    "unmounted_below",
    "root_copied",
    "marker_lost",
    "marker_made_again",
    "exclude_grows",
    "exclude_shrinks",
    "crash",
    "clock_set",
    "pause",
    "holder_paused",
    "cut_off",
    "approve",
];

/// A call that is done later.
pub(crate) enum Delayed {
    /// On documents, with the token under which it was sent.
    Call(Call, i64),
    /// On the watermark.
    Mark(String),
    /// On the lease.
    Lease(LeaseJob),
}

/// The world.
pub(crate) struct World {
    pub(crate) random: fastrand::Rng,
    pub(crate) true_ms: u64,
    /// What the wall clock is ahead of true time.
    pub(crate) wall_ahead_ms: i64,
    /// True time at which it was set last.
    pub(crate) clock_set_ms: u64,
    pub(crate) storage: Storage,
    /// What was moved out of the root, as it was.
    pub(crate) away: Vec<(Place, Files)>,
    pub(crate) catalog: Catalog,
    /// Calls that are done later, with the token under which they were sent.
    pub(crate) delayed: Vec<Delayed>,
    /// Faults that calls met since this was read last.
    pub(crate) met: Vec<&'static str>,
    /// Jobs that were under way when a server crashed.
    pub(crate) crashed_in: BTreeSet<String>,
    /// Who was granted which token, in this life of the database.
    pub(crate) granted: BTreeMap<i64, (String, u64)>,
    /// Calls may fail.
    pub(crate) faulty: bool,
    /// Comparisons come round by their period, and mend what nothing else would have found.
    pub(crate) periodic: bool,
    /// The settings hide a folder. A server takes them when it starts.
    pub(crate) excludes: bool,
    /// The catalog calls the root an archive: what is gone from it stays in the catalog.
    pub(crate) archive: bool,
    /// Everything that the catalog ever held.
    pub(crate) written: BTreeMap<String, Vec<Recording>>,
    /// Somebody else, or a write of the past, changed documents behind the holder's back.
    pub(crate) behind_the_back: bool,
    pub(crate) starts: u64,
    /// There is a copy of the root, and a server on it.
    pub(crate) has_copy: bool,
}

impl World {
    /// How the next call ends.
    pub(crate) fn fate(&mut self, connected: bool) -> Fate {
        if !connected {
            return Fate::Lost;
        }
        if !self.faulty {
            return Fate::Good;
        }
        let fate = match self.random.u8(0..40) {
            0..=2 => Fate::Lost,
            3..=5 => Fate::Unheard,
            6 => Fate::Half,
            7 => Fate::Late,
            8 => Fate::Slow,
            _ => Fate::Good,
        };
        let name = Fate::FAULTS.into_iter().find(|(one, _)| *one == fate);
        self.met.extend(name.map(|(_, name)| name));
        fate
    }

    /// The wall clock: it can be set.
    pub(crate) fn wall_ms(&self) -> i64 {
        let wall_ms = (EPOCH_MS + self.true_ms).saturating_add_signed(self.wall_ahead_ms);
        i64::try_from(wall_ms).unwrap_or(i64::MAX)
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

    fn hint(&mut self, servers: &mut [Server], at: &Place, closed: bool) {
        let closed = Closed { data: closed, sidecar: closed };
        for server in servers {
            server.hints.push((at.clone(), closed));
        }
    }

    /// One fault, by its name. False: there was nothing to do it to.
    pub(crate) fn fault(&mut self, servers: &mut [Server], name: &str) -> bool {
        let at = place(&mut self.random);
        let uuid = UUIDS[self.random.usize(..UUIDS.len())];
        let now_ms = self.true_ms;
        self.starts += 1;
        let victim = self.random.usize(..servers.len());
        match name {
            "land" | "drill_lands" => {
                let is = if name == "land" { Sidecar::Whole } else { Sidecar::Drilled };
                self.storage.remove(&at, now_ms);
                self.storage.data(&at, now_ms);
                self.storage.sidecar(&at, uuid, self.starts, is, now_ms);
                self.hint(servers, &at, true);
            }
            "land_in_place" => {
                self.storage.data(&at, now_ms);
                let is = if self.random.bool() { Sidecar::Whole } else { Sidecar::Half };
                self.storage.sidecar(&at, uuid, self.starts, is, now_ms);
                self.hint(servers, &at, false);
            }
            "data_alone" if !self.storage.places.contains_key(&at) => {
                self.storage.data(&at, now_ms);
                self.hint(servers, &at, true);
            }
            "late_sidecar" => {
                let waits = |files: &Files| files.data.is_some() && files.sidecar.is_none();
                let mut alone = self.storage.places.iter().filter(|(_, files)| waits(files));
                let Some((at, _)) = alone.next().map(|(at, files)| (at.clone(), files)) else {
                    return false;
                };
                self.storage.sidecar(&at, uuid, self.starts, Sidecar::Whole, now_ms);
                self.hint(servers, &at, true);
            }
            "grow" if self.storage.places.contains_key(&at) => {
                self.storage.data(&at, now_ms);
                self.hint(servers, &at, false);
            }
            "rewrite" if self.storage.places.contains_key(&at) => {
                self.storage.sidecar(&at, uuid, self.starts, Sidecar::Whole, now_ms);
                self.hint(servers, &at, false);
            }
            // No hint names them: a scan finds them, or a look that is due.
            "replaced_alike" => return self.storage.change_alike(&at, Alike::Replaced, now_ms),
            "rewritten_alike" => return self.storage.change_alike(&at, Alike::InPlace, now_ms),
            "touched" => return self.storage.change_alike(&at, Alike::Touched, now_ms),
            "rename" => {
                let to = place(&mut self.random);
                if !self.storage.rename(&at, &to, now_ms) {
                    return false;
                }
                self.hint(servers, &at, false);
                self.hint(servers, &to, true);
            }
            "moved_away" => {
                let Some(files) = self.storage.places.remove(&at) else { return false };
                self.storage.touch(&at.folder, now_ms);
                self.away.push((at.clone(), files));
                self.hint(servers, &at, false);
            }
            "moved_back" => {
                let Some((at, files)) = self.away.pop() else { return false };
                if self.storage.places.contains_key(&at) {
                    return false;
                }
                self.storage.places.insert(at.clone(), files);
                self.storage.touch(&at.folder, now_ms);
                self.hint(servers, &at, true);
            }
            "remove" if self.storage.places.contains_key(&at) => {
                self.storage.remove(&at, now_ms);
                self.hint(servers, &at, false);
            }
            "corrupt" if self.storage.places.contains_key(&at) => {
                self.storage.sidecar(&at, uuid, self.starts, Sidecar::Half, now_ms);
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
            }
            "outage" if self.catalog.up => {
                self.catalog.up = false;
                self.catalog.cut();
            }
            "return" if !self.catalog.up => self.catalog.up = true,
            "primary_change" => self.catalog.cut(),
            "backed_up" => self.catalog.copies.push(self.catalog.data.clone()),
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
                    if random.bool() {
                        stored.version = stored.version.map(|version| version + (3 << 32));
                    }
                    Some(())
                });
            }
            "deleted_by_hand" => {
                return self.alter(|data, random| {
                    let uuid = pick(&data.documents, random)?;
                    data.writers.remove(&uuid);
                    data.documents.remove(&uuid).map(|_| ())
                });
            }
            // Found on a duplicate key: adopted, or left to the root that has it.
            "made_by_others" | "other_roots" => {
                let root = (name == "other_roots").then(|| "other".to_owned());
                let deleted = root.is_some() && self.random.bool();
                if self.catalog.data.documents.contains_key(uuid) {
                    return false;
                }
                let document = strange(uuid, root, deleted);
                self.catalog.data.documents.insert(uuid.to_owned(), document);
            }
            "refuses" => {
                self.catalog.refused = self.random.bool().then(|| uuid.to_owned());
            }
            "late_write" => match self.delayed.pop() {
                None => return false,
                Some(Delayed::Lease(job)) => drop(self.catalog.lease(&job)),
                // An earlier one than the catalog has: everything is compared at the next meeting.
                Some(Delayed::Mark(watermark)) => self.catalog.data.watermark = Some(watermark),
                Some(Delayed::Call(call, token)) => {
                    self.catalog.call(&call, None, token);
                    self.remember();
                    self.behind_the_back = true;
                }
            },
            "index_lost" => {
                servers[victim].index = Index::new();
                self.crash(&mut servers[victim]);
            }
            "index_old" => {
                let server = &mut servers[victim];
                let now = server.index.clone();
                let Some(copy) = server.copy.replace(now) else { return false };
                server.index = copy;
                // What it forgot, the periodic comparison finds.
                self.behind_the_back = true;
                self.crash(&mut servers[victim]);
            }
            "unmounted" => return self.storage.becomes(RootIs::Unmounted),
            "root_emptied" => return self.storage.becomes(RootIs::Empty),
            "root_swapped" => return self.storage.becomes(RootIs::Another),
            "marker_lost" => return self.storage.becomes(RootIs::Unmarked),
            "marker_made_again" => return self.mark_again(servers, victim),
            "mounted" if self.storage.root != RootIs::There => {
                self.storage.root = RootIs::There;
            }
            "remounted" if self.storage.root == RootIs::There => {
                self.storage.renumber(self.random.bool());
            }
            "mounted_over" => return self.storage.mount_over(true),
            "unmounted_below" => return self.storage.mount_over(false),
            // A copy of the root, with its marker, for a server of its own. Whose the root is, the lease says.
            "root_copied" => {
                let is_there =
                    self.storage.root == RootIs::There && self.catalog.data.lease.is_some();
                let idle = servers.iter_mut().find(|server| server.is_idle);
                let Some(server) = idle.filter(|_| is_there) else { return false };
                server.serve_copy(self.storage.clone());
                self.has_copy = true;
            }
            "exclude_grows" | "exclude_shrinks" => {
                let excludes = name == "exclude_grows";
                if std::mem::replace(&mut self.excludes, excludes) == excludes {
                    return false;
                }
                // The other one may go on with the settings of before.
                self.crash(&mut servers[victim]);
            }
            "crash" => self.crash(&mut servers[victim]),
            "clock_set" => {
                let hours = [-26, -2, -1, 1, 2, 26][self.random.usize(0..6)];
                self.wall_ahead_ms = hours * 3_600_000;
                self.storage.ahead_ms = self.wall_ahead_ms;
                self.clock_set_ms = now_ms;
                for server in servers.iter_mut() {
                    server.least_ahead_ms = server.least_ahead_ms.min(self.wall_ahead_ms);
                }
            }
            "pause" => {
                let for_ms = [300, 3_000, 20_000][self.random.usize(0..3)];
                servers[victim].paused_until_ms = now_ms + for_ms;
            }
            "holder_paused" => {
                let holds = |server: &&mut Server| server.believes(now_ms, &self.catalog).is_some();
                let Some(server) = servers.iter_mut().find(holds) else { return false };
                server.paused_until_ms = now_ms + self.random.u64(5_000..40_000);
            }
            "cut_off" => servers[victim].cut_off = self.random.bool(),
            "approve" => {
                let server = &mut servers[victim];
                if !server.index.approve(self.wall_ms()) {
                    return false;
                }
                server.core.handle(Event::Wake);
            }
            _ => return false,
        }
        true
    }

    /// Kills it, whatever it was about to hear or to store, and starts it again.
    pub(crate) fn crash(&mut self, server: &mut Server) {
        self.crashed_in.extend(server.jobs_under_way());
        server.crash(self.excludes, self.true_ms, self.wall_ahead_ms);
    }

    fn alter(&mut self, change: impl FnOnce(&mut Data, &mut fastrand::Rng) -> Option<()>) -> bool {
        let done = change(&mut self.catalog.data, &mut self.random).is_some();
        self.behind_the_back |= done;
        self.remember();
        done
    }

    /// Another state of the database, in place of the present one.
    fn replace(&mut self, data: Data) {
        // A database that does not say whose the root is leaves it to the first that comes.
        if self.has_copy && data.lease.is_none() {
            return;
        }
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
    pub(crate) fn pass(&mut self, healed: bool) {
        self.true_ms += match self.random.u8(0..20) {
            _ if healed => 100,
            0 if self.random.bool() => self.random.u64(2_000..15_000),
            1..=4 => self.random.u64(200..1_500),
            _ => self.random.u64(1..120),
        };
    }
}

/// A document that is not of this root.
fn strange(uuid: &str, root: Option<String>, deleted: bool) -> Stored {
    Stored {
        uuid: uuid.to_owned(),
        version: root.as_ref().map(|_| 7 << 32),
        root,
        deleted,
        path: None,
        recording: None,
    }
}

fn pick<T>(of: &BTreeMap<String, T>, random: &mut fastrand::Rng) -> Option<String> {
    let at = random.usize(..of.len().max(1));
    of.keys().nth(at).cloned()
}
