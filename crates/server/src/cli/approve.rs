//! `focus approve`: approves held deletions.

use std::time::Duration;

use focus_index::{Index, IndexError};
use focus_storage::marker;
use serde_json::{Value, json};

use super::output::Output;
use super::{Ending, Stop, running_server, runtime, scan};
use focus_common::config::{RootSettings, Settings};
use focus_common::state_dir;
use focus_engine::{INDEX_FILE, PassReport};

const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn approve(settings: Settings, out: &Output) -> anyhow::Result<Ending> {
    if settings.roots.is_empty() {
        return Err(Stop::error(Ending::Refused, "which root? Give --root DIR"));
    }
    runtime()?.block_on(async {
        if let Some(server) = running_server(&settings.state_dir)? {
            let mut answers = Vec::new();
            for root in &settings.roots {
                let body = json!({ "root": id(root)? });
                let path = "/api/v1/deletions/approve";
                answers.push(server.post(path, Some(&body), LIMIT).await.map_err(Stop::of)?);
            }
            tell(&answers, None, out);
            return Ok(Ending::InOrder);
        }
        directly(settings, out).await
    })
}

/// Approves without a server: the index stores the approval, and one pass takes it to the catalog.
async fn directly(settings: Settings, out: &Output) -> anyhow::Result<Ending> {
    let _lock = state_dir::lock(&settings.state_dir)?;
    let path = settings.state_dir.join(INDEX_FILE);
    if !path.is_file() {
        return Err(Stop::error(
            Ending::CouldNotTell,
            format!(
                "the state folder {} has no index, so nothing is held there: give the one of `focus serve` with --state-dir",
                settings.state_dir.display()
            ),
        ));
    }
    let opened = tokio::task::spawn_blocking(move || Index::open(&path)).await??;
    let answers = match &opened.rebuilt {
        Some(words) => Err(made_anew(words)),
        None => approve_held(&settings, &opened.index).await,
    };
    let index = opened.index;
    tokio::task::spawn_blocking(move || index.close()).await?;
    let answers = answers?;
    let report = scan::pass(settings).await?;
    tell(&answers, Some(&report), out);
    Ok(scan::ending(&report))
}

/// Approves what the index holds of each root.
async fn approve_held(settings: &Settings, index: &Index) -> anyhow::Result<Vec<Value>> {
    let damaged = |error: IndexError| match error.is_damage() {
        true => made_anew(&error.to_string()),
        false => error.into(),
    };
    let mut answers = Vec::new();
    for root in &settings.roots {
        let marker = id(root)?;
        let known = index.reader().root_with_marker(&marker).map_err(damaged)?;
        let Some((row, path)) = known else {
            let path = root.path.display();
            return Err(Stop::error(
                Ending::Refused,
                format!(
                    "the index does not know the root {path}, so nothing is held there: `focus scan --root {path}` looks at it"
                ),
            ));
        };
        let through = index.reader().held_through(row).map_err(damaged)?;
        let approved =
            index.approve(row, through, focus_common::clock::wall_ms()).await.map_err(damaged)?;
        answers.push(json!({ "root": marker, "path": path, "approved": approved }));
    }
    Ok(answers)
}

/// The error for an index that is made anew. It does not know what was held before, and what it will hold
/// may be another set, which a person has to see first.
fn made_anew(words: &str) -> anyhow::Error {
    Stop::error(
        Ending::CouldNotTell,
        format!(
            "{words}. Nothing is approved: `focus scan` makes the index anew from storage and finds again what is to be held; look at that, then approve"
        ),
    )
}

/// The id in the root's marker; the root's path where the root is not there.
fn id(root: &RootSettings) -> anyhow::Result<String> {
    match marker::read(&root.path) {
        Ok(id) => Ok(id),
        Err(problem) if root.path.exists() => {
            Err(Stop::error(Ending::Refused, problem.to_string()))
        }
        Err(_) => Ok(root.path.display().to_string()),
    }
}

/// Shows what was approved. `pass` took it to the catalog where no server runs.
fn tell(answers: &[Value], pass: Option<&PassReport>, out: &Output) {
    for answer in answers {
        let path = answer["path"].as_str().unwrap_or_default();
        match answer["approved"].as_u64() {
            Some(0) | None => out.line(&format!("{path}: nothing is held")),
            Some(count) => out.line(&format!("{path}: {count} deletions approved")),
        }
    }
    let approved: u64 = answers.iter().filter_map(|answer| answer["approved"].as_u64()).sum();
    if let Some(pass) = pass {
        scan::describe(pass, out);
    }
    out.value(&json!({ "approved": approved, "roots": answers, "pass": pass }));
}
