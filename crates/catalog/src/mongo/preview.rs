//! What an opening would make, told without making it.

use std::collections::HashSet;

use focus_core::answer::{Class, Failure};
use mongodb::bson::{Document, doc};

use super::meta::meta;
use super::settings::{Collections, Layout};
use super::state::{MongoState, READ_LIMIT};
use super::{changes, collation, fitness, open};
use crate::RootPlace;

/// What is missing, one phrase each. Makes nothing.
///
/// # Errors
/// An opening would fail.
pub(super) async fn preview(state: &MongoState, root: &RootPlace) -> Result<Vec<String>, Failure> {
    let settings = &state.settings;
    let mut missing = Vec::new();
    if names(state, doc! {}).await?.is_empty() {
        missing.push(format!("the database {}", settings.database));
    }
    let collections = match settings.layout {
        Layout::Collection => Some(settings.collections()),
        Layout::BasePaths => open::base_path_known(state, root).await?,
    };
    match collections {
        Some(collections) => missing.extend(of_root(state, root, &collections).await?),
        None => missing.push(format!(
            "a row for {} in the collection base_paths, with a collection of its own",
            root.path
        )),
    }
    if meta(state, "identity").await?.is_none() {
        missing.push("the identity in the collection focus_meta".to_owned());
    }
    Ok(missing)
}

async fn of_root(
    state: &MongoState,
    root: &RootPlace,
    collections: &Collections,
) -> Result<Vec<String>, Failure> {
    fitness::check_root(state, collections, READ_LIMIT).await?;
    let name = &collections.recordings;
    let mut missing = Vec::new();
    let there = !names(state, doc! { "name": name }).await?.is_empty();
    if !there {
        missing.push(format!("the collection {name}"));
    }
    let fields = open::missing_indexes(&open::list_indexes(state, name).await?, name)?;
    if !fields.is_empty() {
        missing.push(format!("indexes on {}", fields.join(", ")));
    }
    if there && fields.contains(&"uuid") {
        find_duplicate(state, name).await?;
    }
    // Only to know, and to say, what the server lacks.
    let _ = changes::probe(state, &root.id, name).await;
    Ok(missing)
}

async fn names(state: &MongoState, filter: Document) -> Result<HashSet<String>, Failure> {
    let command = doc! { "listCollections": 1, "nameOnly": true, "filter": filter };
    let reply = state
        .call(READ_LIMIT, |_, database| async move { database.run_command(command).await })
        .await?;
    Ok(open::names(&fitness::first_batch(&reply)))
}

/// Fails as the unique index would, where two documents have one uuid, or none.
async fn find_duplicate(state: &MongoState, collection: &str) -> Result<(), Failure> {
    let pipeline = [
        doc! { "$group": { "_id": "$uuid", "count": { "$sum": 1 } } },
        doc! { "$match": { "count": { "$gt": 1 } } },
        doc! { "$limit": 1 },
    ];
    let mut command = doc! {
        "aggregate": collection, "pipeline": pipeline.to_vec(), "cursor": {}, "allowDiskUse": true,
    };
    let found = state
        .call(READ_LIMIT, |live, database| async move {
            if live.has_collations {
                command.insert("collation", collation::document());
            }
            database.run_command(command).await
        })
        .await;
    match found {
        Ok(reply) => match fitness::first_batch(&reply).first().and_then(|one| one.get("_id")) {
            Some(uuid) => Err(open::not_unique(collection, &format!("{uuid} is there twice"))),
            None => Ok(()),
        },
        Err(failure) if failure.class == Class::RefusedClient => Err(failure),
        Err(failure) => {
            state.remark(&format!(
                "whether each uuid in {collection} is there once could not be told: {failure}"
            ));
            Ok(())
        }
    }
}
