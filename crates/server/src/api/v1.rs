//! `/api/v1/…`: status, listings and scan.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use focus_index::{IndexError, Listing, Order, Reader};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Ask, Nothing};
use super::{AppState, Problem, Right};
use focus_common::clock;
use focus_engine::Completeness;

/// Rows of a page, at most.
const PAGE_MAX: usize = 1_000;

/// `GET /api/v1/status`.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "server",
    summary = "The status, as `focus status --json` prints it",
    responses((status = 200, description = "The status", body = focus_common::status::Status))
)]
pub(super) async fn status(
    State(state): State<AppState>,
    Ask(Nothing {}): Ask<Nothing>,
) -> Result<Json<Value>, Problem> {
    let mut status = state.read(|engine| Ok(engine.status())).await?;
    status.alerts = Some(state.alerts().0.status());
    Ok(Json(json!(status)))
}

/// The query of a listing of recordings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordingsQuery {
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    text: Option<String>,
    pending: Option<bool>,
    #[serde(default)]
    order: OrderName,
    /// Also tell how many come after this page.
    #[serde(default)]
    count: bool,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// The order of a listing, as the query spells it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum OrderName {
    #[serde(rename = "start")]
    Start,
    #[default]
    #[serde(rename = "-start")]
    StartDescending,
}

impl From<OrderName> for Order {
    fn from(name: OrderName) -> Order {
        match name {
            OrderName::Start => Order::Start,
            OrderName::StartDescending => Order::StartDescending,
        }
    }
}

/// `GET /api/v1/recordings`.
#[utoipa::path(
    get,
    path = "/api/v1/recordings",
    tag = "recordings",
    summary = "A page of recordings, by start",
    responses((status = 200, description = "A page", body = Value))
)]
pub(super) async fn recordings(
    State(state): State<AppState>,
    Ask(query): Ask<RecordingsQuery>,
) -> Result<Json<Value>, Problem> {
    let mut listing = Listing {
        from_ms: query.from_ms,
        to_ms: query.to_ms,
        text: query.text,
        pending_only: query.pending.unwrap_or(false),
        order: query.order.into(),
        after: None,
        limit: page(query.limit)?,
    };
    if let Some(text) = query.cursor {
        let after = listing.cursor_of(&text);
        listing.after = Some(after.map_err(|_| Problem::bad_cursor())?);
    }
    let count = query.count;
    let (page, completeness) = state
        .read(move |engine| {
            Ok((recordings_page(&engine.reader(), &listing, count)?, engine.completeness()))
        })
        .await?;
    Ok(Json(with_completeness(page, completeness)))
}

/// A page of recordings with the cursor of the next one, and with `count` how many come after it.
pub(crate) fn recordings_page(
    reader: &Reader,
    listing: &Listing,
    count: bool,
) -> Result<Value, IndexError> {
    let rows = reader.recordings(listing)?;
    let last = rows.last().filter(|_| rows.len() >= listing.limit).map(|row| row.cursor);
    let recordings: Vec<Value> = rows.iter().map(recording).collect();
    let mut page = json!({
        "recordings": recordings,
        "next_cursor": last.map(|cursor| listing.text_of(cursor)),
    });
    if count {
        let more = last.map(|cursor| reader.recordings_after(listing, cursor)).transpose()?;
        page["more"] = json!(more.unwrap_or(0));
        if more == Some(0) {
            page["next_cursor"] = Value::Null;
        }
    }
    Ok(page)
}

/// A recording as people and programs see it.
pub(crate) fn recording(row: &focus_index::Listed) -> Value {
    json!({
        "uuid": row.uuid,
        "start_time": clock::rfc3339(row.start_ms),
        "end_time": row.end_ms.map(clock::rfc3339),
        "deleted": row.deleted,
        "root": row.root,
        "path": row.path,
        "size": row.size,
        "pending": row.pending,
        "vanished": row.vanished,
    })
}

/// The query of a listing of unrecognised recordings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnrecognisedQuery {
    state: Option<String>,
    cursor: Option<i64>,
    limit: Option<usize>,
}

/// `GET /api/v1/unrecognised`.
#[utoipa::path(
    get,
    path = "/api/v1/unrecognised",
    tag = "recordings",
    summary = "A page of what is on storage and cannot be catalogued",
    responses((status = 200, description = "A page", body = Value))
)]
pub(super) async fn unrecognised(
    State(state): State<AppState>,
    Ask(query): Ask<UnrecognisedQuery>,
) -> Result<Json<Value>, Problem> {
    let limit = page(query.limit)?;
    let (rows, completeness) = state
        .read(move |engine| {
            let rows = engine.reader().unrecognised(query.state.as_deref(), query.cursor, limit)?;
            Ok((rows, engine.completeness()))
        })
        .await?;
    let next = (rows.len() >= limit).then(|| rows.last().map(|row| row.cursor)).flatten();
    let listed: Vec<Value> = rows.iter().map(fault).collect();
    Ok(Json(with_completeness(
        json!({ "unrecognised": listed, "next_cursor": next }),
        completeness,
    )))
}

/// An unrecognised recording as people and programs see it.
pub(crate) fn fault(row: &focus_index::Unrecognised) -> Value {
    json!({
        "state": row.state,
        "path": row.path,
        "root": row.root,
        "reason": row.reason,
        "since": clock::rfc3339(row.since_ms),
        "file_count": row.file_count,
    })
}

/// `POST /api/v1/scan`: one pass. The answer comes when the pass is done.
#[utoipa::path(
    post,
    path = "/api/v1/scan",
    tag = "jobs",
    summary = "Makes one pass over storage and into the catalog; answers when the pass is done",
    security(("token" = ["operate"])),
    responses((status = 200, description = "The result of the pass", body = Value))
)]
pub(super) async fn scan(
    State(state): State<AppState>,
    headers: HeaderMap,
    _: Ask<Nothing>,
) -> Result<Json<Value>, Problem> {
    state.authorise(&headers, Right::Operate)?;
    let report = state.engine().pass().await;
    Ok(Json(json!(report)))
}

/// Adds the three fields that say how complete an answer is.
pub(crate) fn with_completeness(mut answer: Value, completeness: Completeness) -> Value {
    answer["complete_through"] = json!(completeness.complete_through_ms.map(clock::rfc3339));
    answer["pending"] = json!(completeness.pending);
    answer["source"] = json!("index");
    answer
}

pub(super) fn page(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(100);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::bad_value(
            "limit",
            format!("limit: it has to be from 1 to {PAGE_MAX}"),
        ));
    }
    Ok(limit)
}
