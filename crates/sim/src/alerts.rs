//! Alerts in a world of their own: conditions that flap, channels that fail, hang or lose their answers, and a
//! server that is killed at any moment, between telling and noting too.

use std::collections::{BTreeMap, BTreeSet};

use focus_core::alert::{AlertKey, Board, Due, Kept, Observation, Owed, Rule, Silence, Tried};

/// Looks of a schedule before everything is well, and after: longer than a channel is left alone.
const LOOKS: usize = 120;
const WELL: usize = 100;

/// An alert that lasts is told again after so long, milliseconds; or never.
const REPEATS_MS: [u64; 2] = [0, 40_000];

const AFTER_MS: u64 = 5_000;
const CLEAR_AFTER_MS: u64 = 8_000;

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
    /// Times at which it may have been told what was not noted: a repeat is allowed for each.
    unnoted: u32,
    repeated: u32,
}

struct World {
    random: fastrand::Rng,
    board: Board,
    /// What the state folder has.
    disk: Kept,
    channels: BTreeMap<String, Channel>,
    truth: BTreeMap<AlertKey, bool>,
    now_ms: u64,
    repeat_ms: u64,
    is_well: bool,
}

fn keys() -> [AlertKey; 4] {
    let key = |rule, root: &str| AlertKey { rule, root: root.to_owned() };
    [
        key(Rule::CatalogDown, ""),
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
    let mut world = World {
        random,
        board: Board::default(),
        disk: Kept::default(),
        channels: names.iter().map(|name| (name.clone(), Channel::default())).collect(),
        truth: keys().into_iter().map(|key| (key, false)).collect(),
        now_ms: 1_000,
        repeat_ms,
        is_well: false,
    };
    world.start();
    world.go().err()
}

impl World {
    fn now(&self) -> (u64, i64) {
        (self.now_ms, i64::try_from(self.now_ms).unwrap_or(0) + 1_700_000_000_000)
    }

    /// The process starts, with what the state folder has.
    fn start(&mut self) {
        self.board = Board::resumed(self.disk.clone(), self.now());
        self.board.set_channels(&self.channels.keys().cloned().collect());
    }

    fn go(&mut self) -> Result<(), String> {
        for _ in 0..LOOKS {
            self.now_ms += self.random.u64(200..4_000);
            self.befall();
            self.look();
            self.tell()?;
        }
        self.is_well = true;
        self.channels.values_mut().for_each(|channel| channel.is_away = false);
        for _ in 0..WELL {
            self.now_ms += 5_000;
            self.look();
            self.tell()?;
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
            3 => {
                let at = self.random.usize(..self.channels.len());
                let is_away = self.random.bool();
                if let Some(channel) = self.channels.values_mut().nth(at) {
                    channel.is_away = is_away;
                }
            }
            4 => self.start(),
            5 if self.random.u8(0..4) == 0 => {
                let key = keys()[self.random.usize(0..4)].clone();
                let until_ms = self.now().1 + self.random.i64(1_000..60_000);
                let id = self.now_ms.to_string();
                self.board.silence(Silence { id, rule: key.rule, root: None, until_ms });
            }
            _ => {}
        }
    }

    /// One look at everything; what changed is stored before anybody is told.
    fn look(&mut self) {
        let seen = self.truth.iter().map(|(key, is_true)| Observation {
            key: key.clone(),
            is_true: *is_true,
            path: key.root.clone(),
            summary: "wrong".to_owned(),
            tells: true,
            after_ms: AFTER_MS,
            clear_after_ms: CLEAR_AFTER_MS,
        });
        if self.board.observe(seen.collect(), self.now(), "c".to_owned()) {
            self.disk = self.board.kept();
        }
    }

    /// Every channel is told what it is owed.
    fn tell(&mut self) -> Result<(), String> {
        for name in self.channels.keys().cloned().collect::<Vec<_>>() {
            for due in self.board.owed(&name, &|_| true, self.repeat_ms, self.now()) {
                if matches!(due.owed, Owed::Firing { .. })
                    && self.board.is_silenced(&due.key, self.now().1)
                {
                    return Err(format!("silenced_alerts_are_not_told: {:?}", due.key));
                }
                self.board.begin(&name, &due);
                self.disk = self.board.kept();
                let tried = self.deliver(&name, &due)?;
                // Killed between telling and noting.
                if !self.is_well && self.random.u8(0..12) == 0 {
                    if tried == Tried::Delivered
                        && let Some(channel) = self.channels.get_mut(&name)
                    {
                        channel.unnoted += 1;
                    }
                    self.start();
                    return Ok(());
                }
                self.board.tried(&name, &due, tried, self.now());
                self.disk = self.board.kept();
                if tried != Tried::Delivered {
                    break;
                }
            }
        }
        Ok(())
    }

    /// A message goes to a channel, and an answer may come back.
    fn deliver(&mut self, name: &str, due: &Due) -> Result<Tried, String> {
        let (fate, is_well) = (self.random.u8(0..10), self.is_well);
        let Some(channel) = self.channels.get_mut(name) else { return Ok(Tried::Refused) };
        if channel.is_away || !is_well && fate == 0 {
            return Ok(Tried::Failed { after_ms: None, in_doubt: false });
        }
        channel.take(due)?;
        if !is_well && fate == 1 {
            // It took the message, and its answer is lost.
            channel.unnoted += 1;
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
            Owed::Resolved { raised } => (false, raised.since_ms, 0),
        };
        let took = self.took.entry((due.identity.clone(), is_firing, since_ms, times)).or_default();
        *took += 1;
        if *took > 1 {
            self.repeated += 1;
        }
        if self.repeated > self.unnoted {
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
