//! One write command, and what the server answers to each of its documents.

use focus_core::answer::{Answer, Class, Failure};
use mongodb::bson::raw::{RawArrayBuf, RawDocumentBuf};
use mongodb::bson::{Bson, Document, cstr};

use super::settings::MongoSettings;
use super::state::MongoState;
use super::{collation, failure};
use crate::Versioned;

/// The code of an error by which a unique index refuses a document.
const DUPLICATE_KEY: i32 = 11000;

/// What a write command does with each of its documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteKind {
    /// Inserts it.
    Insert,
    /// Updates what meets a condition.
    Update,
}

/// The statements of a batch, with an answer for each document.
struct Statements {
    statements: RawArrayBuf,
    /// Which document of the batch each statement is of: what BSON cannot hold is not sent.
    sent: Vec<usize>,
    /// Written, until the server says otherwise; refused where BSON cannot hold it.
    answers: Vec<Answer>,
}

impl Statements {
    fn of(
        batch: &[Versioned],
        statement: &(dyn Fn(&Versioned) -> Option<RawDocumentBuf> + Sync),
    ) -> Statements {
        let mut out = Statements {
            statements: RawArrayBuf::new(),
            sent: Vec::with_capacity(batch.len()),
            answers: Vec::with_capacity(batch.len()),
        };
        for (at, document) in batch.iter().enumerate() {
            out.answers.push(match statement(document) {
                Some(statement) => {
                    out.statements.push(statement);
                    out.sent.push(at);
                    Answer::Written
                }
                None => Answer::Refused { words: "BSON cannot hold it".to_owned() },
            });
        }
        out
    }
}

/// Sends a batch in one unordered command, and gives every document its own answer, in order.
///
/// # Errors
/// The database did not answer, or what it wrote is not safe: nothing is acknowledged.
pub(super) async fn send(
    state: &MongoState,
    collection: &str,
    kind: WriteKind,
    batch: &[Versioned],
    statement: &(dyn Fn(&Versioned) -> Option<RawDocumentBuf> + Sync),
) -> Result<Vec<Answer>, Failure> {
    let Statements { statements, sent, mut answers } = Statements::of(batch, statement);
    if sent.is_empty() {
        return Ok(answers);
    }
    let mut command = command(collection, kind, statements);
    let reply = state
        .call(state.write_limit(), |live, database| async move {
            command.append(cstr!("writeConcern"), RawDocumentBuf::try_from(&live.write_concern)?);
            database.run_raw_command(command).await
        })
        .await;
    let reply = match reply {
        // Some servers answer for a single document with the command's own error.
        Err(failure) if sent.len() == 1 && failure.code == Some(DUPLICATE_KEY) => {
            answers[sent[0]] = Answer::Duplicate { words: failure.words };
            return Ok(answers);
        }
        reply => reply?,
    };
    if let Some(failure) = write_concern_failure(&reply) {
        // Done there perhaps, but not safely: nothing is acknowledged.
        return Err(failure);
    }
    for error in reply.get_array("writeErrors").into_iter().flatten() {
        let Some(error) = error.as_document() else { continue };
        let index = number(error, "index").and_then(|index| usize::try_from(index).ok());
        if let Some(&at) = index.and_then(|index| sent.get(index)) {
            answers[at] = answer(&state.settings, error);
        }
    }
    if kind == WriteKind::Update {
        mark_unmatched(&reply, &mut answers);
    }
    if answers.contains(&Answer::Written) {
        state.acknowledged();
    }
    Ok(answers)
}

fn command(collection: &str, kind: WriteKind, statements: RawArrayBuf) -> RawDocumentBuf {
    let mut command = RawDocumentBuf::new();
    match kind {
        WriteKind::Insert => {
            command.append(cstr!("insert"), collection);
            command.append(cstr!("documents"), statements);
        }
        WriteKind::Update => {
            command.append(cstr!("update"), collection);
            command.append(cstr!("updates"), statements);
        }
    }
    command.append(cstr!("ordered"), false);
    command
}

/// A single update without upsert that matched nothing: the document is not as it was read.
fn mark_unmatched(reply: &Document, answers: &mut [Answer]) {
    if answers.len() == 1 && number(reply, "n") == Some(0) && answers[0] == Answer::Written {
        answers[0] = Answer::Duplicate { words: "the document has changed meanwhile".to_owned() };
    }
}

/// The failure of a write that was done and is not safe; none where it is safe.
pub(super) fn write_concern_failure(reply: &Document) -> Option<Failure> {
    let error = reply.get_document("writeConcernError").ok()?;
    let code = number(error, "code").and_then(|code| i32::try_from(code).ok());
    let words = error.get_str("errmsg").unwrap_or("the write concern was not met").to_owned();
    Some(Failure { class: Class::Transient, code, words })
}

/// The answer for a document with this write error.
fn answer(settings: &MongoSettings, error: &Document) -> Answer {
    let code = number(error, "code").and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
    let message = error.get_str("errmsg").unwrap_or("no words");
    let words = failure::redact(&settings.uri, message);
    if code == DUPLICATE_KEY || code == 11001 {
        return Answer::Duplicate { words };
    }
    match failure::class_of(code, message, false) {
        Class::RefusedDocument | Class::TooLarge => Answer::Refused { words },
        class => {
            let words = failure::advise(settings, code, &words);
            Answer::Failed(Failure { class, code: Some(code), words })
        }
    }
}

/// A number of a reply, in whatever type the server sends it.
pub(super) fn number(document: &Document, key: &str) -> Option<i64> {
    match document.get(key)? {
        Bson::Int32(value) => Some(i64::from(*value)),
        Bson::Int64(value) => Some(*value),
        #[expect(clippy::cast_possible_truncation, reason = "servers may send counts as doubles")]
        Bson::Double(value) => Some(*value as i64),
        _ => None,
    }
}

/// A write command in which every statement must succeed.
pub(super) async fn run_write(state: &MongoState, mut command: Document) -> Result<(), Failure> {
    let settings = state.settings.clone();
    let reply = state
        .call(state.write_limit(), |live, database| async move {
            command.insert("ordered", false);
            if live.has_collations {
                collation::name_in_statements(&mut command);
            }
            command.insert("writeConcern", live.write_concern.clone());
            database.run_command(command).await
        })
        .await?;
    if let Some(failure) = write_concern_failure(&reply) {
        return Err(failure);
    }
    for error in reply.get_array("writeErrors").into_iter().flatten() {
        let Some(error) = error.as_document() else { continue };
        // Two upserts of one key met: the repetition finds it there.
        return Err(failure_of(&settings, error)
            .unwrap_or_else(|| Failure::transient("two writes of one key met")));
    }
    state.acknowledged();
    Ok(())
}

/// The failure of a write error; none if the error is a duplicate key.
pub(super) fn failure_of(settings: &MongoSettings, error: &Document) -> Option<Failure> {
    match answer(settings, error) {
        Answer::Failed(failure) => Some(failure),
        Answer::Refused { words } => {
            Some(Failure { class: Class::RefusedDocument, code: None, words })
        }
        Answer::Duplicate { .. } | Answer::Written => None,
    }
}
