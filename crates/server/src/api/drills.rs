//! `/api/v1/drills`: reports of drills, those in the state folder and those that were posted.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use focus_core::iso8601;
use focus_drill::posting::POST_BYTES_MAX;
use focus_drill::report::Report;
use focus_drill::report::archive::ArchivedDrill;
use focus_drill::report::store::{PostError, Posted};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;

use super::ask::{Ask, Nothing};
use super::manners;
use super::paging::{self, page_query};
use super::problem::ProblemKind;
use super::{AppState, Problem, Right, guard};
use crate::cli::drill_reports;

/// The path that takes reports.
const PATH: &str = "/api/v1/drills";

/// Bytes of a report that are read at once.
const PIECE: u64 = 64 * 1024;

/// Bytes of a report that is read whole. One that was posted is written with indents, and has twice its length.
const READ_BYTES_MAX: u64 = 2 * POST_BYTES_MAX as u64;

page_query!(DrillsQuery, "^d[0-9]{15}~[A-Za-z0-9_-]{1,100}$");

/// The report of a drill: what has to be there. docs/drill-report.schema.json has all of it.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the fields describe what the handler reads")]
pub(super) struct PostedReport {
    /// The version of the report's schema
    #[schema(minimum = 1, maximum = 1)]
    format: u32,
    /// The drill's id
    #[schema(pattern = "^[A-Za-z0-9_-]{1,100}$")]
    id: String,
    /// How it came out; a drill that was refused did nothing, and is not kept
    verdict: PostedVerdict,
    /// When it began
    #[schema(format = "date-time")]
    started_at: String,
    /// When it ended
    #[schema(format = "date-time")]
    ended_at: String,
}

/// How a drill came out.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the names describe what the handler reads")]
pub(super) enum PostedVerdict {
    Passed,
    Failed,
    Inconclusive,
}

/// Which report was taken.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the fields describe what the handler writes")]
pub(super) struct TakenReport {
    /// The drill's id
    id: String,
}

/// A page of drills.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the fields describe what the handler writes")]
pub(super) struct DrillPage {
    /// As `focus drill list --json` prints them
    items: Vec<Value>,
    /// The cursor of the next page; null at the end
    next_cursor: Option<String>,
    /// Items of a page, at most
    limit: usize,
    /// A message for each report that cannot be read
    unreadable: Vec<String>,
}

/// Whether the request's body is for its handler to read: a report is larger than other bodies, and is read only
/// once its sender is known.
pub(super) fn reads_body_itself(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().path() == PATH
}

/// `GET /api/v1/drills`.
#[utoipa::path(
    get,
    path = "/api/v1/drills",
    tag = "drills",
    summary = "Reports of drills, the newest first",
    params(DrillsQuery),
    responses((status = 200, description = "A page of them", body = DrillPage))
)]
pub(super) async fn drills(
    State(state): State<AppState>,
    Ask(query): Ask<DrillsQuery>,
) -> Result<Json<Value>, Problem> {
    drill_page(&state, &query).await.map(|(page, _)| Json(page))
}

/// The page that a query asks for, and all drills.
pub(crate) async fn drill_page(
    state: &AppState,
    query: &DrillsQuery,
) -> Result<(Value, Vec<ArchivedDrill>), Problem> {
    let (drills, unreadable) = state.list_drills(|drills| drills.list()).await?;
    let mut items: Vec<_> =
        drills.iter().map(|drill| (key(drill), drill_reports::value(drill))).collect();
    items.sort_by(|(one, _), (other, _)| other.cmp(one));
    let asked = (query.cursor.as_deref(), query.limit);
    let mut page = paging::page('d', asked, read_key, write_key, items.into_iter())?;
    page["unreadable"] = json!(unreadable);
    Ok((page, drills))
}

/// Where a drill is in the list: when it began, milliseconds since 1970, and its id.
type Key = (u64, String);

fn key(drill: &ArchivedDrill) -> Key {
    let began = iso8601::from_text(&drill.started_at, None).unwrap_or(0);
    (u64::try_from(began).unwrap_or(0), drill.id.clone())
}

fn write_key((began, id): &Key) -> String {
    format!("{began:015}~{id}")
}

fn read_key(text: &str) -> Option<Key> {
    let (began, id) = text.split_once('~')?;
    let is_time = began.len() == 15 && began.bytes().all(|byte| byte.is_ascii_digit());
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_key = is_time && (1..=100).contains(&id.len()) && id.chars().all(is_id);
    is_key.then_some((began.parse().ok()?, id.to_owned()))
}

/// `GET /api/v1/drills/{id}`.
#[utoipa::path(
    get,
    path = "/api/v1/drills/{id}",
    tag = "drills",
    summary = "The report of a drill",
    params(("id" = String, Path, description = "The drill's id")),
    responses((status = 200, description = "As docs/drill-report.schema.json says", body = Value))
)]
pub(super) async fn drill(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    _: Ask<Nothing>,
) -> Result<Response, Problem> {
    let (path, bytes) = drill_file(&state, &id).await?;
    // A report that is kept stays as it is: its id and its length tell it from any other.
    let tag = manners::tag(format!("{id} {bytes}").as_bytes());
    let mut response = if manners::is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let streamed = streamed(path, bytes).await;
        streamed.map_err(|error| Problem::unavailable(error.to_string()))?
    };
    manners::say_tag(response.headers_mut(), &tag);
    Ok(response)
}

