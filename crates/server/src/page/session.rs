//! Who is signed in, and what a form of a page has to show for it.

use axum::http::HeaderMap;

use crate::api::AppState;

/// A person who is signed in with a token.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// What a form has to carry to be this person's own.
    pub(super) csrf: String,
    /// The token may change things: its right is `operate`.
    pub(super) may_operate: bool,
}

/// Who asks, where somebody is signed in.
pub(super) fn of(state: &AppState, headers: &HeaderMap) -> Option<Session> {
    let found = state.session(headers)?;
    let may_operate = state.may_operate(&found);
    Some(Session { csrf: found.csrf.expose().to_owned(), may_operate })
}
