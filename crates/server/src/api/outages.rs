//! `/api/v1/outages`: the outages of the catalog's database, and how each was caught up with.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use focus_common::clock;
use focus_core::outage::OutageRecord;
use serde_json::{Value, json};

use super::ask::{Ask, Nothing};
use super::manners;
use super::paging::{self, page_query};
use super::{AppState, Engine, Problem};

page_query!(OutagesQuery, "^o[0-9]{1,18}$");

/// An outage of the catalog's database.
#[derive(utoipa::ToSchema)]
#[schema(as = PastOutage)]
#[expect(dead_code, reason = "the fields describe what the handler writes")]
pub(super) struct PastOutage {
    /// Counts the outages of the state folder, from 1
    id: u64,
    /// When it began
    #[schema(format = "date-time")]
    began_at: String,
    /// When it ended; null while it goes on
    #[schema(format = "date-time")]
    ended_at: Option<String>,
    /// How long it lasted, or has lasted so far
    outage_ms: u64,
    /// From the database's last good answer until it was noticed; null where there was none since the start
    detected_after_ms: Option<u64>,
    /// What happened
    reason: String,
    /// Recordings that landed during it
    landed: u64,
    /// Recordings that were pending when it ended, or are now
    pending: u64,
    /// From the database's return until nothing was pending; null before, and where another outage came first
    converge_ms: Option<u64>,
}

/// A page of outages.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the fields describe what the handler writes")]
pub(super) struct OutagePage {
    /// The newest first
    items: Vec<PastOutage>,
    /// The cursor of the next page; null at the end
    next_cursor: Option<String>,
    /// Items of a page, at most
    limit: usize,
}

/// An outage, and how what it left was caught up with.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the fields describe what the handler writes")]
pub(super) struct OutageWithCurve {
    /// As in the list
    #[schema(inline)]
    #[serde(flatten)]
    outage: PastOutage,
    /// Pairs: milliseconds since the database's return, and pending recordings; 500 at most
    #[schema(max_items = 500)]
    curve: Vec<Vec<u64>>,
}

/// `GET /api/v1/outages`.
#[utoipa::path(
    get,
    path = "/api/v1/outages",
    tag = "outages",
    summary = "Outages of the catalog's database, the newest first; the last 1,024 at most",
    params(OutagesQuery),
    responses((status = 200, description = "A page of them", body = OutagePage))
)]
pub(super) async fn outages(
    State(state): State<AppState>,
    Ask(query): Ask<OutagesQuery>,
) -> Result<Json<Value>, Problem> {
    outage_page(&state, &query).await.map(Json)
}

/// The page that a query asks for.
pub(crate) async fn outage_page(state: &AppState, query: &OutagesQuery) -> Result<Value, Problem> {
    let outages = state.read(Engine::outages).await?;
    let items = outages.iter().map(|record| (record.id, item(record)));
    paging::numbered('o', (query.cursor.as_deref(), query.limit), items)
}

/// `GET /api/v1/outages/{id}`.
#[utoipa::path(
    get,
    path = "/api/v1/outages/{id}",
    tag = "outages",
    summary = "An outage, and how what it left was caught up with",
    params(("id" = String, Path, description = "The outage's id")),
    responses((status = 200, description = "As in the list, and its `curve`", body = OutageWithCurve))
)]
pub(super) async fn outage(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    _: Ask<Nothing>,
) -> Result<Response, Problem> {
    let answer = outage_with_curve(&state, &id).await?;
    Ok(manners::tagged(&headers, answer.to_string().as_bytes(), "application/json"))
}

/// An outage with its curve.
///
/// # Errors
/// There is none of this id, or the index is not there.
pub(crate) async fn outage_with_curve(state: &AppState, id: &str) -> Result<Value, Problem> {
    let none = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            "there is no outage of this id, or it is too long ago: `GET /api/v1/outages` lists them",
        )
    };
    let id: u64 = id.parse().map_err(|_| none())?;
    let found = state
        .read(move |engine| {
            let record = engine.outages()?.into_iter().find(|record| record.id == id);
            Ok(record.zip(engine.outage_curve(id)))
        })
        .await?;
    let (record, curve) = found.ok_or_else(none)?;
    let mut answer = item(&record);
    answer["curve"] = json!(curve);
    Ok(answer)
}

/// An outage as people and programs see it.
pub(crate) fn item(record: &OutageRecord) -> Value {
    json!({
        "id": record.id,
        "began_at": clock::rfc3339(record.began_ms),
        "ended_at": record.ended_ms.map(clock::rfc3339),
        "outage_ms": record.outage_ms,
        "detected_after_ms": record.detected_after_ms,
        "reason": record.reason,
        "landed": record.landed,
        "pending": record.pending,
        "converge_ms": record.converge_ms,
    })
}
