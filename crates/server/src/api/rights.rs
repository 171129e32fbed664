//! Who may do what: tokens and their rights.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
pub use focus_common::config::Right;
use focus_common::config::{Secret, Tokens};
use tokio::sync::watch;

use super::problem::ProblemKind;
use super::{AppState, Problem};

/// The tokens that are known, and whether reading needs one.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The token of `server.json`, which has every right.
    own: Arc<Secret>,
    /// Those of the settings, which may change while it serves, and whether reading needs one.
    lasting: watch::Receiver<(Tokens, bool)>,
}

impl Keys {
    /// `own` is the token of `server.json`; `lasting` are those of the settings, and whether reading needs one.
    pub fn new(own: Secret, lasting: watch::Receiver<(Tokens, bool)>) -> Keys {
        Keys { own: Arc::new(own), lasting }
    }
}

impl AppState {
    /// Checks that a call carries a token with this right.
    ///
    /// # Errors
    /// 401 where it carries none that is known, 403 where that one does not have the right.
    pub(super) fn authorise(&self, headers: &HeaderMap, right: Right) -> Result<(), Problem> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let Some(shown) = shown.filter(|shown| !shown.is_empty()) else {
            return Err(no_token(right));
        };
        if self.keys.own.is(shown) {
            return Ok(());
        }
        match self.keys.lasting.borrow().0.allows(shown, right) {
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

    /// Checks that a call which reads carries a token, where the settings say so.
    pub(super) fn may_read(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let needed = self.keys.lasting.borrow().1;
        if needed { self.authorise(headers, Right::Read) } else { Ok(()) }
    }
}

fn no_token(right: Right) -> Problem {
    let right = right.name();
    let words = format!(
        "this call needs a token with the right {right:?}, as `Authorization: Bearer …`: that of server.json in the state folder, or one of `[[tokens]]` in focus.toml"
    );
    Problem::of(ProblemKind::NoToken, words)
}
