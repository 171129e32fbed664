//! Step 8: the fate of each planted recording. Gathers what [`crate::fate`] decides from, and counts.

use std::collections::HashMap;

use mongodb::bson::Document;

use crate::arrivals::Arrivals;
use crate::database::client::Database;
use crate::early_end::EarlyEnd;
use crate::fate::{self, Found};
use crate::plan::PlannedRecording;
use crate::planting;
use crate::report::{Fate, LostReason, RecordingVerdict, Report};
use crate::run::context::{Drill, Seen, StepResult};
use crate::server::{Server, UnrecognisedRecording};

/// Lost recordings that the server is asked about at most.
const ASKED_MAX: usize = 1_000;

/// What was found of all planted recordings.
struct Evidence<'a> {
    /// The planted documents, by their uuid and by their path.
    documents: HashMap<&'a str, Vec<&'a Document>>,
    /// What the server lists as unrecognised, by path without extension.
    unrecognised: HashMap<String, UnrecognisedRecording>,
    /// How many recordings the server was asked about.
    asked: usize,
}

/// Fills in the verdict on each recording, and the counts.
///
/// # Errors
/// A recording is lost, duplicated or stale, or the database does not answer.
pub(in crate::run) async fn judge(
    drill: &Drill<'_>,
    database: &Database,
    arrivals: &Arrivals,
    report: &mut Report,
) -> StepResult<()> {
    let plan = drill.plan;
    let documents = database.planted(&plan.id, &plan.uuids(), plan.window_ms()).await?;
    let mut evidence = Evidence {
        documents: by_key(&documents),
        unrecognised: unrecognised(&drill.deployment.server).await,
        asked: 0,
    };
    report.recordings.clear();
    for planned in &plan.planted {
        let found = evidence.of(drill, planned).await;
        let (fate, reason, detail) = fate::of(plan, planned, &found);
        let seen = arrivals.when(&planned.uuid);
        report.recordings.push(RecordingVerdict {
            recording_id: planned.recording_id.clone(),
            uuid: planned.uuid.clone(),
            path: planned.path.clone(),
            fate,
            reason,
            detail,
            landed_ms: drill.landings.lock().get(&planned.uuid).copied(),
            catalogued_ms: seen.map(|at| drill.watcher.at_ms(at)),
        });
    }
    count(report)
}

impl<'a> Evidence<'a> {
    /// What was found of this recording. The server is asked where it has no document.
    async fn of(&mut self, drill: &Drill<'_>, planned: &PlannedRecording) -> Found<'a> {
        let key = |key: &str| self.documents.get(key).cloned().unwrap_or_default();
        let mut documents = key(&planned.uuid);
        // The same recording under another uuid is a duplicate too.
        for document in key(&planned.path) {
            if !documents.iter().any(|other| std::ptr::eq(*other, document)) {
                documents.push(document);
            }
        }
        let mut row = None;
        if documents.is_empty() && self.asked < ASKED_MAX {
            self.asked += 1;
            let asked = drill.deployment.server.recording(&planned.uuid).await;
            row = Some(asked.map_err(|error| error.to_string()));
        }
        Found {
            on_storage: planting::is_there(drill.plan, planned),
            size: planting::size(drill.plan, planned),
            documents,
            by_command: drill.deployment.options.plant.is_some(),
            row,
            unrecognised: self.unrecognised.get(stem(&planned.path)).cloned(),
        }
    }
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

/// What the server lists as unrecognised, by path without extension.
async fn unrecognised(server: &Server) -> HashMap<String, UnrecognisedRecording> {
    let listed = server.unrecognised().await.unwrap_or_default();
    listed.into_iter().map(|one| (stem(&one.path).to_owned(), one)).collect()
}

/// Counts the fates.
fn count(report: &mut Report) -> StepResult<()> {
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
        return Ok(Seen::new((), words));
    }
    let first = report.recordings.iter().find(|recording| recording.fate != Fate::Catalogued);
    let why = first.map(|recording| {
        let reason = recording.reason.map_or("", LostReason::name);
        let detail = recording.detail.as_deref().unwrap_or_default();
        let told = [reason, detail].into_iter().filter(|text| !text.is_empty());
        format!("; {}: {}", recording.recording_id, told.collect::<Vec<_>>().join(", "))
    });
    Err(EarlyEnd::failed(format!("{words}{}", why.unwrap_or_default())))
}
