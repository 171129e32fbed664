//! `/`: what is going on.

use axum::response::Response;
use maud::html;

use super::frame::{Frame, Place};
pub(super) async fn now(frame: Frame) -> Response {
    frame.page(Place::Now, "Now", &[], &html! { h1 { "Now" } })
}
