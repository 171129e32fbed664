//! What one server tells the next: what the channels were told, kept in the catalog by the holder of a root.

use super::board::{Board, Now, Open, ToldOf};
use super::told::{Believed, Told};
use super::{AlertKey, Condition};
use crate::broken::{self, Broken};

/// What a holder has told the channels, for whoever takes over.
pub type Handed = Vec<(String, AlertKey, ToldOf)>;

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

    /// What was handed over so is known to whoever takes over.
    pub fn set_handed(&mut self, handed: &Handed) {
        for (channel, key, of) in handed {
            let known = self.told.get_mut(&(channel.clone(), key.clone()));
            if let Some(known) = known.filter(|known| known.told == of.told) {
                known.is_handed = true;
            }
        }
    }

    /// This server has taken a root over, with what another had told by then. That stands until it is seen to be
    /// over for as long as any alert has to be, and is resolved here. Unless it `is_exact`, the other may have told
    /// more in an outage that it did not survive: so it is told again.
    pub fn take_over(
        &mut self,
        root: &str,
        leads: bool,
        handed: Handed,
        is_exact: bool,
        (now_ms, _): Now,
    ) {
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
        let handed = a.handed("r", false);
        b.take_over("r", false, handed, true, at(2_000));
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
            b.take_over("r", false, a.handed("r", false), is_exact, at(2_000));
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
                a.set_handed(&handed);
            }
            see(&mut a, &held, false, LastHolder::Other, 9_000);
            let told = tell(&mut a, 9_000);
            assert_eq!(told.is_empty(), is_handed, "{told:?}");
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
        a.take_over("r", true, Vec::new(), true, at(1_500));
        see(&mut a, &disk, false, LastHolder::Me, 9_000);
        assert_eq!(tell(&mut a, 9_000), [(Rule::DiskLow, false)]);
    }
}
