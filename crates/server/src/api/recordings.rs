//! `/api/v1/recordings`: recordings by time and other filters, and one with everything that is known of it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use focus_common::clock;
use focus_core::meta_filter::MetaFilter;
use focus_core::recording_state::{RecordingState, StateSet};
use focus_engine::Completeness;
use focus_index::{IndexError, Listed, Listing, Order, Reader, RootId, Whole};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::ask::{Ask, Moment, Nothing};
use super::{AppState, Problem, completeness_headers, manners, v1};

/// Filters on metadata in one query, at most.
const FILTERS_MAX: usize = 16;

/// The query of a listing of recordings.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RecordingsQuery {
    /// Only recordings that end at this time or later, or are live: RFC 3339, or a whole number since 1970 whose size tells its unit
    #[param(value_type = Option<String>, pattern = r"^(-?[0-9]{1,19}|[0-9]{4}-[0-9]{2}-[0-9]{2}T.+)$", example = "2026-05-01T12:00:00Z")]
    pub(crate) from: Option<Moment>,
    /// Only recordings that start at this time or before
    #[param(value_type = Option<String>, pattern = r"^(-?[0-9]{1,19}|[0-9]{4}-[0-9]{2}-[0-9]{2}T.+)$")]
    pub(crate) to: Option<Moment>,
    /// Only those of this root: its id, or its configured path
    #[param(max_length = 1_024)]
    root: Option<String>,
    /// Only those in this state; may be repeated. Without it all but `deleted`
    #[serde(default)]
    #[param(value_type = Vec<StateName>)]
    state: Vec<StateName>,
    /// Only those whose uuid or path contains it
    #[param(max_length = 1_024)]
    text: Option<String>,
    /// Only those whose metadata has this value, as a string or a number: `meta.KEY=VALUE`, which may be repeated. KEY is a top-level field, or a JSON pointer where it begins with `/`
    #[serde(default, rename = "meta.")]
    #[param(ignore)]
    meta: Vec<MetaPair>,
    /// By start, or by start descending
    #[serde(default)]
    #[param(inline, default = "-start")]
    order: OrderName,
    /// Also tell in `more` how many come after the page, counted up to 100,000
    #[serde(default)]
    #[param(default = false)]
    pub(crate) count: bool,
    /// `next_cursor` of the page before, with the same filters and order
    #[param(max_length = 1_024)]
    cursor: Option<String>,
    /// Items of a page
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<usize>,
}

/// The order of a listing, as the query spells it.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
enum OrderName {
    /// By start.
    #[serde(rename = "start")]
    Start,
    /// By start descending.
    #[default]
    #[serde(rename = "-start")]
    StartDescending,
}

/// The state of a recording, as it is spelled.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = RecordingState)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StateName {
    /// Its sidecar says so, or its files are gone for good.
    Deleted,
    /// Its files are gone, and its deletion waits for approval.
    Held,
    /// Its files are gone.
    Vanished,
    /// The catalog refused it.
    Refused,
    /// The catalog does not have it yet.
    Pending,
    /// It has no end yet.
    Live,
    /// The catalog has it.
    Catalogued,
}

impl From<StateName> for RecordingState {
    fn from(name: StateName) -> RecordingState {
        match name {
            StateName::Deleted => RecordingState::Deleted,
            StateName::Held => RecordingState::Held,
            StateName::Vanished => RecordingState::Vanished,
            StateName::Refused => RecordingState::Refused,
            StateName::Pending => RecordingState::Pending,
            StateName::Live => RecordingState::Live,
            StateName::Catalogued => RecordingState::Catalogued,
        }
    }
}

/// A filter on metadata, as the query has it.
#[derive(Debug)]
struct MetaPair(MetaFilter);

