//! `/api/v1/held…`: the held deletions, and their approval.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Ask, Nothing, Told};
use super::{AppState, Problem, Right, v1};
use focus_common::clock;
use focus_engine::HeldRoot;
use focus_index::HeldRow;

/// The query of a listing of held deletions.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HeldQuery {
    /// List the deletions of this root: its id, or its configured path
    root: Option<String>,
    /// `next_cursor` of the page before
    cursor: Option<i64>,
    /// Items of a page
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<usize>,
}

/// `GET /api/v1/held`: the number per root, or with `root` the deletions themselves.
#[utoipa::path(
    get,
    path = "/api/v1/held",
    tag = "held",
    summary = "Held deletions: their number per root, or with `root` the deletions themselves",
    params(HeldQuery),
    responses((status = 200, description = "`through` names the set that is held now", body = Value))
)]
pub(super) async fn held(
    State(state): State<AppState>,
    Ask(query): Ask<HeldQuery>,
) -> Result<Json<Value>, Problem> {
    let limit = v1::page(query.limit)?;
    let roots = state.read(super::Engine::held_roots).await?;
    let Some(wanted) = query.root else {
        return Ok(Json(json!({ "roots": roots.iter().map(root).collect::<Vec<_>>() })));
    };
    let held = find(&roots, &wanted)
        .map_err(|problem| Problem::bad_value("root", format!("root: {}", problem.detail())));
    let held = held?.clone();
    let (id, after) = (held.id, query.cursor.unwrap_or(0));
    let rows = state.read(move |engine| engine.reader().held(id, after, limit)).await?;
    let next = (rows.len() >= limit).then(|| rows.last().map(|row| row.seq)).flatten();
    let listed: Vec<Value> = rows.iter().map(held_deletion).collect();
    let mut answer = root(&held);
    answer["deletions"] = json!(listed);
    answer["next_cursor"] = json!(next);
    Ok(Json(answer))
}

/// A held deletion as people and programs see it.
pub(crate) fn held_deletion(row: &HeldRow) -> Value {
    json!({
        "uuid": row.uuid,
        "path": row.path,
        "gone_since": clock::rfc3339(row.vanished_ms),
        "held_why": row.why.name(),
        "reason": row.why.to_string(),
        "seq": row.seq,
    })
}

/// The body of an approval.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproveBody {
    /// The root's id, or its configured path.
    root: String,
    /// The end of the set that was shown, as the listing names it.
    through: i64,
}

/// `POST /api/v1/held/approve`.
#[utoipa::path(
    post,
    path = "/api/v1/held/approve",
    tag = "held",
    summary = "Approves exactly the deletions that were shown",
    security(("token" = ["operate"])),
    request_body = ApproveBody,
    responses(
        (status = 200, description = "How many were approved", body = Value),
        (status = 415, response = super::description::ProblemResponse),
    )
)]
pub(super) async fn approve(
    State(state): State<AppState>,
    headers: HeaderMap,
    _: Ask<Nothing>,
    body: Result<Told<ApproveBody>, Problem>,
) -> Result<Json<Value>, Problem> {
    state.authorise(&headers, Right::Operate)?;
    let Told(body) = body?;
    let roots = state.read(super::Engine::held_roots).await?;
    let held = find(&roots, &body.root)?;
    let approved = state
        .engine()
        .approve(held.id, body.through)
        .await
        .map_err(|error| Problem::unavailable(error.to_string()))?;
    Ok(Json(json!({ "root": held.marker, "path": held.path, "approved": approved })))
}

pub(super) fn find<'a>(roots: &'a [HeldRoot], wanted: &str) -> Result<&'a HeldRoot, Problem> {
    roots.iter().find(|root| root.marker == wanted || root.path == wanted).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            format!(
                "this server has no root {wanted:?}, or has not seen it yet: see `focus status`"
            ),
        )
        .at("root")
    })
}

fn root(held: &HeldRoot) -> Value {
    json!({ "root": held.marker, "path": held.path, "held": held.held, "through": held.through })
}
