//! `/api/v1/…`: status and scan, and what lists have in common.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use focus_index::RootId;
use serde_json::{Value, json};

use super::ask::{Ask, Nothing};
use super::{AppState, Problem, Right, completeness_headers};
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
    Ok(Json(json!(state.status().await?)))
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

/// A list with the three fields, and the headers, that say how complete it is.
pub(super) fn complete(answer: Value, completeness: Completeness) -> Response {
    let mut response = Json(with_completeness(answer, completeness)).into_response();
    response.headers_mut().extend(completeness_headers(completeness));
    response
}

/// Adds the three fields that say how complete an answer is.
pub(crate) fn with_completeness(mut answer: Value, completeness: Completeness) -> Value {
    answer["complete_through"] = json!(completeness.complete_through_ms.map(clock::rfc3339));
    answer["pending"] = json!(completeness.pending);
    answer["source"] = json!("index");
    answer
}

/// The root that a filter names by its id or its configured path.
pub(super) async fn root(state: &AppState, name: &str) -> Result<RootId, Problem> {
    let wanted = name.to_owned();
    let found = state.read(move |engine| engine.reader().root_named(&wanted)).await?;
    found.ok_or_else(|| {
        let words = "root: this server has no such root, or has not seen it yet: `focus status` lists them by path and id";
        Problem::bad_value("root", words)
    })
}

/// How many items a page has.
pub(crate) fn page(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(100);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::bad_value(
            "limit",
            format!("limit: it has to be from 1 to {PAGE_MAX}"),
        ));
    }
    Ok(limit)
}