impl<'de> Deserialize<'de> for MetaPair {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<MetaPair, D::Error> {
        let pair = String::deserialize(from)?;
        let (key, value) = pair.split_once(super::ask::META_ENDS).unwrap_or((&pair, ""));
        MetaFilter::new(key, value).map(MetaPair).map_err(serde::de::Error::custom)
    }
}

/// The states that a query names; all but `deleted` where it names none.
pub(crate) fn states(named: impl IntoIterator<Item = RecordingState>) -> StateSet {
    let set: StateSet = named.into_iter().collect();
    let none: StateSet = std::iter::empty().collect();
    if set == none { StateSet::LEFT } else { set }
}

/// A recording in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Recording {
    /// Which it is
    pub(crate) uuid: String,
    /// Its start
    #[schema(format = DateTime)]
    pub(crate) start_time: String,
    /// Its end; null while it is live
    #[schema(required, format = DateTime)]
    pub(crate) end_time: Option<String>,
    /// How it stands
    #[schema(value_type = StateName)]
    pub(crate) state: &'static str,
    /// The id of its root
    pub(crate) root: String,
    /// The path of its data file, relative to the root
    pub(crate) path: String,
    /// Bytes of its data file
    pub(crate) size: i64,
    /// Its sidecar says that it is deleted, or its files are gone for good
    pub(crate) deleted: bool,
}

impl Recording {
    /// As people and programs see it.
    pub(crate) fn of(row: &Listed) -> Recording {
        Recording {
            uuid: row.uuid.clone(),
            start_time: clock::rfc3339(row.start_ms),
            end_time: row.end_ms.map(clock::rfc3339),
            state: row.state.name(),
            root: row.root.clone(),
            path: row.path.clone(),
            size: row.size,
            deleted: row.deleted,
        }
    }
}

/// A page of recordings.
#[derive(Serialize, ToSchema)]
pub(crate) struct Recordings {
    /// The recordings, in order. There may be fewer than `limit` although more come
    pub(crate) items: Vec<Recording>,
    /// What leads to the next page; null at the end
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
    /// With `count`: how many come after this page, counted up to 100,000
    #[schema(required = false, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) more: Option<u64>,
    /// Start of the last finished scan of all roots; null before the first
    #[schema(required, format = DateTime)]
    complete_through: Option<String>,
    /// Recordings that the catalog has not acknowledged
    pending: u64,
    /// Where the answer comes from: `index`
    #[schema(value_type = String)]
    source: &'static str,
}

/// `GET /api/v1/recordings`.
#[utoipa::path(
    get,
    path = "/api/v1/recordings",
    tag = "recordings",
    summary = "A page of recordings, by start",
    description = "Besides the parameters below, `meta.KEY=VALUE` may be given, also several times: only recordings whose metadata has this value, as a string or a number. KEY is a top-level field, or a JSON pointer where it begins with `/`.",
    params(RecordingsQuery),
    responses((status = 200, description = "A page", body = Recordings, headers(
        ("Focus-Complete-Through" = String, description = "As `complete_through`, or `none`"),
        ("Focus-Pending" = u64, description = "As `pending`"),
        ("Focus-Source" = String, description = "As `source`"),
    )))
)]
pub(super) async fn recordings(
    State(state): State<AppState>,
    Ask(query): Ask<RecordingsQuery>,
) -> Result<Response, Problem> {
    // Written while it is read, and not where other requests wait for their turn.
    let (text, completeness) =
        find_recordings(&state, query, |page| serde_json::to_string(&page)).await?;
    let text = text.map_err(|error| Problem::unavailable(error.to_string()))?;
    let kind = HeaderValue::from_static("application/json");
    let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
    response.headers_mut().extend(completeness_headers(completeness));
    Ok(response)
}

