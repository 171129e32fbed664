//! `/drills`.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::frame::{Frame, Place};
use crate::api::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/drills", get(drills))
}

async fn drills(frame: Frame) -> Response {
    frame.page(Place::Drills, "Drills", &[], &html! { h1 { "Drills" } })
}
