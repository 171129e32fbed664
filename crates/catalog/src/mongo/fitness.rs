//! Which collections cannot be used, because the database would remove, hide or mix up what the
//! server writes.
//!
//! The supervisor looks before it reports a connection, so nothing is written before: no index, no
//! identity and no lease. Every opening looks again.

use std::time::Duration;

use focus_core::answer::{Class, Failure};
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};

use super::collation;
use super::settings::{Collections, Layout};
use super::state::{MongoState, ask};

/// The collection of identity, watermarks, leases and the token counter.
const META: &str = "focus_meta";

/// The collection of the roots' rows, in the layout `base_paths`.
const BASE_PATHS: &str = "base_paths";

/// The code for a command that needs a right.
const UNAUTHORISED: i32 = 13;

/// The code for a collection that is not there.
const NO_COLLECTION: i32 = 26;

/// What the server keeps in a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Recordings,
    Unrecognised,
    Meta,
    BasePaths,
}

impl Content {
    /// A field of what the server writes there. A document of others may have more.
    fn has(self, field: &str) -> bool {
        let ours: &[&str] = match self {
            Content::Recordings => &[
                "_id",
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
                "indexed_at",
                "version",
            ],
            Content::BasePaths => &["_id", "base_path", "guid", "is_archive"],
            // Nobody else writes there.
            Content::Unrecognised | Content::Meta => return true,
        };
        ours.contains(&field)
    }
}

/// Looks at the collections that are known without a root.
///
/// # Errors
/// One cannot be used: a refusal that names it. Or the database did not answer.
pub(super) async fn check_shared(
    state: &MongoState,
    client: &Client,
    limit: Duration,
) -> Result<(), Failure> {
    let settings = &state.settings;
    let mut wanted = vec![(META.to_owned(), Content::Meta)];
    match settings.layout {
        Layout::BasePaths => wanted.push((BASE_PATHS.to_owned(), Content::BasePaths)),
        Layout::Collection => wanted.extend(of_root(&settings.collections())),
    }
    check(state, client, &wanted, limit).await
}

/// Looks at the collections of one root.
///
/// # Errors
/// As for those without a root.
pub(super) async fn check_root(
    state: &MongoState,
    collections: &Collections,
    limit: Duration,
) -> Result<(), Failure> {
    let client = state.live()?.writer;
    let done = check(state, &client, &of_root(collections), limit).await;
    if done.as_ref().is_err_and(|failure| failure.class == Class::Transient) {
        state.doubt.notify_one();
    }
    done
}

fn of_root(collections: &Collections) -> [(String, Content); 2] {
    [
        (collections.recordings.clone(), Content::Recordings),
        (collections.unrecognised.clone(), Content::Unrecognised),
    ]
}

async fn check(
    state: &MongoState,
    client: &Client,
    wanted: &[(String, Content)],
    limit: Duration,
) -> Result<(), Failure> {
    let names: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    let command = doc! { "listCollections": 1, "filter": { "name": { "$in": names } } };
    let database = &state.settings.database;
    let listed = first_batch(&ask(state, client, database, command, limit).await?);
    for (name, content) in wanted {
        let Some(collection) =
            listed.iter().find(|one| one.get_str("name").is_ok_and(|listed| listed == name))
        else {
            continue;
        };
        let mut why = unfit_kind(collection, *content);
        if why.is_none() {
            let command = doc! { "listIndexes": name, "cursor": {} };
            match ask(state, client, database, command, limit).await {
                Ok(reply) => why = unfit_index(name, &first_batch(&reply), *content),
                Err(failure) if failure.code == Some(NO_COLLECTION) => {}
                Err(failure) if failure.code == Some(UNAUTHORISED) => state.remark(&format!(
                    "the database does not let the server list the indexes of {name}: one that removes documents after a time would go unnoticed"
                )),
                Err(failure) => return Err(failure),
            }
        }
        if let Some(why) = why {
            return Err(Failure::refused_client(format!(
                "the collection {name} in the database {database} is refused, and nothing is written: {why}"
            )));
        }
    }
    Ok(())
}

/// The documents of a reply with a cursor. What the server lists here fits into one batch.
pub(super) fn first_batch(reply: &Document) -> Vec<Document> {
    let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    batch.into_iter().flatten().filter_map(Bson::as_document).cloned().collect()
}

