//! Lease and token counter, as documents of `focus_meta`.

use std::time::Duration;

use focus_core::answer::{Class, Failure};
use focus_core::lease::LeaseDoc;
use focus_core::marker_place::MarkerPlace;
use mongodb::action::Action;
use mongodb::bson::{Document, doc};

use super::state::MongoState;
use super::write_command::{failure_of, number, run_write, write_concern_failure};
use super::{collation, open};
use crate::RootPlace;

/// Lease calls end within this: one that takes longer has lost its use.
const LIMIT: Duration = Duration::from_secs(5);

fn id(root: &RootPlace) -> String {
    format!("lease:{}", root.id)
}

pub(super) async fn read(
    state: &MongoState,
    root: &RootPlace,
) -> Result<Option<LeaseDoc>, Failure> {
    // Nobody draws a token or takes the lease without having read it.
    open::check_root(state, root).await?;
    let filter = doc! { "_id": id(root) };
    let found = state
        .call(LIMIT, |live, database| async move {
            database
                .collection::<Document>("focus_meta")
                .find_one(filter)
                .optional(live.simple(), |find, simple| find.collation(simple))
                .await
        })
        .await?;
    Ok(found.as_ref().map(lease))
}

pub(super) async fn draw_token(state: &MongoState, above: i64) -> Result<i64, Failure> {
    let update =
        doc! { "q": { "_id": "token" }, "u": { "$max": { "value": above } }, "upsert": true };
    run_write(state, doc! { "update": "focus_meta", "updates": [update] }).await?;
    let reply = state
        .call(LIMIT, |live, database| async move {
            let mut command = doc! {
                "findAndModify": "focus_meta",
                "query": { "_id": "token" },
                "update": { "$inc": { "value": 1_i64 } },
                "new": true,
                "upsert": true,
                "writeConcern": live.write_concern.clone(),
            };
            if live.has_collations {
                command.insert("collation", collation::document());
            }
            database.run_command(command).await
        })
        .await?;
    if let Some(failure) = write_concern_failure(&reply) {
        return Err(failure);
    }
    reply.get_document("value").ok().and_then(|document| number(document, "value")).ok_or_else(
        || Failure {
            class: Class::Unknown,
            code: None,
            words: "the token counter in focus_meta ({_id: \"token\"}) has no number as its value; remove it, and it is made anew".to_owned(),
        },
    )
}

pub(super) async fn put(
    state: &MongoState,
    root: &RootPlace,
    expected: Option<&LeaseDoc>,
    new: &LeaseDoc,
) -> Result<bool, Failure> {
    let mut set = fields(new);
    let mut unset = Document::new();
    match &new.at {
        Some(at) => set.extend(place_fields(at)),
        // What an earlier holder told says nothing of this one.
        None => unset.extend(PLACE_FIELDS.map(|field| (field.to_owned(), "".into()))),
    }
    let command = if let Some(expected) = expected {
        let mut query = if expected.holder.is_empty() {
            // Spoilt: replaced as long as one of its fields is not what it should be.
            doc! { "$nor": [{
                "holder": { "$type": "string" }, "token": { "$type": "long" },
                "counter": { "$type": "long" }, "released": { "$type": "bool" },
                "length_ms": { "$type": "long", "$gte": 0_i64 },
            }] }
        } else {
            fields(expected)
        };
        query.insert("_id", id(root));
        let mut update = doc! { "$set": set };
        if !unset.is_empty() {
            update.insert("$unset", unset);
        }
        doc! { "update": "focus_meta", "updates": [{ "q": query, "u": update, "upsert": false }] }
    } else {
        let mut document = set;
        document.insert("_id", id(root));
        doc! { "insert": "focus_meta", "documents": [document] }
    };
    let reply = state
        .call(LIMIT, |live, database| async move {
            let mut command = command;
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
        return match failure_of(&state.settings, error) {
            // Two that made the lease met.
            None => Ok(false),
            Some(failure) => Err(failure),
        };
    }
    let done = number(&reply, "n") == Some(1);
    if done {
        state.acknowledged();
    }
    Ok(done)
}

/// The fields that say where the holder has the root.
const PLACE_FIELDS: [&str; 4] = ["host", "path", "marker_inode", "marker_ctime_ns"];

fn place_fields(at: &MarkerPlace) -> Document {
    doc! {
        "host": &at.host,
        "path": &at.path,
        // An inode may use all 64 bits; BSON has no unsigned integer.
        "marker_inode": at.inode.cast_signed(),
        "marker_ctime_ns": at.ctime_ns,
    }
}

/// Where the holder has the root; none where the fields are not what this program writes.
fn place(document: &Document) -> Option<MarkerPlace> {
    Some(MarkerPlace {
        host: document.get_str("host").ok()?.to_owned(),
        path: document.get_str("path").ok()?.to_owned(),
        inode: document.get_i64("marker_inode").ok()?.cast_unsigned(),
        ctime_ns: document.get_i64("marker_ctime_ns").ok()?,
    })
}

fn fields(lease: &LeaseDoc) -> Document {
    doc! {
        "holder": &lease.holder,
        "token": lease.token,
        "counter": lease.counter,
        "released": lease.released,
        "length_ms": i64::try_from(lease.length_ms).unwrap_or(i64::MAX),
    }
}

/// A lease that somebody spoilt by hand belongs to nobody. It has no holder, and is challenged like
/// any other.
fn lease(document: &Document) -> LeaseDoc {
    let read = || {
        Some(LeaseDoc {
            holder: document.get_str("holder").ok()?.to_owned(),
            token: document.get_i64("token").ok()?,
            counter: document.get_i64("counter").ok()?,
            released: document.get_bool("released").ok()?,
            length_ms: u64::try_from(document.get_i64("length_ms").ok()?).ok()?,
            at: place(document).map(Box::new),
        })
    };
    read().unwrap_or_default()
}
