//! The world of one schedule: storage, database, servers, and the faults that befall them.

use std::collections::BTreeMap;

use focus_core::batch::Call;
use focus_core::reconcile::Event;
use focus_core::recording::Recording;
use focus_core::settle::Closed;

use crate::catalog::{Catalog, Data};
use crate::server::Server;
use crate::storage::{Storage, place};

/// Recordings by name: few, so that they meet.
const UUIDS: [&str; 7] = ["u0", "u1", "u2", "u3", "u4", "u5", "u6"];

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
    /// Calls that are done later, with the token under which they were sent.
    pub(crate) delayed: Vec<(Call, i64)>,
    /// Who was granted which token, in this life of the database.
    pub(crate) granted: BTreeMap<i64, (String, u64)>,
    /// Calls may fail.
    pub(crate) faulty: bool,
    /// Everything that the catalog ever held.
    pub(crate) written: BTreeMap<String, Vec<Recording>>,
    /// Somebody else, or a write of the past, changed documents behind the holder's back.
    pub(crate) behind_the_back: bool,
    pub(crate) starts: u64,
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
    pub(crate) fn fault(&mut self, servers: &mut [Server], name: &str) -> bool {
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
                if !self.storage.rename(&at, &to) {
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
            "refuses" => {
                self.catalog.refused = self.random.bool().then(|| uuid.to_owned());
            }
            "late_write" => {
                let Some((call, token)) = self.delayed.pop() else { return false };
                self.catalog.call(&call, None, token);
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
                // What it forgot, the periodic comparison finds.
                self.behind_the_back = true;
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
    pub(crate) fn pass(&mut self, healed: bool) {
        self.true_ms += match self.random.u8(0..20) {
            _ if healed => 100,
            0 if self.random.bool() => self.random.u64(2_000..15_000),
            1..=4 => self.random.u64(200..1_500),
            _ => self.random.u64(1..120),
        };
    }
}

fn pick<T>(of: &BTreeMap<String, T>, random: &mut fastrand::Rng) -> Option<String> {
    let at = random.usize(..of.len().max(1));
    of.keys().nth(at).cloned()
}
