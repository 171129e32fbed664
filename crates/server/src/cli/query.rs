//! `focus query` and `focus unrecognised`, and how commands that only read get their answers.

use std::time::Duration;

use focus_core::time;
use focus_index::{Listing, Reader};
use serde_json::{Value, json};

use super::output::Output;
use super::{Ending, Stop, running_server, runtime};
use crate::api::{fault, recording};
use focus_common::client::escape;
use focus_common::config::Settings;
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
pub(super) fn reader(settings: &Settings) -> anyhow::Result<Reader> {
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

/// The server's answer; none where no server runs.
pub(super) fn ask(settings: &Settings, path: &str) -> anyhow::Result<Option<Value>> {
    let Some(server) = running_server(&settings.state_dir)? else { return Ok(None) };
    let answer = runtime()?.block_on(server.get(path, LIMIT));
    answer.map(Some).map_err(|error| {
        let error = anyhow::Error::from(error);
        Stop::error(Ending::CouldNotTell, format!("{error:#}"))
    })
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
