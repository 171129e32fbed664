//! Alerts: what is true, what was told, and what is owed to whom.
//!
//! There is no queue. A [`Condition`] turns observations into what is true, with patience for what flaps. Of
//! every channel it is kept what it was last [`Told`] of each alert. The difference is what is owed:
//! [`owed`]. So a restart loses nothing, and a channel that was away gets the present once.
//!
//! | module | what it decides |
//! |---|---|
//! | [`rule`] | which alerts there are, their severities and thresholds |
//! | [`condition`] | since when an alert is raised, and when it is over |
//! | [`told`] | what a channel is owed, and when it is tried again |
//! | [`silence`] | what is not told for a while |
//! | [`board`] | all of it together: what is raised, told and owed |

pub mod board;
pub mod condition;
pub mod rule;
pub mod silence;
pub mod told;

pub use board::{Board, Due, Kept, Now, Observation, Open, ToldOf};
pub use condition::{Condition, Raised};
pub use rule::{Rule, Severity, Thresholds};
pub use silence::Silence;
pub use told::{Owed, Retry, Told, Tried, owed, owed_once};

/// Which alert: one per rule and root, never per recording.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertKey {
    /// The rule.
    pub rule: Rule,
    /// The root's id, or its path until that is known; empty for a rule without a root.
    pub root: String,
}

impl AlertKey {
    /// The identity by which channels tell alerts apart: `focus/{catalog}/{rule}/{root}`. No host is in it, so
    /// servers of one catalog agree.
    pub fn identity(&self, catalog: &str) -> String {
        format!("focus/{catalog}/{}/{}", self.rule.name(), self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_names_catalog_rule_and_root_and_no_host() {
        let key = AlertKey { rule: Rule::DeletionsHeld, root: "r1".to_owned() };
        assert_eq!(key.identity("c1"), "focus/c1/deletions_held/r1");
    }
}
