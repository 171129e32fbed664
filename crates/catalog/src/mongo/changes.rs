//! Changes by others to the documents of a root, from the server's change streams, if it has them.
//!
//! The server leaves out our own writes: each of them sets `indexed_at`, and nobody else has a
//! reason to. It also leaves out what others insert: while `uuid` is unique, an insert changes no
//! document that is there. A stream goes on where the last one ended, so it reports what happened
//! in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use focus_core::answer::{Class, Failure};
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType};
use mongodb::error::Error;

use super::failure;
use super::state::{LiveConnection, MongoState, ResumePoint, StreamSupport};
use crate::{ChangeHints, Reach, RootPlace};

/// How long the server waits for a change before it says that there is none.
const AWAIT: Duration = Duration::from_secs(1);

/// Changed documents whose uuid is read with one call.
const READ_MAX: usize = 100;

/// A call that asks for change streams ends within this.
const LIMIT: Duration = Duration::from_secs(10);

/// Our fields of a document, without `indexed_at`.
const FIELDS: [&str; 12] = [
    "uuid",
    "root",
    "start_time",
    "end_time",
    "deleted",
    "deleted_at",
    "recording_id",
    "path",
    "size",
    "fingerprint",
    "metadata",
    "version",
];

/// Ends the listening task. The task checks it between two calls.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Follows the changes until the connection goes. Returns false if the server reports none.
pub(super) async fn follow(
    state: &Arc<MongoState>,
    root: &RootPlace,
    hints: &Arc<ChangeHints>,
) -> Result<bool, Failure> {
    let live = state.live()?;
    let epoch = live.epoch;
    let collection = state.collections_of(root)?.recordings;
    if !probe(state, &root.id, &collection).await? {
        return Ok(false);
    }
    let stop = Stop(Arc::default());
    let mut reach = state.reach.subscribe();
    let task = tokio::spawn(listen(
        Arc::clone(state),
        live,
        (root.id.clone(), collection),
        Arc::clone(hints),
        Arc::clone(&stop.0),
    ));
    let gone = reach.wait_for(|reach| *reach != Reach::Up { epoch });
    tokio::select! {
        done = task => match done {
            Ok(Ok(())) => Ok(true),
            Ok(Err(error)) => Err(failure::of(&state.settings, &error)),
            Err(error) => Err(Failure::transient(error.to_string())),
        },
        // A call that hangs there ends with its connection, or never: nothing waits for it.
        _ = gone => Ok(true),
    }
}

/// Whether the server has change streams and lets us read them. It is asked once per connection. A
/// root without a place to go on from begins there.
pub(super) async fn probe(
    state: &MongoState,
    root: &str,
    collection: &str,
) -> Result<bool, Failure> {
    let epoch = state.live()?.epoch;
    let known = state.stream_support.lock().get(collection).cloned();
    let known = match known {
        Some(known) if known.epoch == epoch => known,
        _ => {
            let known = ask(state, epoch, collection).await?;
            state.stream_support.lock().insert(collection.to_owned(), known.clone());
            known
        }
    };
    if let Some(token) = known.from {
        state.resume_points.lock().entry(root.to_owned()).or_insert(ResumePoint::After(token));
    }
    Ok(known.can)
}

async fn ask(state: &MongoState, epoch: u64, collection: &str) -> Result<StreamSupport, Failure> {
    let stage = doc! { "$changeStream": {} };
    let command = doc! { "aggregate": collection, "pipeline": [stage], "cursor": {} };
    let asked =
        state.call(LIMIT, |_, database| async move { database.run_command(command).await }).await;
    match asked {
        Ok(reply) => {
            close(state, collection, &reply).await;
            let cursor = reply.get_document("cursor").ok();
            let token = cursor.and_then(|cursor| cursor.get("postBatchResumeToken")).cloned();
            let from = token.and_then(|token| mongodb::bson::deserialize_from_bson(token).ok());
            Ok(StreamSupport { epoch, can: true, from })
        }
        Err(failure) if failure.class == Class::Transient => Err(failure),
        Err(failure) => {
            state.remark(&format!(
                "the server has no change streams for us ({failure}): what others change in the catalog is found by the periodic comparison alone"
            ));
            Ok(StreamSupport { epoch, can: false, from: None })
        }
    }
}

/// Closes the cursor that a probe opened. The server closes a cursor that is left open after a
/// while.
async fn close(state: &MongoState, collection: &str, reply: &Document) {
    let Some(id) = reply.get_document("cursor").ok().and_then(|cursor| cursor.get_i64("id").ok())
    else {
        return;
    };
    let command = doc! { "killCursors": collection, "cursors": [id] };
    let _ =
        state.call(LIMIT, |_, database| async move { database.run_command(command).await }).await;
}

async fn listen(
    state: Arc<MongoState>,
    live: LiveConnection,
    (root, name): (String, String),
    hints: Arc<ChangeHints>,
    stop: Arc<AtomicBool>,
) -> Result<(), Error> {
    let database = live.writer.database(&state.settings.database);
    let heard = hear(&state, &database.collection(&name), &root, &hints, &stop).await;
    if let Err(error) = &heard
        && failure::of(&state.settings, error).class != Class::Transient
        && let Some(resume) = state.resume_points.lock().get_mut(&root)
    {
        // It cannot go on from there.
        *resume = ResumePoint::Lost;
    }
    heard
}

