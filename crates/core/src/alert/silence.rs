//! Silences: alerts that are not told for a while.

use super::{AlertKey, Rule};

/// Nobody is told that these alerts fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Which it is.
    pub id: String,
    /// The rule.
    pub rule: Rule,
    /// Of this root alone; none: of all.
    pub root: Option<String>,
    /// Until then, milliseconds since 1970.
    pub until_ms: i64,
}

impl Silence {
    /// It keeps this alert back now.
    pub fn covers(&self, key: &AlertKey, now_ms: i64) -> bool {
        now_ms < self.until_ms
            && self.rule == key.rule
            && self.root.as_ref().is_none_or(|root| *root == key.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_of_its_rule_and_root_and_ends() {
        let key = |rule, root: &str| AlertKey { rule, root: root.to_owned() };
        let mut silence = Silence {
            id: "1".to_owned(),
            rule: Rule::DeletionsHeld,
            root: Some("a".to_owned()),
            until_ms: 100,
        };
        assert!(silence.covers(&key(Rule::DeletionsHeld, "a"), 99));
        assert!(!silence.covers(&key(Rule::DeletionsHeld, "a"), 100));
        assert!(!silence.covers(&key(Rule::DeletionsHeld, "b"), 99));
        assert!(!silence.covers(&key(Rule::DriftFound, "a"), 99));
        silence.root = None;
        assert!(silence.covers(&key(Rule::DeletionsHeld, "b"), 99));
    }
}
