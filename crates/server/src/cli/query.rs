//! `focus query` and `focus unrecognised`, and how commands that only read get their answers.

use std::time::Duration;

use focus_core::time;
use focus_index::{Listing, MORE_MAX, Order, Reader};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::lines::{Lines, Row};
use super::output::{Output, cell, terminal_width};
use super::{Ending, Stop, running_server, runtime};
use crate::api::{fault, recordings_page};
use focus_common::client::{Client, escape};
use focus_common::config::Settings;
use focus_engine::INDEX_FILE;

const LIMIT: Duration = Duration::from_secs(10);

/// Recordings that are asked for at a time: memory holds so many.
const PAGE: u64 = 1_000;

/// Recordings that a terminal shows, unless more are asked for.
const SHOWN: u64 = 100;

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
    /// At most so many [default: 100 on a terminal, else all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// All of them, on a terminal too
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Go on where a page with the same filters ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// The arguments of `focus unrecognised`.
#[derive(Debug, clap::Args)]
pub(super) struct UnrecognisedArgs {
    /// Only those in this state
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// At most so many [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
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
    let reader = Reader::new(&path);
    if !settings.roots.is_empty() {
        reader.answer_for(super::forget::configured(settings));
    }
    Ok(reader)
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
pub(super) fn time_ms(flag: &str, text: Option<&String>) -> anyhow::Result<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    time::from_number(text, None)
        .or_else(|_| focus_core::iso8601::from_text(text, None))
        .map(Some)
        .map_err(|why| Stop::error(Ending::Refused, format!("{flag}: {text:?} {why}")))
}

pub(super) fn query(settings: &Settings, args: &QueryArgs, out: &Output) -> anyhow::Result<Ending> {
    let listing = Listing {
        from_ms: time_ms("--from", args.from.as_ref())?,
        to_ms: time_ms("--to", args.to.as_ref())?,
        text: args.text.clone(),
        pending_only: args.pending,
        order: Order::Start,
        ..Listing::default()
    };
    if let (Some(from_ms), Some(to_ms)) = (listing.from_ms, listing.to_ms)
        && from_ms > to_ms
    {
        return Err(Stop::error(
            Ending::Refused,
            "--from is after --to: give the earlier time with --from",
        ));
    }
    let terminal = if out.is_json() { None } else { terminal_width() };
    let wanted = match (args.all, args.limit) {
        (true, _) => None,
        (false, Some(limit)) => Some(limit),
        (false, None) => terminal.map(|_| SHOWN),
    };
    let pages = Pages::of(settings, listing)?;
    let mut shown = Shown::of_recordings(out, terminal);
    let mut cursor = args.cursor.clone();
    let mut left = wanted;
    loop {
        let limit = left.unwrap_or(PAGE).min(PAGE);
        let is_last = left == Some(limit);
        let mut page = pages.page(cursor.as_deref(), limit, is_last).inspect_err(|_| {
            shown.cut_off(&json!(cursor));
        })?;
        let rows = page["recordings"].take();
        let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
        shown.page(rows, &page);
        left = left.map(|left| left.saturating_sub(rows.len() as u64));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || left == Some(0) || out.is_closed() {
            shown.end(&page);
            return Ok(Ending::InOrder);
        }
    }
}

/// Where the pages of a listing come from.
enum Pages {
    Server { server: Client, runtime: Runtime, listing: Listing },
    Index { reader: Reader, listing: Listing },
}

impl Pages {
    /// From the running server, else from the index file.
    fn of(settings: &Settings, listing: Listing) -> anyhow::Result<Pages> {
        Ok(match running_server(&settings.state_dir)? {
            Some(server) => Pages::Server { server, runtime: runtime()?, listing },
            None => Pages::Index { reader: reader(settings)?, listing },
        })
    }

