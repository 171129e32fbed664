//! The first calls to a database: they make what is missing and read its identity.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use focus_core::answer::Failure;
use futures_util::TryStreamExt;
use mongodb::action::Action;
use mongodb::bson::{Bson, Document, doc};

use super::meta::{identity, meta};
use super::settings::{Collections, Layout};
use super::state::MongoState;
use super::write_command::run_write;
use super::{changes, collation, fitness};
use crate::{OpenedCatalog, RootPlace};

/// A call of the opening ends within this.
const LIMIT: Duration = Duration::from_secs(30);

/// An index on a large collection is made within this.
const INDEX_LIMIT: Duration = Duration::from_secs(600);

/// Rows of `base_paths` that are read to find a root again, at most.
const BASE_PATHS_MAX: i64 = 1_000;

/// The field whose index is unique.
const UNIQUE: &str = "uuid";

/// Makes missing collections, indexes, row and identity, and reads the identity.
pub(super) async fn open(state: &MongoState, root: &RootPlace) -> Result<OpenedCatalog, Failure> {
    if state.settings.layout == Layout::BasePaths {
        let collections = base_path(state, root).await?;
        state.collections.lock().insert(root.id.clone(), collections);
    }
    let collections = state.collections_of(root)?;
    fitness::check_root(state, &collections, LIMIT).await?;
    // Uniqueness first: without it nothing is written.
    indexes(state, &collections.recordings).await?;
    let identity = identity(state).await?;
    let collection = collection_uuid(state, &collections.recordings).await?;
    let watermark = meta(state, &format!("watermark:{}", root.id)).await?;
    // Only to know, and to say, what is missing: nothing depends on it.
    let _ = changes::probe(state, &root.id, &collections.recordings).await;
    Ok(OpenedCatalog { identity: format!("{identity}/{collection}"), watermark })
}

/// Looks at the collections of a root once per connection, for calls that come before the opening.
///
/// # Errors
/// One of them cannot be used.
pub(super) async fn check_root(state: &MongoState, root: &RootPlace) -> Result<(), Failure> {
    let epoch = state.live()?.epoch;
    if state.settings.layout == Layout::Collection || state.fit.lock().get(&root.id) == Some(&epoch)
    {
        // The supervisor has looked.
        return Ok(());
    }
    if let Some(collections) = base_path_known(state, root).await? {
        fitness::check_root(state, &collections, LIMIT).await?;
    }
    state.fit.lock().insert(root.id.clone(), epoch);
    Ok(())
}

/// Reads the identity and makes nothing.
pub(super) async fn identify(state: &MongoState, root: &RootPlace) -> Result<String, Failure> {
    if state.settings.layout == Layout::BasePaths && state.collections_of(root).is_err() {
        let rows = base_path_rows(state, root).await?;
        let Some(row) = rows.into_iter().next() else {
            return Err(Failure::transient(format!(
                "the collection base_paths has no row for {}: nothing has been catalogued there yet",
                root.path
            )));
        };
        state.collections.lock().insert(root.id.clone(), collections_named_by(root, &row)?);
    }
    let collections = state.collections_of(root)?;
    let identity = meta(state, "identity").await?.unwrap_or_default();
    let collection = collection_uuid(state, &collections.recordings).await?;
    Ok(format!("{identity}/{collection}"))
}

async fn base_path_rows(state: &MongoState, root: &RootPlace) -> Result<Vec<Document>, Failure> {
    let filter = doc! { "base_path": &root.path };
    state
        .call(LIMIT, |live, database| async move {
            let cursor = database
                .collection::<Document>("base_paths")
                .find(filter)
                .optional(live.simple(), |find, simple| find.collation(simple))
                .sort(doc! { "_id": 1 })
                .limit(1)
                .await?;
            cursor.try_collect::<Vec<Document>>().await
        })
        .await
}

