//! `/api/v1/unrecognised`: what is on storage and cannot be catalogued.

use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use focus_common::clock;
use focus_core::state::State as Fault;
use focus_engine::Completeness;
use focus_index::Unrecognised;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::ask::Ask;
use super::{AppState, Problem, v1};

/// The query of a listing of unrecognised recordings.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UnrecognisedQuery {
    /// Only those in this state; may be repeated
    #[serde(default)]
    #[param(value_type = Vec<FaultName>)]
    state: Vec<FaultName>,
    /// Only those of this root: its id, or its configured path
    #[param(max_length = 1_024)]
    root: Option<String>,
    /// `next_cursor` of the page before, with the same filters
    #[param(max_length = 1_024)]
    cursor: Option<String>,
    /// Items of a page
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<usize>,
}

/// Why a recording is unrecognised, as it is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(as = UnrecognisedState)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultName {
    DataWithoutSidecar,
    SidecarWithoutData,
    SidecarInvalid,
    DuplicateId,
    TimeInvalid,
    Unreadable,
    NameInvalid,
    CatalogRefused,
}

impl From<FaultName> for Fault {
    fn from(name: FaultName) -> Fault {
        match name {
            FaultName::DataWithoutSidecar => Fault::DataWithoutSidecar,
            FaultName::SidecarWithoutData => Fault::SidecarWithoutData,
            FaultName::SidecarInvalid => Fault::SidecarInvalid,
            FaultName::DuplicateId => Fault::DuplicateId,
            FaultName::TimeInvalid => Fault::TimeInvalid,
            FaultName::Unreadable => Fault::Unreadable,
            FaultName::NameInvalid => Fault::NameInvalid,
            FaultName::CatalogRefused => Fault::CatalogRefused,
        }
    }
}

/// An unrecognised recording.
#[derive(Serialize, ToSchema)]
#[schema(as = Unrecognised)]
pub(crate) struct UnrecognisedItem {
    /// What is wrong
    #[schema(value_type = FaultName)]
    pub(crate) state: String,
    /// What is wrong and what to do
    pub(crate) reason: String,
    /// Relative to the root, without extension
    pub(crate) path: String,
    /// The id of its root
    pub(crate) root: String,
    /// Since when
    #[schema(format = DateTime)]
    pub(crate) since: String,
    /// How many of its files are there
    pub(crate) file_count: i64,
}

impl UnrecognisedItem {
    /// As people and programs see it.
    pub(crate) fn of(row: &Unrecognised) -> UnrecognisedItem {
        UnrecognisedItem {
            state: row.state.clone(),
            reason: row.reason.clone(),
            path: row.path.clone(),
            root: row.root.clone(),
            since: clock::rfc3339(row.since_ms),
            file_count: row.file_count,
        }
    }
}

/// A page of unrecognised recordings.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what the handler writes")]
pub(super) struct UnrecognisedPage {
    /// They, in the order in which this server learned of them
    items: Vec<UnrecognisedItem>,
    /// What leads to the next page; null at the end
    #[schema(required)]
    next_cursor: Option<String>,
    /// Start of the last finished scan of all roots; null before the first
    #[schema(required, format = DateTime)]
    complete_through: Option<String>,
    /// Recordings that the catalog has not acknowledged
    pending: u64,
    /// Where the answer comes from: `index`
    source: String,
}

/// `GET /api/v1/unrecognised`.
#[utoipa::path(
    get,
    path = "/api/v1/unrecognised",
    tag = "recordings",
    summary = "A page of what is on storage and cannot be catalogued",
    params(UnrecognisedQuery),
    responses((status = 200, description = "A page", body = UnrecognisedPage, headers(
        ("Focus-Complete-Through" = String, description = "As `complete_through`, or `none`"),
        ("Focus-Pending" = u64, description = "As `pending`"),
        ("Focus-Source" = String, description = "As `source`"),
    )))
)]
pub(super) async fn unrecognised(
    State(state): State<AppState>,
    Ask(query): Ask<UnrecognisedQuery>,
) -> Result<Response, Problem> {
    let (items, next, completeness) = find_unrecognised(&state, query).await?;
    Ok(v1::complete(json!({ "items": items, "next_cursor": next }), completeness))
}

/// The page that a query asks for, the cursor of the next one, and how complete it is.
pub(crate) async fn find_unrecognised(
    state: &AppState,
    query: UnrecognisedQuery,
) -> Result<(Vec<UnrecognisedItem>, Option<String>, Completeness), Problem> {
    let limit = v1::page(query.limit)?;
    let root = match &query.root {
        None => None,
        Some(name) => Some(v1::root(state, name).await?),
    };
    let faults: Vec<Fault> = Fault::ALL
        .into_iter()
        .filter(|fault| query.state.iter().any(|name| Fault::from(*name) == *fault))
        .collect();
    let query_of = cursor_of(&faults, query.root.as_deref());
    let after = match &query.cursor {
        None => None,
        Some(text) => Some(after(&query_of, text).ok_or_else(Problem::bad_cursor)?),
    };
    let (rows, completeness) = state
        .read(move |engine| {
            let completeness = engine.completeness();
            let rows = engine.reader().unrecognised(&faults, root, after, limit + 1)?;
            Ok((rows, completeness))
        })
        .await?;
    let items: Vec<UnrecognisedItem> = rows.iter().take(limit).map(UnrecognisedItem::of).collect();
    let next = (rows.len() > limit).then(|| rows[limit - 1].cursor);
    let next = next.map(|id| URL_SAFE_NO_PAD.encode(format!("{id} {query_of}")));
    Ok((items, next, completeness))
}

/// What a cursor belongs to.
fn cursor_of(faults: &[Fault], root: Option<&str>) -> String {
    let names: Vec<&str> = faults.iter().map(|fault| fault.name()).collect();
    let asked = format!("{} {}", names.join(","), root.unwrap_or_default());
    let sum = ring::digest::digest(&ring::digest::SHA256, asked.as_bytes());
    URL_SAFE_NO_PAD.encode(&sum.as_ref()[..9])
}

/// The place that a cursor of this query stands for.
fn after(query_of: &str, text: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, of) = text.split_once(' ')?;
    (of == query_of).then(|| id.parse().ok())?
}