/// What `make` makes of the page that a query asks for.
pub(crate) async fn find_recordings<T: Send + 'static>(
    state: &AppState,
    query: RecordingsQuery,
    make: impl FnOnce(Recordings) -> T + Send + 'static,
) -> Result<(T, Completeness), Problem> {
    let root = match &query.root {
        None => None,
        Some(name) => Some(v1::root(state, name).await?),
    };
    let count = query.count;
    let listing = listing(query, root)?;
    state
        .read(move |engine| {
            // First what is complete: a page that is read later has at least that.
            let completeness = engine.completeness();
            let page = recordings_page(&engine.reader(), &listing, count, completeness)?;
            Ok((make(page), completeness))
        })
        .await
}

/// The listing that a query asks for.
fn listing(query: RecordingsQuery, root: Option<RootId>) -> Result<Listing, Problem> {
    if query.meta.len() > FILTERS_MAX {
        let words = format!("meta.KEY: there are more than {FILTERS_MAX} of them: give fewer");
        return Err(Problem::bad_value("meta.", words));
    }
    let mut listing = Listing {
        from_ms: query.from.map(|moment| moment.0),
        to_ms: query.to.map(|moment| moment.0),
        root,
        states: states(query.state.into_iter().map(RecordingState::from)),
        text: query.text,
        meta: query.meta.into_iter().map(|pair| pair.0).collect(),
        order: match query.order {
            OrderName::Start => Order::Start,
            OrderName::StartDescending => Order::StartDescending,
        },
        after: None,
        limit: v1::page(query.limit)?,
    };
    if let (Some(from), Some(to)) = (listing.from_ms, listing.to_ms)
        && from > to
    {
        let words = "from: it is after to: give the earlier time as from";
        return Err(Problem::bad_value("from", words));
    }
    if let Some(text) = query.cursor {
        listing.after = Some(listing.cursor_of(&text).map_err(|_| Problem::bad_cursor())?);
    }
    Ok(listing)
}

/// A page of recordings with the cursor of the next one, and with `count` how many come after it.
pub(crate) fn recordings_page(
    reader: &Reader,
    listing: &Listing,
    count: bool,
    completeness: Completeness,
) -> Result<Recordings, IndexError> {
    let found = reader.recordings(listing)?;
    let mut page = Recordings {
        items: found.rows.iter().map(Recording::of).collect(),
        next_cursor: found.next.map(|cursor| listing.text_of(cursor)),
        more: None,
        complete_through: completeness.complete_through_ms.map(clock::rfc3339),
        pending: completeness.pending,
        source: "index",
    };
    if count {
        let more = found.next.map(|cursor| reader.recordings_after(listing, cursor)).transpose()?;
        page.more = Some(more.unwrap_or(0));
        if more == Some(0) && found.rows.len() >= listing.limit {
            page.next_cursor = None;
        }
    }
    Ok(page)
}

/// A recording with everything that is known of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `whole` writes")]
pub(super) struct WholeRecording {
    /// Which it is
    uuid: String,
    /// Its start
    #[schema(format = DateTime)]
    start_time: String,
    /// Its end; null while it is live
    #[schema(required, format = DateTime)]
    end_time: Option<String>,
    /// How it stands
    state: StateName,
    /// Why it stands so, and what to do; null where nothing has to be done
    #[schema(required)]
    reason: Option<String>,
    /// The id of its root
    root: String,
    /// The path of its data file, relative to the root
    path: String,
    /// The path without extension
    recording_id: String,
    /// Bytes of its data file
    size: i64,
    /// What tells its content
    fingerprint: String,
    /// The metadata of its sidecar
    metadata: Value,
    /// When this server learned of it first; null where an earlier version did
    #[schema(required, format = DateTime)]
    first_seen_at: Option<String>,
    /// When the catalog acknowledged it last; null where it never did
    #[schema(required, format = DateTime)]
    acknowledged_at: Option<String>,
    /// Its sidecar says that it is deleted, or its files are gone for good
    deleted: bool,
    /// Start of the last finished scan of all roots; null before the first
    #[schema(required, format = DateTime)]
    complete_through: Option<String>,
    /// Recordings that the catalog has not acknowledged
    pending: u64,
    /// Where the answer comes from: `index`
    source: String,
}

