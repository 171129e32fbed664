//! `/api/v1/jobs`, and `POST /api/v1/held/approve`, which starts one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use focus_core::job::{JobKind, JobRequest};
use serde::Deserialize;
use serde_json::Value;

use super::ask::{Ask, Nothing, Told};
use super::manners;
use super::paging::{self, page_query};
use super::problem::ProblemKind;
use super::{AppState, Problem, Right};
use crate::jobs::{CancelError, Jobs};

page_query!(JobsQuery, "^j[0-9]{1,18}$");

/// What a job can be asked for; an approval is asked for by `POST /api/v1/held/approve`.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AskedKind {
    /// One pass over storage and catalog
    Scan,
    /// Compares storage, index and catalog
    Verify,
    /// Verifies, and mends what can be mended
    Repair,
    /// Compares catalog and index
    Compare,
}

impl From<AskedKind> for JobKind {
    fn from(kind: AskedKind) -> JobKind {
        match kind {
            AskedKind::Scan => JobKind::Scan,
            AskedKind::Verify => JobKind::Verify,
            AskedKind::Repair => JobKind::Repair,
            AskedKind::Compare => JobKind::Compare,
        }
    }
}

/// The body of a job.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobBody {
    kind: AskedKind,
    /// The only root that it is about: its id, or its configured path
    root: Option<String>,
    /// Of a verification or a repair: leave the sidecars unread. Means nothing to other kinds
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

/// What a job does.
#[derive(utoipa::ToSchema)]
#[schema(as = JobKind, rename_all = "lowercase")]
#[expect(dead_code, reason = "the names describe what the handlers write")]
pub(super) enum ShownKind {
    Scan,
    Verify,
    Repair,
    Compare,
    Approve,
}

/// How far a job is.
#[derive(utoipa::ToSchema)]
#[schema(as = JobState, rename_all = "lowercase")]
#[expect(dead_code, reason = "the names describe what the handlers write")]
pub(super) enum ShownState {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

/// A job.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the fields describe what the handlers write")]
pub(super) struct Job {
    /// Counts the jobs of the state folder, from 1
    id: u64,
    /// What it does
    kind: ShownKind,
    /// The id of the only root that it is about; null: all of them
    root: Option<String>,
    /// How far it is
    state: ShownState,
    /// When it was asked for
    #[schema(format = "date-time")]
    created_at: String,
    /// When it began to run
    #[schema(format = "date-time")]
    started_at: Option<String>,
    /// When it ended
    #[schema(format = "date-time")]
    ended_at: Option<String>,
    /// Recordings done in this stage; null where that is not known
    done: Option<u64>,
    /// Recordings of this stage in all
    of: Option<u64>,
    /// Recordings per second in this stage
    rate_per_s: Option<f64>,
    /// Time left at this rate
    left_ms: Option<u64>,
    /// As `focus scan --json`, `focus verify --json` and so on print it; null before it is done
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// Why it has failed
    reason: Option<String>,
    /// It was refused: trying again changes nothing
    refused: bool,
    /// Only in the answer to a call that starts one: it was under way before
    #[schema(required = false, nullable = false)]
    joined: Option<bool>,
}

/// A page of jobs.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the fields describe what the handler writes")]
pub(super) struct JobPage {
    /// The newest first
    items: Vec<Job>,
    /// The cursor of the next page; null at the end
    next_cursor: Option<String>,
    /// Items of a page, at most
    limit: usize,
}

/// `POST /api/v1/jobs`.
#[utoipa::path(
    post,
    path = "/api/v1/jobs",
    tag = "jobs",
    summary = "Starts a job; the same kind and root under way: that job",
    security(("token" = ["operate"])),
    request_body = JobBody,
    responses(
        (status = 202, description = "The job", body = Job, headers(("Location" = String, description = "Where it is"))),
        (status = 415, response = super::description::ProblemResponse),
    )
)]
pub(super) async fn start(
    State(state): State<AppState>,
    headers: HeaderMap,
    _: Ask<Nothing>,
    body: Result<Told<JobBody>, Problem>,
) -> Result<Response, Problem> {
    state.authorise(&headers, Right::Operate)?;
    let Told(body) = body?;
    let kind = JobKind::from(body.kind);
    let quick = body.quick && matches!(kind, JobKind::Verify | JobKind::Repair);
    let root = match &body.root {
        Some(root) => Some(state.root_id(root).await?),
        None => None,
    };
    let (id, is_new) = submit_job(&state, JobRequest { kind, root, through: None, quick }).await?;
    started(&state, id, is_new).await
}

/// `POST /api/v1/held/approve`.
#[utoipa::path(
    post,
    path = "/api/v1/held/approve",
    tag = "held",
    summary = "Approves exactly the deletions that were shown: a job of kind `approve`",
    security(("token" = ["operate"])),
    request_body = ApproveBody,
    responses(
        (status = 202, description = "The job", body = Job, headers(("Location" = String, description = "Where it is"))),
        (status = 409, response = super::description::ProblemResponse),
        (status = 415, response = super::description::ProblemResponse),
    )
)]
pub(super) async fn approve(
    State(state): State<AppState>,
    headers: HeaderMap,
    _: Ask<Nothing>,
    body: Result<Told<ApproveBody>, Problem>,
) -> Result<Response, Problem> {
    state.authorise(&headers, Right::Operate)?;
    let Told(body) = body?;
    let (id, is_new) = approve_set(&state, &body.root, body.through).await?;
    started(&state, id, is_new).await
}

