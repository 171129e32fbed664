//! The calls on the unrecognised collection.

use focus_core::answer::Failure;
use focus_core::state::State;
use futures_util::TryStreamExt;
use mongodb::action::Action;
use mongodb::bson::{DateTime, Document, doc};

use super::settings::Layout;
use super::state::{MongoState, READ_LIMIT};
use super::write_command::{number, run_write};
use crate::{RootPlace, UnrecognisedDoc};

pub(super) async fn put(
    state: &MongoState,
    root: &RootPlace,
    batch: &[UnrecognisedDoc],
) -> Result<(), Failure> {
    let collections = state.collections_of(root)?;
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
            if state.settings.layout == Layout::Collection {
                set.insert("root", &root.id);
            }
            doc! { "q": { "_id": unrecognised_id(root, &item.folder_name) }, "u": { "$set": set }, "upsert": true }
        })
        .collect();
    run_write(state, doc! { "update": collections.unrecognised, "updates": updates }).await
}

pub(super) async fn remove(
    state: &MongoState,
    root: &RootPlace,
    folder_names: &[String],
) -> Result<(), Failure> {
    let collections = state.collections_of(root)?;
    let deletes: Vec<Document> = folder_names
        .iter()
        .map(|name| doc! { "q": { "_id": unrecognised_id(root, name) }, "limit": 1 })
        .collect();
    run_write(state, doc! { "delete": collections.unrecognised, "deletes": deletes }).await
}

fn unrecognised_id(root: &RootPlace, folder_name: &str) -> String {
    format!("{}:{folder_name}", root.id)
}

pub(super) async fn page(
    state: &MongoState,
    root: &RootPlace,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<UnrecognisedDoc>, Failure> {
    let collections = state.collections_of(root)?;
    let from = unrecognised_id(root, after.unwrap_or(""));
    let until = format!("{};", root.id);
    let filter = doc! { "_id": { "$gt": from, "$lt": until } };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let documents = state
        .call(READ_LIMIT, |live, database| async move {
            let cursor = database
                .collection::<Document>(&collections.unrecognised)
                .find(filter)
                .optional(live.simple(), |find, simple| find.collation(simple))
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
