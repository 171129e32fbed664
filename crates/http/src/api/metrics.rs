//! `GET /metrics`: what is counted and how everything stands, for Prometheus.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use focus_common::metrics::{Scrape, counters, process};
use focus_core::alert::Rule;

use super::ask::{Ask, Nothing};
use super::{AppState, Problem};

/// The media type of Prometheus' text format.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// `GET /metrics`.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    summary = "Metrics for Prometheus, text format 0.0.4",
    responses((status = 200, description = "docs/metrics.md has a line for each", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(
    State(state): State<AppState>,
    Ask(Nothing {}): Ask<Nothing>,
) -> Result<Response, Problem> {
    let (board, alerts) = state.alerts();
    let drills = Arc::clone(&state.services.drills);
    let text = state
        .read(move |engine| {
            let scrape = Scrape::new();
            engine.tell_metrics(&scrape)?;
            let passed = drills.last_passed_ms().map(|at_ms| (Vec::new(), at_ms as f64 / 1_000.0));
            scrape.add("focus_drill_passed_timestamp_seconds", passed);
            let firing = board.firing();
            let firing = Rule::ALL.into_iter().map(|rule| {
                let severity = alerts.thresholds(rule).severity.name();
                let count = firing.get(&rule).copied().unwrap_or(0);
                (vec![rule.name(), severity], count as f64)
            });
            scrape.add("focus_alerts_firing", firing);
            process(&scrape);
            Ok(scrape.text())
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, TEXT)], text).into_response())
}

/// Counts a request by its route, its method and the code of its answer. What the caller can choose freely
/// becomes no label.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    let response = next.run(request).await;
    let code = response.status().as_u16().to_string();
    counters().http_requests.with_label_values(&[route.as_str(), method, code.as_str()]).inc();
    let seconds = began.elapsed().as_secs_f64();
    counters().http_request.with_label_values(&[route.as_str()]).observe(seconds);
    response
}