/// Starts the job that approves exactly the deletions of a root that were shown up to `through`. Returns its id,
/// and whether it is new.
///
/// # Errors
/// There is no such root, no listing has shown the set, or too many jobs wait.
pub(crate) async fn approve_set(
    state: &AppState,
    root: &str,
    through: i64,
) -> Result<(u64, bool), Problem> {
    let root = Some(state.root_id(root).await?);
    let shown = state.read(|engine| engine.reader().held_last()).await?;
    if through > shown {
        let words = "through: no listing has shown this set: take it from `GET /api/v1/held`";
        return Err(Problem::of(ProblemKind::Conflict, words).at("through"));
    }
    let through = Some(through);
    submit_job(state, JobRequest { kind: JobKind::Approve, root, through, quick: false }).await
}

/// Starts a job. Returns its id, and whether it is new.
///
/// # Errors
/// Too many jobs wait.
pub(crate) async fn submit_job(
    state: &AppState,
    request: JobRequest,
) -> Result<(u64, bool), Problem> {
    state
        .services
        .jobs
        .submit(request)
        .await
        .ok_or_else(|| Problem::busy("too many jobs wait: try again when some of them have ended"))
}

/// The answer to a call that has started a job, or met one under way.
async fn started(state: &AppState, id: u64, is_new: bool) -> Result<Response, Problem> {
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
    params(JobsQuery),
    responses((status = 200, description = "A page of them", body = JobPage))
)]
pub(super) async fn jobs(
    State(state): State<AppState>,
    Ask(query): Ask<JobsQuery>,
) -> Result<Json<Value>, Problem> {
    let jobs = state.ask_jobs(|jobs| jobs.list()).await?;
    let items = jobs.into_iter().map(|job| (job.id, job.value));
    paging::numbered('j', (query.cursor.as_deref(), query.limit), items).map(Json)
}

/// `GET /api/v1/jobs/{id}`.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    summary = "A job, with its result once it is done",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "The job", body = Job))
)]
pub(super) async fn job(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    _: Ask<Nothing>,
) -> Result<Response, Problem> {
    let id: u64 = id.parse().map_err(|_| unknown())?;
    let shown = state.ask_jobs(move |jobs| jobs.show_whole(id)).await?.ok_or_else(unknown)?;
    Ok(manners::tagged(&headers, shown.value.to_string().as_bytes(), "application/json"))
}

/// `DELETE /api/v1/jobs/{id}`.
#[utoipa::path(
    delete,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    summary = "Cancels a job",
    security(("token" = ["operate"])),
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 202, description = "The job: one that runs is stopped, and is cancelled a moment later", body = Job),
        (status = 409, response = super::description::ProblemResponse),
    )
)]
pub(super) async fn cancel(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    _: Ask<Nothing>,
) -> Result<Response, Problem> {
    state.authorise(&headers, Right::Operate)?;
    let id: u64 = id.parse().map_err(|_| unknown())?;
    cancel_job(&state, id).await?;
    let shown = state.ask_jobs(move |jobs| jobs.show(id)).await?.ok_or_else(unknown)?;
    Ok((StatusCode::ACCEPTED, Json(shown.value)).into_response())
}

/// Cancels a job.
///
/// # Errors
/// There is none of this id, or it cannot be cancelled.
pub(crate) async fn cancel_job(state: &AppState, id: u64) -> Result<(), Problem> {
    state.services.jobs.cancel(id).await.map_err(|error| match error {
        CancelError::Unknown => unknown(),
        CancelError::Ended => Problem::new(StatusCode::CONFLICT, "the job has ended"),
        CancelError::CannotStop => Problem::new(
            StatusCode::CONFLICT,
            "an approval cannot be stopped in its middle: it is done in a moment",
        ),
    })
}

fn unknown() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is no job of this id, or it ended too long ago: `focus jobs` lists them",
    )
}

impl AppState {
    /// Asks the jobs, on a thread that may block.
    pub(crate) async fn ask_jobs<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Jobs) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = super::turn(&self.queries).await?;
        let jobs = Arc::clone(&self.services.jobs);
        let work = move || {
            let _turn = turn;
            ask(&jobs)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Problem::unavailable(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use focus_core::job::JobState;
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn the_described_kinds_and_states_are_those_that_there_are() {
        let names = |schema: Value| {
            let names = schema["enum"].as_array().cloned().unwrap_or_default();
            names.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        let kinds = names(serde_json::json!(ShownKind::schema()));
        assert_eq!(kinds, JobKind::ALL.map(JobKind::name));
        let states = names(serde_json::json!(ShownState::schema()));
        assert_eq!(states, JobState::ALL.map(JobState::name));
    }
}
