//! The HTTP API: routes, the state of their handlers, and the headers of answers.

mod alerts;
pub(crate) mod ask;
mod coverage;
mod deletions;
mod description;
mod drills;
mod events;
mod fdsn;
mod forgetting;
mod guard;
mod hints;
mod ingest;
mod jobs;
mod listener;
mod live;
pub(crate) mod manners;
mod metrics;
mod outages;
mod pages;
mod paging;
mod problem;
mod recordings;
mod rights;
mod routes;
mod schemas;
mod sealed;
mod sign_in_codes;
mod time_range;
mod understand;
mod unrecognised;
mod v1;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderValue};
use focus_alerts::Board;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use focus_common::alerts::ListedAlerts;
use focus_common::clock;
use focus_common::config::{Alerts, Settings};
use focus_common::status::Status;
use focus_drill::report::store::Drills;
use focus_engine::{Completeness, Engine};
use focus_hints::HintQueues;

use crate::events::Events;
use crate::history::History;
use crate::jobs::Jobs;
use crate::page;
use crate::sessions::{Guesses, Sessions};

// What the commands print is what the calls answer.
pub use coverage::{Coverage, gaps_value, lanes_by};
pub use deletions::{held_cursor, held_deletion};
pub use drills::drill_item;
pub use ingest::skim_form;
pub use listener::serve;
pub use outages::item as outage_item;
pub use problem::{Problem, ProblemKind};
pub use recordings::{Recordings, recordings_page, states};
pub use rights::{Access, Keys, Right};
pub use time_range::Window;
pub use understand::{Call, understand};
pub use unrecognised::UnrecognisedItem;
pub use v1::with_completeness;

// What the page shows is what the calls answer.
pub(crate) use alerts::{end_silence_of as end_silence, make_silence};
pub(crate) use ask::{Ask, Moment, Nothing, decoded, query as read_query};
pub(crate) use coverage::{
    AskedCoverage, AskedGaps, CoverageRead, ReadyGaps, available_percent, buckets, longer_than_ms,
    no_lanes, ordered, read_coverage, read_gaps,
};
pub(crate) use deletions::{HeldPage, held_page};
pub(crate) use drills::{DrillsQuery, drill_page, drill_report};
pub(crate) use jobs::{approve_set, cancel_job, submit_job};
pub(crate) use listener::{Activity, Peer};
pub(crate) use outages::{OutagesQuery, outage_page, outage_with_curve};
pub(crate) use recordings::{
    Recording, RecordingsQuery, find_recordings, whole as whole_recording,
};
pub(crate) use unrecognised::{UnrecognisedQuery, find_unrecognised};
pub(crate) use v1::page as page_limit;

/// Queries that run at the same time, at most. Threads are left for the engine's own work.
const QUERIES_MAX: usize = 16;

/// How long a query waits for its turn.
const QUERY_PATIENCE: Duration = Duration::from_secs(1);

/// The names that `Host` may have besides addresses and `localhost`, in lower case; none: any name.
pub type Hosts = Option<Arc<[String]>>;

/// What a server does for its callers at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long it works on a request.
    pub request_time: Duration,
    /// Open connections.
    pub connections_max: usize,
    /// Requests that it works on at the same time.
    pub requests_max: usize,
}

impl Bounds {
    /// Those of the settings.
    pub fn of(settings: &Settings) -> Bounds {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX >> 4);
        Bounds {
            request_time: Duration::from_millis(settings.request_time_ms),
            connections_max: count(settings.connections_max),
            requests_max: count(settings.requests_max),
        }
    }
}

/// What goes on beside the engine, whichever engine there is.
#[derive(Clone, Debug)]
pub struct Services {
    /// Reports of drills.
    pub drills: Arc<Drills>,
    /// Jobs.
    pub jobs: Arc<Jobs>,
    /// Events.
    pub events: Arc<Events>,
    /// Queues of hints.
    pub hint_queues: Arc<HintQueues>,
    /// The last hour.
    pub history: Arc<History>,
}

