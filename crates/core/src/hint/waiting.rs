//! The hints of one root that are not done with: those that nobody has looked at, and those whose files are not there
//! yet. The list is bounded in number and in bytes. What it has no room for is left to a scan, at most once a minute.
//!
//! Times are milliseconds of the boot-time clock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::Target;

/// Hints that wait for their files at most.
pub const WAITING_MAX: usize = 10_000;

/// How long a hint waits for its files.
const PATIENCE_MS: u64 = 60_000;

/// Hints that nobody has looked at yet at most. Whoever has more waits: this is a few seconds of looks.
const FRESH_MAX: usize = 16_384;

/// Bytes of names in the list at most.
const BYTES_MAX: usize = 8 << 20;

/// What an entry takes besides its name.
const ENTRY_BYTES: usize = 256;

/// Between two scans for hints that there was no room for.
const SCAN_EVERY_MS: u64 = 60_000;

/// Between two times at which hints that wait are looked at again.
const PACE_MS: u64 = 100;

/// Hints that are looked at again at one time at most: with a full list, each every 4 s.
const PACE_MAX: usize = 256;

/// Folders that are taken at once at most: each is read to its end.
const FOLDERS_MAX: usize = 32;

/// What a look at a hinted place came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing more to wait for.
    Done,
    /// It is not there, or not whole, yet. It need not be looked at before this time, where one is given.
    NotYet(Option<u64>),
    /// Of a folder that came late: it is there, and more may come.
    Growing,
}

/// Whether a hint that came in was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It will be looked at.
    Taken,
    /// There is no room now.
    Full,
}

/// The hints of one root.
#[derive(Debug)]
pub struct HintList {
    entries: HashMap<Arc<Target>, Entry>,
    /// Hints at places that nobody has looked at, in the order in which they came.
    places: VecDeque<Arc<Target>>,
    /// The same of folders.
    folders: VecDeque<Arc<Target>>,
    /// Those that wait for their files, by when they are looked at again.
    waiting: BTreeMap<Turn, Arc<Target>>,
    waiting_max: usize,
    bytes: usize,
    /// Numbers the turns.
    turns: u64,
    /// Hints that wait are not looked at before this time.
    paced_ms: u64,
    /// When a scan for those that had no room is due.
    scan_due_ms: Option<u64>,
    /// When the last of these was.
    scanned_ms: Option<u64>,
}

/// When a hint that waits is looked at again, and a number that tells it from others of that time.
type Turn = (u64, u64);

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// When it was hinted last.
    since_ms: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fresh,
    /// Taken, and not told of since.
    Taken {
        /// It had waited before.
        waited: bool,
        /// It was hinted again meanwhile: that look may have come too early.
        again: bool,
    },
    Waiting(Turn),
}

impl Default for HintList {
    fn default() -> HintList {
        HintList::new(WAITING_MAX)
    }
}

impl HintList {
    /// A list in which `waiting_max` hints wait for their files at most.
    pub fn new(waiting_max: usize) -> HintList {
        HintList {
            entries: HashMap::new(),
            places: VecDeque::new(),
            folders: VecDeque::new(),
            waiting: BTreeMap::new(),
            waiting_max,
            bytes: 0,
            turns: 0,
            paced_ms: 0,
            scan_due_ms: None,
            scanned_ms: None,
        }
    }

    /// No hint is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a hint. One that is known already is looked at once more, and waits anew.
    pub fn push(&mut self, target: &Target, now_ms: u64) -> Pushed {
        if let Some(entry) = self.entries.get_mut(target) {
            entry.since_ms = now_ms;
            match &mut entry.stage {
                Stage::Fresh => {}
                Stage::Taken { again, .. } => *again = true,
                Stage::Waiting(turn) => {
                    let known = self.waiting.remove(turn);
                    entry.stage = Stage::Fresh;
                    known.into_iter().for_each(|target| self.queue(target));
                }
            }
            return Pushed::Taken;
        }
        let bytes = size(target);
        let fresh = self.places.len() + self.folders.len();
        if fresh >= FRESH_MAX || self.bytes + bytes > BYTES_MAX {
            return Pushed::Full;
        }
        let target = Arc::new(target.clone());
        self.bytes += bytes;
        self.entries.insert(Arc::clone(&target), Entry { since_ms: now_ms, stage: Stage::Fresh });
        self.queue(target);
        Pushed::Taken
    }

