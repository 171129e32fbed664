//! What the collection `focus_meta` says of the database: its identity, the watermarks, and what was told of alerts.

use std::time::Duration;

use focus_core::answer::{Class, Failure};
use mongodb::action::Action;
use mongodb::bson::{Document, doc};

use super::state::MongoState;
use super::write_command::run_write;
use crate::RootPlace;

/// A reading of `focus_meta` ends within this.
const LIMIT: Duration = Duration::from_secs(30);

/// The random value that identifies this database. The first use makes it.
pub(super) async fn identity(state: &MongoState) -> Result<String, Failure> {
    if let Some(identity) = meta(state, "identity").await? {
        return Ok(identity);
    }
    let fresh = uuid::Uuid::new_v4().to_string();
    let update = doc! {
        "q": { "_id": "identity" }, "u": { "$setOnInsert": { "value": fresh } }, "upsert": true,
    };
    run_write(state, doc! { "update": "focus_meta", "updates": [update] }).await?;
    meta(state, "identity").await?.ok_or_else(|| Failure {
        class: Class::Unknown,
        code: None,
        words: "the identity in focus_meta cannot be read back".to_owned(),
    })
}

/// The text under `value` in a document of `focus_meta`.
pub(super) async fn meta(state: &MongoState, id: &str) -> Result<Option<String>, Failure> {
    let filter = doc! { "_id": id };
    let found = state
        .call(LIMIT, |live, database| async move {
            database
                .collection::<Document>("focus_meta")
                .find_one(filter)
                .optional(live.simple(), |find, simple| find.collation(simple))
                .await
        })
        .await?;
    Ok(found.and_then(|document| document.get_str("value").ok().map(str::to_owned)))
}

pub(super) async fn mark(
    state: &MongoState,
    root: &RootPlace,
    watermark: &str,
) -> Result<(), Failure> {
    let id = format!("watermark:{}", root.id);
    let update = doc! {
        "q": { "_id": id }, "u": { "$set": { "value": watermark } }, "upsert": true,
    };
    run_write(state, doc! { "update": "focus_meta", "updates": [update] }).await
}

/// Writes what was told of alerts, where nothing stands that was written under a higher token.
pub(super) async fn put_alerts(
    state: &MongoState,
    root: &RootPlace,
    token: i64,
    text: &str,
) -> Result<(), Failure> {
    let id = format!("alerts:{}", root.id);
    let update = doc! {
        "q": { "_id": id, "token": { "$not": { "$gt": token } } },
        "u": { "$set": { "value": text, "token": token } },
        "upsert": true,
    };
    run_write(state, doc! { "update": "focus_meta", "updates": [update] }).await
}
