//! `/coverage`.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::frame::{Frame, Place};
use crate::api::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/coverage", get(coverage))
}

async fn coverage(frame: Frame) -> Response {
    frame.page(Place::Coverage, "Coverage", &[], &html! { h1 { "Coverage" } })
}
