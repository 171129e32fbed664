//! The HTTP API: routes, the state of their handlers, and the headers of answers.

mod alerts;
mod deletions;
mod drills;
mod forgetting;
mod guard;
mod jobs;
mod listener;
mod metrics;
mod outages;
mod paging;
mod problem;
mod time_range;
mod understand;
mod v1;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use focus_common::clock;
use focus_common::config::{Alerts, Secret};
use focus_drill::report::store::Drills;
use focus_engine::{Completeness, Engine};

use crate::alerts::Board;
use crate::jobs::Jobs;

pub(crate) use deletions::held_deletion;
pub use listener::serve;
pub(crate) use outages::item as outage_item;
pub use problem::Problem;
pub use time_range::Window;
pub use understand::{Call, understand};
pub(crate) use v1::{fault, recordings_page};

/// Queries that run at the same time, at most. Threads are left for the engine's own work.
const QUERIES_MAX: usize = 16;

/// How long a query waits for its turn.
const QUERY_PATIENCE: Duration = Duration::from_secs(1);

/// The names that `Host` may have besides addresses and `localhost`, in lower case; none: any name.
pub type Hosts = Option<Arc<[String]>>;

/// The state that every handler shares.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The engine. A rebuilt index comes with a new one.
    engine: watch::Receiver<Arc<Engine>>,
    /// The token that calls which change something have to carry.
    token: Arc<Secret>,
    hosts: watch::Receiver<Hosts>,
    /// What is raised and told, and the settings of alerts: they may change while it serves.
    alerts: watch::Receiver<(Arc<Board>, Arc<Alerts>)>,
    drills: Arc<Drills>,
    jobs: Arc<Jobs>,
    /// Held while the report of a drill is taken: it may be large.
    posting: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl AppState {
    /// The state of a server that has just started. `hosts` may change while it serves.
    pub fn new(
        engine: watch::Receiver<Arc<Engine>>,
        token: Secret,
        hosts: watch::Receiver<Hosts>,
        alerts: watch::Receiver<(Arc<Board>, Arc<Alerts>)>,
        drills: Arc<Drills>,
        jobs: Arc<Jobs>,
    ) -> AppState {
        AppState {
            engine,
            token: Arc::new(token),
            hosts,
            alerts,
            drills,
            jobs,
            posting: Arc::new(Semaphore::new(1)),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            streams: Arc::new(Semaphore::new(time_range::STREAMS_MAX)),
        }
    }

    /// What is raised and told, and the settings of alerts.
    fn alerts(&self) -> (Arc<Board>, Arc<Alerts>) {
        self.alerts.borrow().clone()
    }

    /// The id of a root that is given by its id or its configured path.
    async fn root_id(&self, wanted: &str) -> Result<String, Problem> {
        let roots = self.read(Engine::held_roots).await?;
        deletions::find(&roots, wanted).map(|root| root.marker.clone())
    }

    fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine.borrow())
    }

    /// Checks that a call which changes something carries the token.
    fn authorise(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer "));
        if shown.is_some_and(|shown| self.token.is(shown)) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "this call changes something and needs the token in server.json of the state folder, as `Authorization: Bearer …`",
        ))
    }

    /// Runs a blocking query on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Engine) -> Result<T, focus_index::IndexError> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = turn(&self.queries).await?;
        let engine = self.engine();
        let work = move || {
            let _turn = turn;
            query(&engine)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Problem::unavailable(error.to_string())),
            Err(error) => Err(Problem::unavailable(error.to_string())),
        }
    }
}

/// Waits for a turn, at most [`QUERY_PATIENCE`].
async fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    let waited = tokio::time::timeout(QUERY_PATIENCE, Arc::clone(turns).acquire_owned()).await;
    match waited {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Problem::unavailable("too many queries are running: ask again in a second")),
    }
}

/// All routes.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/livez", get(|| async { axum::Json(json!({})) }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/ack", get(|| async { axum::Json(json!({})) }))
        .route("/recordings_in_time_range", post(time_range::recordings_in_time_range))
        .route("/api/v1/status", get(v1::status))
        .route("/api/v1/recordings", get(v1::recordings))
        .route("/api/v1/unrecognised", get(v1::unrecognised))
        .route("/api/v1/scan", post(v1::scan))
        .route("/api/v1/verify", post(verification::verify))
        .route("/api/v1/drift", get(verification::drift))
        .route("/api/v1/roots/forget", post(forgetting::forget))
        .route("/api/v1/alerts", get(alerts::alerts))
        .route("/api/v1/alerts/silences", get(alerts::silences).post(alerts::silence))
        .route("/api/v1/alerts/silences/{id}", axum::routing::delete(alerts::end_silence))
        .route("/api/v1/drills", get(drills::drills).post(drills::post))
        .route("/api/v1/drills/{id}", get(drills::drill))
        .route("/api/v1/jobs", get(jobs::jobs).post(jobs::start))
        .route("/api/v1/jobs/{id}", get(jobs::job).delete(jobs::cancel))
        .route("/api/v1/outages", get(outages::outages))
        .route("/api/v1/outages/{id}", get(outages::outage))
        .route("/api/v1/held", get(deletions::held))
        .route("/api/v1/held/approve", post(jobs::approve))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
        })
        .layer(axum::middleware::from_fn_with_state(state.clone(), guard::guard))
        .layer(axum::middleware::from_fn(metrics::count))
        // Bodies are read, and bounded, before a handler is called.
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}

/// The server is ready whenever the index answers. The body has the catalog's state, which does not change
/// the answer's code.
async fn readyz(State(state): State<AppState>) -> Response {
    match state.read(|engine| engine.reader().totals().map(|_| engine.status())).await {
        Ok(status) => axum::Json(json!({
            "ready": true,
            "catalog": status.catalog,
            "catalog_state": status.catalog_state,
            "pending": status.pending,
        }))
        .into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// The completeness of an answer, as headers.
fn completeness_headers(completeness: Completeness) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let through =
        completeness.complete_through_ms.map_or_else(|| "none".to_owned(), clock::rfc3339);
    if let Ok(value) = HeaderValue::from_str(&through) {
        headers.insert("focus-complete-through", value);
    }
    headers.insert("focus-pending", HeaderValue::from(completeness.pending));
    headers.insert("focus-source", HeaderValue::from_static("index"));
    headers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn the_http_description_has_every_route_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.yaml");
        let described = std::fs::read_to_string(path).expect("docs/openapi.yaml");
        let described: BTreeSet<&str> = described
            .lines()
            .filter_map(|line| line.strip_prefix("  /")?.strip_suffix(':'))
            .collect();
        let served: BTreeSet<&str> = include_str!("mod.rs")
            .lines()
            .filter_map(|line| line.trim().strip_prefix(".route(\"/")?.split('"').next())
            .collect();
        assert!(served.len() > 5, "{served:?}");
        assert_eq!(described, served);
    }
}
