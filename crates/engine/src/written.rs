//! Counts the writes to the catalog by their outcome.

use std::time::Duration;

use focus_common::metrics::counters;
use focus_core::answer::{Answer, Failure};
use focus_core::batch::{Call, Reply};

/// How many documents a call writes; none where it only reads.
pub(crate) fn documents(call: &Call) -> Option<u64> {
    match call {
        Call::Insert(batch) | Call::Upsert(batch) | Call::Remove(batch) => Some(batch.len() as u64),
        Call::Adopt(_) | Call::TakeOver(..) => Some(1),
        Call::Read(_) | Call::Prefer { .. } => None,
    }
}

/// Counts the outcome of `sent` documents in a call that took so long.
pub(crate) fn count_written(sent: u64, took: Duration, reply: &Result<Reply, Failure>) {
    counters().catalog_write.observe(took.as_secs_f64());
    let count = |result, count| {
        counters().catalog_writes.with_label_values(&[result]).inc_by(count);
    };
    match reply {
        Ok(Reply::Answers(answers)) => {
            for answer in answers {
                count(
                    match answer {
                        Answer::Written => "written",
                        Answer::Duplicate { .. } => "duplicate",
                        Answer::Refused { .. } => "refused",
                        Answer::Failed(_) => "failed",
                    },
                    1,
                );
            }
        }
        Ok(Reply::Removed) => count("removed", sent),
        Ok(Reply::Documents(_) | Reply::Preferred(_)) => {}
        Err(_) => count("failed", sent),
    }
}
