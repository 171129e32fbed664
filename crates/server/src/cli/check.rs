//! `focus config check`: looks at settings, roots, state folder and catalog, and changes nothing.

use std::time::Duration;

use focus_catalog::mongo::{self, MongoCatalog, MongoSettings};
use focus_catalog::{Catalog, Reach, RootPlace};
use focus_core::answer::Class;
use focus_storage::marker;
use serde_json::json;

use super::check_pairs;
use super::output::Output;
use super::{Ending, NO_ROOT, runtime};
use focus_common::config::{Layout, Settings};
use focus_engine::CATALOG_FILE;

/// How long the command waits for the database.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn check(settings: Settings, out: &Output) -> anyhow::Result<Ending> {
    let mut findings: Vec<(Ending, String)> = Vec::new();
    if settings.roots.is_empty() {
        findings.push((Ending::Refused, NO_ROOT.to_owned()));
    }
    let mut places = Vec::new();
    for root in &settings.roots {
        let path = root.path.display().to_string();
        match marker::read(&root.path) {
            Ok(id) => {
                findings.push((Ending::InOrder, format!("root {path}: marked as {id}")));
                places.push(RootPlace { id, path });
            }
            Err(problem) => findings.push((Ending::CouldNotTell, problem.to_string())),
        }
    }
    let one = focus_engine::roots_that_are_one(&settings.roots);
    findings.extend(one.into_iter().map(|words| (Ending::Refused, words)));
    if settings.state_dir.is_dir() {
        findings.push((Ending::InOrder, format!("state folder: {}", settings.state_dir.display())));
    } else if settings.state_dir.ancestors().any(|dir| dir.is_dir()) {
        let words = format!("state folder: {}, to be made", settings.state_dir.display());
        findings.push((Ending::InOrder, words));
    }
    findings.extend(runtime()?.block_on(catalog(&settings, &places)));
    let worst = [Ending::Refused, Ending::CouldNotTell]
        .into_iter()
        .find(|ending| findings.iter().any(|(found, _)| found == ending))
        .unwrap_or(Ending::InOrder);
    let pairs: Vec<_> =
        settings.roots.iter().filter_map(|root| check_pairs::shown(&settings, root)).collect();
    for (ending, words) in &findings {
        let mark = if *ending == Ending::InOrder { "ok     " } else { "problem" };
        out.line(&format!("{mark} {words}"));
    }
    pairs.iter().flat_map(|(lines, _)| lines).for_each(|line| out.line(line));
    let listed: Vec<_> = findings
        .iter()
        .map(|(ending, words)| json!({ "ok": *ending == Ending::InOrder, "detail": words }))
        .collect();
    let file = settings.file.map(|path| path.display().to_string());
    let pairs: Vec<_> = pairs.into_iter().map(|(_, value)| value).collect();
    let ok = worst == Ending::InOrder;
    out.value(&json!({ "ok": ok, "file": file, "findings": listed, "pairs": pairs }));
    Ok(worst)
}

async fn catalog(settings: &Settings, places: &[RootPlace]) -> Vec<(Ending, String)> {
    let Some(uri) = &settings.mongodb_uri else {
        let path = settings.state_dir.join(CATALOG_FILE);
        let made = if path.exists() { "" } else { ", to be made" };
        return vec![(Ending::InOrder, format!("catalog: embedded ({}){made}", path.display()))];
    };
    let layout = match settings.layout {
        Layout::Collection => mongo::Layout::Collection,
        Layout::BasePaths => mongo::Layout::BasePaths,
    };
    let wanted = MongoSettings::new(uri.expose(), &settings.database, &settings.collection, layout);
    let catalog = match MongoCatalog::start(wanted) {
        Ok(catalog) => catalog,
        Err(failure) => return vec![(Ending::Refused, failure.to_string())],
    };
    let mut reach = catalog.reach();
    let met = |reach: &Reach| matches!(reach, Reach::Up { .. } | Reach::Down { refused: true, .. });
    // An answer or the end of the wait: either way the present state is shown below.
    let _ = tokio::time::timeout(PATIENCE, reach.wait_for(met)).await;
    let now = catalog.reach().borrow().clone();
    let address = catalog.address();
    match now {
        Reach::Up { .. } => {}
        Reach::Down { why, refused: true } => {
            return vec![(Ending::Refused, format!("{address}: {why}"))];
        }
        Reach::Down { why, .. } => {
            return vec![(Ending::CouldNotTell, format!("{address}: {why}"))];
        }
        Reach::Connecting => {
            return vec![(Ending::CouldNotTell, format!("{address} does not answer"))];
        }
    }
    let mut findings = vec![(Ending::InOrder, format!("catalog: mongodb ({address})"))];
    for place in places {
        let finding = match catalog.preview(place).await {
            Ok(missing) if missing.is_empty() => {
                (Ending::InOrder, "indexes and identity are there".to_owned())
            }
            Ok(missing) => (Ending::InOrder, format!("to be made: {}", missing.join("; "))),
            Err(failure) => {
                let refused = failure.class == Class::RefusedClient;
                let ending = if refused { Ending::Refused } else { Ending::CouldNotTell };
                (ending, failure.to_string())
            }
        };
        // Roots that share a collection lack the same.
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings.extend(catalog.remarks().into_iter().map(|remark| (Ending::InOrder, remark)));
    findings
}
