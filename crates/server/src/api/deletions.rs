//! `/api/v1/held…`: the held deletions. A job approves them.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AppState, Problem, v1};
use focus_common::clock;
use focus_engine::HeldRoot;
use focus_index::HeldRow;

/// The query of a listing of held deletions.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeldQuery {
    root: Option<String>,
    cursor: Option<i64>,
    limit: Option<usize>,
}

/// `GET /api/v1/held`: the number per root, or with `root` the deletions themselves.
pub(super) async fn held(
    State(state): State<AppState>,
    query: Result<Query<HeldQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let limit = v1::page(query.limit)?;
    let roots = state.read(super::Engine::held_roots).await?;
    let Some(wanted) = query.root else {
        return Ok(Json(json!({ "roots": roots.iter().map(root).collect::<Vec<_>>() })));
    };
    let held = find(&roots, &wanted)?.clone();
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

pub(super) fn find<'a>(roots: &'a [HeldRoot], wanted: &str) -> Result<&'a HeldRoot, Problem> {
    roots.iter().find(|root| root.marker == wanted || root.path == wanted).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("this server has no root {wanted}, or has not seen it yet: see `focus status`"),
        )
    })
}

fn root(held: &HeldRoot) -> Value {
    json!({ "root": held.marker, "path": held.path, "held": held.held, "through": held.through })
}
