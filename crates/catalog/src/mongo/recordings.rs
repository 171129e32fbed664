//! The calls on recordings.

use std::collections::BTreeSet;
use std::future::ready;

use focus_core::answer::{Answer, Failure};
use focus_core::recording::DRILL_FIELD;
use futures_util::TryStreamExt;
use mongodb::action::Action;
use mongodb::bson::raw::RawDocumentBuf;
use mongodb::bson::{Document, cstr, doc};

use super::settings::Layout;
use super::state::{LiveConnection, MongoState, READ_LIMIT};
use super::write_command::{WriteKind, run_write, send};
use super::{collation, document, open};
use crate::{RootPlace, Stored, Versioned};

pub(super) async fn insert(
    state: &MongoState,
    root: &RootPlace,
    batch: &[Versioned],
) -> Result<Vec<Answer>, Failure> {
    let collection = state.collections_of(root)?.recordings;
    let now = state.live()?.now();
    let whole = |document: &Versioned| document::whole(document, now);
    send(state, &collection, WriteKind::Insert, batch, &whole).await
}

pub(super) async fn upsert(
    state: &MongoState,
    root: &RootPlace,
    batch: &[Versioned],
) -> Result<Vec<Answer>, Failure> {
    let live = state.live()?;
    let now = live.now();
    let update = |document: &Versioned| {
        let query = doc! {
            "uuid": &document.recording.uuid,
            "root": &root.id,
            "version": { "$not": { "$gt": document.version } },
        };
        update_statement(&live, &query, &document::fields(document, now)?, true)
    };
    update_all(state, root, batch, &update).await
}

pub(super) async fn adopt(
    state: &MongoState,
    root: &RootPlace,
    document: &Versioned,
) -> Result<Answer, Failure> {
    let query = doc! { "uuid": &document.recording.uuid, "root": null };
    claim(state, root, document, query).await
}

pub(super) async fn take_over(
    state: &MongoState,
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
    claim(state, root, document, query).await
}

pub(super) async fn remove_drilled(
    state: &MongoState,
    root: &RootPlace,
    batch: &[Versioned],
) -> Result<(), Failure> {
    let collection = state.collections_of(root)?.recordings;
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
    run_write(state, doc! { "delete": collection, "deletes": deletes }).await
}

/// Makes a document of others ours, if it still is as `query` says.
async fn claim(
    state: &MongoState,
    root: &RootPlace,
    document: &Versioned,
    query: Document,
) -> Result<Answer, Failure> {
    let live = state.live()?;
    let now = live.now();
    let update = |document: &Versioned| {
        let mut set = document::fields(document, now)?;
        set.append(cstr!("root"), root.id.as_str());
        update_statement(&live, &query, &set, false)
    };
    let batch = std::slice::from_ref(document);
    let answers = update_all(state, root, batch, &update).await?;
    Ok(answers.into_iter().next().unwrap_or_else(|| {
        Answer::Failed(Failure::transient("the database did not answer for this document"))
    }))
}

/// One update: plain `$set`, so that no value is ever evaluated.
fn update_statement(
    live: &LiveConnection,
    query: &Document,
    set: &RawDocumentBuf,
    upsert: bool,
) -> Option<RawDocumentBuf> {
    let mut change = RawDocumentBuf::new();
    change.append(cstr!("$set"), set);
    let mut statement = RawDocumentBuf::new();
    statement.append(cstr!("q"), RawDocumentBuf::try_from(query).ok()?);
    statement.append(cstr!("u"), change);
    statement.append(cstr!("upsert"), upsert);
    statement.append(cstr!("multi"), false);
    if live.has_collations {
        statement
            .append(cstr!("collation"), RawDocumentBuf::try_from(&collation::document()).ok()?);
    }
    Some(statement)
}

async fn update_all(
    state: &MongoState,
    root: &RootPlace,
    batch: &[Versioned],
    statement: &(dyn Fn(&Versioned) -> Option<RawDocumentBuf> + Sync),
) -> Result<Vec<Answer>, Failure> {
    let collection = state.collections_of(root)?.recordings;
    send(state, &collection, WriteKind::Update, batch, statement).await
}

pub(super) async fn read(
    state: &MongoState,
    root: &RootPlace,
    uuids: &[String],
) -> Result<Vec<Stored>, Failure> {
    let collection = state.collections_of(root)?.recordings;
    read_in(state, &collection, uuids).await
}

/// Reads the documents with these uuids from a collection.
pub(super) async fn read_in(
    state: &MongoState,
    collection: &str,
    uuids: &[String],
) -> Result<Vec<Stored>, Failure> {
    let filter = doc! { "uuid": { "$in": uuids } };
    let collection = collection.to_owned();
    state
        .call(READ_LIMIT, |live, database| async move {
            let cursor = database
                .collection::<RawDocumentBuf>(&collection)
                .find(filter)
                .optional(live.simple(), |find, simple| find.collation(simple))
                .projection(document::ours())
                .await?;
            let found = cursor.try_filter_map(|found| ready(Ok(document::stored(&found))));
            found.try_collect().await
        })
        .await
}

/// Reads the documents with these uuids, whatever root they are of, before any root was opened.
pub(super) async fn known(state: &MongoState, uuids: &[String]) -> Result<Vec<Stored>, Failure> {
    let collections = match state.settings.layout {
        Layout::Collection => vec![state.settings.collections()],
        Layout::BasePaths => open::base_paths_known(state).await?,
    };
    let mut known = Vec::new();
    for collection in collections {
        known.extend(read_in(state, &collection.recordings, uuids).await?);
    }
    Ok(known)
}

pub(super) async fn count(state: &MongoState, root: &RootPlace) -> Result<u64, Failure> {
    let collection = state.collections_of(root)?.recordings;
    count_where(state, collection, doc! { "root": &root.id, "deleted": false }).await
}

pub(super) async fn foreign(state: &MongoState, roots: &[RootPlace]) -> Result<u64, Failure> {
    // Roots may share a collection: its documents are counted once.
    let collections = roots.iter().map(|root| Ok(state.collections_of(root)?.recordings));
    let collections = collections.collect::<Result<BTreeSet<String>, Failure>>()?;
    let ids: Vec<&str> = roots.iter().map(|root| root.id.as_str()).collect();
    let mut foreign = 0;
    for collection in collections {
        foreign += count_where(state, collection, doc! { "root": { "$nin": &ids } }).await?;
    }
    Ok(foreign)
}

async fn count_where(
    state: &MongoState,
    collection: String,
    filter: Document,
) -> Result<u64, Failure> {
    state
        .call(READ_LIMIT, |live, database| async move {
            database
                .collection::<Document>(&collection)
                .count_documents(filter)
                .optional(live.simple(), |count, simple| count.collation(simple))
                .await
        })
        .await
}
