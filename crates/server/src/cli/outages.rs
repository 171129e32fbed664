//! `focus outages`: what the server remembers of outages; without a server, what its state folder has.

use std::time::Duration;

use focus_http::api::outage_item;
use serde_json::{Value, json};

use super::output::Output;
use super::query::reader;
use super::{Ending, Stop, running_server, runtime};
use focus_common::config::Settings;

/// How long the server may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// `focus outages`.
#[derive(Debug, clap::Args)]
pub(super) struct OutagesArgs {
    /// Show so many at most, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

pub(super) fn outages(
    settings: &Settings,
    args: &OutagesArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    let outages = match running_server(&settings.state_dir)? {
        Some(server) => {
            let path = format!("/api/v1/outages?limit={}", args.limit);
            let mut page = runtime()?.block_on(server.get(&path, LIMIT)).map_err(Stop::of)?;
            match page["items"].take() {
                Value::Array(items) => items,
                _ => Vec::new(),
            }
        }
        None => {
            let kept = focus_engine::kept_outages(&settings.state_dir);
            if kept.is_empty() {
                // A folder that is none of a server's knows of no outage either.
                reader(settings)?;
            }
            kept.iter().take(usize::from(args.limit)).map(outage_item).collect()
        }
    };
    out.value(&json!({ "outages": outages }));
    if outages.is_empty() {
        out.line("No outage of the catalog is known on this state folder.");
    } else {
        let header =
            ["ID", "BEGAN", "LASTED", "NOTICED", "LANDED", "PENDING", "CAUGHT UP", "REASON"];
        out.table(&header, outages.iter().map(row).collect());
    }
    Ok(Ending::InOrder)
}

fn row(outage: &Value) -> Vec<String> {
    let text = |field: &str| outage[field].as_str().unwrap_or("-").to_owned();
    let number = |field: &str| outage[field].as_u64().map_or("-".to_owned(), |n| n.to_string());
    let ms = |field: &str| outage[field].as_u64().map_or("-".to_owned(), |ms| format!("{ms} ms"));
    let lasted = match (&outage["ended_at"], outage["outage_ms"].as_u64()) {
        (Value::Null, Some(0) | None) => "goes on".to_owned(),
        (Value::Null, Some(so_far)) => format!("{so_far} ms so far"),
        _ => ms("outage_ms"),
    };
    vec![
        number("id"),
        text("began_at"),
        lasted,
        ms("detected_after_ms"),
        number("landed"),
        number("pending"),
        ms("converge_ms"),
        text("reason"),
    ]
}