/// The file with the report of this id, and its length in bytes.
///
/// # Errors
/// There is none, or it cannot be read.
pub(crate) async fn drill_file(state: &AppState, id: &str) -> Result<(PathBuf, u64), Problem> {
    let id = id.to_owned();
    let found = state.list_drills(move |drills| drills.file(&id)).await?;
    found.map_err(Problem::unavailable)?.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "there is no drill of this id: `GET /api/v1/drills` lists them",
        )
    })
}

/// The report of this id for a page; none where it is too large for one.
///
/// # Errors
/// There is none, it cannot be read, or others are being read.
pub(crate) async fn drill_report(state: &AppState, id: &str) -> Result<Option<Report>, Problem> {
    /// One at a time: each takes as much memory as it is long, and more.
    static READING: Semaphore = Semaphore::const_new(1);
    let (path, bytes) = drill_file(state, id).await?;
    if bytes > READ_BYTES_MAX {
        return Ok(None);
    }
    let turn = tokio::time::timeout(super::QUERY_PATIENCE, READING.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(Problem::busy("reports of drills are being read: ask again in a second"));
    };
    let read = move || {
        let file = std::io::BufReader::new(std::fs::File::open(path)?);
        Ok::<Report, std::io::Error>(serde_json::from_reader(file)?)
    };
    let read = tokio::task::spawn_blocking(read).await;
    let report = read.map_err(|error| Problem::unavailable(error.to_string()))?;
    report
        .map(Some)
        .map_err(|error| Problem::unavailable(format!("the report cannot be read: {error}")))
}

/// The file piece by piece: it may be larger than what this server wants to hold.
async fn streamed(path: PathBuf, bytes: u64) -> std::io::Result<Response> {
    let file = tokio::fs::File::open(path).await?.take(bytes);
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = Vec::new();
        (&mut file).take(PIECE).read_to_end(&mut piece).await?;
        Ok::<_, std::io::Error>((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
    });
    let mut response = Response::new(Body::from_stream(pieces.fuse()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    Ok(response)
}

/// `POST /api/v1/drills`.
#[utoipa::path(
    post,
    path = "/api/v1/drills",
    tag = "drills",
    summary = "Takes the report of a drill",
    security(("token" = ["operate"])),
    request_body(content = PostedReport, description = "The object that `focus drill run --json` ends with: docs/drill-report.schema.json"),
    responses(
        (status = 201, description = "It is kept", body = TakenReport, headers(("Location" = String, description = "Where it is"))),
        (status = 200, description = "It was there already", body = TakenReport),
        (status = 409, response = super::description::ProblemResponse),
        (status = 415, response = super::description::ProblemResponse),
    )
)]
pub(super) async fn post(
    State(state): State<AppState>,
    _: Ask<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    state.authorise(&parts.headers, Right::Operate)?;
    is_json(&parts.headers)?;
    let turn = Arc::clone(&state.posting).try_acquire_owned().map_err(|_| {
        Problem::busy("the report of another drill is being taken: try again in a second")
    })?;
    let body = read(body).await?;
    let drills = Arc::clone(&state.services.drills);
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        drills.post(&body)
    });
    let (id, posted) = work
        .await
        .map_err(|error| Problem::unavailable(error.to_string()))?
        .map_err(|error| match error {
            PostError::NoReport { field, words } => {
                let problem = Problem::of(ProblemKind::BadBody, words);
                field.into_iter().fold(problem, Problem::at)
            }
            PostError::Another { .. } => Problem::new(StatusCode::CONFLICT, error.to_string()),
            PostError::NotWritten(_) => Problem::unavailable(error.to_string()),
        })?;
    let status = match posted {
        Posted::Kept => StatusCode::CREATED,
        Posted::There => StatusCode::OK,
    };
    let location = [(header::LOCATION, format!("{PATH}/{id}"))];
    Ok((status, location, Json(json!({ "id": id }))).into_response())
}

fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let words = "the body has to be JSON: send it with `Content-Type: application/json`";
    Err(Problem::of(ProblemKind::WrongMediaType, words))
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let read = Limited::new(body, POST_BYTES_MAX).collect();
    match tokio::time::timeout(guard::BODY_PATIENCE, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the report has more than {POST_BYTES_MAX} bytes"),
        )),
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body cannot be read: {error}"))),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not come within {} s", guard::BODY_PATIENCE.as_secs()),
        )),
    }
}

impl AppState {
    /// Asks the archive of drills, which is on disk.
    async fn list_drills<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&focus_drill::report::store::Drills) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = super::turn(&self.queries).await?;
        let drills = Arc::clone(&self.services.drills);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            ask(&drills)
        });
        work.await.map_err(|error| Problem::unavailable(error.to_string()))
    }
}
