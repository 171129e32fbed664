//! `/unrecognised`.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::frame::{Frame, Place};
use crate::api::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/unrecognised", get(unrecognised))
}

async fn unrecognised(frame: Frame) -> Response {
    frame.page(Place::Unrecognised, "Unrecognised", &[], &html! { h1 { "Unrecognised" } })
}
