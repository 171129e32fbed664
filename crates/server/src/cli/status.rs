//! `focus status`: the state of server, catalog and roots, also as exit code.

use serde_json::json;

use super::Ending;
use super::output::Output;
use super::query::{ask, reader};
use focus_common::alerts::AlertsStatus;
use focus_common::config::{Settings, Source};
use focus_common::standing::Standing;
use focus_common::status::{CatalogKind, IndexedKeyState, IndexedKeyStatus, Status};

pub(super) fn status(settings: &Settings, out: &Output) -> anyhow::Result<Ending> {
    if let Some(answer) = ask(settings, "/api/v1/status")? {
        out.value(&answer);
        let status: Status = serde_json::from_value(answer)?;
        tell(&status, out);
        return Ok(ending(&status));
    }
    let reader = reader(settings)?;
    let totals = reader.totals()?;
    let catalog = match settings.mongodb_uri {
        Some(_) => CatalogKind::Mongodb,
        None => CatalogKind::Embedded,
    };
    // Flags say which roots are asked about, and not which ones there are.
    let removed_roots = match settings.source("roots") {
        Source::Flag(_) => Vec::new(),
        _ => focus_engine::removed_roots(&reader)?,
    };
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        catalog,
        catalog_reason: Some("no server runs on this state folder: start `focus serve`".to_owned()),
        recordings: totals.recordings,
        pending: totals.pending,
        unsettled: totals.unsettled,
        vanished: totals.vanished,
        held: totals.held,
        deleted: totals.marked,
        unrecognised: totals.unrecognised.iter().map(|(_, count)| count).sum(),
        unrecognised_by_state: totals.unrecognised.into_iter().collect(),
        removed_roots,
        indexed_metadata: reader
            .indexed_keys()?
            .into_iter()
            .map(focus_engine::indexed_key)
            .collect(),
        text_index: focus_engine::text_index(reader.text_indexed()?),
        ..Status::default()
    };
    out.value(&json!(status));
    tell(&status, out);
    Ok(ending(&status))
}

fn ending(status: &Status) -> Ending {
    match status.standing() {
        Standing::InOrder => Ending::InOrder,
        Standing::NotInOrder => Ending::NotInOrder,
        Standing::NotThere => Ending::CouldNotTell,
    }
}

fn tell(status: &Status, out: &Output) {
    let line = |name: &str, value: String| out.line(&format!("{:<18}{value}", format!("{name}:")));
    line("catalog", format!("{} {}", status.catalog, status.catalog_address));
    line("catalog state", status.catalog_state.to_string());
    if let Some(reason) = &status.catalog_reason {
        line("reason", reason.clone());
    }
    for remark in &status.catalog_remarks {
        line("remark", remark.clone());
    }
    line("recordings", status.recordings.to_string());
    line("pending", format!("{} (oldest for {} ms)", status.pending, status.lag_ms));
    line("unsettled", status.unsettled.to_string());
    line("vanished", status.vanished.to_string());
    line("held", status.held.to_string());
    if status.held > 0 {
        out.line("  `focus held` says which and why: bring the files back, or approve with `focus approve --root DIR`");
    }
    line("deleted", status.deleted.to_string());
    if let Some(drift) = status.drift.filter(|drift| *drift > 0) {
        line("drift", format!("{drift} differences were left by the last verification"));
        out.line("  `focus verify` looks again, and with --repair it mends what can be mended");
    }
    line("unrecognised", status.unrecognised.to_string());
    for (state, count) in &status.unrecognised_by_state {
        out.line(&format!("  {state}: {count}"));
    }
    let through = status.complete_through.clone().unwrap_or_else(|| "not yet".to_owned());
    line("complete through", through);
    if let Some(outage) = &status.outage {
        line(
            "outage",
            format!(
                "since {}, {} ms, {} pending",
                outage.began_at, outage.outage_ms, outage.pending
            ),
        );
    }
    if let Some(outage) = &status.last_outage {
        let caught = outage
            .converge_ms
            .map_or_else(|| "being caught up".to_owned(), |ms| format!("caught up in {ms} ms"));
        line(
            "last outage",
            format!(
                "{} for {} ms, {} pending, {caught}",
                outage.began_at, outage.outage_ms, outage.pending
            ),
        );
    }
    if let Some(recovery) = &status.recovery {
        let left = recovery.left_ms.map_or_else(String::new, |ms| format!(", {ms} ms left"));
        line(
            "recovery",
            format!(
                "{} of {} written, {:.0}/s{left}",
                recovery.written, recovery.backlog, recovery.rate_per_s
            ),
        );
    }
    if let Some(fill) = &status.fill {
        let left = match fill.left_ms {
            Some(ms) => format!(", {} s left", ms.div_ceil(1_000)),
            None => ", more may be found".to_owned(),
        };
        let words = format!("{} of {}, {:.0}/s{left}", fill.done, fill.of, fill.rate_per_s);
        line("first fill", words);
    }
    if let Some(comparison) = &status.comparison {
        line("comparison", format!("{} of {}", comparison.compared, comparison.of));
    }
    line("index", status.index_state.to_string());
    if let Some(reason) = &status.index_reason {
        out.line(&format!("  {reason}"));
    }
    for root in &status.roots {
        line("root", format!("{} {} ({})", root.path, root.state, root.watch));
        for reason in [&root.reason, &root.watch_reason].into_iter().flatten() {
            out.line(&format!("  {reason}"));
        }
    }
    for root in &status.removed_roots {
        line("removed root", root.remark.clone());
    }
    for key in &status.indexed_metadata {
        line("indexed metadata", of_key(key));
    }
    for queue in &status.hints {
        let counts = format!("{} of {} hints accepted", queue.accepted, queue.received);
        line("queue", format!("{} ({}) {}, {counts}", queue.name, queue.kind, queue.state));
        if let Some(reason) = &queue.reason {
            out.line(&format!("  {reason}"));
        }
    }
    for words in of_alerts(status.alerts.as_ref()) {
        line("alerts", words);
    }
}

/// How far an indexed key is.
fn of_key(key: &IndexedKeyStatus) -> String {
    let progress = match key.state {
        IndexedKeyState::Indexing => format!(", {} of {} recordings", key.done, key.of),
        IndexedKeyState::Ready | IndexedKeyState::Leaving => String::new(),
    };
    format!("{} {}{progress}", key.key, key.state)
}

/// What is to be said of alerts: nothing where none fires, every channel takes them and none is silenced.
fn of_alerts(alerts: Option<&AlertsStatus>) -> Vec<String> {
    let Some(alerts) = alerts else { return Vec::new() };
    let mut words = Vec::new();
    if alerts.firing > 0 {
        words.push(format!("{} firing: `focus alerts` lists them", alerts.firing));
    }
    for channel in &alerts.channels {
        let reason = channel.reason.as_ref();
        words.extend(reason.map(|why| format!("the channel {} is failing: {why}", channel.name)));
    }
    for silence in &alerts.silences {
        words.push(format!("{} is silenced until {}", silence.rule, silence.until));
    }
    words
}
