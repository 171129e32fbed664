//! `focus query` and `focus unrecognised`, and how commands that only read get their answers.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use focus_core::meta_filter::MetaFilter;
use focus_core::recording_state::RecordingState;
use focus_core::state::State;
use focus_core::time;
use focus_http::api::{UnrecognisedItem, recordings_page, states};
use focus_index::{Listing, MORE_MAX, Order, Reader, RootId};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::lines::{Lines, Row};
use super::output::{Output, cell, terminal_width};
use super::{Ending, Stop, running_server, runtime};
use focus_common::client::{Client, escape};
use focus_common::config::{Settings, Source};
use focus_engine::{Completeness, INDEX_FILE};

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
    /// Only those in this state [default: all but deleted]; may be given several times
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(RecordingState::ALL.map(RecordingState::name)))]
    state: Vec<String>,
    /// Only those whose metadata has this value; KEY is a field, or a JSON pointer such as /site/name
    #[arg(long, value_name = "KEY=VALUE")]
    meta: Vec<String>,
    /// The latest first
    #[arg(long)]
    latest_first: bool,
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
    /// Only those in this state; may be given several times
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(State::ALL.map(State::name)))]
    state: Vec<String>,
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
        states: states(args.state.iter().filter_map(|name| RecordingState::from_name(name))),
        meta: args.meta.iter().map(|pair| meta(pair)).collect::<anyhow::Result<_>>()?,
        order: if args.latest_first { Order::StartDescending } else { Order::Start },
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
    let pages = Pages::of(settings, listing, args)?;
    let mut shown = Shown::of_recordings(out, terminal);
    let mut cursor = args.cursor.clone();
    let mut left = wanted;
    loop {
        let limit = left.unwrap_or(PAGE).min(PAGE);
        let is_last = left == Some(limit);
        let mut page = pages.page(cursor.as_deref(), limit, is_last).inspect_err(|_| {
            shown.cut_off(&json!(cursor));
        })?;
        let rows = page["items"].take();
        let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
        shown.page(rows, &page);
        left = left.map(|left| left.saturating_sub(rows.len() as u64));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if out.is_closed() {
            // Nobody reads on: what would be told of the rest would be of what nobody has seen.
            return Ok(Ending::InOrder);
        }
        if cursor.is_none() || left == Some(0) {
            shown.end(&page);
            return Ok(Ending::InOrder);
        }
    }
}

/// A filter on metadata, `KEY=VALUE`.
fn meta(pair: &str) -> anyhow::Result<MetaFilter> {
    let refused = |words: String| Stop::error(Ending::Refused, format!("--meta: {words}"));
    let (key, value) = pair
        .split_once('=')
        .ok_or_else(|| refused(format!("{pair:?} is not KEY=VALUE, such as sensor=north")))?;
    MetaFilter::new(key, value).map_err(|fault| refused(fault.to_string()))
}

/// The only root that the command names with a flag: answers are about that one.
fn only_root(settings: &Settings) -> Option<String> {
    match (settings.roots.as_slice(), settings.source("roots")) {
        ([root], Source::Flag(_)) => Some(root.path.display().to_string()),
        _ => None,
    }
}

/// The same, as the index knows it.
fn root_in(reader: &Reader, settings: &Settings) -> anyhow::Result<Option<RootId>> {
    let Some(path) = only_root(settings) else { return Ok(None) };
    let found = reader.root_named(&path)?;
    found.map(Some).ok_or_else(|| {
        let words = format!("--root: the index does not know the root {path}: `focus scan --root {path}` looks at it");
        Stop::error(Ending::Refused, words)
    })
}

/// The filters as the server's API takes them.
fn query_string(listing: &Listing, args: &QueryArgs, root: Option<&str>) -> String {
    let mut query = String::from(if args.latest_first { "&order=-start" } else { "&order=start" });
    let mut add = |name: &str, value: &str| query.push_str(&format!("&{name}={}", escape(value)));
    for (name, value) in [("from", listing.from_ms), ("to", listing.to_ms)] {
        if let Some(ms) = value {
            add(name, &focus_common::clock::rfc3339(ms));
        }
    }
    for (name, value) in [("text", listing.text.as_deref()), ("root", root)] {
        if let Some(value) = value {
            add(name, value);
        }
    }
    for state in &args.state {
        add("state", state);
    }
    for filter in &listing.meta {
        add(&format!("meta.{}", escape(filter.key().as_str())), filter.value());
    }
    query
}