/// The collections that the root's row in `base_paths` names; none without a row.
pub(super) async fn base_path_known(
    state: &MongoState,
    root: &RootPlace,
) -> Result<Option<Collections>, Failure> {
    let rows = base_path_rows(state, root).await?;
    rows.first().map(|row| collections_named_by(root, row)).transpose()
}

/// The collections that the rows of `base_paths` name, of the first 1,000. A row that names none is left
/// out.
pub(super) async fn base_paths_known(state: &MongoState) -> Result<Vec<Collections>, Failure> {
    let rows = state
        .call(LIMIT, |_, database| async move {
            let collection = database.collection::<Document>("base_paths");
            let sorted = collection.find(doc! {}).sort(doc! { "_id": 1 });
            sorted.limit(BASE_PATHS_MAX).await?.try_collect::<Vec<Document>>().await
        })
        .await?;
    let named = |row: &Document| {
        let path = row.get_str("base_path").unwrap_or_default().to_owned();
        collections_named_by(&RootPlace { id: String::new(), path }, row).ok()
    };
    Ok(rows.iter().filter_map(named).collect())
}

/// The root's row in `base_paths`, made if it is missing. If two servers made rows at once, both
/// use the smallest one.
async fn base_path(state: &MongoState, root: &RootPlace) -> Result<Collections, Failure> {
    let mut rows = base_path_rows(state, root).await?;
    if rows.is_empty() {
        let row = doc! {
            "base_path": &root.path,
            "guid": uuid::Uuid::new_v4().to_string(),
            "is_archive": false,
        };
        run_write(state, doc! { "insert": "base_paths", "documents": [row] }).await?;
        rows = base_path_rows(state, root).await?;
    }
    collections_named_by(root, &rows.into_iter().next().unwrap_or_default())
}

fn collections_named_by(root: &RootPlace, row: &Document) -> Result<Collections, Failure> {
    let guid = match row.get("guid") {
        Some(Bson::String(guid)) if !guid.is_empty() => guid.clone(),
        Some(Bson::Binary(binary)) => match uuid::Uuid::from_slice(&binary.bytes) {
            Ok(guid) => guid.to_string(),
            Err(_) => return Err(bad_row(root)),
        },
        _ => return Err(bad_row(root)),
    };
    Ok(Collections::named(&guid, row.get_bool("is_archive").unwrap_or(false)))
}

fn bad_row(root: &RootPlace) -> Failure {
    Failure::refused_client(format!(
        "the row of {} in the collection base_paths has no guid that can name a collection. Give it one, or remove the row",
        root.path
    ))
}

async fn indexes(state: &MongoState, collection: &str) -> Result<(), Failure> {
    let existing = list_indexes(state, collection).await?;
    let taken = names(&existing);
    for field in missing_indexes(&existing, collection)? {
        let unique = field == UNIQUE;
        create(state, collection, field, unique, &taken).await.map_err(|failure| {
            match (failure.class, failure.code) {
                (_, Some(11000)) if unique => not_unique(collection, &failure.words),
                (_, Some(67)) if unique => Failure::refused_client(format!(
                    "the collection {collection} is sharded by another key than uuid, so uuid cannot be unique: {}",
                    failure.words
                )),
                _ => failure,
            }
        })?;
    }
    Ok(())
}

/// Documents of the collection stand in the way of a unique index.
pub(super) fn not_unique(collection: &str, words: &str) -> Failure {
    Failure::refused_client(format!(
        "the collection {collection} has several documents with one uuid, or without one, so no unique index can be made: {words}. Remove or mend them"
    ))
}

/// The fields on which an index has to be made, the unique one first.
///
/// # Errors
/// An index of others is in the way.
pub(super) fn missing_indexes(
    existing: &[Document],
    collection: &str,
) -> Result<Vec<&'static str>, Failure> {
    let is_missing = |field: &&str| {
        !existing.iter().any(|index| {
            index.get_document("key").is_ok_and(|key| {
                key.keys().next().is_some_and(|first| first == field)
                    && !index.contains_key("partialFilterExpression")
                    && !collation::is_other(index)
            })
        })
    };
    let unique = (!has_unique(existing, collection)?).then_some(UNIQUE);
    let others = ["start_time", "end_time", "deleted"].into_iter().filter(is_missing);
    Ok(unique.into_iter().chain(others).collect())
}

