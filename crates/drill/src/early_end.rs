//! Why a drill ends before its time.

use crate::outage::contract::Hindrance;
use crate::report::Verdict;

/// Why a drill ends before its time, or a step of it is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct EarlyEnd {
    /// The verdict that follows.
    pub verdict: Verdict,
    /// What happened, and what to do.
    pub words: String,
}

impl EarlyEnd {
    /// Nothing was done: wrong use, or not allowed.
    pub fn refused(words: impl Into<String>) -> EarlyEnd {
        EarlyEnd { verdict: Verdict::Refused, words: words.into() }
    }

    /// What the drill was to find out cannot be told.
    pub fn inconclusive(words: impl Into<String>) -> EarlyEnd {
        EarlyEnd { verdict: Verdict::Inconclusive, words: words.into() }
    }

    /// Something is not as it has to be.
    pub fn failed(words: impl Into<String>) -> EarlyEnd {
        EarlyEnd { verdict: Verdict::Failed, words: words.into() }
    }
}

impl From<Hindrance> for EarlyEnd {
    fn from(hindrance: Hindrance) -> EarlyEnd {
        match hindrance {
            Hindrance::Refused(words) => EarlyEnd::refused(words),
            Hindrance::CouldNotTell(words) => EarlyEnd::inconclusive(words),
        }
    }
}

impl From<anyhow::Error> for EarlyEnd {
    fn from(error: anyhow::Error) -> EarlyEnd {
        EarlyEnd::inconclusive(format!("{error:#}"))
    }
}
