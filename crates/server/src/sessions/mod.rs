//! Sessions of people who signed in with a token: in memory only, so a restart ends them all.
//!
//! | file | what it does |
//! |---|---|
//! | `store` | the sessions and the one-time codes that begin one |
//! | `cookies` | the two cookies of a session, as a browser keeps and shows them |
//! | `guesses` | has a caller that guesses tokens wait |

mod cookies;
mod guesses;
mod store;

pub(crate) use cookies::Cookies;
pub(crate) use guesses::Guesses;
pub(crate) use store::{Begun, Found, Sessions};

/// The header by which a changing call says that a page of the session made it.
pub(crate) const CSRF_HEADER: &str = "focus-csrf";
