//! `/outages`.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::frame::{Frame, Place};
use crate::api::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/outages", get(outages))
}

async fn outages(frame: Frame) -> Response {
    frame.page(Place::Outages, "Outages", &[], &html! { h1 { "Outages" } })
}
