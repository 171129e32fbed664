//! `/api/v1/held…`: the held deletions. A job approves them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::Ask;
use super::sealed::{seal, unseal};
use super::{AppState, Problem, v1};
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
    /// `next_cursor` of the page before; with `root`
    cursor: Option<String>,
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
) -> Result<Response, Problem> {
    v1::page(query.limit)?;
    let (roots, completeness) =
        state.read(|engine| Ok((engine.held_roots()?, engine.completeness()))).await?;
    let Some(wanted) = query.root else {
        if query.cursor.is_some() {
            let words = "cursor: it goes on in the deletions of one root. Give `root`, too";
            return Err(Problem::bad_value("cursor", words));
        }
        let items: Vec<Value> = roots.iter().map(root).collect();
        return Ok(v1::complete(json!({ "items": items, "next_cursor": null }), completeness));
    };
    let page = held_page(&state, &roots, &wanted, query.cursor.as_deref(), query.limit).await?;
    let listed: Vec<Value> = page.rows.iter().map(held_deletion).collect();
    let mut answer = root(&page.root);
    answer["items"] = json!(listed);
    answer["next_cursor"] = json!(page.next);
    Ok(v1::complete(answer, completeness))
}

/// A page of the held deletions of a root.
pub(crate) struct HeldPage {
    /// The root.
    pub(crate) root: HeldRoot,
    /// In the order in which they were held.
    pub(crate) rows: Vec<HeldRow>,
    /// The cursor of the next page; none at the end.
    pub(crate) next: Option<String>,
}

/// A page of the held deletions of the root that is given by its id or its configured path.
///
/// # Errors
/// There is no such root, a value cannot be taken, or the index cannot be read.
pub(crate) async fn held_page(
    state: &AppState,
    roots: &[HeldRoot],
    wanted: &str,
    cursor: Option<&str>,
    limit: Option<usize>,
) -> Result<HeldPage, Problem> {
    let limit = v1::page(limit)?;
    let root = find(roots, wanted)
        .map_err(|problem| Problem::bad_value("root", format!("root: {}", problem.detail())))?
        .clone();
    let asked = of_root(&root.marker);
    let after = cursor.map(|cursor| unseal(cursor, &asked)).transpose()?;
    let after = after.map(|after| after.parse().map_err(|_| Problem::bad_cursor())).transpose()?;
    let (id, after) = (root.id, after.unwrap_or(0));
    let rows = state.read(move |engine| engine.reader().held(id, after, limit)).await?;
    let last = (rows.len() >= limit).then(|| rows.last().map(|row| row.seq)).flatten();
    let next = last.map(|seq| held_cursor(&root.marker, seq));
    Ok(HeldPage { root, rows, next })
}

/// The cursor of the deletions of a root that are held after this one.
pub(crate) fn held_cursor(marker: &str, seq: i64) -> String {
    seal(&seq.to_string(), &of_root(marker))
}

fn of_root(marker: &str) -> String {
    format!("held {marker}")
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
