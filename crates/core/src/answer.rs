//! The four classes of a database's answers, and which code belongs to which.

use std::fmt;

/// What an answer that is not a success means for what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It passes by itself: the call is tried again after a wait, without end.
    Transient,
    /// The document cannot be stored as it is: that one recording is refused.
    RefusedDocument,
    /// The command was too large: it is halved. A single document that is too large is refused.
    TooLarge,
    /// The database refuses us: an operator has to act, and the call is tried again slowly.
    RefusedClient,
    /// The code is not known here: handled as transient.
    Unknown,
}

/// An operation on the catalog that did not succeed as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What follows from it.
    pub class: Class,
    /// The server's error code, where there was one.
    pub code: Option<i32>,
    /// What happened, in the database's words, with what to do where that is known.
    pub words: String,
}

impl Failure {
    /// A failure that passes by itself.
    pub fn transient(words: impl Into<String>) -> Failure {
        Failure { class: Class::Transient, code: None, words: words.into() }
    }

    /// A failure that an operator has to mend.
    pub fn refused_client(words: impl Into<String>) -> Failure {
        Failure { class: Class::RefusedClient, code: None, words: words.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{} (code {code})", self.words),
            None => f.write_str(&self.words),
        }
    }
}

impl std::error::Error for Failure {}

/// The answer for one document of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Acknowledged: the document is in the catalog as sent.
    Written,
    /// A unique index refused it. Reading the document tells which one.
    Duplicate {
        /// The database's words.
        words: String,
    },
    /// The database refused this document.
    Refused {
        /// The database's words.
        words: String,
    },
    /// This document's write failed in a way that passes: it stays pending.
    Failed(Failure),
}

/// The class of a server's error code.
///
/// Codes are those of the server's own list, `src/mongo/base/error_codes.yml`. An error
/// labelled `RetryableWriteError` is transient whatever its code: `retryable` says so.
pub fn classify(code: i32, retryable: bool) -> Class {
    if retryable {
        return Class::Transient;
    }
    match code {
        // not primary; shutting down; network; time; write concern; out of disk; cursor gone
        189 | 10107 | 13435 | 13436 | 91 | 11600 | 11602 | 6 | 7 | 89 | 9001 | 50 | 262 | 64
        | 79 | 100 | 14031 | 43 | 237 | 133 | 112 | 24 | 317 | 246 | 11601 => Class::Transient,
        // validation; shard key missing; immutable field
        121 | 61 | 66 => Class::RefusedDocument,
        10334 | 17280 | 17419 | 17420 => Class::TooLarge,
        // authorisation, authentication, writes blocked, index conflicts
        13 | 18 | 371 | 8000 | 85 | 86 => Class::RefusedClient,
        _ => Class::Unknown,
    }
}