/// Where the pages of a listing come from.
enum Pages {
    Server { server: Client, runtime: Runtime, query: String },
    Index { reader: Reader, listing: Listing },
}

impl Pages {
    /// From the running server, else from the index file.
    fn of(settings: &Settings, listing: Listing, args: &QueryArgs) -> anyhow::Result<Pages> {
        Ok(match running_server(&settings.state_dir)? {
            Some(server) => {
                let query = query_string(&listing, args, only_root(settings).as_deref());
                Pages::Server { server, runtime: runtime()?, query }
            }
            None => {
                let reader = reader(settings)?;
                let root = root_in(&reader, settings)?;
                Pages::Index { reader, listing: Listing { root, ..listing } }
            }
        })
    }

    /// The page after this cursor, and with `count` how many come after it.
    fn page(&self, cursor: Option<&str>, limit: u64, count: bool) -> anyhow::Result<Value> {
        match self {
            Pages::Server { server, runtime, query } => {
                let mut path = format!("/api/v1/recordings?limit={limit}&count={count}{query}");
                if let Some(cursor) = cursor {
                    path.push_str(&format!("&cursor={}", escape(cursor)));
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
                let pending = reader.totals()?.pending;
                let complete_through_ms = reader.complete_through_ms()?;
                let completeness = Completeness { complete_through_ms, pending };
                Ok(serde_json::to_value(recordings_page(reader, &listing, count, completeness)?)?)
            }
        }
    }
}

/// What is shown of a listing, page by page: lines for people, and for programs one JSON object that is
/// written as it comes, so that memory holds one page.
struct Shown<'a> {
    out: &'a Output,
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
            layout: Layout::Recordings(Lines::new(terminal)),
            on_terminal: terminal.is_some(),
            complete_through: None,
            count: 0,
        }
    }

    fn of_unrecognised(out: &Output) -> Shown<'_> {
        Shown { out, layout: Layout::Reasons, on_terminal: false, complete_through: None, count: 0 }
    }

    fn page(&mut self, rows: &[Value], page: &Value) {
        let mut text = String::new();
        if self.out.is_json() {
            if self.complete_through.is_none() {
                text = "{\"items\": [".to_owned();
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
    [
        text("uuid"),
        text("start_time"),
        text("end_time"),
        row["size"].to_string(),
        text("state"),
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
    let mut shown = Shown::of_unrecognised(out);
    let mut cursor: Option<String> = None;
    let mut left = args.limit;
    loop {
        let limit = left.unwrap_or(PAGE).min(PAGE);
        let mut page = unrecognised_page(settings, args, cursor.as_deref(), limit)
            .inspect_err(|_| shown.cut_off(&json!(cursor)))?;
        let rows = page["items"].take();
        let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
        shown.page(rows, &page);
        left = left.map(|left| left.saturating_sub(rows.len() as u64));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if out.is_closed() {
            // Nobody reads on: what would be told of the rest would be of what nobody has seen.
            return Ok(Ending::InOrder);
        }
        if cursor.is_none() || left == Some(0) {
            shown.end(&page);
            return Ok(Ending::InOrder);
        }
    }
}

/// The page after this cursor: the running server's, else the index file's, whose cursors are its own.
fn unrecognised_page(
    settings: &Settings,
    args: &UnrecognisedArgs,
    cursor: Option<&str>,
    limit: u64,
) -> anyhow::Result<Value> {
    let mut path = format!("/api/v1/unrecognised?limit={limit}");
    let mut add = |name: &str, value: &str| path.push_str(&format!("&{name}={}", escape(value)));
    args.state.iter().for_each(|state| add("state", state));
    if let Some(root) = only_root(settings) {
        add("root", &root);
    }
    if let Some(cursor) = cursor {
        add("cursor", cursor);
    }
    if let Some(answer) = ask(settings, &path)? {
        return Ok(answer);
    }
    let reader = reader(settings)?;
    let limit = usize::try_from(limit)?;
    let named: Vec<State> = args.state.iter().filter_map(|name| State::from_name(name)).collect();
    let after = cursor.and_then(|cursor| cursor.parse().ok());
    let rows = reader.unrecognised(&named, root_in(&reader, settings)?, after, limit)?;
    let next = rows.last().filter(|_| rows.len() >= limit).map(|row| row.cursor.to_string());
    let items: Vec<UnrecognisedItem> = rows.iter().map(UnrecognisedItem::of).collect();
    let pending = reader.totals()?.pending;
    Ok(json!({ "items": items, "next_cursor": next, "pending": pending, "source": "index" }))
}
