//! The calls on recordings, unrecognised ones and watermarks.

use std::future::ready;
use std::time::Duration;

use focus_core::answer::{Answer, Class, Failure};
use focus_core::compare::Page;
use focus_core::recording::DRILL_FIELD;
use focus_core::state::State;
use futures_util::TryStreamExt;
use mongodb::bson::raw::{RawArrayBuf, RawDocumentBuf};
use mongodb::bson::{Bson, DateTime, Document, cstr, doc};

use super::{Live, Shared, document, failure};
use crate::{RootPlace, Stored, UnrecognisedDoc, Versioned};

/// The code of an error by which a unique index refuses a document.
const DUPLICATE_KEY: i32 = 11000;

/// The longest time of a read.
const READ_LIMIT: Duration = Duration::from_secs(20);

impl Live {
    /// The database's time now: its time at the start of the connection, carried on by our own
    /// clock.
    fn now(&self) -> DateTime {
        let passed = i64::try_from(self.clock.1.elapsed().as_millis()).unwrap_or(0);
        DateTime::from_millis(self.clock.0.timestamp_millis().saturating_add(passed))
    }
}

pub(super) async fn insert(
    shared: &Shared,
    root: &RootPlace,
    batch: &[Versioned],
) -> Result<Vec<Answer>, Failure> {
    let collection = shared.place(root)?.recordings;
    let now = shared.live()?.now();
    let mut command = RawDocumentBuf::new();
    command.append(cstr!("insert"), collection.as_str());
    let made = |document: &Versioned| document::whole(document, now);
    send(shared, command, "documents", batch, &made, shared.write_limit()).await
}

pub(super) async fn upsert(
    shared: &Shared,
    root: &RootPlace,
    batch: &[Versioned],
) -> Result<Vec<Answer>, Failure> {
    let now = shared.live()?.now();
    let made = |document: &Versioned| {
        let query = doc! {
            "uuid": &document.recording.uuid,
            "root": &root.id,
            "version": { "$not": { "$gt": document.version } },
        };
        update(&query, document, now, true)
    };
    update_all(shared, root, batch, &made).await
}

pub(super) async fn adopt(
    shared: &Shared,
    root: &RootPlace,
    document: &Versioned,
) -> Result<Answer, Failure> {
    let query = doc! { "uuid": &document.recording.uuid, "root": null };
    claim(shared, root, document, query).await
}

pub(super) async fn take_over(
    shared: &Shared,
    root: &RootPlace,
    document: &Versioned,
    from: &Stored,
) -> Result<Answer, Failure> {
    let mut query = doc! {
        "uuid": &document.recording.uuid,
        "root": from.root.clone(),
        "version": from.version,
    };
    if from.deleted {
        query.insert("deleted", true);
    }
    claim(shared, root, document, query).await
}

pub(super) async fn remove_drilled(
    shared: &Shared,
    root: &RootPlace,
    batch: &[Versioned],
) -> Result<(), Failure> {
    let collection = shared.place(root)?.recordings;
    let mark = format!("metadata.{DRILL_FIELD}");
    let deletes: Vec<Document> = batch
        .iter()
        .map(|document| {
            let query = doc! {
                "uuid": &document.recording.uuid,
                "root": &root.id,
                &mark: { "$exists": true },
                "version": { "$not": { "$gt": document.version } },
            };
            doc! { "q": query, "limit": 1 }
        })
        .collect();
    run_write(shared, doc! { "delete": collection, "deletes": deletes }).await
}

/// Makes a document of others ours, if it still is as `query` says.
async fn claim(
    shared: &Shared,
    root: &RootPlace,
    document: &Versioned,
    query: Document,
) -> Result<Answer, Failure> {
    let now = shared.live()?.now();
    let made = |document: &Versioned| {
        let mut set = document::fields(document, now)?;
        set.append(cstr!("root"), root.id.as_str());
        statement(&query, &set, false)
    };
    let batch = std::slice::from_ref(document);
    let answers = update_all(shared, root, batch, &made).await?;
    Ok(answers.into_iter().next().unwrap_or_else(|| {
        Answer::Failed(Failure::transient("the database did not answer for this document"))
    }))
}

fn update(
    query: &Document,
    document: &Versioned,
    now: DateTime,
    upsert: bool,
) -> Option<RawDocumentBuf> {
    statement(query, &document::fields(document, now)?, upsert)
}

/// One update: plain `$set`, so that no value is ever evaluated.
fn statement(query: &Document, set: &RawDocumentBuf, upsert: bool) -> Option<RawDocumentBuf> {
    let mut change = RawDocumentBuf::new();
    change.append(cstr!("$set"), set);
    let mut statement = RawDocumentBuf::new();
    statement.append(cstr!("q"), RawDocumentBuf::try_from(query).ok()?);
    statement.append(cstr!("u"), change);
    statement.append(cstr!("upsert"), upsert);
    statement.append(cstr!("multi"), false);
    Some(statement)
}

