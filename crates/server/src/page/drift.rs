//! `/drift`.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::frame::{Frame, Place};
use crate::api::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/drift", get(drift))
}

async fn drift(frame: Frame) -> Response {
    frame.page(Place::Drift, "Drift", &[], &html! { h1 { "Drift" } })
}
