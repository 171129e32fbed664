//! `/alerts`.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::frame::{Frame, Place};
use crate::api::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/alerts", get(alerts))
}

async fn alerts(frame: Frame) -> Response {
    frame.page(Place::Alerts, "Alerts", &[], &html! { h1 { "Alerts" } })
}