    /// The page after this cursor, and with `count` how many come after it.
    fn page(&self, cursor: Option<&str>, limit: u64, count: bool) -> anyhow::Result<Value> {
        match self {
            Pages::Server { server, runtime, listing } => {
                let mut path = format!(
                    "/api/v1/recordings?order=start&limit={limit}&count={count}&pending={}",
                    listing.pending_only
                );
                for (name, value) in [("from_ms", listing.from_ms), ("to_ms", listing.to_ms)] {
                    if let Some(value) = value {
                        path.push_str(&format!("&{name}={value}"));
                    }
                }
                for (name, value) in [("text", listing.text.as_deref()), ("cursor", cursor)] {
                    if let Some(value) = value {
                        path.push_str(&format!("&{name}={}", escape(value)));
                    }
                }
                runtime.block_on(server.get(&path, LIMIT)).map_err(Stop::of)
            }
            Pages::Index { reader, listing } => {
                let after = cursor
                    .map(|text| listing.cursor_of(text))
                    .transpose()
                    .map_err(|wrong| Stop::error(Ending::Refused, format!("--cursor: {wrong}")))?;
                let limit = usize::try_from(limit)?;
                let listing = Listing { after, limit, ..listing.clone() };
                let mut page = recordings_page(reader, &listing, count)?;
                page["complete_through"] = Value::Null;
                page["pending"] = json!(reader.totals()?.pending);
                page["source"] = json!("index");
                Ok(page)
            }
        }
    }
}

/// What is shown of a listing, page by page: lines for people, and for programs one JSON object that is
/// written as it comes, so that memory holds one page.
struct Shown<'a> {
    out: &'a Output,
    /// The name of the list in that object.
    list: &'static str,
    layout: Layout,
    on_terminal: bool,
    /// The completeness of the first page, which holds for all of them.
    complete_through: Option<Value>,
    count: u64,
}

/// How rows become lines.
enum Layout {
    Recordings(Lines),
    Reasons,
}

impl Layout {
    fn lines(&mut self, rows: &[Value]) -> String {
        match self {
            Layout::Recordings(lines) => {
                let rows: Vec<Row> = rows.iter().map(cells).collect();
                lines.page(&rows)
            }
            Layout::Reasons => rows.iter().map(reasons).collect(),
        }
    }
}

impl Shown<'_> {
    fn of_recordings(out: &Output, terminal: Option<usize>) -> Shown<'_> {
        Shown {
            out,
            list: "recordings",
            layout: Layout::Recordings(Lines::new(terminal)),
            on_terminal: terminal.is_some(),
            complete_through: None,
            count: 0,
        }
    }

    fn of_unrecognised(out: &Output) -> Shown<'_> {
        Shown {
            out,
            list: "unrecognised",
            layout: Layout::Reasons,
            on_terminal: false,
            complete_through: None,
            count: 0,
        }
    }

    fn page(&mut self, rows: &[Value], page: &Value) {
        let mut text = String::new();
        if self.out.is_json() {
            if self.complete_through.is_none() {
                text = format!("{{\"{}\": [", self.list);
            }
            for row in rows {
                text.push_str(if self.count == 0 { "\n  " } else { ",\n  " });
                text.push_str(&row.to_string());
                self.count += 1;
            }
        } else {
            text = self.layout.lines(rows);
            self.count += rows.len() as u64;
        }
        self.complete_through.get_or_insert_with(|| page["complete_through"].clone());
        self.out.raw(text.as_bytes());
    }

    /// Ends the listing after its last page, and says what is left.
    fn end(&self, page: &Value) {
        let more = page["more"].as_u64().unwrap_or(0);
        if self.out.is_json() {
            let through = self.complete_through.clone().unwrap_or_default();
            let mut end = String::from("\n]");
            for (name, value) in [
                ("next_cursor", &page["next_cursor"]),
                ("more", &json!(more)),
                ("complete_through", &through),
                ("pending", &page["pending"]),
                ("source", &page["source"]),
            ] {
                if name != "more" || matches!(self.layout, Layout::Recordings(_)) {
                    end.push_str(&format!(",\n\"{name}\": {value}"));
                }
            }
            self.out.raw(format!("{end}}}\n").as_bytes());
            return;
        }
        let cursor = &page["next_cursor"];
        match &self.layout {
            Layout::Reasons if self.count == 0 => self.out.line("no unrecognised recordings"),
            Layout::Reasons if !cursor.is_null() => {
                self.out.remark("there may be more: without --limit all are listed");
            }
            Layout::Recordings(_) if !cursor.is_null() => {
                let least = if more >= MORE_MAX { "at least " } else { "" };
                let cursor = cursor.as_str().unwrap_or_default();
                let words = format!(
                    "{least}{more} more, use --all for all of them, or for the next page:\n    --cursor {cursor} and the same filters"
                );
                if self.on_terminal {
                    self.out.line(&words);
                } else {
                    self.out.remark(&words);
                }
            }
            Layout::Recordings(_) | Layout::Reasons => {}
        }
    }

    /// Ends what programs got of a listing that failed after its first page. The error follows.
    fn cut_off(&self, cursor: &Value) {
        if self.out.is_json() && self.complete_through.is_some() {
            self.out.raw(format!("\n],\n\"next_cursor\": {cursor}}}\n").as_bytes());
        }
    }
}

