//! `/held`.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::frame::{Frame, Place};
use crate::api::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/held", get(held))
}

async fn held(frame: Frame) -> Response {
    frame.page(Place::Held, "Held", &[], &html! { h1 { "Held" } })
}
