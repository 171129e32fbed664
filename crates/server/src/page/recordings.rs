//! `/recordings`.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::frame::{Frame, Place};
use crate::api::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/recordings", get(recordings))
}

async fn recordings(frame: Frame) -> Response {
    frame.page(Place::Recordings, "Recordings", &[], &html! { h1 { "Recordings" } })
}