    /// A hint had no room, and nobody will look at its place: a scan does, as soon as one is allowed.
    pub fn overflowed(&mut self, now_ms: u64) {
        let allowed = self.scanned_ms.map_or(now_ms, |scanned| scanned + SCAN_EVERY_MS);
        let due = allowed.max(now_ms);
        self.scan_due_ms = Some(self.scan_due_ms.map_or(due, |known| known.min(due)));
    }

    /// Whether a scan is due for hints that had no room. It then counts as made.
    pub fn take_scan(&mut self, now_ms: u64) -> bool {
        let is_due = self.scan_due_ms.is_some_and(|due| due <= now_ms);
        if is_due {
            (self.scan_due_ms, self.scanned_ms) = (None, Some(now_ms));
        }
        is_due
    }

    /// Takes places to look at now, `limit` at most: first those that nobody has looked at.
    pub fn take_places(&mut self, now_ms: u64, limit: usize) -> Vec<Target> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some(target) = self.places.pop_front() else { break };
            self.took(&target, false);
            taken.push((*target).clone());
        }
        self.take_waiting(now_ms, limit, &mut taken);
        taken
    }

    /// Takes folders that nobody has looked at. Those that wait come with the places.
    pub fn take_folders(&mut self) -> Vec<Target> {
        let count = self.folders.len().min(FOLDERS_MAX);
        let taken: Vec<Arc<Target>> = self.folders.drain(..count).collect();
        taken.iter().for_each(|target| self.took(target, false));
        taken.iter().map(|target| (**target).clone()).collect()
    }

    fn take_waiting(&mut self, now_ms: u64, limit: usize, taken: &mut Vec<Target>) {
        if now_ms < self.paced_ms {
            return;
        }
        let limit = limit.min(taken.len() + PACE_MAX);
        let before = taken.len();
        while taken.len() < limit {
            let Some(first) = self.waiting.first_entry() else { break };
            if first.key().0 > now_ms {
                break;
            }
            let target = first.remove();
            self.took(&target, true);
            taken.push((*target).clone());
        }
        if taken.len() > before {
            self.paced_ms = now_ms + PACE_MS;
        }
    }

    /// When there is something to take next: 0 at once, none never. `takes_folders`: folders that nobody has looked at
    /// would be taken.
    pub fn next_ms(&self, takes_folders: bool) -> Option<u64> {
        if !self.places.is_empty() || takes_folders && !self.folders.is_empty() {
            return Some(0);
        }
        let waiting = self.waiting.first_key_value();
        let waiting = waiting.map(|((due, _), _)| (*due).max(self.paced_ms));
        waiting.into_iter().chain(self.scan_due_ms).min()
    }

    /// Whether a hint that was taken had waited for its files before.
    pub fn has_waited(&self, target: &Target) -> bool {
        let entry = self.entries.get(target);
        entry.is_some_and(|entry| matches!(entry.stage, Stage::Taken { waited: true, .. }))
    }

    /// Takes note of what a look came to, whoever asked for it.
    pub fn looked(&mut self, target: &Target, outcome: Outcome, now_ms: u64) {
        let Some((target, entry)) = self.entries.get_key_value(target) else { return };
        let (target, entry) = (Arc::clone(target), *entry);
        match (outcome, entry.stage) {
            // Its own look is still to come.
            (_, Stage::Fresh) | (Outcome::NotYet(_) | Outcome::Growing, Stage::Waiting(_)) => {
                return;
            }
            (_, Stage::Taken { again: true, .. }) => return self.look_again(target),
            (Outcome::Done, _) => return self.forget(&target),
            (_, Stage::Taken { again: false, .. }) => {}
        }
        let not_before_ms = match outcome {
            Outcome::NotYet(due_ms) => due_ms.unwrap_or(0),
            Outcome::Growing => now_ms + now_ms.saturating_sub(entry.since_ms).max(1_000),
            Outcome::Done => 0,
        };
        let waited_ms = now_ms.saturating_sub(entry.since_ms);
        if waited_ms >= PATIENCE_MS {
            return self.forget(&target);
        }
        if self.waiting.len() >= self.waiting_max {
            self.forget(&target);
            // Its files come later than now: the scan that finds them does, too.
            let due = now_ms + SCAN_EVERY_MS;
            self.scan_due_ms = Some(self.scan_due_ms.map_or(due, |known| known.min(due)));
            return;
        }
        let last_ms = entry.since_ms + PATIENCE_MS;
        let due_ms = (now_ms + gap_ms(waited_ms)).max(not_before_ms).min(last_ms);
        self.turns += 1;
        let turn = (due_ms, self.turns);
        if let Some(entry) = self.entries.get_mut(&target) {
            entry.stage = Stage::Waiting(turn);
        }
        self.waiting.insert(turn, target);
    }

    /// Everything that was taken and not told of is to be looked at again: nothing came of it.
    pub fn start_over(&mut self) {
        let lost: Vec<Arc<Target>> = self
            .entries
            .iter()
            .filter(|(_, entry)| matches!(entry.stage, Stage::Taken { .. }))
            .map(|(target, _)| Arc::clone(target))
            .collect();
        lost.into_iter().for_each(|target| self.look_again(target));
    }

    fn look_again(&mut self, target: Arc<Target>) {
        if let Some(entry) = self.entries.get_mut(&target) {
            entry.stage = Stage::Fresh;
        }
        self.queue(target);
    }

    fn queue(&mut self, target: Arc<Target>) {
        match *target {
            Target::Place(_) => self.places.push_back(target),
            Target::Folder(_) => self.folders.push_back(target),
        }
    }

    fn took(&mut self, target: &Arc<Target>, waited: bool) {
        if let Some(entry) = self.entries.get_mut(target) {
            entry.stage = Stage::Taken { waited, again: false };
        }
    }

    fn forget(&mut self, target: &Arc<Target>) {
        let Some(entry) = self.entries.remove(target) else { return };
        self.bytes -= size(target);
        if let Stage::Waiting(turn) = entry.stage {
            self.waiting.remove(&turn);
        }
        if self.entries.is_empty() {
            // The room of a flood is given back.
            self.entries = HashMap::new();
            self.places = VecDeque::new();
            self.folders = VecDeque::new();
        }
    }
}

