//! The web page: what people see of the server, rendered here and readable without scripts.
//!
//! | file | what it does |
//! |---|---|
//! | `frame` | what every page has: head, navigation, the numbers of the header |
//! | `banners` | what is wrong now, on every page |
//! | `parts` | what several pages show alike: times, numbers, states, empty places |
//! | `acts` | what forms that change something have in common |
//! | `states`, `lines`, `jobs` | the parts of the server, numbers of an hour, jobs |
//! | `files` | the style sheet and the scripts |
//! | `address` | what a page was asked for: filters as chips, links to its other pages |
//! | `chart`, `metadata_tree` | numbers over time as a picture, metadata as definitions |
//! | `now` and the others | one page each, named as its path |

mod acts;
mod address;
mod alerts;
mod banners;
mod chart;
mod coverage;
mod drift;
mod drill;
mod drills;
mod files;
mod frame;
mod held;
mod jobs;
mod lines;
mod metadata_tree;
mod now;
mod outage;
mod outages;
mod parts;
mod recording;
mod recordings;
mod refused;
mod session;
mod sign_in;
mod states;
mod unrecognised;

use axum::Router;
use axum::routing::get;

use crate::api::AppState;

pub(crate) use refused::{as_page, wants_page, way_in};

/// Where one signs in.
pub(crate) const SIGN_IN: &str = "/sign-in";

/// Where one signs out.
const SIGN_OUT: &str = "/sign-out";

/// Whether a path is for everybody, also where reading needs a token: the way in, and the page's files.
pub(crate) fn is_open(path: &str) -> bool {
    matches!(path, SIGN_IN | SIGN_OUT) || path.starts_with("/page/")
}

/// The routes of the page. None is a part of the API.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(now::now))
        .merge(coverage::routes())
        .merge(recordings::routes())
        .merge(unrecognised::routes())
        .merge(outages::routes())
        .merge(drift::routes())
        .merge(held::routes())
        .merge(alerts::routes())
        .merge(drills::routes())
        .merge(sign_in::routes())
        .merge(banners::routes())
        .merge(files::routes())
}