/// `GET /api/v1/recordings/{uuid}`.
#[utoipa::path(
    get,
    path = "/api/v1/recordings/{uuid}",
    tag = "recordings",
    summary = "A recording, with everything that is known of it",
    params(
        ("uuid" = String, Path, description = "Its uuid"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an answer that the caller has"),
    ),
    responses(
        (status = 200, description = "It", body = WholeRecording, headers(
            ("ETag" = String, description = "Changes with the recording"),
            ("Focus-Complete-Through" = String, description = "As `complete_through`, or `none`"),
            ("Focus-Pending" = u64, description = "As `pending`"),
            ("Focus-Source" = String, description = "As `source`"),
        )),
        (status = 304, description = "It is as the caller has it"),
    )
)]
pub(super) async fn recording(
    State(state): State<AppState>,
    Path(uuid): Path<String>,
    asked: HeaderMap,
    Ask(Nothing {}): Ask<Nothing>,
) -> Result<Response, Problem> {
    let (found, completeness) = state
        .read(move |engine| {
            let completeness = engine.completeness();
            Ok((engine.reader().recording(&uuid)?, completeness))
        })
        .await?;
    Ok(match found {
        Some(found) => answer(&asked, &found, completeness),
        None => unknown(completeness),
    })
}

/// There is none: how complete the index is tells whether one may yet come.
fn unknown(completeness: Completeness) -> Response {
    let words = "there is no recording with this uuid: `GET /api/v1/recordings` lists them";
    let mut response = Problem::new(StatusCode::NOT_FOUND, words).at("uuid").into_response();
    response.headers_mut().extend(completeness_headers(completeness));
    response
}

/// A recording with the completeness of the answer. The tag is of the recording alone.
fn answer(asked: &HeaderMap, found: &Whole, completeness: Completeness) -> Response {
    let value = whole(found);
    let tag = manners::tag(value.to_string().as_bytes());
    let mut response = match manners::is_known(asked, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Json(v1::with_completeness(value, completeness)).into_response(),
    };
    let headers = response.headers_mut();
    headers.extend(completeness_headers(completeness));
    manners::say_tag(headers, &tag);
    response
}

/// A recording with everything that is known of it.
pub(crate) fn whole(found: &Whole) -> Value {
    let mut value = json!(Recording::of(&found.listed));
    // What is stored is JSON; else it is shown as it is.
    let metadata = serde_json::from_str(&found.metadata).unwrap_or_else(|_| json!(found.metadata));
    value["metadata"] = metadata;
    value["recording_id"] = json!(found.recording_id);
    value["fingerprint"] = json!(found.fingerprint);
    value["first_seen_at"] = json!(found.first_seen_ms.map(clock::rfc3339));
    value["acknowledged_at"] = json!(found.acknowledged_ms.map(clock::rfc3339));
    value["reason"] = json!(reason(found));
    value
}

/// Why a recording stands as it does.
fn reason(found: &Whole) -> Option<String> {
    let since = || found.vanished_ms.map(clock::rfc3339).unwrap_or_default();
    match found.listed.state {
        RecordingState::Deleted if found.vanished_ms.is_some() => {
            Some(format!("its files are gone for good since {}", since()))
        }
        RecordingState::Deleted => Some("its sidecar says that it is deleted".to_owned()),
        RecordingState::Held => {
            let why = found.held_why.map(|why| why.to_string()).unwrap_or_default();
            Some(format!(
                "its files are gone since {}: {why}. Approve its deletion with `focus approve`, or bring the files back",
                since()
            ))
        }
        RecordingState::Vanished => Some(format!("its files are gone since {}", since())),
        RecordingState::Refused => found.refused_why.clone(),
        RecordingState::Pending | RecordingState::Live | RecordingState::Catalogued => None,
    }
}
