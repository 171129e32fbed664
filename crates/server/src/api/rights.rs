//! Who may do what: tokens and their rights, and the sessions that were begun with one.

use std::sync::Arc;
use std::time::Instant;

use axum::http::{HeaderMap, header};
pub use focus_common::config::Right;
use focus_common::config::{Secret, Tokens};
use tokio::sync::watch;

use super::problem::ProblemKind;
use super::{AppState, Problem};
use crate::sessions::{CSRF_HEADER, Cookies, Found};

/// What the settings say about who may ask and what they are told, which may change while it serves.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Tokens that last.
    pub tokens: Tokens,
    /// Reading needs one.
    pub read_needs_token: bool,
    /// The address by which people reach the server.
    pub external_url: Option<String>,
    /// The longest time between two scans of a root.
    pub scan_interval_ms: u64,
}

/// The tokens that are known, and what the settings say of them.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The token of `server.json`, which has every right.
    own: Arc<Secret>,
    access: watch::Receiver<Access>,
}

impl Keys {
    /// `own` is the token of `server.json`.
    pub fn new(own: Secret, access: watch::Receiver<Access>) -> Keys {
        Keys { own: Arc::new(own), access }
    }

    /// Whether a token has this right; none where it is not known.
    fn allows(&self, shown: &str, right: Right) -> Option<bool> {
        if self.own.is(shown) {
            return Some(true);
        }
        self.access.borrow().tokens.allows(shown, right)
    }
}

impl AppState {
    /// Checks that a call carries a token with this right, or the cookie of a session that was begun with one. A
    /// call that changes something has to say, too, that a page of the session made it.
    ///
    /// # Errors
    /// 401 where it carries none that is known, 403 where that one does not have the right.
    pub(super) fn authorise(&self, headers: &HeaderMap, right: Right) -> Result<(), Problem> {
        self.token_of(headers, right).map(drop)
    }

    /// As [`AppState::authorise`]; returns the token.
    pub(super) fn token_of(&self, headers: &HeaderMap, right: Right) -> Result<Secret, Problem> {
        if let Some(shown) = bearer(headers) {
            self.has(shown, right)?;
            return Ok(Secret::new(shown.to_owned()));
        }
        let found = if right == Right::Read {
            self.session(headers).ok_or_else(|| no_token(right))?
        } else {
            let csrf = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
            self.changing(headers, csrf.unwrap_or_default(), right)?
        };
        self.has(found.token.expose(), right)?;
        Ok(found.token)
    }

    /// Checks that a form was sent by a page of a session whose token has the right `operate`.
    ///
    /// # Errors
    /// 401 where nobody is signed in, 403 where the form is not the session's own, or its token lacks the right.
    pub(crate) fn authorise_form(&self, headers: &HeaderMap, csrf: &str) -> Result<(), Problem> {
        let found = self.changing(headers, csrf, Right::Operate)?;
        self.has(found.token.expose(), Right::Operate)
    }

    /// Checks that a form was sent by a page of a session, whatever its token may do.
    ///
    /// # Errors
    /// As [`AppState::authorise_form`], but for the right.
    pub(crate) fn authorise_sign_out(
        &self,
        headers: &HeaderMap,
        csrf: &str,
    ) -> Result<(), Problem> {
        self.changing(headers, csrf, Right::Read).map(drop)
    }

    /// The session that a changing call belongs to.
    fn changing(&self, headers: &HeaderMap, csrf: &str, right: Right) -> Result<Found, Problem> {
        let (cookies, now) = (self.cookies(headers), Instant::now());
        let mut shown = cookies.changing(headers);
        let found = shown.find_map(|value| self.sessions.by_changing(value, now));
        let found = found.filter(|found| self.is_known(found)).ok_or_else(|| no_token(right))?;
        if csrf.is_empty() || !found.csrf.is(csrf) {
            let words = "the call does not carry the value of its session: send the one that the page has, as the header Focus-Csrf or the form's field csrf";
            return Err(Problem::of(ProblemKind::NoCsrf, words));
        }
        Ok(found)
    }

    /// The session of a call that reads.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Option<Found> {
        let (cookies, now) = (self.cookies(headers), Instant::now());
        let mut shown = cookies.reading(headers);
        let found = shown.find_map(|value| self.sessions.by_reading(value, now));
        found.filter(|found| self.is_known(found))
    }

    /// Whether the token of a session is still one. If not, every session of such a token ends.
    fn is_known(&self, found: &Found) -> bool {
        let is_known = |token: &Secret| self.keys.allows(token.expose(), Right::Read).is_some();
        let is_one = is_known(&found.token);
        if !is_one {
            self.sessions.retain(is_known);
        }
        is_one
    }

    /// The names of the cookies that belong to a call.
    pub(crate) fn cookies(&self, headers: &HeaderMap) -> Cookies {
        Cookies::of(headers, self.keys.access.borrow().external_url.as_deref())
    }

    /// The address by which people reach the server, where the settings have it.
    pub(super) fn external_url(&self) -> Option<String> {
        self.keys.access.borrow().external_url.clone()
    }

    /// The longest time between two scans of a root, milliseconds.
    pub(crate) fn scan_interval_ms(&self) -> u64 {
        self.keys.access.borrow().scan_interval_ms
    }

    /// Whether this token may be signed in with: it reads where reading needs a token, else it reads or operates.
    ///
    /// # Errors
    /// 401 where it is not known, 403 where it has no such right.
    pub(crate) fn may_sign_in(&self, token: &Secret) -> Result<(), Problem> {
        match self.has(token.expose(), Right::Read) {
            Err(_) if !self.read_needs_token() => self.has(token.expose(), Right::Operate),
            read => read,
        }
    }

    /// Whether the token of a session may change things.
    pub(crate) fn may_operate(&self, found: &Found) -> bool {
        self.has(found.token.expose(), Right::Operate).is_ok()
    }

    fn has(&self, shown: &str, right: Right) -> Result<(), Problem> {
        match self.keys.allows(shown, right) {
            None => Err(no_token(right)),
            Some(true) => Ok(()),
            Some(false) => {
                let right = right.name();
                let words = format!(
                    "this token does not have the right {right:?}: use one whose `allow` has it"
                );
                Err(Problem::of(ProblemKind::NoRight, words))
            }
        }
    }

    fn read_needs_token(&self) -> bool {
        self.keys.access.borrow().read_needs_token
    }

    /// Checks that a call which reads carries a token, where the settings say so.
    pub(crate) fn may_read(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.read_needs_token() { self.authorise(headers, Right::Read) } else { Ok(()) }
    }
}

/// The token in the header `Authorization`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn no_token(right: Right) -> Problem {
    let right = right.name();
    let words = format!(
        "this call needs a token with the right {right:?}, as `Authorization: Bearer …`: that of server.json in the state folder, or one of `[[tokens]]` in focus.toml. A person signs in with one at /sign-in"
    );
    Problem::of(ProblemKind::NoToken, words)
}
