//! What one server tells the next: what the channels were told, kept in the catalog by the holder of a root.

use super::board::{Board, Now, Open, ToldOf};
use super::told::{Believed, Told};
use super::{AlertKey, Condition};
use crate::broken::{self, Broken};

/// What a holder has told the channels, for whoever takes over.
pub type Handed = Vec<(String, AlertKey, ToldOf)>;

/// Records that a lineage remembers at most: the oldest is forgotten.
const BEFORE_MAX: usize = 16;

/// Which record of a root this is, and which ones whoever wrote it knew of. A catalog may come back as an older copy,
/// or as another one, and what is written there then is no later record of what was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// Of the records that one server has written after one another.
    pub id: String,
    /// How many of them there were before this one.
    pub count: u64,
    /// The last record that was known of each lineage before, oldest first.
    pub before: Vec<(String, u64)>,
}

impl Lineage {
    /// Whoever wrote this knew of the record `other`.
    fn includes(&self, other: &Lineage) -> bool {
        let has = |id: &str, count| id == other.id && count >= other.count;
        has(&self.id, self.count) || self.before.iter().any(|(id, count)| has(id, *count))
    }

    /// The records that are known to whoever knows this one, oldest first.
    fn known(&self) -> impl Iterator<Item = (String, u64)> {
        let own = (!self.id.is_empty()).then(|| (self.id.clone(), self.count));
        self.before.iter().cloned().chain(own)
    }

    /// Of whoever knows all these.
    fn of(all: &[&Lineage], id: String) -> Lineage {
        let mut before: Vec<(String, u64)> = Vec::new();
        for (id, count) in all.iter().flat_map(|one| one.known()) {
            match before.iter_mut().find(|known| known.0 == id) {
                Some(known) => known.1 = known.1.max(count),
                None => before.push((id, count)),
            }
        }
        before.drain(..before.len().saturating_sub(BEFORE_MAX));
        Lineage { id, count: 0, before }
    }
}

/// Whether a server holds a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Another does.
    No,
    /// It does, since its start or since another did.
    Anew,
    /// It did before the outage, too.
    Still,
}

/// A record of what the channels were told of a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Which it is.
    pub lineage: Lineage,
    /// What was told.
    pub handed: Handed,
}

/// The alerts of a root, and with `leads` those of no root, that its holder tells of.
fn is_of(key: &AlertKey, root: &str, leads: bool) -> bool {
    !key.rule.is_own() && (key.root == root || leads && key.root.is_empty())
}

impl Board {
    /// What the channels were told of a root, for whoever takes it over. `leads`: this server tells what is of
    /// no root, too.
    pub fn handed(&self, root: &str, leads: bool) -> Handed {
        let of = self.told.iter().filter(|((_, key), _)| is_of(key, root, leads));
        of.map(|((channel, key), told)| (channel.clone(), key.clone(), told.clone())).collect()
    }

    /// Which record the next one is that this server writes, where the catalog has `there`. Unless that is its own
    /// last one, it begins a lineage, named `fresh`.
    pub fn next_lineage(
        &self,
        root: &str,
        there: Option<&Lineage>,
        fresh: impl FnOnce() -> String,
    ) -> Lineage {
        let own = self.lineages.get(root);
        match own {
            Some(own) if there == Some(own) => Lineage { count: own.count + 1, ..own.clone() },
            _ => Lineage::of(&[own, there].into_iter().flatten().collect::<Vec<_>>(), fresh()),
        }
    }

    /// What was handed over so, in this record of the root, is known to whoever takes over.
    pub fn set_handed(&mut self, root: &str, record: &Record) {
        self.lineages.insert(root.to_owned(), record.lineage.clone());
        for (channel, key, of) in &record.handed {
            let known = self.told.get_mut(&(channel.clone(), key.clone()));
            if let Some(known) = known.filter(|known| known.told == of.told) {
                known.is_handed = true;
            }
        }
    }

    /// What the catalog has of a root, after a start or an outage: it may be another catalog, or an older copy of
    /// the one that was. What this server has handed over stands where that record, or a later one, is there; else
    /// it may be known to nobody. One that `holds` the root anew also tells again: another may have told since.
    pub fn met(&mut self, root: &str, leads: bool, there: Option<&Lineage>, holds: Holds) {
        let known = self.lineages.get(root);
        let is_there = known.zip(there).is_some_and(|(known, there)| there.includes(known));
        if is_there || broken::is(Broken::AlertHandedToNobody) {
            return;
        }
        let told = self.told.iter_mut().filter(|((_, key), _)| is_of(key, root, leads));
        for (_, of) in told {
            of.told.in_doubt |= holds == Holds::Anew && of.is_handed;
            of.is_handed = false;
        }
    }

    /// The record that another has written of a root, which it holds: it stands, should both the other and the
    /// catalog be gone. False: it is known already.
    pub fn saw(&mut self, root: &str, record: Record) -> bool {
        let known = self.seen.get(root);
        let is_news = known.is_none_or(|known| !known.lineage.includes(&record.lineage));
        if is_news {
            self.seen.insert(root.to_owned(), record);
        }
        is_news
    }

