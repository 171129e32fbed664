//! The oracle: it compares the catalog with what the test wrote, without the product's code.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Collection};
use serde_json::Value;

use crate::tree::Planted;

/// How the catalog differs from storage; all empty where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OracleReport {
    /// Planted, and not in the catalog.
    pub missing: Vec<String>,
    /// In the catalog more than once.
    pub duplicated: Vec<String>,
    /// In the catalog with a wrong field: uuid and what is wrong.
    pub wrong: Vec<(String, String)>,
    /// In the catalog, and not planted.
    pub extra: Vec<String>,
}

impl OracleReport {
    /// Nothing differs.
    pub fn is_good(&self) -> bool {
        *self == OracleReport::default()
    }
}

/// Reads every document of a collection and compares every field.
///
/// # Panics
/// The catalog cannot be read.
pub async fn compare(
    client: &Client,
    database: &str,
    collection: &str,
    root: &str,
    planted: &[Planted],
) -> OracleReport {
    let collection: Collection<Document> = client.database(database).collection(collection);
    let cursor = collection.find(doc! {}).await.expect("the catalog answers");
    let documents: Vec<Document> = cursor.try_collect().await.expect("the catalog answers");
    judge(&documents, root, planted)
}

/// Compares every field of these documents.
pub fn judge(documents: &[Document], root: &str, planted: &[Planted]) -> OracleReport {
    let mut wanted: HashMap<&str, &Planted> =
        planted.iter().map(|planted| (planted.uuid.as_str(), planted)).collect();
    let mut verdict = OracleReport::default();
    let mut met = HashMap::new();
    for document in documents {
        let uuid = document.get_str("uuid").unwrap_or("(no uuid)").to_owned();
        if met.insert(uuid.clone(), ()).is_some() {
            verdict.duplicated.push(uuid);
            continue;
        }
        match wanted.remove(uuid.as_str()) {
            None => verdict.extra.push(uuid),
            Some(planted) => {
                if let Some(why) = differs(document, root, planted) {
                    verdict.wrong.push((uuid, why));
                }
            }
        }
    }
    verdict.missing = wanted.into_keys().map(str::to_owned).collect();
    verdict
}

/// The first field that is not as it has to be.
fn differs(document: &Document, root: &str, planted: &Planted) -> Option<String> {
    let date = |ms: Option<i64>| {
        ms.map_or(Bson::Null, |ms| Bson::DateTime(mongodb::bson::DateTime::from_millis(ms)))
    };
    let metadata = bson(&planted.metadata);
    let wanted = [
        ("root", Bson::String(root.to_owned())),
        ("recording_id", Bson::String(planted.recording_id.clone())),
        ("path", Bson::String(planted.path.clone())),
        ("start_time", date(Some(planted.start_ms))),
        ("end_time", date(planted.end_ms)),
        ("deleted", Bson::Boolean(planted.deleted)),
        ("deleted_at", Bson::Null),
        ("size", Bson::Int64(planted.size)),
        ("metadata", metadata),
    ];
    for (field, want) in wanted {
        let found = document.get(field).cloned().unwrap_or(Bson::Undefined);
        if !same(&found, &want) {
            return Some(format!("{field}: {found} instead of {want}"));
        }
    }
    let version = document.get_i64("version").unwrap_or(0);
    if version >> 32 < 1 || version & 0xFFFF_FFFF < 1 {
        return Some(format!("version: {version}"));
    }
    if document.get_str("fingerprint").is_ok_and(str::is_empty)
        || document.get_datetime("indexed_at").is_err()
    {
        return Some("fingerprint or indexed_at".to_owned());
    }
    None
}

/// Equal, whatever the order of an object's keys: the test's own JSON library sorts them.
fn same(a: &Bson, b: &Bson) -> bool {
    match (a, b) {
        (Bson::Document(a), Bson::Document(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (Bson::Array(a), Bson::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (a, b) => a == b,
    }
}

/// The same value as the database has it.
pub fn bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(*value),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Bson::Double(number.as_f64().unwrap_or(f64::NAN)), Bson::Int64),
        Value::String(text) => Bson::String(text.clone()),
        Value::Array(values) => Bson::Array(values.iter().map(bson).collect()),
        Value::Object(fields) => {
            Bson::Document(fields.iter().map(|(key, value)| (key.clone(), bson(value))).collect())
        }
    }
}