async fn hear(
    state: &MongoState,
    collection: &Collection<Document>,
    root: &str,
    hints: &ChangeHints,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let resume = state.resume_points.lock().get(root).cloned();
    let watch = collection.watch().pipeline(pipeline()).max_await_time(AWAIT);
    let mut stream = match &resume {
        Some(ResumePoint::After(token)) => watch.resume_after(token.clone()).await?,
        Some(ResumePoint::AfterDrop(token)) => watch.start_after(token.clone()).await?,
        Some(ResumePoint::Lost) | None => watch.await?,
    };
    if let Some(ResumePoint::Lost) = resume {
        // From here on all is told; what has happened before is not known.
        hints.everything();
    }
    let go_on = |resume| state.resume_points.lock().insert(root.to_owned(), resume);
    let mut changed = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let event = stream.next_if_any().await?;
        let quiet = event.is_none();
        match event.as_ref().map(scope_of) {
            None | Some(ChangeScope::OthersFields) => {}
            Some(ChangeScope::Document(id)) => changed.push(id),
            Some(ChangeScope::Everything) => hints.everything(),
        }
        if let Some(event) = event
            && event.operation_type == OperationType::Invalidate
        {
            // The collection is gone, and this stream with it.
            go_on(ResumePoint::AfterDrop(event.id));
            return Ok(());
        }
        // One that has ended may hold events that are not read yet.
        if quiet && !stream.is_alive() {
            go_on(ResumePoint::Lost);
            return Ok(());
        }
        if quiet || changed.len() >= READ_MAX {
            tell(collection, std::mem::take(&mut changed), hints).await?;
            if let Some(token) = stream.resume_token() {
                go_on(ResumePoint::After(token));
            }
        }
    }
    Ok(())
}

/// Changes of others, without the documents themselves.
fn pipeline() -> [Document; 2] {
    let gone = ["delete", "replace", "drop", "rename", "dropDatabase", "invalidate"];
    let altered = doc! {
        "operationType": "update",
        "updateDescription.updatedFields.indexed_at": { "$exists": false },
    };
    let wanted = doc! { "$or": [{ "operationType": { "$in": gone.to_vec() } }, altered] };
    [doc! { "$match": wanted }, doc! { "$project": { "fullDocument": 0 } }]
}

/// Which of our documents an event is about.
#[derive(Debug, PartialEq)]
enum ChangeScope {
    /// Fields of others alone: no news.
    OthersFields,
    /// The document with this `_id`.
    Document(Bson),
    /// Documents that the event does not name.
    Everything,
}

fn scope_of(event: &ChangeStreamEvent<Document>) -> ChangeScope {
    let id = event.document_key.as_ref().and_then(|key| key.get("_id")).cloned();
    match (&event.operation_type, id) {
        (OperationType::Replace, Some(id)) => ChangeScope::Document(id),
        (OperationType::Update, Some(id)) => {
            let Some(update) = &event.update_description else { return ChangeScope::Document(id) };
            let cut = update.truncated_arrays.iter().flatten().map(|array| &array.field);
            let names = update.updated_fields.keys().chain(&update.removed_fields).chain(cut);
            let mut ours = names
                .map(|name| name.split('.').next().unwrap_or(name))
                .filter(|name| FIELDS.contains(name))
                .peekable();
            if ours.peek().is_none() {
                ChangeScope::OthersFields
            } else if ours.any(|name| name == "uuid") {
                // The one that it had is not told.
                ChangeScope::Everything
            } else {
                ChangeScope::Document(id)
            }
        }
        _ => ChangeScope::Everything,
    }
}

/// Reads the uuids of changed documents. A document that is gone since then has an event of its
/// own.
async fn tell(
    collection: &Collection<Document>,
    ids: Vec<Bson>,
    hints: &ChangeHints,
) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    // By `_id`, which has the collection's collation: what is equal by it is one document.
    let mut found =
        collection.find(doc! { "_id": { "$in": ids } }).projection(doc! { "uuid": 1 }).await?;
    while let Some(document) = found.try_next().await? {
        match document.get_str("uuid") {
            Ok(uuid) => hints.document(uuid.to_owned()),
            Err(_) => hints.everything(),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(operation: &str, update: Option<Document>) -> ChangeStreamEvent<Document> {
        let mut event = doc! {
            "_id": { "_data": "00" },
            "operationType": operation,
            "ns": { "db": "focus", "coll": "node4" },
            "documentKey": { "_id": 7 },
        };
        if let Some(update) = update {
            event.insert("updateDescription", update);
        }
        let bytes = mongodb::bson::serialize_to_vec(&event).expect("BSON");
        mongodb::bson::deserialize_from_slice(&bytes).expect("an event")
    }

    #[test]
    fn fields_of_others_are_no_news_and_ours_are() {
        let altered = |set: Document, removed: &[&str]| {
            let update = doc! { "updatedFields": set, "removedFields": removed.to_vec() };
            scope_of(&event("update", Some(update)))
        };
        let one = || ChangeScope::Document(Bson::Int32(7));
        assert_eq!(
            altered(doc! { "note": "x", "sizes": 1 }, &["mine.size"]),
            ChangeScope::OthersFields
        );
        assert_eq!(altered(doc! { "metadata.gain": 2 }, &[]), one());
        assert_eq!(altered(doc! {}, &["deleted_at"]), one());
        assert_eq!(altered(doc! { "uuid": "other", "size": 1 }, &[]), ChangeScope::Everything);
        assert_eq!(scope_of(&event("replace", None)), one());
        for gone in ["delete", "drop", "invalidate", "shardCollection"] {
            assert_eq!(scope_of(&event(gone, None)), ChangeScope::Everything, "{gone}");
        }
    }
}
