//! Step 8: gathers what the verdict on each planted recording needs, and counts.

use std::collections::HashMap;

use mongodb::bson::Document;
use serde_json::Value;

use super::converge::Converge;
use super::database::Database;
use super::plan::Plan;
use super::planting;
use super::report::{Fate, RecordingVerdict, Report};
use super::site::{Site, Stop};
use super::verdict::{self, Found};
use super::watcher::Watcher;

/// Lost recordings that the server is asked about at most.
const ASKED_MAX: usize = 1_000;

/// What there is to judge by.
#[derive(Debug)]
pub struct Gathered<'a> {
    /// What was drilled.
    pub site: &'a Site,
    /// What was planted.
    pub plan: &'a Plan,
    /// The time that the planted recordings cover, milliseconds since 1970.
    pub window_ms: (i64, i64),
    /// The database, which is back.
    pub database: &'a Database,
    /// When each was seen in the catalog.
    pub converge: &'a Converge,
    /// The drill's clock.
    pub watcher: &'a Watcher,
    /// When each landed, since the drill began.
    pub landings: HashMap<String, u64>,
}

/// Fills in the verdicts and their counts; what was seen, in words.
///
/// # Errors
/// Something is lost, duplicated or stale, or the database does not answer.
pub async fn verdict(gathered: &Gathered<'_>, report: &mut Report) -> Result<String, Stop> {
    let (site, plan) = (gathered.site, gathered.plan);
    let uuids: Vec<String> = plan.planted.iter().map(|planted| planted.uuid.clone()).collect();
    let documents = gathered.database.planted(&plan.id, &uuids, gathered.window_ms).await?;
    let by_key = by_key(&documents);
    let unrecognised = unrecognised(site).await;
    let mut asked = 0;
    report.recordings.clear();
    for planned in &plan.planted {
        let mut found = Found {
            on_storage: planting::is_there(plan, planned),
            size: planting::size(plan, planned),
            documents: by_key.get(planned.uuid.as_str()).cloned().unwrap_or_default(),
            by_command: site.options.plant.is_some(),
            row: None,
            unrecognised: unrecognised.get(stem(&planned.path)).cloned(),
        };
        // The same recording under another uuid is a duplicate too.
        for document in by_key.get(planned.path.as_str()).into_iter().flatten() {
            if !found.documents.iter().any(|other| std::ptr::eq(*other, *document)) {
                found.documents.push(document);
            }
        }
        if found.documents.is_empty() && asked < ASKED_MAX {
            asked += 1;
            let row = site.server.recording(&planned.uuid).await;
            found.row = Some(row.map_err(|error| format!("{error:#}")));
        }
        let (fate, reason, detail) = verdict::of(plan, planned, &found);
        let seen = gathered.converge.when(&planned.uuid);
        report.recordings.push(RecordingVerdict {
            recording_id: planned.recording_id.clone(),
            uuid: planned.uuid.clone(),
            path: planned.path.clone(),
            fate,
            reason,
            detail,
            landed_ms: gathered.landings.get(&planned.uuid).copied(),
            catalogued_ms: seen.map(|at| gathered.watcher.at_ms(at)),
        });
    }
    count(report)
}

/// A path without its extension.
fn stem(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(stem, _)| stem)
}

/// Documents by their uuid and by their path.
fn by_key(documents: &[Document]) -> HashMap<&str, Vec<&Document>> {
    let mut by_key: HashMap<&str, Vec<&Document>> = HashMap::new();
    for document in documents {
        for key in ["uuid", "path"] {
            if let Ok(value) = document.get_str(key) {
                by_key.entry(value).or_default().push(document);
            }
        }
    }
    by_key
}

/// What the server lists as unrecognised, by path: state and reason.
async fn unrecognised(site: &Site) -> HashMap<String, (String, String)> {
    let rows = site.server.unrecognised().await.unwrap_or_default();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| {
            let path = text(row, "path");
            (stem(&path).to_owned(), (text(row, "state"), text(row, "reason")))
        })
        .collect()
}

fn count(report: &mut Report) -> Result<String, Stop> {
    let of = |fate: Fate| {
        report.recordings.iter().filter(|recording| recording.fate == fate).count() as u64
    };
    let (catalogued, lost) = (of(Fate::Catalogued), of(Fate::Lost));
    let (duplicated, stale) = (of(Fate::Duplicated), of(Fate::Stale));
    (report.catalogued, report.lost) = (catalogued, lost);
    (report.duplicated, report.stale) = (duplicated, stale);
    let words =
        format!("{catalogued} catalogued, {lost} lost, {duplicated} duplicated, {stale} stale");
    if lost + duplicated + stale == 0 {
        return Ok(words);
    }
    let first = report.recordings.iter().find(|recording| recording.fate != Fate::Catalogued);
    let why = first.map(|recording| {
        let reason = serde_json::to_value(recording.reason).ok();
        let reason = reason.as_ref().and_then(|value| value.as_str()).unwrap_or("");
        let detail = recording.detail.as_deref().unwrap_or_default();
        let told = [reason, detail].into_iter().filter(|text| !text.is_empty());
        format!("; {}: {}", recording.recording_id, told.collect::<Vec<_>>().join(", "))
    });
    Err(Stop::failed(format!("{words}{}", why.unwrap_or_default())))
}