/// The cells of a recording.
fn cells(row: &Value) -> Row {
    let text = |key: &str| cell(row[key].as_str().unwrap_or("live"));
    let pending = row["pending"].as_bool() == Some(true);
    [
        text("uuid"),
        text("start_time"),
        text("end_time"),
        row["size"].to_string(),
        if pending { "pending" } else { "yes" }.to_owned(),
        text("path"),
    ]
}

/// The lines of an unrecognised recording.
fn reasons(row: &Value) -> String {
    let text = |key: &str| cell(row[key].as_str().unwrap_or_default());
    let (state, path, since) = (text("state"), text("path"), text("since"));
    format!("{state}  {path}  since {since}\n    {}\n", text("reason"))
}

pub(super) fn unrecognised(
    settings: &Settings,
    args: &UnrecognisedArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    if let Some(state) = &args.state
        && focus_core::state::State::from_name(state).is_none()
    {
        let known = focus_core::state::State::ALL.map(|state| state.name()).join(", ");
        return Err(Stop::error(
            Ending::Refused,
            format!("--state: {state:?} is not one of {known}"),
        ));
    }
    let mut shown = Shown::of_unrecognised(out);
    let mut cursor = None;
    let mut left = args.limit;
    loop {
        let limit = left.unwrap_or(PAGE).min(PAGE);
        let mut page = unrecognised_page(settings, args, cursor, limit)
            .inspect_err(|_| shown.cut_off(&json!(cursor)))?;
        let rows = page["unrecognised"].take();
        let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
        shown.page(rows, &page);
        left = left.map(|left| left.saturating_sub(rows.len() as u64));
        cursor = page["next_cursor"].as_i64();
        if cursor.is_none() || left == Some(0) || out.is_closed() {
            shown.end(&page);
            return Ok(Ending::InOrder);
        }
    }
}

/// The page after this cursor: the running server's, else the index file's.
fn unrecognised_page(
    settings: &Settings,
    args: &UnrecognisedArgs,
    cursor: Option<i64>,
    limit: u64,
) -> anyhow::Result<Value> {
    let mut path = format!("/api/v1/unrecognised?limit={limit}");
    if let Some(state) = &args.state {
        path.push_str(&format!("&state={}", escape(state)));
    }
    if let Some(cursor) = cursor {
        path.push_str(&format!("&cursor={cursor}"));
    }
    if let Some(answer) = ask(settings, &path)? {
        return Ok(answer);
    }
    let reader = reader(settings)?;
    let limit = usize::try_from(limit)?;
    let rows = reader.unrecognised(args.state.as_deref(), cursor, limit)?;
    let next = rows.last().filter(|_| rows.len() >= limit).map(|row| row.cursor);
    let listed: Vec<Value> = rows.iter().map(fault).collect();
    let pending = reader.totals()?.pending;
    Ok(
        json!({ "unrecognised": listed, "next_cursor": next, "pending": pending, "source": "index" }),
    )
}
