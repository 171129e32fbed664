//! `/fdsnws/availability/1/…`: the service `fdsnws-availability` 1.0, over the recordings of the index.
//!
//! | file | what it does |
//! |---|---|
//! | `mod` | the calls, and what of the index answers them |
//! | `answer` | the forms of the answers |
//! | `error` | the service's own form of errors |
//! | `parameters` | the parameters, for the description of the interface |

mod answer;
mod error;
mod parameters;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use focus_common::config::{CodeFrom, Codes};
use focus_core::fdsn::{Code, Found, Kind, Refused, Request, SampleRate, joined, merged, ordered};
use focus_core::json::Value;
use focus_core::meta_filter;
use focus_engine::{Completeness, Engine};
use focus_index::{InWindow, IndexError};

use super::{AppState, ask, completeness_headers};
pub(super) use error::{Fault, is_below};

/// The version of the service.
const VERSION: &str = "1.0.0";

/// Bytes of a body at most: it holds a thousand selections.
pub(super) const BODY_BYTES_MAX: usize = 256 << 10;

/// Channels of one answer at most: memory holds them.
const CHANNELS_MAX: usize = 20_000;

/// Spans of one answer at most, once what touches is one. Their text takes 10 MB.
const SPANS_MAX: usize = 100_000;

/// Spans of a channel that are held before they are joined, at least.
const UNJOINED_MIN: usize = 1_024;

/// `GET /fdsnws/availability/1/query`.
#[utoipa::path(
    get,
    path = "/fdsnws/availability/1/query",
    tag = "fdsn",
    summary = "Spans of time that recordings cover, by channel: fdsnws-availability 1.0",
    params(parameters::Parameters, parameters::Gaps),
    responses(
        (status = 200, description = "The spans", body = String, content_type = "text/plain"),
        (status = 204, description = "Nothing is there"),
        (status = 400, description = "The request cannot be understood: plain text, as the specification has it"),
        (status = 404, description = "Nothing is there, with nodata=404, or the service is off"),
        (status = 413, description = "The answer has too many spans: ask for less time or fewer channels"),
    )
)]
pub(super) async fn query(State(state): State<AppState>, uri: Uri) -> Response {
    by_query(state, Kind::Query, &uri).await
}

/// `POST /fdsnws/availability/1/query`.
#[utoipa::path(
    post,
    path = "/fdsnws/availability/1/query",
    tag = "fdsn",
    summary = "As GET; the body has lines `name=value`, and then selections `NET STA LOC CHA START END`",
    request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 200, description = "The spans", body = String, content_type = "text/plain"),
        (status = 204, description = "Nothing is there"),
        (status = 400, description = "The request cannot be understood: plain text, as the specification has it"),
        (status = 404, description = "Nothing is there, with nodata=404, or the service is off"),
        (status = 413, description = "The answer has too many spans: ask for less time or fewer channels"),
    )
)]
pub(super) async fn query_by_body(
    State(state): State<AppState>,
    uri: Uri,
    body: Bytes,
) -> Response {
    by_body(state, Kind::Query, &uri, &body).await
}

/// `GET /fdsnws/availability/1/extent`.
#[utoipa::path(
    get,
    path = "/fdsnws/availability/1/extent",
    tag = "fdsn",
    summary = "The first and the last time of each channel: fdsnws-availability 1.0",
    params(parameters::Parameters),
    responses(
        (status = 200, description = "The channels", body = String, content_type = "text/plain"),
        (status = 204, description = "Nothing is there"),
        (status = 400, description = "The request cannot be understood: plain text, as the specification has it"),
        (status = 404, description = "Nothing is there, with nodata=404, or the service is off"),
        (status = 413, description = "The answer has too many spans: ask for less time or fewer channels"),
    )
)]
pub(super) async fn extent(State(state): State<AppState>, uri: Uri) -> Response {
    by_query(state, Kind::Extent, &uri).await
}

/// `POST /fdsnws/availability/1/extent`.
#[utoipa::path(
    post,
    path = "/fdsnws/availability/1/extent",
    tag = "fdsn",
    summary = "As GET; the body as of `query`",
    request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 200, description = "The channels", body = String, content_type = "text/plain"),
        (status = 204, description = "Nothing is there"),
        (status = 400, description = "The request cannot be understood: plain text, as the specification has it"),
        (status = 404, description = "Nothing is there, with nodata=404, or the service is off"),
        (status = 413, description = "The answer has too many spans: ask for less time or fewer channels"),
    )
)]
pub(super) async fn extent_by_body(
    State(state): State<AppState>,
    uri: Uri,
    body: Bytes,
) -> Response {
    by_body(state, Kind::Extent, &uri, &body).await
}