/// Until the next look at a hint that has waited for so long: files mostly come soon, or late.
fn gap_ms(waited_ms: u64) -> u64 {
    match waited_ms {
        0..1_000 => 250,
        1_000..5_000 => 500,
        _ => 1_000,
    }
}

fn size(target: &Target) -> usize {
    let name = match target {
        Target::Place(place) => place.folder.len() + place.stem.len(),
        Target::Folder(folder) => folder.len(),
    };
    name + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::recording::Place;

    fn place(n: usize) -> Target {
        Target::Place(Place { folder: Vec::new(), stem: n.to_string().into_bytes() })
    }

    fn folder(n: usize) -> Target {
        Target::Folder(n.to_string().into_bytes())
    }

    /// The times at which one hint is looked at until nobody waits for it any more.
    fn times(list: &mut HintList, target: &Target, outcome: Outcome) -> Vec<u64> {
        let mut times = Vec::new();
        for now_ms in (0..200_000).step_by(50) {
            let mut taken = list.take_places(now_ms, 10);
            taken.extend(list.take_folders());
            if taken.contains(target) {
                times.push(now_ms);
                list.looked(target, outcome, now_ms);
            }
        }
        times
    }

    #[test]
    fn a_hint_before_its_files_is_looked_at_again_for_a_minute() {
        let mut list = HintList::new(WAITING_MAX);
        assert_eq!(list.push(&place(1), 0), Pushed::Taken);
        let times = times(&mut list, &place(1), Outcome::NotYet(None));
        assert_eq!(times[..6], [0, 250, 500, 750, 1_000, 1_500]);
        assert_eq!(*times.last().expect("looks"), 60_000);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 1_000), "{times:?}");
        assert!(list.is_empty() && list.bytes == 0);
    }

    #[test]
    fn a_folder_that_came_late_is_read_less_and_less_often() {
        let mut list = HintList::new(WAITING_MAX);
        list.push(&folder(1), 0);
        assert_eq!(
            times(&mut list, &folder(1), Outcome::Growing),
            [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000]
        );
    }

    #[test]
    fn a_hint_that_is_done_with_is_forgotten_whoever_looked() {
        let mut list = HintList::new(WAITING_MAX);
        list.push(&place(1), 0);
        list.looked(&place(1), Outcome::Done, 0);
        assert_eq!(list.take_places(0, 10), [place(1)], "it came after that look");
        list.looked(&place(1), Outcome::NotYet(Some(5_000)), 0);
        assert_eq!(list.next_ms(true), Some(5_000));
        list.looked(&place(1), Outcome::Done, 300);
        assert!(list.is_empty() && list.next_ms(true).is_none());
    }

    #[test]
    fn a_hint_that_comes_again_is_looked_at_at_once_and_waits_anew() {
        let mut list = HintList::new(WAITING_MAX);
        list.push(&place(1), 0);
        list.take_places(0, 10);
        list.looked(&place(1), Outcome::NotYet(None), 59_000);
        list.push(&place(1), 59_500);
        assert_eq!(list.take_places(59_500, 10), [place(1)]);
        list.looked(&place(1), Outcome::NotYet(None), 59_500);
        assert!(!list.is_empty() && list.next_ms(true) == Some(59_750));
    }

    #[test]
    fn what_has_no_room_to_wait_is_left_to_one_scan_a_minute() {
        let mut list = HintList::new(3);
        for n in 0..5 {
            list.push(&place(n), 0);
        }
        for target in list.take_places(0, 10) {
            list.looked(&target, Outcome::NotYet(None), 0);
        }
        assert_eq!(list.waiting.len(), 3);
        assert!(!list.take_scan(59_999));
        assert!(list.take_scan(60_000));
        assert!(!list.take_scan(120_000));
        list.overflowed(120_000);
        assert!(list.take_scan(120_000));
        list.overflowed(120_001);
        assert!(!list.take_scan(179_999));
        assert!(list.take_scan(180_000));
    }

    #[test]
    fn hints_beyond_the_bound_have_no_room_until_some_are_taken() {
        let mut list = HintList::new(WAITING_MAX);
        for n in 0..FRESH_MAX {
            assert_eq!(list.push(&place(n), 0), Pushed::Taken);
        }
        assert_eq!(list.push(&place(FRESH_MAX), 0), Pushed::Full);
        assert_eq!(list.push(&place(0), 0), Pushed::Taken, "it is in the list");
        assert_eq!(list.take_places(0, 2), [place(0), place(1)]);
        assert_eq!(list.push(&place(FRESH_MAX), 0), Pushed::Taken);
        let mut list = HintList::new(WAITING_MAX);
        let long = Target::Folder(vec![b'x'; BYTES_MAX - ENTRY_BYTES]);
        assert_eq!(list.push(&long, 0), Pushed::Taken);
        assert_eq!(list.push(&place(1), 0), Pushed::Full);
    }

    #[test]
    fn a_full_list_is_looked_at_again_at_a_pace() {
        let mut list = HintList::new(WAITING_MAX);
        for n in 0..WAITING_MAX {
            list.push(&place(n), 0);
        }
        for target in list.take_places(0, WAITING_MAX) {
            list.looked(&target, Outcome::NotYet(None), 0);
        }
        assert_eq!(list.take_places(1_000, WAITING_MAX).len(), PACE_MAX);
        assert_eq!(list.take_places(1_050, WAITING_MAX).len(), 0);
        assert_eq!(list.next_ms(true), Some(1_100));
        assert_eq!(list.take_places(1_100, WAITING_MAX).len(), PACE_MAX);
        list.start_over();
        assert_eq!(
            list.take_places(1_100, WAITING_MAX).len(),
            2 * PACE_MAX,
            "nothing came of them"
        );
    }

    proptest! {
        /// Whatever happens, no hint is lost before its time, and the list knows what it holds.
        #[test]
        fn every_hint_is_looked_at_after_it_came(steps in prop::collection::vec((0_u8..6, 0_usize..6), 1..200)) {
            let mut list = HintList::new(3);
            let (mut owed, mut now_ms) = (HashSet::new(), 0);
            for (step, n) in steps {
                let target = if n < 4 { place(n) } else { folder(n) };
                match step {
                    0 => {
                        if list.push(&target, now_ms) == Pushed::Taken {
                            owed.insert(target);
                        }
                    }
                    1 => now_ms += 100 * n as u64,
                    2 => {
                        let taken = list.take_places(now_ms, n);
                        owed.retain(|one| !taken.contains(one));
                    }
                    3 => {
                        let taken = list.take_folders();
                        owed.retain(|one| !taken.contains(one));
                    }
                    4 => list.looked(&target, Outcome::NotYet(None), now_ms),
                    _ => list.looked(&target, Outcome::Done, now_ms),
                }
                let held = list.entries.keys().map(|target| size(target)).sum::<usize>();
                prop_assert_eq!(held, list.bytes);
                prop_assert!(list.waiting.len() <= 3);
                for one in &owed {
                    let stage = list.entries.get(one).map(|entry| entry.stage);
                    let is_kept =
                        matches!(stage, Some(Stage::Fresh | Stage::Taken { again: true, .. }));
                    prop_assert!(is_kept, "{:?}: {:?}", one, stage);
                }
            }
            list.start_over();
            let mut taken: HashSet<Target> = list.take_places(1_000_000, 100).into_iter().collect();
            taken.extend(list.take_folders());
            prop_assert!(owed.is_subset(&taken), "{:?}", owed);
        }
    }
}
