//! `focus status`, `focus query` and `focus unrecognised`.

use std::time::Duration;

use focus_core::time;
use focus_index::{Listing, Reader};
use serde_json::{Value, json};

use super::output::Output;
use super::{Ending, Stop, running_server, runtime};
use crate::api::{fault, recording};
use focus_common::client::escape;
use focus_common::config::Settings;
use focus_common::status::{CatalogKind, Status};
use focus_engine::INDEX_FILE;

const LIMIT: Duration = Duration::from_secs(10);

/// The arguments of `focus query`.
#[derive(Debug, clap::Args)]
pub(super) struct QueryArgs {
    /// Only recordings that end at or after this time: RFC 3339, or a number since 1970
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only recordings that start at or before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only those whose uuid or path contains this
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Only those that the catalog does not have yet
    #[arg(long)]
    pending: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

/// The arguments of `focus unrecognised`.
#[derive(Debug, clap::Args)]
pub(super) struct UnrecognisedArgs {
    /// Only those in this state
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

/// The index file, for commands while no server runs.
fn reader(settings: &Settings) -> anyhow::Result<Reader> {
    let path = settings.state_dir.join(INDEX_FILE);
    if !path.is_file() {
        return Err(Stop::error(
            Ending::CouldNotTell,
            format!(
                "no server runs on the state folder {}, and it has no index: start `focus serve`, run `focus scan`, or give another --state-dir",
                settings.state_dir.display()
            ),
        ));
    }
    Ok(Reader::new(&path))
}

fn ask(settings: &Settings, path: &str) -> anyhow::Result<Option<Value>> {
    let Some(server) = running_server(&settings.state_dir)? else { return Ok(None) };
    let answer = runtime()?.block_on(server.get(path, LIMIT));
    answer.map(Some).map_err(|error| {
        let error = anyhow::Error::from(error);
        Stop::error(Ending::CouldNotTell, format!("{error:#}"))
    })
}

pub(super) fn status(settings: &Settings, out: &Output) -> anyhow::Result<Ending> {
    if let Some(answer) = ask(settings, "/api/v1/status")? {
        out.value(&answer);
        tell(&serde_json::from_value(answer)?, out);
        return Ok(Ending::InOrder);
    }
    let totals = reader(settings)?.totals()?;
    let catalog = match settings.mongodb_uri {
        Some(_) => CatalogKind::Mongodb,
        None => CatalogKind::Embedded,
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
        ..Status::default()
    };
    out.value(&json!(status));
    tell(&status, out);
    Ok(Ending::InOrder)
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
    line("deleted", status.deleted.to_string());
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
}

/// A time on the command line: RFC 3339 or a number since 1970.
fn time_ms(flag: &str, text: Option<&String>) -> anyhow::Result<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    time::from_number(text, None)
        .or_else(|_| time::from_text(text))
        .map(Some)
        .map_err(|why| Stop::error(Ending::Refused, format!("{flag}: {text:?} {why}")))
}

pub(super) fn query(settings: &Settings, args: &QueryArgs, out: &Output) -> anyhow::Result<Ending> {
    let from_ms = time_ms("--from", args.from.as_ref())?;
    let to_ms = time_ms("--to", args.to.as_ref())?;
    let mut path = format!("/api/v1/recordings?limit={}&pending={}", args.limit, args.pending);
    for (name, value) in [("from_ms", from_ms), ("to_ms", to_ms)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={value}"));
        }
    }
    if let Some(text) = &args.text {
        path.push_str(&format!("&text={}", escape(text)));
    }
    let answer = match ask(settings, &path)? {
        Some(answer) => answer,
        None => {
            let listing = Listing {
                from_ms,
                to_ms,
                text: args.text.clone(),
                pending_only: args.pending,
                after: None,
                limit: usize::from(args.limit),
            };
            let reader = reader(settings)?;
            let rows: Vec<Value> = reader.recordings(&listing)?.iter().map(recording).collect();
            let pending = reader.totals()?.pending;
            json!({ "recordings": rows, "complete_through": null, "pending": pending, "source": "index" })
        }
    };
    out.value(&answer);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("live").to_owned();
    let rows = answer["recordings"].as_array().cloned().unwrap_or_default();
    out.table(
        &["UUID", "START", "END", "SIZE", "CATALOG", "PATH"],
        rows.iter()
            .map(|row| {
                let pending = row["pending"].as_bool() == Some(true);
                vec![
                    text(row, "uuid"),
                    text(row, "start_time"),
                    text(row, "end_time"),
                    row["size"].to_string(),
                    if pending { "pending" } else { "yes" }.to_owned(),
                    text(row, "path"),
                ]
            })
            .collect(),
    );
    Ok(Ending::InOrder)
}

pub(super) fn unrecognised(
    settings: &Settings,
    args: &UnrecognisedArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    let mut path = format!("/api/v1/unrecognised?limit={}", args.limit);
    if let Some(state) = &args.state {
        if focus_core::state::State::from_name(state).is_none() {
            let known = focus_core::state::State::ALL.map(|state| state.name()).join(", ");
            return Err(Stop::error(
                Ending::Refused,
                format!("--state: {state:?} is not one of {known}"),
            ));
        }
        path.push_str(&format!("&state={}", escape(state)));
    }
    let answer = match ask(settings, &path)? {
        Some(answer) => answer,
        None => {
            let rows =
                reader(settings)?.unrecognised(args.state.as_deref(), None, args.limit.into())?;
            json!({ "unrecognised": rows.iter().map(fault).collect::<Vec<_>>(), "source": "index" })
        }
    };
    out.value(&answer);
    let rows = answer["unrecognised"].as_array().cloned().unwrap_or_default();
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default().replace('\n', "\\n");
        out.line(&format!("{}  {}  since {}", text("state"), text("path"), text("since")));
        out.line(&format!("    {}", text("reason")));
    }
    if rows.is_empty() {
        out.line("no unrecognised recordings");
    }
    Ok(Ending::InOrder)
}
