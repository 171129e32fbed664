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
//! | [`handover`] | what a server that takes a root over goes on with |

pub mod board;
pub mod condition;
pub mod handover;
pub mod rule;
pub mod silence;
pub mod told;

pub use board::{Board, Due, Kept, Now, Observation, Open, Past, ToldOf};
pub use condition::{Condition, Raised};
pub use handover::{Handed, Holds, Lineage, Record};
pub use rule::{Rule, Severity, Thresholds};
pub use silence::Silence;
pub use told::{Believed, Hearing, Owed, Retry, Told, Tried, owed, owed_once};

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

    /// The catalog that an identity of this alert names.
    pub fn catalog_of<'a>(&self, identity: &'a str) -> &'a str {
        let tail = format!("/{}/{}", self.rule.name(), self.root);
        let catalog = identity.strip_prefix("focus/").unwrap_or(identity);
        catalog.strip_suffix(&tail).unwrap_or(catalog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_names_catalog_rule_and_root_and_no_host() {
        let key = AlertKey { rule: Rule::DeletionsHeld, root: "r1".to_owned() };
        assert_eq!(key.identity("c1"), "focus/c1/deletions_held/r1");
        let address = "mongodb://host:27017/focus";
        assert_eq!(key.catalog_of(&key.identity(address)), address);
    }
}
