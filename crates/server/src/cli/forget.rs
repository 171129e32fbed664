//! `focus forget`: drops a root that is not configured any more from the index.

use std::time::Duration;

use focus_common::client::{Client, ClientError};
use focus_common::config::{self, Mistake, Overrides, RootSettings, Settings, Source};
use focus_common::state_dir;
use focus_engine::{ForgetError, ForgottenRoot, INDEX_FILE};
use focus_index::{ConfiguredRoot, Index};
use focus_storage::marker;
use serde_json::{Value, json};

use super::output::Output;
use super::{Ending, Stop, running_server, runtime};

const LIMIT: Duration = Duration::from_secs(30);

/// The configured roots, as far as they are there now.
pub(super) fn configured(settings: &Settings) -> Vec<ConfiguredRoot> {
    let configured = |root: &RootSettings| ConfiguredRoot {
        path: root.path.display().to_string(),
        marker: marker::read(&root.path).ok(),
    };
    settings.roots.iter().map(configured).collect()
}

pub(super) fn forget(overrides: &Overrides, out: &Output) -> anyhow::Result<Ending> {
    let settings = load(overrides)?;
    if !matches!(settings.source("roots"), Source::Flag(_)) {
        return Err(Stop::error(Ending::Refused, "which root? Give --root DIR"));
    }
    // `--root` says here which root is to go, and not which ones there are.
    let standing = load(&overrides.clone().without_flags_of("roots"))?;
    runtime()?.block_on(async {
        let forgotten = match running_server(&settings.state_dir)? {
            Some(server) => through(&server, &settings).await?,
            None => directly(&settings, &standing).await?,
        };
        for root in &forgotten {
            out.line(&format!(
                "{}: the index has forgotten {} recordings. The catalog keeps its documents, with `root` {}",
                root.path, root.recordings, root.marker
            ));
        }
        let roots: Vec<Value> = forgotten
            .iter()
            .map(|root| json!({ "root": root.marker, "path": root.path, "forgotten": root.recordings }))
            .collect();
        out.value(&json!({ "roots": roots }));
        Ok(Ending::InOrder)
    })
}

fn load(overrides: &Overrides) -> anyhow::Result<Settings> {
    config::load(overrides).map_err(|mistakes| {
        let words: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
        Stop::error(Ending::Refused, words.join("\n"))
    })
}

/// Asks the server, part by part.
async fn through(server: &Client, settings: &Settings) -> anyhow::Result<Vec<ForgottenRoot>> {
    let mut all = Vec::new();
    for root in &settings.roots {
        let mut wanted = root.path.display().to_string();
        let mut recordings = 0;
        loop {
            let body = json!({ "root": wanted });
            match server.post("/api/v1/roots/forget", Some(&body), LIMIT).await {
                Ok(answer) => {
                    recordings += answer["forgotten"].as_u64().unwrap_or(0);
                    if answer["done"] == true {
                        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
                        let (marker, path) = (text("root"), text("path"));
                        all.push(ForgottenRoot { marker, path, recordings, done: true });
                        break;
                    }
                    // The rest of this very root, whatever else was at its path.
                    wanted = answer["root"].as_str().unwrap_or(&wanted).to_owned();
                }
                Err(ClientError::Refused { detail, .. }) => {
                    return Err(Stop::error(Ending::Refused, detail));
                }
                Err(error) => return Err(Stop::of(error)),
            }
        }
    }
    Ok(all)
}

/// Forgets without a server.
async fn directly(settings: &Settings, standing: &Settings) -> anyhow::Result<Vec<ForgottenRoot>> {
    let _lock = state_dir::lock(&settings.state_dir)?;
    let path = settings.state_dir.join(INDEX_FILE);
    if !path.is_file() {
        return Err(Stop::error(
            Ending::CouldNotTell,
            format!(
                "the state folder {} has no index, so no root is known there: give the one of `focus serve` with --state-dir",
                settings.state_dir.display()
            ),
        ));
    }
    let opened = tokio::task::spawn_blocking(move || Index::open(&path)).await??;
    let index = opened.index;
    index.reader().answer_for(configured(standing));
    let forgotten = forget_each(&index, settings).await;
    tokio::task::spawn_blocking(move || index.close()).await?;
    forgotten
}

async fn forget_each(index: &Index, settings: &Settings) -> anyhow::Result<Vec<ForgottenRoot>> {
    let mut all = Vec::new();
    for root in &settings.roots {
        let mut wanted = root.path.display().to_string();
        let mut recordings = 0;
        loop {
            let mut part = focus_engine::forget(index, &wanted).await.map_err(refused)?;
            recordings += part.recordings;
            if part.done {
                part.recordings = recordings;
                all.push(part);
                break;
            }
            wanted = part.marker;
        }
    }
    Ok(all)
}

fn refused(error: ForgetError) -> anyhow::Error {
    match error {
        ForgetError::Unknown { .. } | ForgetError::Configured { .. } => {
            Stop::error(Ending::Refused, error.to_string())
        }
        ForgetError::Index(error) => error.into(),
    }
}
