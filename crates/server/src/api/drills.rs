//! `/api/v1/drills`: reports of drills, those in the state folder and those that were posted.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use focus_drill::posting::POST_BYTES_MAX;
use focus_drill::report::store::{PostError, Posted};
use futures_util::stream;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::paging::{self, PageQuery};
use super::{AppState, Problem, guard};
use crate::cli::drill_reports;

/// The path that takes reports.
const PATH: &str = "/api/v1/drills";

/// Bytes of a report that are read at once.
const PIECE: u64 = 64 * 1024;

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
    params(PageQuery),
    responses((status = 200, description = "A page of them", body = Value))
)]
pub(super) async fn drills(
    State(state): State<AppState>,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let (drills, unreadable) = state.list_drills(|drills| drills.list()).await?;
    let items = drills
        .iter()
        .map(|drill| (format!("{} {}", drill.started_at, drill.id), drill_reports::value(drill)));
    let mut page = paging::page("drills", &query, items)?;
    page["unreadable"] = json!(unreadable);
    Ok(Json(page))
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
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = state.list_drills(move |drills| drills.file(&id)).await?;
    let found = found.map_err(Problem::unavailable)?;
    let (path, bytes) = found.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "there is no drill of this id: `GET /api/v1/drills` lists them",
        )
    })?;
    streamed(path, bytes).await.map_err(|error| Problem::unavailable(error.to_string()))
}

/// The file piece by piece: it may be larger than what this server wants to hold.
async fn streamed(path: PathBuf, bytes: u64) -> std::io::Result<Response> {
    let file = tokio::fs::File::open(path).await?.take(bytes);
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = Vec::new();
        (&mut file).take(PIECE).read_to_end(&mut piece).await?;
        Ok::<_, std::io::Error>((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
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
    summary = "Takes the report of a drill; needs the token",
    request_body(content = Value, description = "The object that `focus drill run --json` ends with: docs/drill-report.schema.json"),
    responses(
        (status = 201, description = "It is kept", body = Value, headers(("Location" = String, description = "Where it is"))),
        (status = 200, description = "It was there already", body = Value),
        (status = 409, description = "Another report with this id is kept"),
        (status = 413, description = "It has more than 16 MiB"),
    )
)]
pub(super) async fn post(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    state.authorise(&parts.headers)?;
    let turn = Arc::clone(&state.posting).try_acquire_owned().map_err(|_| {
        Problem::unavailable("the report of another drill is being taken: try again in a second")
    })?;
    let body = read(body).await?;
    let drills = Arc::clone(&state.drills);
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        drills.post(&body)
    });
    let (id, posted) = work
        .await
        .map_err(|error| Problem::unavailable(error.to_string()))?
        .map_err(|error| match error {
            PostError::NoReport { .. } => Problem::bad_request(error.to_string()),
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
        let drills = Arc::clone(&self.drills);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            ask(&drills)
        });
        work.await.map_err(|error| Problem::unavailable(error.to_string()))
    }
}