/// `GET /fdsnws/availability/1/version`.
#[utoipa::path(
    get,
    path = "/fdsnws/availability/1/version",
    tag = "fdsn",
    summary = "The version of the service",
    responses((status = 200, description = "The version", body = String, content_type = "text/plain"))
)]
pub(super) async fn version() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], VERSION).into_response()
}

/// `GET /fdsnws/availability/1/application.wadl`.
#[utoipa::path(
    get,
    path = "/fdsnws/availability/1/application.wadl",
    tag = "fdsn",
    summary = "The service's description for machines, in WADL",
    responses((status = 200, description = "The description", body = String, content_type = "application/xml"))
)]
pub(super) async fn wadl(headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '[' | ']');
    let host: String = host.chars().filter(|c| good(*c)).collect();
    ([(header::CONTENT_TYPE, "application/xml")], answer::wadl(&host)).into_response()
}

async fn by_query(state: AppState, kind: Kind, uri: &Uri) -> Response {
    let asked = Fault::about(&Method::GET, uri);
    let pairs: Result<Vec<(String, String)>, Refused> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect();
    match pairs.and_then(|pairs| Request::of_pairs(kind, &pairs)) {
        Ok(request) => respond(state, request, asked).await,
        Err(refused) => asked.fault(StatusCode::BAD_REQUEST, &refused.0),
    }
}

async fn by_body(state: AppState, kind: Kind, uri: &Uri, body: &Bytes) -> Response {
    let asked = Fault::about(&Method::POST, uri);
    let Ok(text) = std::str::from_utf8(body) else {
        return asked.fault(StatusCode::BAD_REQUEST, "the body is not UTF-8");
    };
    match Request::of_body(kind, text) {
        Ok(request) => respond(state, request, asked).await,
        Err(refused) => asked.fault(StatusCode::BAD_REQUEST, &refused.0),
    }
}

fn decoded(text: &str) -> Result<String, Refused> {
    ask::decoded(text).ok_or_else(|| Refused("a parameter is not percent-encoded UTF-8".to_owned()))
}