pub(super) async fn list_indexes(
    state: &MongoState,
    collection: &str,
) -> Result<Vec<Document>, Failure> {
    let command = doc! { "listIndexes": collection, "cursor": {} };
    let listed =
        state.call(LIMIT, |_, database| async move { database.run_command(command).await }).await;
    match listed {
        Ok(reply) => Ok(fitness::first_batch(&reply)),
        // The collection is not there yet.
        Err(failure) if failure.code == Some(26) => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

/// Whether an index makes `uuid` unique. Another index on `uuid` is in the way of one that does,
/// unless it has a collation: then it says nothing of `uuid` as it is, and both have room.
fn has_unique(existing: &[Document], collection: &str) -> Result<bool, Failure> {
    let mut blame: BTreeMap<&str, String> = BTreeMap::new();
    for index in existing {
        let on_uuid = index.get_document("key").is_ok_and(|key| {
            key.len() == 1
                && matches!(
                    key.get("uuid"),
                    Some(Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_))
                )
        });
        if !on_uuid || collation::is_other(index) {
            continue;
        }
        let name = index.get_str("name").unwrap_or("uuid_1");
        let flag = |key: &str| fitness::is_set(index.get(key));
        let why = if !flag("unique") {
            "is not unique"
        } else if flag("sparse") || index.contains_key("partialFilterExpression") {
            "leaves documents out"
        } else {
            return Ok(true);
        };
        blame.insert(name, why.to_owned());
    }
    match blame.into_iter().next() {
        None => Ok(false),
        Some((name, why)) => Err(Failure::refused_client(format!(
            "the index {name} on {collection} {why}, so uuid cannot be unique. Drop it with db.getCollection({collection:?}).dropIndex({name:?}); a unique one is then made by itself"
        ))),
    }
}

async fn create(
    state: &MongoState,
    collection: &str,
    field: &str,
    unique: bool,
    taken: &HashSet<String>,
) -> Result<(), Failure> {
    let mut name = format!("{field}_1");
    if taken.contains(&name) {
        name = format!("focus_{field}");
    }
    let mut index = doc! { "key": { field: 1 }, "name": name };
    if state.live()?.has_collations {
        index.insert("collation", collation::document());
    }
    if unique {
        index.insert("unique", true);
    }
    let command = doc! { "createIndexes": collection, "indexes": [index] };
    state
        .call(
            INDEX_LIMIT,
            |_, database| async move { database.run_command(command).await.map(|_| ()) },
        )
        .await
}

/// The collection's own UUID, if the server has one. A collection made anew has another UUID.
async fn collection_uuid(state: &MongoState, collection: &str) -> Result<String, Failure> {
    let command = doc! { "listCollections": 1, "filter": { "name": collection } };
    let reply =
        state.call(LIMIT, |_, database| async move { database.run_command(command).await }).await?;
    let uuid = reply
        .get_document("cursor")
        .ok()
        .and_then(|cursor| cursor.get_array("firstBatch").ok())
        .and_then(|batch| batch.first())
        .and_then(Bson::as_document)
        .and_then(|found| found.get_document("info").ok())
        .and_then(|info| info.get("uuid"));
    match uuid {
        Some(Bson::Binary(uuid)) => {
            Ok(uuid.bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        _ => {
            state.remark("the server does not tell a collection's UUID: one that is dropped and made again is noticed by its watermark alone");
            Ok(String::new())
        }
    }
}

/// Names in a set, for choosing what is missing.
pub(super) fn names(documents: &[Document]) -> HashSet<String> {
    documents
        .iter()
        .filter_map(|document| document.get_str("name").ok().map(str::to_owned))
        .collect()
}
