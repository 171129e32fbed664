//! What the forms of pages have in common: who may send them, and where they lead.

use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};

use super::frame::{self, Frame};
use super::refused;
use super::session::Session;
use crate::api::{AppState, Problem, ProblemKind};

/// The session by which somebody may change things; otherwise what to do to `what`.
pub(super) fn actor<'a>(frame: &'a Frame, what: &str) -> Result<&'a Session, Markup> {
    match &frame.session {
        Some(session) if session.may_operate => Ok(session),
        Some(_) => Err(html! {
            p.note { "The token of this session has no right " code { "operate" } ": sign in with one that has it to " (what) "." }
        }),
        None => Err(html! { p.note { a href=(frame.sign_in()) { "Sign in" } " to " (what) "." } }),
    }
}

/// Checks a form that changes something. Where nobody is signed in any more, the answer leads to signing in and
/// back to the page at `path`.
pub(super) fn check(
    state: &AppState,
    headers: &HeaderMap,
    csrf: &str,
    path: &str,
) -> Result<Option<Response>, Problem> {
    match state.authorise_form(headers, csrf) {
        Ok(()) => Ok(None),
        Err(problem) if problem.kind() == ProblemKind::NoToken => {
            Ok(Some(refused::led_to(&frame::sign_in_from(path))))
        }
        Err(problem) => Err(problem),
    }
}

/// The hidden field by which a form is its session's own.
pub(super) fn csrf(session: &Session) -> Markup {
    html! { input type="hidden" name="csrf" value=(session.csrf); }
}

/// A field that nobody fills in.
pub(super) fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}
