//! Whether the server is there and ready.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::ask::{Ask, Nothing};
use super::{AppState, Problem};

/// `GET /livez`.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "server",
    summary = "The process runs",
    responses((status = 200, description = "An empty object", body = super::schemas::Empty))
)]
pub(super) async fn livez(Ask(Nothing {}): Ask<Nothing>) -> Json<Value> {
    Json(json!({}))
}

/// `GET /ack`.
#[utoipa::path(
    get,
    path = "/ack",
    tag = "server",
    summary = "The server is there",
    responses((status = 200, description = "An empty object", body = super::schemas::Empty))
)]
pub(super) async fn ack(Ask(Nothing {}): Ask<Nothing>) -> Json<Value> {
    Json(json!({}))
}

/// `GET /readyz`.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "server",
    summary = "The index answers",
    description = "The server is ready whenever its index answers. The body has the catalog's state, which does not change the answer's code.",
    responses((status = 200, description = "It is ready", body = super::schemas::Ready))
)]
pub(super) async fn readyz(
    State(state): State<AppState>,
    Ask(Nothing {}): Ask<Nothing>,
) -> Result<Response, Problem> {
    let status = state.read(|engine| engine.reader().totals().map(|_| engine.status())).await?;
    Ok(Json(json!({
        "ready": true,
        "catalog": status.catalog,
        "catalog_state": status.catalog_state,
        "pending": status.pending,
    }))
    .into_response())
}
