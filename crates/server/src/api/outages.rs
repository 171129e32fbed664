//! `/api/v1/outages`: the outages of the catalog's database, and how each was caught up with.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use focus_common::clock;
use focus_core::outage::OutageRecord;
use serde_json::{Value, json};

use super::paging::{self, PageQuery};
use super::{AppState, Engine, Problem};

/// `GET /api/v1/outages`.
#[utoipa::path(
    get,
    path = "/api/v1/outages",
    tag = "outages",
    summary = "Outages of the catalog's database, the newest first; the last 1,024 at most",
    params(PageQuery),
    responses((status = 200, description = "A page of them", body = Value))
)]
pub(super) async fn outages(
    State(state): State<AppState>,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let outages = state.read(Engine::outages).await?;
    let items = outages.iter().map(|record| (record.id, item(record)));
    paging::page("outages", &query, items).map(Json)
}

/// `GET /api/v1/outages/{id}`.
#[utoipa::path(
    get,
    path = "/api/v1/outages/{id}",
    tag = "outages",
    summary = "An outage, and how what it left was caught up with",
    params(("id" = String, Path, description = "The outage's id")),
    responses((status = 200, description = "As in the list, and `curve`", body = Value))
)]
pub(super) async fn outage(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
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
    Ok(Json(answer))
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