async fn update_all(
    shared: &Shared,
    root: &RootPlace,
    batch: &[Versioned],
    made: &(dyn Fn(&Versioned) -> Option<RawDocumentBuf> + Sync),
) -> Result<Vec<Answer>, Failure> {
    let collection = shared.place(root)?.recordings;
    let mut command = RawDocumentBuf::new();
    command.append(cstr!("update"), collection.as_str());
    send(shared, command, "updates", batch, made, shared.write_limit()).await
}

/// Sends a batch in one unordered command, and returns an answer for every document.
async fn send(
    shared: &Shared,
    mut command: RawDocumentBuf,
    field: &str,
    batch: &[Versioned],
    made: &(dyn Fn(&Versioned) -> Option<RawDocumentBuf> + Sync),
    limit: Duration,
) -> Result<Vec<Answer>, Failure> {
    let mut statements = RawArrayBuf::new();
    // Which of the batch each statement is: what BSON cannot hold is not sent.
    let mut sent = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    for (at, document) in batch.iter().enumerate() {
        match made(document) {
            Some(statement) => {
                statements.push(statement);
                sent.push(at);
                answers.push(Answer::Written);
            }
            None => answers.push(Answer::Refused { words: "BSON cannot hold it".to_owned() }),
        }
    }
    if sent.is_empty() {
        return Ok(answers);
    }
    if field == "documents" {
        command.append(cstr!("documents"), statements);
    } else {
        command.append(cstr!("updates"), statements);
    }
    command.append(cstr!("ordered"), false);
    let settings = shared.settings.clone();
    let reply = shared
        .call(limit, |live, database| async move {
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
            answers[at] = answer(&settings, error);
        }
    }
    if field == "updates" {
        mark_unmatched(&reply, &mut answers, batch.len());
    }
    if answers.contains(&Answer::Written) {
        shared.acknowledged();
    }
    Ok(answers)
}

/// A single update without upsert that matched nothing: the document is not as it was read.
fn mark_unmatched(reply: &Document, answers: &mut [Answer], count: usize) {
    if count == 1 && number(reply, "n") == Some(0) && answers[0] == Answer::Written {
        answers[0] = Answer::Duplicate { words: "the document has changed meanwhile".to_owned() };
    }
}

pub(super) fn write_concern_failure(reply: &Document) -> Option<Failure> {
    let error = reply.get_document("writeConcernError").ok()?;
    let code = number(error, "code").and_then(|code| i32::try_from(code).ok());
    let words = error.get_str("errmsg").unwrap_or("the write concern was not met").to_owned();
    Some(Failure { class: Class::Transient, code, words })
}

