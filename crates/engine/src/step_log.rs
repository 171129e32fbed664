//! A step of the reconciler in the log, at the level `debug`: for an incident, where the status alone does not
//! tell what a root is doing.

use focus_core::answer::{Answer, Failure};
use focus_core::batch::Reply;
use focus_core::reconcile::Done;

/// What a step led to, in a few words. They hold numbers and the database's own words, and nothing of a
/// sidecar.
pub(crate) fn result(done: &Done) -> String {
    let failed = |failure: &Failure| format!("failed ({:?}): {failure}", failure.class);
    match done {
        Done::Opened(Ok(opened)) => format!("opened {}", opened.identity),
        Done::Picked(picked) => format!("{} picked", picked.items.len()),
        Done::Noted { not_pending, .. } => {
            format!("noted, {} not pending any more", not_pending.len())
        }
        Done::Replied(Ok(Reply::Answers(answers))) => {
            let good = answers.iter().filter(|answer| matches!(answer, Answer::Written)).count();
            format!("{good} of {} written", answers.len())
        }
        Done::Replied(Ok(Reply::Documents(documents))) => format!("{} read", documents.len()),
        Done::Window(Ok(window)) => format!("{} documents", window.documents.len()),
        Done::Rows(rows) => format!("{} rows", rows.items.len()),
        Done::Uuids(_) => done.name().to_owned(),
        Done::SpotChecked(Ok(check)) => {
            format!("{} rows, {} documents", check.rows.len(), check.documents.len())
        }
        Done::Found { dropped } => format!("stored, {dropped} dropped"),
        Done::IndexFailed(words) => format!("the index failed: {words}"),
        Done::Opened(Err(failure))
        | Done::Replied(Err(failure))
        | Done::Marked(Err(failure))
        | Done::Reported(Err(failure))
        | Done::Window(Err(failure))
        | Done::SpotChecked(Err(failure))
        | Done::Swept(Err(failure)) => failed(failure),
        Done::Reported(Ok(count)) => format!("{count} reported"),
        Done::Marked(Ok(())) | Done::Swept(Ok(_)) | Done::Stored | Done::Replied(Ok(_)) => {
            done.name().to_owned()
        }
    }
}