/// The state that every handler shares.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The engine. A rebuilt index comes with a new one.
    engine: watch::Receiver<Arc<Engine>>,
    /// The tokens that calls which change something have to carry.
    keys: Keys,
    hosts: watch::Receiver<Hosts>,
    /// What is raised and told, and the settings of alerts: they may change while it serves.
    alerts: watch::Receiver<(Arc<Board>, Arc<Alerts>)>,
    bounds: Bounds,
    /// A turn for each request that is worked on.
    requests: Arc<Semaphore>,
    services: Services,
    /// Held while the report of a drill is taken: it may be large.
    posting: Arc<Semaphore>,
    /// A turn for each recording that is being handed over.
    ingests: Arc<Semaphore>,
    /// A turn for each call whose hints are taken.
    hinting: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) guesses: Arc<Guesses>,
}

impl AppState {
    /// The state of a server that has just started. `hosts` may change while it serves.
    pub fn new(
        engine: watch::Receiver<Arc<Engine>>,
        keys: Keys,
        hosts: watch::Receiver<Hosts>,
        alerts: watch::Receiver<(Arc<Board>, Arc<Alerts>)>,
        bounds: Bounds,
        services: Services,
    ) -> AppState {
        AppState {
            engine,
            keys,
            hosts,
            alerts,
            bounds,
            requests: Arc::new(Semaphore::new(bounds.requests_max)),
            services,
            posting: Arc::new(Semaphore::new(1)),
            ingests: Arc::new(Semaphore::new(ingest::INGESTS_MAX)),
            hinting: Arc::new(Semaphore::new(hints::CALLS_MAX)),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            streams: Arc::new(Semaphore::new(time_range::STREAMS_MAX)),
            sessions: Arc::default(),
            guesses: Arc::default(),
        }
    }

    /// What is raised and told, and the settings of alerts.
    fn alerts(&self) -> (Arc<Board>, Arc<Alerts>) {
        self.alerts.borrow().clone()
    }

    /// The status of the whole server.
    ///
    /// # Errors
    /// The index is not there.
    pub(crate) async fn status(&self) -> Result<Status, Problem> {
        let mut status = self.read(|engine| Ok(engine.status())).await?;
        status.hints = self.services.hint_queues.status();
        status.alerts = Some(self.alerts().0.status());
        Ok(status)
    }

    /// The last hour.
    pub(crate) fn history(&self) -> &History {
        &self.services.history
    }

    /// What is raised, what is over, who is told, and what is silenced.
    pub(crate) fn listed_alerts(&self) -> ListedAlerts {
        let (board, settings) = self.alerts();
        board.listed(&settings)
    }

    /// The id of a root that is given by its id or its configured path.
    pub(crate) async fn root_id(&self, wanted: &str) -> Result<String, Problem> {
        let roots = self.read(Engine::held_roots).await?;
        deletions::find(&roots, wanted).map(|root| root.marker.clone())
    }

    fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine.borrow())
    }

    /// Runs a blocking query on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
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
        _ => Err(Problem::busy("too many queries are running: ask again in a second")),
    }
}

/// All routes.
pub fn router(state: AppState) -> Router {
    let (router, _) = routes::described().split_for_parts();
    router
        .merge(page::routes())
        .fallback(|| async {
            Problem::of(
                ProblemKind::UnknownPath,
                "there is nothing at this path: /docs lists what there is",
            )
        })
        .method_not_allowed_fallback(|| async {
            let words = "this path takes another method: the header Allow names them";
            Problem::of(ProblemKind::WrongMethod, words)
        })
        .layer(manners::compression())
        .layer(axum::middleware::from_fn_with_state(state.clone(), guard::guard))
        .layer(axum::middleware::from_fn(metrics::count))
        // Bodies are read, and bounded, before a handler is called.
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}

/// The completeness of an answer, as headers.
pub(crate) fn completeness_headers(completeness: Completeness) -> HeaderMap {
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
