//! `/sign-in`: a token, or a code of `focus open`, for a session.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::frame::{Frame, Place};
use crate::api::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/sign-in", get(sign_in))
}

async fn sign_in(frame: Frame) -> Response {
    frame.page(Place::Elsewhere, "Sign in", &[], &html! { h1 { "Sign in" } })
}
