//! `/api/v1/jobs`, and `POST /api/v1/held/approve`, which starts one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use focus_core::job::{JobKind, JobRequest};
use serde::Deserialize;
use serde_json::Value;

use super::paging::{self, PageQuery};
use super::{AppState, Problem};
use crate::jobs::{CancelError, Jobs};

/// The body of a job.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobBody {
    /// `scan`, `verify`, `repair` or `compare`
    kind: String,
    /// The only root that it is about: its id, or its configured path
    root: Option<String>,
    /// Of a verification or a repair: leave the sidecars unread
    #[serde(default)]
    quick: bool,
}

/// The body of an approval.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproveBody {
    /// The root's id, or its configured path
    root: String,
    /// The end of the set that was shown, as `/held` names it
    through: i64,
}

/// `POST /api/v1/jobs`.
#[utoipa::path(
    post,
    path = "/api/v1/jobs",
    tag = "jobs",
    summary = "Starts a job; the same kind and root under way: that job. Needs the token",
    request_body = JobBody,
    responses((status = 202, description = "The job", body = Value, headers(("Location" = String, description = "Where it is"))))
)]
pub(super) async fn start(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Result<Json<JobBody>, axum::extract::rejection::JsonRejection>,
) -> Result<Response, Problem> {
    state.authorise(&headers)?;
    let Json(body) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let kind = match JobKind::from_name(&body.kind) {
        Some(JobKind::Approve) => {
            return Err(Problem::bad_request(
                "kind: an approval is started by `POST /api/v1/held/approve`",
            ));
        }
        Some(kind) => kind,
        None => {
            return Err(Problem::bad_request(
                "kind: there is no such kind. It is one of scan, verify, repair, compare",
            ));
        }
    };
    if body.quick && !matches!(kind, JobKind::Verify | JobKind::Repair) {
        return Err(Problem::bad_request("quick: only a verification or a repair can be quick"));
    }
    let root = match &body.root {
        Some(root) => Some(state.root_id(root).await?),
        None => None,
    };
    submit(&state, JobRequest { kind, root, through: None, quick: body.quick }).await
}

/// `POST /api/v1/held/approve`.
#[utoipa::path(
    post,
    path = "/api/v1/held/approve",
    tag = "held",
    summary = "Approves the held deletions of a root, up to what was shown: a job of kind `approve`. Needs the token",
    request_body = ApproveBody,
    responses((status = 202, description = "The job", body = Value, headers(("Location" = String, description = "Where it is"))))
)]
pub(super) async fn approve(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Result<Json<ApproveBody>, axum::extract::rejection::JsonRejection>,
) -> Result<Response, Problem> {
    state.authorise(&headers)?;
    let Json(body) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let root = Some(state.root_id(&body.root).await?);
    let through = Some(body.through);
    submit(&state, JobRequest { kind: JobKind::Approve, root, through, quick: false }).await
}

async fn submit(state: &AppState, request: JobRequest) -> Result<Response, Problem> {
    let (id, is_new) = state.jobs.submit(request).await.ok_or_else(|| {
        Problem::unavailable("too many jobs wait: try again when some of them have ended")
    })?;
    let shown = state.ask_jobs(move |jobs| jobs.show(id)).await?.ok_or_else(unknown)?;
    let mut value = shown.value;
    value["joined"] = Value::Bool(!is_new);
    let location = [(header::LOCATION, format!("/api/v1/jobs/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(value)).into_response())
}

/// `GET /api/v1/jobs`.
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    tag = "jobs",
    summary = "Jobs, the newest first; verifications without their findings",
    params(PageQuery),
    responses((status = 200, description = "A page of them", body = Value))
)]
pub(super) async fn jobs(
    State(state): State<AppState>,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let jobs = state.ask_jobs(|jobs| jobs.list()).await?;
    let items = jobs.into_iter().map(|job| (job.id, job.value));
    paging::page("jobs", &query, items).map(Json)
}

/// `GET /api/v1/jobs/{id}`.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    summary = "A job, with its result once it is done",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "The job", body = Value))
)]
pub(super) async fn job(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id: u64 = id.parse().map_err(|_| unknown())?;
    let shown = state.ask_jobs(move |jobs| jobs.show_whole(id)).await?;
    shown.map(|job| Json(job.value)).ok_or_else(unknown)
}

/// `DELETE /api/v1/jobs/{id}`.
#[utoipa::path(
    delete,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    summary = "Cancels a job. Needs the token",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 202, description = "The job: one that runs is stopped, and is cancelled a moment later", body = Value),
        (status = 409, description = "It has ended, or cannot be stopped in its middle"),
    )
)]
pub(super) async fn cancel(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    state.authorise(&headers)?;
    let id: u64 = id.parse().map_err(|_| unknown())?;
    state.jobs.cancel(id).await.map_err(|error| match error {
        CancelError::Unknown => unknown(),
        CancelError::Ended => Problem::new(StatusCode::CONFLICT, "the job has ended"),
        CancelError::CannotStop => Problem::new(
            StatusCode::CONFLICT,
            "an approval cannot be stopped in its middle: it is done in a moment",
        ),
    })?;
    let shown = state.ask_jobs(move |jobs| jobs.show(id)).await?.ok_or_else(unknown)?;
    Ok((StatusCode::ACCEPTED, Json(shown.value)).into_response())
}

fn unknown() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is no job of this id, or it ended too long ago: `focus jobs` lists them",
    )
}

impl AppState {
    /// Asks the jobs, on a thread that may block.
    async fn ask_jobs<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Jobs) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = super::turn(&self.queries).await?;
        let jobs = Arc::clone(&self.jobs);
        let work = move || {
            let _turn = turn;
            ask(&jobs)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Problem::unavailable(error.to_string()))
    }
}