/// The answer for a document with this write error.
fn answer(settings: &super::MongoSettings, error: &Document) -> Answer {
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

pub(super) fn number(document: &Document, key: &str) -> Option<i64> {
    match document.get(key)? {
        Bson::Int32(value) => Some(i64::from(*value)),
        Bson::Int64(value) => Some(*value),
        #[expect(clippy::cast_possible_truncation, reason = "servers may send counts as doubles")]
        Bson::Double(value) => Some(*value as i64),
        _ => None,
    }
}

pub(super) async fn read(
    shared: &Shared,
    root: &RootPlace,
    uuids: &[String],
) -> Result<Vec<Stored>, Failure> {
    let filter = doc! { "uuid": { "$in": uuids } };
    let collection = shared.place(root)?.recordings;
    shared
        .call(READ_LIMIT, |_, database| async move {
            let cursor = database
                .collection::<RawDocumentBuf>(&collection)
                .find(filter)
                .projection(document::ours())
                .await?;
            let found = cursor.try_filter_map(|found| ready(Ok(document::stored(&found))));
            found.try_collect().await
        })
        .await
}

pub(super) async fn page(
    shared: &Shared,
    root: &RootPlace,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<Stored>, Failure> {
    let filter = doc! { "uuid": { "$gt": after.unwrap_or("") }, "root": &root.id };
    let collection = shared.place(root)?.recordings;
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    shared
        .call(READ_LIMIT, |_, database| async move {
            let mut cursor = database
                .collection::<RawDocumentBuf>(&collection)
                .find(filter)
                .projection(document::ours())
                .sort(doc! { "uuid": 1 })
                .limit(most)
                .await?;
            let mut page = Page::new();
            while let Some(found) = cursor.try_next().await? {
                // With a uuid above a text, it has one that is a text.
                let Some(stored) = document::stored(&found) else { continue };
                if !page.add(stored, found.as_bytes().len(), limit) {
                    break;
                }
            }
            Ok(page)
        })
        .await
}

pub(super) async fn mark(
    shared: &Shared,
    root: &RootPlace,
    watermark: &str,
) -> Result<(), Failure> {
    let id = format!("watermark:{}", root.id);
    let update = doc! {
        "q": { "_id": id }, "u": { "$set": { "value": watermark } }, "upsert": true,
    };
    run_write(shared, doc! { "update": "focus_meta", "updates": [update] }).await
}

/// A write command in which every statement must succeed.
pub(super) async fn run_write(shared: &Shared, mut command: Document) -> Result<(), Failure> {
    let settings = shared.settings.clone();
    let reply = shared
        .call(shared.write_limit(), |live, database| async move {
            command.insert("ordered", false);
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
    shared.acknowledged();
    Ok(())
}

/// The failure of a write error; none if the error is a duplicate key.
pub(super) fn failure_of(settings: &super::MongoSettings, error: &Document) -> Option<Failure> {
    match answer(settings, error) {
        Answer::Failed(failure) => Some(failure),
        Answer::Refused { words } => {
            Some(Failure { class: Class::RefusedDocument, code: None, words })
        }
        Answer::Duplicate { .. } | Answer::Written => None,
    }
}

pub(super) async fn put_unrecognised(
    shared: &Shared,
    root: &RootPlace,
    batch: &[UnrecognisedDoc],
) -> Result<(), Failure> {
    let place = shared.place(root)?;
    let updates: Vec<Document> = batch
        .iter()
        .map(|item| {
            let mut set = doc! {
                "folder_name": &item.folder_name,
                "file_count": item.file_count,
                "update_time": DateTime::from_millis(item.update_time_ms),
                "state": item.state.name(),
                "reason": &item.reason,
            };
            if shared.settings.layout == super::Layout::Collection {
                set.insert("root", &root.id);
            }
            doc! { "q": { "_id": unrecognised_id(root, &item.folder_name) }, "u": { "$set": set }, "upsert": true }
        })
        .collect();
    run_write(shared, doc! { "update": place.unrecognised, "updates": updates }).await
}

pub(super) async fn remove_unrecognised(
    shared: &Shared,
    root: &RootPlace,
    folder_names: &[String],
) -> Result<(), Failure> {
    let place = shared.place(root)?;
    let deletes: Vec<Document> = folder_names
        .iter()
        .map(|name| doc! { "q": { "_id": unrecognised_id(root, name) }, "limit": 1 })
        .collect();
    run_write(shared, doc! { "delete": place.unrecognised, "deletes": deletes }).await
}

fn unrecognised_id(root: &RootPlace, folder_name: &str) -> String {
    format!("{}:{folder_name}", root.id)
}

pub(super) async fn page_unrecognised(
    shared: &Shared,
    root: &RootPlace,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<UnrecognisedDoc>, Failure> {
    let place = shared.place(root)?;
    let from = unrecognised_id(root, after.unwrap_or(""));
    let until = format!("{};", root.id);
    let filter = doc! { "_id": { "$gt": from, "$lt": until } };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let documents = shared
        .call(READ_LIMIT, |_, database| async move {
            let cursor = database
                .collection::<Document>(&place.unrecognised)
                .find(filter)
                .sort(doc! { "_id": 1 })
                .limit(limit)
                .await?;
            cursor.try_collect::<Vec<Document>>().await
        })
        .await?;
    Ok(documents
        .iter()
        .map(|document| {
            let text = |key: &str| document.get_str(key).unwrap_or_default().to_owned();
            UnrecognisedDoc {
                folder_name: text("folder_name"),
                file_count: number(document, "file_count").unwrap_or(0),
                update_time_ms: document
                    .get_datetime("update_time")
                    .map_or(0, |date| date.timestamp_millis()),
                state: State::from_name(&text("state")).unwrap_or(State::Unreadable),
                reason: text("reason"),
            }
        })
        .collect())
}

pub(super) async fn count(shared: &Shared, root: &RootPlace) -> Result<u64, Failure> {
    count_where(shared, root, doc! { "root": &root.id, "deleted": false }).await
}

pub(super) async fn foreign(shared: &Shared, root: &RootPlace) -> Result<u64, Failure> {
    count_where(shared, root, doc! { "root": { "$ne": &root.id } }).await
}

async fn count_where(shared: &Shared, root: &RootPlace, filter: Document) -> Result<u64, Failure> {
    let place = shared.place(root)?;
    shared
        .call(READ_LIMIT, |_, database| async move {
            database.collection::<Document>(&place.recordings).count_documents(filter).await
        })
        .await
}