async fn respond(state: AppState, request: Request, asked: Fault) -> Response {
    let nothing_is_404 = request.nothing_is_404;
    let found = state.read(move |engine| answer_of(engine, request)).await;
    let (answered, completeness) = match found {
        Ok(found) => found,
        Err(problem) => return problem.into_response(),
    };
    let mut response = match answered {
        Answered::Off => {
            let words = "the service is off: give network, station and channel in the table [fdsn] of focus.toml";
            asked.fault(StatusCode::NOT_FOUND, words)
        }
        Answered::TooMany => {
            let words =
                "the answer has too many channels or spans: ask for less time or fewer channels";
            asked.fault(StatusCode::PAYLOAD_TOO_LARGE, words)
        }
        Answered::Nothing if nothing_is_404 => {
            asked.fault(StatusCode::NOT_FOUND, "nothing is there of what was asked for")
        }
        Answered::Nothing => StatusCode::NO_CONTENT.into_response(),
        Answered::Text(kind, text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
    };
    response.headers_mut().extend(completeness_headers(completeness));
    response
}

/// What the index says to a request.
enum Answered {
    /// The settings have no codes.
    Off,
    /// It is more than one answer holds.
    TooMany,
    /// There is nothing.
    Nothing,
    /// The media type and the text of the answer.
    Text(&'static str, String),
}

fn answer_of(engine: &Engine, request: Request) -> Result<(Answered, Completeness), IndexError> {
    let completeness = engine.completeness();
    let Some(codes) = engine.fdsn_codes() else {
        return Ok((Answered::Off, completeness));
    };
    let through_ms = completeness.complete_through_ms;
    let mut collected = Collected { overlap: request.merge.overlap, ..Collected::default() };
    // Up to here everything was read, by the window before.
    let mut read_ms = i64::MIN;
    for window in request.windows() {
        engine.reader().in_window(window, &mut |row| {
            if row.start_ms < read_ms {
                return ControlFlow::Continue(());
            }
            collected.take(codes, &request, through_ms, row)
        })?;
        if collected.is_too_much {
            return Ok((Answered::TooMany, completeness));
        }
        read_ms = window.1;
    }
    let answer = ordered(
        &request,
        merged(&request, collected.found.into_iter().map(|(code, of)| (code, of.found)).collect()),
    );
    if answer.rows.is_empty() {
        return Ok((Answered::Nothing, completeness));
    }
    let (kind, text) = answer::text(&request, &answer);
    Ok((Answered::Text(kind, text), completeness))
}

/// What was read of the index so far.
#[derive(Default)]
struct Collected {
    found: BTreeMap<Code, Unjoined>,
    /// Spans that overlap are joined.
    overlap: bool,
    spans: usize,
    is_too_much: bool,
}

/// What was read of one channel.
#[derive(Default)]
struct Unjoined {
    found: Found,
    /// So many spans are joined next: twice as many as were left the last time.
    join_at: usize,
}

impl Collected {
    fn take(
        &mut self,
        codes: &Codes,
        request: &Request,
        through_ms: Option<i64>,
        row: InWindow<'_>,
    ) -> ControlFlow<()> {
        // A live one lasts until the index knows no more.
        let end_ms = row.end_ms.or(through_ms).unwrap_or(row.start_ms);
        let span = (row.start_ms, end_ms);
        let Some(code) = code_of(codes, row.metadata) else { return ControlFlow::Continue(()) };
        if row.start_ms >= end_ms || !request.takes(&code, span) {
            return ControlFlow::Continue(());
        }
        let of = self.found.entry(code).or_default();
        of.found.spans.push(span);
        of.found.updated_ms = of.found.updated_ms.max(row.first_seen_ms.unwrap_or(row.start_ms));
        self.spans += 1;
        if of.found.spans.len() >= of.join_at.max(UNJOINED_MIN) {
            let before = of.found.spans.len();
            of.found.spans = joined(std::mem::take(&mut of.found.spans), self.overlap, 0);
            of.join_at = of.found.spans.len().saturating_mul(2);
            self.spans -= before - of.found.spans.len();
        }
        self.is_too_much = self.spans > SPANS_MAX || self.found.len() > CHANNELS_MAX;
        if self.is_too_much { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The codes of a recording; none where its metadata lacks one, or has none that can be a code.
fn code_of(codes: &Codes, metadata: &str) -> Option<Code> {
    let all = [&codes.network, &codes.station, &codes.location, &codes.channel, &codes.quality];
    let is_of_meta = |from: &&CodeFrom| matches!(from, CodeFrom::Meta(_));
    let needs = all.iter().any(is_of_meta)
        || codes.sample_rate.as_ref().is_some_and(|from| is_of_meta(&from));
    let metadata = if needs { Value::from_text(metadata).ok() } else { None };
    let value = |from: &CodeFrom| match from {
        CodeFrom::Fixed(text) => Some(text.clone()),
        CodeFrom::Meta(field) => {
            let text = text_at(metadata.as_ref()?, field)?;
            let is_code = text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            is_code.then(|| text.to_ascii_uppercase())
        }
    };
    let named = |from| value(from).filter(|code| !code.is_empty());
    let quality = |from| value(from).filter(|code| Codes::is_quality(code));
    let location = |from: &CodeFrom| match from {
        // As the service itself shows an empty one.
        CodeFrom::Meta(field) if text_at(metadata.as_ref()?, field)? == "--" => Some(String::new()),
        from => value(from),
    };
    let rate = |from: &CodeFrom| {
        let text = match from {
            CodeFrom::Fixed(text) => text.clone(),
            CodeFrom::Meta(field) => text_at(metadata.as_ref()?, field)?,
        };
        Codes::sample_rate_of(&text).map(SampleRate)
    };
    Some(Code {
        network: named(&codes.network)?,
        station: named(&codes.station)?,
        location: location(&codes.location)?,
        channel: named(&codes.channel)?,
        quality: quality(&codes.quality)?,
        sample_rate: match &codes.sample_rate {
            Some(from) => Some(rate(from)?),
            None => None,
        },
    })
}

/// A text or a number of the metadata, as text.
fn text_at(metadata: &Value, field: &str) -> Option<String> {
    match meta_filter::at(metadata, field)? {
        Value::String(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        _ => None,
    }
}
