//! `focus coverage`: bars of covered time by lane, and the gaps.

use std::time::Duration;

use focus_common::client::{Client, escape};
use focus_common::clock;
use focus_common::config::Settings;
use focus_core::coverage::Buckets;
use focus_engine::Completeness;
use focus_http::api::{Coverage, gaps_value, lanes_by, with_completeness};
use focus_index::{CoverageQuery, GapQuery, NoLanes, Reader};
use serde_json::{Value, json};

use super::output::{Output, cell, terminal_width};
use super::query::{reader, time_ms};
use super::{Ending, Stop, running_server, runtime};

/// How long the server may take to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Columns of a bar where stdout is no terminal.
const BAR: usize = 60;

/// Lanes at most, and gaps of a page.
const PAGE: usize = 1_000;

/// `focus coverage`.
#[derive(Debug, clap::Args)]
pub(super) struct CoverageArgs {
    /// From this time on: RFC 3339, or a number since 1970 [default: the start of the first recording]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Up to this time [default: the time through which the index is complete]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Tell it by each value of this key of the metadata, which `indexed_metadata` names [default: by root]
    #[arg(long, value_name = "KEY")]
    by: Option<String>,
    /// Windows of equal length, 1 to 2000 [default: the columns of a bar]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=2000))]
    buckets: Option<u16>,
    /// Show gaps of at least so many milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    longer_than_ms: u64,
    /// Show so many gaps at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    gaps: u16,
}

/// What is asked, of the server or of the index.
struct Asked {
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    by: Option<String>,
    buckets: usize,
    longer_than_ms: u64,
    gaps: usize,
}

pub(super) fn coverage(
    settings: &Settings,
    args: &CoverageArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    let bar = terminal_width().map_or(BAR, |width| width.saturating_sub(10).clamp(10, 200));
    let asked = Asked {
        from_ms: time_ms("--from", args.from.as_ref())?,
        to_ms: time_ms("--to", args.to.as_ref())?,
        by: args.by.clone(),
        buckets: args.buckets.map_or(bar, usize::from),
        longer_than_ms: args.longer_than_ms,
        gaps: usize::from(args.gaps),
    };
    if let (Some(from_ms), Some(to_ms)) = (asked.from_ms, asked.to_ms)
        && from_ms >= to_ms
    {
        let words = "--from is not before --to: give the earlier time with --from";
        return Err(Stop::error(Ending::Refused, words));
    }
    let (covered, gaps) = match running_server(&settings.state_dir)? {
        Some(server) => of_server(&server, &asked)?,
        None => of_index(&reader(settings)?, &asked)?,
    };
    out.value(&json!({ "coverage": covered, "gaps": gaps }));
    show(&covered, &gaps, out);
    Ok(Ending::InOrder)
}

fn of_server(server: &Client, asked: &Asked) -> anyhow::Result<(Value, Value)> {
    let mut window = String::new();
    for (name, value) in [("from", asked.from_ms), ("to", asked.to_ms)] {
        if let Some(value) = value {
            window.push_str(&format!("&{name}={}", escape(&clock::rfc3339(value))));
        }
    }
    if let Some(by) = &asked.by {
        window.push_str(&format!("&by={}", escape(by)));
    }
    let covered = format!("/api/v1/coverage?buckets={}&limit={PAGE}{window}", asked.buckets);
    let (longer, limit) = (asked.longer_than_ms, asked.gaps);
    let gaps = format!("/api/v1/gaps?longer_than_ms={longer}&limit={limit}{window}");
    runtime()?.block_on(async {
        let covered = server.get(&covered, LIMIT).await.map_err(Stop::of)?;
        let gaps = server.get(&gaps, LIMIT).await.map_err(Stop::of)?;
        Ok((covered, gaps))
    })
}