    /// This server has taken a root over, with what another had told by then: `there` is the other's record in the
    /// catalog, and one that was seen before it stands in its place where it is newer. It stands until it is seen to be
    /// over for as long as any alert has to be, and is resolved here. Unless it `is_exact`, the other may have told
    /// more in an outage that it did not survive: so it is told again.
    pub fn take_over(
        &mut self,
        root: &str,
        leads: bool,
        there: Option<Record>,
        is_exact: bool,
        (now_ms, _): Now,
    ) {
        let seen = self.seen.remove(root);
        let is_newest = |seen: &Record| {
            let knows = |there: &Record| seen != there && seen.lineage.includes(&there.lineage);
            there.as_ref().is_none_or(knows)
        };
        let seen = seen.filter(is_newest);
        let is_exact = is_exact && seen.is_none();
        let Some(Record { lineage, handed }) = seen.or(there) else { return };
        self.lineages.insert(root.to_owned(), Lineage::of(&[&lineage], String::new()));
        let handed = if broken::is(Broken::AlertHandoverUnread) { Vec::new() } else { handed };
        // What another knew of is as that one has left it. What nobody else knew of may be as it was, or not.
        self.told.retain(|(_, key), of| {
            let is_here = is_of(key, root, leads);
            of.told.in_doubt |= is_here;
            !is_here || !of.is_handed
        });
        for (channel, key, of) in handed {
            if !is_of(&key, root, leads) || !self.channels.contains_key(&channel) {
                continue;
            }
            if let Believed::Firing(raised) = of.told.believed {
                let condition = Condition::resumed(raised, now_ms);
                let open = self
                    .open
                    .entry(key.clone())
                    .or_insert_with(|| Open::new(condition, of.path.clone(), of.summary.clone()));
                if open.condition.raised().is_none() {
                    open.condition = condition;
                }
            }
            let told = Told { in_doubt: of.told.in_doubt || !is_exact, ..of.told };
            self.told.insert((channel, key), ToldOf { told, is_handed: true, ..of });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Hearing, Observation, Owed, Rule, Tried};
    use super::*;
    use crate::lease::LastHolder;

    const CLEAR_AFTER_MS: u64 = 5_000;

    fn key(rule: Rule, root: &str) -> AlertKey {
        AlertKey { rule, root: root.to_owned() }
    }

    fn at(now_ms: u64) -> Now {
        (now_ms, i64::try_from(now_ms).expect("small"))
    }

    fn board() -> Board {
        let mut board = Board::default();
        let hearing = Hearing { rules: Rule::ALL.into(), ..Hearing::default() };
        board.set_channels(BTreeMap::from([("ops".to_owned(), hearing)]));
        board
    }

    fn see(board: &mut Board, key: &AlertKey, is_true: bool, holder: LastHolder, now_ms: u64) {
        let seen = Observation {
            key: key.clone(),
            is_true,
            path: String::new(),
            summary: "wrong".to_owned(),
            holder,
            stand_in_after_ms: Some(3_000),
            after_ms: 1_000,
            clear_after_ms: CLEAR_AFTER_MS,
        };
        board.observe(vec![seen], at(now_ms), "c".to_owned());
    }

    /// Tells what is owed now, and returns it.
    fn tell(board: &mut Board, now_ms: u64) -> Vec<(Rule, bool)> {
        let due = board.owed("ops", at(now_ms));
        for one in &due {
            board.begin("ops", one);
            board.tried("ops", one, Tried::Delivered, at(now_ms));
        }
        due.iter().map(|one| (one.key.rule, matches!(one.owed, Owed::Firing { .. }))).collect()
    }

    #[test]
    fn a_standby_that_takes_over_resolves_what_the_dead_holder_told_before() {
        let held = key(Rule::DeletionsHeld, "r");
        let (mut a, mut b) = (board(), board());
        for now_ms in [0, 1_000] {
            see(&mut a, &held, true, LastHolder::Me, now_ms);
        }
        assert_eq!(tell(&mut a, 1_000), [(Rule::DeletionsHeld, true)]);
        let there = Record { handed: a.handed("r", false), ..Record::default() };
        b.take_over("r", false, Some(there), true, at(2_000));
        see(&mut b, &held, false, LastHolder::Me, 2_000);
        assert_eq!(tell(&mut b, 2_000), [], "it stands for as long as any alert");
        see(&mut b, &held, false, LastHolder::Me, 2_000 + CLEAR_AFTER_MS);
        assert_eq!(tell(&mut b, 9_000), [(Rule::DeletionsHeld, false)]);
    }

    #[test]
    fn what_a_dead_holder_may_have_told_in_an_outage_is_resolved_by_whoever_takes_over() {
        let down = key(Rule::CatalogDown, "");
        let mut b = board();
        for now_ms in [0, 1_000, 2_000] {
            see(&mut b, &down, true, LastHolder::Other, now_ms);
        }
        assert_eq!(tell(&mut b, 2_000), [], "the holder tells, if it lives");
        see(&mut b, &down, false, LastHolder::Other, 2_500);
        see(&mut b, &down, false, LastHolder::Other, 9_000);
        assert_eq!(tell(&mut b, 9_000), []);
        see(&mut b, &down, false, LastHolder::Me, 10_000);
        assert_eq!(tell(&mut b, 10_000), [(Rule::CatalogDown, false)]);
    }

    #[test]
    fn what_a_holder_that_lives_tells_is_left_to_it() {
        let down = key(Rule::CatalogDown, "");
        let mut b = board();
        for now_ms in [0, 1_000, 2_000] {
            see(&mut b, &down, true, LastHolder::Other, now_ms);
        }
        for now_ms in [9_000, 40_000] {
            see(&mut b, &down, false, LastHolder::OtherRenews, now_ms);
        }
        see(&mut b, &down, false, LastHolder::Me, 41_000);
        assert_eq!(tell(&mut b, 41_000), []);
    }

    #[test]
    fn a_standby_stands_in_for_a_holder_that_does_not_tell_and_resolves_that() {
        let down = key(Rule::CatalogDown, "");
        let mut b = board();
        for (now_ms, told) in [(0, 0), (1_000, 0), (2_900, 0), (3_000, 1)] {
            see(&mut b, &down, true, LastHolder::Other, now_ms);
            assert_eq!(tell(&mut b, now_ms).len(), told, "{now_ms}");
        }
        see(&mut b, &down, false, LastHolder::OtherRenews, 9_000);
        assert_eq!(tell(&mut b, 9_000), [(Rule::CatalogDown, false)]);
    }

    #[test]
    fn what_a_holder_told_before_an_outage_that_it_did_not_survive_is_told_again() {
        let held = key(Rule::DeletionsHeld, "r");
        for is_exact in [true, false] {
            let (mut a, mut b) = (board(), board());
            for now_ms in [0, 1_000] {
                see(&mut a, &held, true, LastHolder::Me, now_ms);
            }
            tell(&mut a, 1_000);
            let there = Record { handed: a.handed("r", false), ..Record::default() };
            b.take_over("r", false, Some(there), is_exact, at(2_000));
            see(&mut b, &held, true, LastHolder::Me, 2_000);
            let told = tell(&mut b, 2_000);
            assert_eq!(told.is_empty(), is_exact, "{told:?}");
        }
    }

    #[test]
    fn what_was_handed_over_is_left_to_whoever_holds_the_root() {
        let held = key(Rule::DeletionsHeld, "r");
        for is_handed in [true, false] {
            let mut a = board();
            for now_ms in [0, 1_000] {
                see(&mut a, &held, true, LastHolder::Me, now_ms);
            }
            tell(&mut a, 1_000);
            if is_handed {
                let handed = a.handed("r", false);
                a.set_handed("r", &Record { handed, ..Record::default() });
            }
            see(&mut a, &held, false, LastHolder::Other, 9_000);
            let told = tell(&mut a, 9_000);
            assert_eq!(told.is_empty(), is_handed, "{told:?}");
        }
    }

    #[test]
    fn what_was_handed_over_to_a_catalog_that_comes_back_other_is_owed_by_who_told_it() {
        let held = key(Rule::DeletionsHeld, "r");
        let lineage = |id: &str, count| Lineage { id: id.to_owned(), count, before: Vec::new() };
        let after = |count| Lineage { before: vec![("a".to_owned(), count)], ..lineage("b", 0) };
        let cases = [
            (Some(after(3)), true),
            (Some(after(2)), false),
            (Some(lineage("a", 3)), true),
            (Some(lineage("a", 4)), true),
            (Some(lineage("a", 2)), false),
            (Some(lineage("b", 9)), false),
            (None, false),
        ];
        for (there, is_known) in cases {
            let mut a = board();
            for now_ms in [0, 1_000] {
                see(&mut a, &held, true, LastHolder::Me, now_ms);
            }
            tell(&mut a, 1_000);
            let handed = a.handed("r", false);
            a.set_handed("r", &Record { handed, lineage: lineage("a", 3) });
            a.met("r", false, there.as_ref(), Holds::No);
            see(&mut a, &held, false, LastHolder::Other, 9_000);
            let told = tell(&mut a, 9_000);
            assert_eq!(told.is_empty(), is_known, "{there:?}: {told:?}");
        }
    }

    #[test]
    fn what_is_of_one_server_alone_is_not_handed_over() {
        let mut a = board();
        let disk = key(Rule::DiskLow, "");
        for now_ms in [0, 1_000] {
            see(&mut a, &disk, true, LastHolder::Me, now_ms);
        }
        assert_eq!(tell(&mut a, 1_000), [(Rule::DiskLow, true)]);
        assert_eq!(a.handed("r", true), []);
        a.take_over("r", true, Some(Record::default()), true, at(1_500));
        see(&mut a, &disk, false, LastHolder::Me, 9_000);
        assert_eq!(tell(&mut a, 9_000), [(Rule::DiskLow, false)]);
    }
}