/// Why a collection of this kind cannot be used, and what to do.
fn unfit_kind(listed: &Document, content: Content) -> Option<String> {
    let empty = Document::new();
    let options = listed.get_document("options").unwrap_or(&empty);
    let kind = listed.get_str("type").unwrap_or("collection");
    let other = match content {
        Content::Recordings => "Configure another collection (collection)",
        Content::Unrecognised | Content::Meta | Content::BasePaths => {
            "Rename or drop it, and the server makes an ordinary one; or configure another database (database)"
        }
    };
    if kind == "view" || options.contains_key("viewOn") {
        return Some(format!("it is a view, and takes no writes. {other}"));
    }
    if kind == "timeseries" || options.contains_key("timeseries") {
        return Some(format!(
            "it is a time series, in which documents can be neither unique nor changed. {other}"
        ));
    }
    if is_set(options.get("capped")) {
        return Some(format!(
            "it is capped, so the database drops the oldest documents when it is full. {other}, or copy its documents into a collection that is not capped"
        ));
    }
    if options.contains_key("expireAfterSeconds") {
        return Some(format!(
            "it is clustered with expireAfterSeconds, so the database removes documents after a time. Turn that off with db.runCommand({{collMod: {:?}, expireAfterSeconds: \"off\"}}), or: {other}",
            listed.get_str("name").unwrap_or_default()
        ));
    }
    if content == Content::Unrecognised && collation::is_other(options) {
        // Its documents are named by their places, and `_id` always has the collation.
        return Some(format!(
            "it has a default collation, so two places whose names differ only for computers would share one document. {other}"
        ));
    }
    None
}

/// Why an index makes a collection unfit, and what to do.
fn unfit_index(collection: &str, indexes: &[Document], content: Content) -> Option<String> {
    let removes = |index: &&Document| {
        let keys = index.get_document("key").ok();
        let mut fields = keys.into_iter().flat_map(Document::keys);
        index.contains_key("expireAfterSeconds")
            && fields.any(|key| content.has(key.split('.').next().unwrap_or(key)))
    };
    let index = indexes.iter().find(removes)?;
    let name = index.get_str("name").unwrap_or_default();
    Some(format!(
        "its index {name} has expireAfterSeconds (TTL), so the database removes documents after a time. Drop it with db.getCollection({collection:?}).dropIndex({name:?})"
    ))
}

/// True, or a number that is not 0.
pub(super) fn is_set(value: Option<&Bson>) -> bool {
    match value {
        Some(Bson::Boolean(set)) => *set,
        Some(Bson::Int32(number)) => *number != 0,
        Some(Bson::Int64(number)) => *number != 0,
        Some(Bson::Double(number)) => *number != 0.0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(kind: &str, options: Document) -> Document {
        doc! { "name": "node4", "type": kind, "options": options }
    }

    #[test]
    fn what_removes_or_hides_documents_is_unfit_and_what_is_merely_unusual_is_not() {
        let why = |kind: &str, options: Document| {
            unfit_kind(&listed(kind, options), Content::Recordings).unwrap_or_default()
        };
        let clustered = doc! { "key": { "_id": 1 }, "unique": true };
        assert!(why("view", doc! { "viewOn": "other" }).contains("view"));
        assert!(why("timeseries", doc! { "timeseries": {} }).contains("time series"));
        // Some servers list every kind as a collection, or send numbers for flags.
        assert!(why("collection", doc! { "timeseries": {} }).contains("time series"));
        assert!(why("collection", doc! { "capped": 1.0, "size": 4096 }).contains("capped"));
        let expiring = doc! { "clusteredIndex": clustered.clone(), "expireAfterSeconds": 60_i64 };
        assert!(why("collection", expiring).contains("clustered"));
        for fit in [
            doc! {},
            doc! { "capped": false },
            doc! { "clusteredIndex": clustered },
            doc! { "collation": { "locale": "en", "strength": 2 } },
            doc! { "validator": { "uuid": { "$type": "string" } } },
        ] {
            assert_eq!(why("collection", fit.clone()), "", "{fit}");
        }
        let collated = listed("collection", doc! { "collation": { "locale": "en" } });
        assert!(unfit_kind(&collated, Content::Unrecognised).is_some());
        assert!(unfit_kind(&collated, Content::Meta).is_none());
    }

    #[test]
    fn an_index_that_removes_documents_is_unfit_where_they_are_ours() {
        let unfit = |key: Document, content: Content| {
            let index = doc! { "key": key, "name": "old", "expireAfterSeconds": 60 };
            unfit_index("node4", &[doc! { "key": { "_id": 1 } }, index], content).is_some()
        };
        for field in ["start_time", "indexed_at", "deleted_at", "metadata.until", "metadata"] {
            assert!(unfit(doc! { field: 1 }, Content::Recordings), "{field}");
        }
        assert!(!unfit(doc! { "their_session": 1 }, Content::Recordings));
        assert!(unfit(doc! { "anything": 1 }, Content::Meta));
        assert!(unfit(doc! { "update_time": -1 }, Content::Unrecognised));
        assert!(!unfit(doc! { "their_session": 1 }, Content::BasePaths));
        let plain = doc! { "key": { "start_time": 1 }, "name": "start_time_1" };
        assert_eq!(unfit_index("node4", &[plain], Content::Recordings), None);
    }
}
