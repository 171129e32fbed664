//! The embedded catalog read and changed by the test itself, without the product's help.

use std::collections::HashSet;
use std::path::Path;

use focus_testkit::focus::Focus;
use focus_testkit::oracle;
use focus_testkit::wait::until;
use mongodb::bson::{Bson, DateTime, Document, doc};
use rusqlite::Connection;

use crate::site::{LIMIT, Site};

/// The file, as nobody else has it open for long.
fn open(site: &Site) -> Connection {
    open_in(&site.state())
}

fn open_in(state: &Path) -> Connection {
    let path = state.join("catalog/catalog.db");
    let file = Connection::open(path).expect("the catalog");
    file.busy_timeout(std::time::Duration::from_secs(5)).expect("a time");
    file
}

/// Changes the catalog behind the server's back.
pub(crate) fn change(site: &Site, sql: &str) {
    open(site).execute_batch(sql).expect("changed");
}

/// Keeps the catalog busy for as long as this is held.
pub(crate) fn busy(site: &Site) -> Connection {
    let file = open(site);
    file.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    file
}

/// The number that a query gives.
pub(crate) fn number(site: &Site, sql: &str) -> i64 {
    open(site).query_row(sql, [], |row| row.get(0)).expect("a number")
}

/// Every document.
pub(crate) fn documents(site: &Site) -> Vec<Document> {
    documents_in(&site.state())
}

fn documents_in(state: &Path) -> Vec<Document> {
    let file = open_in(state);
    let mut rows = file
        .prepare(
            "SELECT uuid, root, recording_id, path, start_time, end_time, deleted, deleted_at, size,
               metadata, fingerprint, indexed_at, version FROM recordings ORDER BY uuid",
        )
        .expect("a query");
    let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Document> {
        let text = |at: usize| -> rusqlite::Result<Option<Bson>> {
            Ok(row.get::<_, Option<String>>(at)?.map(Bson::String))
        };
        let date = |at: usize| -> rusqlite::Result<Option<Bson>> {
            let ms: Option<i64> = row.get(at)?;
            Ok(ms.map(|ms| Bson::DateTime(DateTime::from_millis(ms))))
        };
        let metadata: Option<String> = row.get(9)?;
        let metadata = metadata.map_or(serde_json::Value::Null, |text| {
            serde_json::from_str(&text).expect("JSON in the catalog")
        });
        Ok(doc! {
            "uuid": text(0)?, "root": text(1)?, "recording_id": text(2)?, "path": text(3)?,
            "start_time": date(4)?, "end_time": date(5)?, "deleted": row.get::<_, bool>(6)?,
            "deleted_at": date(7)?, "size": row.get::<_, Option<i64>>(8)?,
            "metadata": oracle::bson(&metadata), "fingerprint": text(10)?,
            "indexed_at": date(11)?, "version": row.get::<_, Option<i64>>(12)?,
        })
    };
    rows.query_map([], read).expect("rows").collect::<Result<_, _>>().expect("rows")
}

/// Every planted recording is there once and as it was planted; those of `gone` are marked as deleted;
/// `others` are not ours to look at; and nothing else is there.
pub(crate) fn agrees(site: &Site, gone: &[String], others: &[&str]) {
    agrees_in(&site.state(), site, gone, others);
}

/// As `agrees`, for the catalog in another state folder.
pub(crate) fn agrees_in(state: &Path, site: &Site, gone: &[String], others: &[&str]) {
    let (gone, others): (HashSet<&str>, HashSet<&str>) =
        (gone.iter().map(String::as_str).collect(), others.iter().copied().collect());
    let uuid = |document: &Document| document.get_str("uuid").expect("a uuid").to_owned();
    let mut documents = documents_in(state);
    documents.retain(|document| !others.contains(&*uuid(document)));
    let (marked, live): (Vec<_>, Vec<_>) =
        documents.into_iter().partition(|document| gone.contains(&*uuid(document)));
    assert_eq!(marked.len(), gone.len(), "what is gone keeps its document: {marked:?}");
    for document in marked {
        assert_eq!(document.get_bool("deleted").ok(), Some(true), "{document}");
        assert!(document.get_datetime("deleted_at").is_ok(), "{document}");
    }
    let there: Vec<_> = site
        .planted
        .iter()
        .filter(|one| !gone.contains(&*one.uuid) && !others.contains(&*one.uuid))
        .cloned()
        .collect();
    let verdict = oracle::judge(&live, &site.marker, &there);
    assert!(verdict.is_good(), "{verdict:?}\n{}", site.focus.log());
}

/// Waits until the server has scanned, knows so many recordings, and has nothing left to do.
pub(crate) async fn settled(site: &Site, recordings: usize) {
    settled_in(&site.focus, recordings).await;
}

/// As `settled`, for this server.
pub(crate) async fn settled_in(focus: &Focus, recordings: usize) {
    until("the server is in step", LIMIT, || async {
        let status = focus.status()?;
        let good = status["catalog_state"] == "in_step"
            && status["pending"] == 0
            && status["unsettled"] == 0
            && status["recordings"] == recordings
            && status["comparison"].is_null()
            && status["roots"][0]["last_scan_at"].is_string();
        if good { Ok(()) } else { Err(format!("{status:#}\n{}", focus.log())) }
    })
    .await;
}

/// The index of a server that has ended contradicts itself nowhere.
pub(crate) fn index_is_sound(site: &Site) {
    index_in_is_sound(&site.state());
}

/// As `index_is_sound`, for this state folder.
pub(crate) fn index_in_is_sound(state: &Path) {
    let reader = focus_index::Reader::new(&state.join("index.db"));
    assert_eq!(reader.broken_invariants().expect("the index"), Vec::<String>::new());
}