fn of_index(reader: &Reader, asked: &Asked) -> anyhow::Result<(Value, Value)> {
    let through_ms = reader.complete_through_ms()?;
    let to_ms = asked.to_ms.or(through_ms).unwrap_or_else(clock::wall_ms);
    let from_ms = match asked.from_ms {
        Some(from_ms) => from_ms,
        None => reader.first_start_ms()?.unwrap_or(to_ms).min(to_ms),
    };
    let buckets = Buckets::over(from_ms, to_ms, asked.buckets);
    let by = lanes_by(asked.by.as_deref())
        .map_err(|problem| Stop::error(Ending::Refused, format!("--{}", problem.detail())))?;
    let query = CoverageQuery { by: by.clone(), buckets, through_ms, lane: None, lanes_max: PAGE };
    let completeness =
        Completeness { complete_through_ms: through_ms, pending: reader.totals()?.pending };
    let window = (from_ms, to_ms);
    let covered = reader.coverage(&query)?.map_err(|none| no_lanes(none, asked))?;
    let covered = Coverage::of(covered, window, buckets, PAGE, completeness);
    let page = reader.gaps(&GapQuery {
        from_ms,
        to_ms,
        through_ms,
        longer_than_ms: i64::try_from(asked.longer_than_ms).unwrap_or(i64::MAX),
        by,
        lane: None,
        after: None,
        limit: asked.gaps,
    })?;
    let page = page.map_err(|none| no_lanes(none, asked))?;
    // Without a server there is no next page: `--gaps` asks for more.
    let gaps = gaps_value(&page, asked.gaps, |_, at_ms| clock::rfc3339(at_ms));
    Ok((json!(covered), with_completeness(gaps, completeness)))
}

/// There are no lanes by the key that is asked for.
fn no_lanes(none: NoLanes, asked: &Asked) -> anyhow::Error {
    let ending = match none {
        NoLanes::Indexing => Ending::CouldNotTell,
        NoLanes::NotIndexed | NoLanes::TooManyValues | NoLanes::NoSuchLane => Ending::Refused,
    };
    Stop::error(ending, format!("--by: {:?}: {none}", asked.by.as_deref().unwrap_or("root")))
}

fn show(covered: &Value, gaps: &Value, out: &Output) {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let lanes = covered["items"].as_array().map_or(&[][..], Vec::as_slice);
    if lanes.is_empty() {
        return out.line("The index knows nothing that would have a lane yet.");
    }
    out.line(&format!("{} to {}", text(&covered["from"]), text(&covered["to"])));
    let length_ms = window_ms(covered);
    for lane in lanes {
        let percent = lane["available_percent"].as_f64().unwrap_or(0.0);
        let buckets = lane["buckets"].as_array().map_or(&[][..], Vec::as_slice);
        let bar: String = buckets
            .iter()
            .map(|bucket| block(bucket["covered_ms"].as_f64().unwrap_or(0.0) / length_ms))
            .collect();
        out.line(&cell(&text(&lane["name"])));
        out.line(&format!("|{bar}| {percent:5.1} %"));
    }
    let items = gaps["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        return out.line("no gaps");
    }
    let row = |gap: &Value| {
        let cells = [&gap["start"], &gap["end"], &gap["lane"]];
        cells.map(|value| cell(&text(value))).to_vec()
    };
    out.table(&["GAP FROM", "TO", "LANE"], items.iter().map(row).collect());
    if !gaps["next_cursor"].is_null() {
        out.remark("there are more gaps: --gaps, --longer-than-ms, --from and --to choose");
    }
}

/// The length of a window, milliseconds.
fn window_ms(covered: &Value) -> f64 {
    let at = |name: &str| {
        let text = covered[name].as_str().unwrap_or_default();
        focus_core::iso8601::from_text(text, None).unwrap_or(0) as f64
    };
    let count = covered["starts"].as_array().map_or(1, Vec::len).max(1) as f64;
    ((at("to") - at("from")) / count).max(1.0)
}

/// How much of a window is covered, as a block of that height.
fn block(share: f64) -> char {
    match share {
        share if share <= 0.0 => ' ',
        share if share < 0.25 => '░',
        share if share < 0.75 => '▒',
        share if share < 0.999_9 => '▓',
        _ => '█',
    }
}

#[cfg(test)]
mod tests {
    use super::block;

    #[test]
    fn only_a_window_that_is_wholly_covered_is_a_full_block() {
        let blocks: String = [0.0, 0.001, 0.5, 0.999, 1.0].map(block).into_iter().collect();
        assert_eq!(blocks, " ░▒▓█");
    }
}
