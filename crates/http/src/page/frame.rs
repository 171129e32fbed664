//! What every page has: its head, the navigation, the numbers of the header, and banners about what is wrong.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use focus_common::clock;
use focus_common::status::{CatalogState, Status};
use maud::{DOCTYPE, Markup, html};

use super::SIGN_IN;
use super::address::as_segment;
use super::banners;
use super::files::{BANNERS, File, ICON, LIVE, STYLE, page_headers};
use super::parts::{self, Tone};
use super::session::{self, Session};
use crate::api::{AppState, Problem};

/// Where a page stands in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Now,
    Coverage,
    Recordings,
    Unrecognised,
    Outages,
    Drift,
    Held,
    Alerts,
    Drills,
    /// None of these, such as the page for signing in.
    Elsewhere,
}

/// The navigation: place, path, name.
const PLACES: [(Place, &str, &str); 9] = [
    (Place::Now, "/", "Now"),
    (Place::Coverage, "/coverage", "Coverage"),
    (Place::Recordings, "/recordings", "Recordings"),
    (Place::Unrecognised, "/unrecognised", "Unrecognised"),
    (Place::Outages, "/outages", "Outages"),
    (Place::Drift, "/drift", "Drift"),
    (Place::Held, "/held", "Held"),
    (Place::Alerts, "/alerts", "Alerts"),
    (Place::Drills, "/drills", "Drills"),
];

/// Whether a path is a page's.
pub(super) fn is_place(path: &str) -> bool {
    let below = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'));
    PLACES.iter().any(|(_, place, _)| path == *place || (*place != "/" && below(place)))
}

/// The address at which one signs in, and then comes to this path.
pub(super) fn sign_in_from(path: &str) -> String {
    format!("{SIGN_IN}?next={}", as_segment(path))
}

/// What a page is rendered with, besides what it shows itself: what is true at the moment of the request.
#[derive(Debug)]
pub(super) struct Frame {
    /// The server's state at this moment.
    pub(super) status: Status,
    /// Who looks, where somebody is signed in.
    pub(super) session: Option<Session>,
    /// The longest time between two scans of a root.
    pub(super) scan_interval_ms: u64,
    /// For how long the index has not been complete, where that is longer than it should be.
    pub(super) stale_ms: Option<u64>,
    /// The address of the page, by which signing in leads back.
    here: String,
}

impl FromRequestParts<AppState> for Frame {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Frame, Problem> {
        let status = state.status().await?;
        let session = session::of(state, &parts.headers);
        let here = parts.uri.path_and_query().map_or("/", |here| here.as_str()).to_owned();
        let scan_interval_ms = state.scan_interval_ms();
        let complete_through = status.complete_through.as_deref();
        let stale_ms = banners::stale_ms(complete_through, scan_interval_ms, clock::wall_ms());
        Ok(Frame { status, session, scan_interval_ms, stale_ms, here })
    }
}

impl Frame {
    /// A whole page with this title and content, and these scripts besides the one of every page.
    pub(super) fn page(
        &self,
        place: Place,
        title: &str,
        scripts: &[&File],
        content: &Markup,
    ) -> Response {
        self.page_with(StatusCode::OK, place, title, scripts, content)
    }

    /// A whole page that is the answer to something that could not be done.
    pub(super) fn page_with(
        &self,
        code: StatusCode,
        place: Place,
        title: &str,
        scripts: &[&File],
        content: &Markup,
    ) -> Response {
        let text = html! {
            (DOCTYPE)
            html lang="en" {
                (self.head(title, scripts))
                body {
                    a.skip href="#content" { "Skip to the content" }
                    (self.header(place))
                    main #content tabindex="-1" {
                        (self.banners())
                        (not_told())
                        (content)
                    }
                    p #announce .unseen role="status" {}
                    footer { "Focus Server " (self.status.version) " · " a href="/docs" { "HTTP API" } }
                }
            }
        };
        let mut response = (code, text.into_string()).into_response();
        page_headers(response.headers_mut());
        response
    }

    /// What is wrong now.
    pub(super) fn banners(&self) -> Markup {
        banners::banners(&self.status, self.stale_ms.is_some(), self.scan_interval_ms)
    }

    fn head(&self, title: &str, scripts: &[&File]) -> Markup {
        html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(session) = &self.session { meta name="csrf" content=(session.csrf); }
                title { (title) " · Focus Server" }
                link rel="stylesheet" href=(STYLE.address());
                link rel="icon" href=(ICON.address()) type="image/svg+xml";
                script src=(LIVE.address()) defer {}
                script src=(BANNERS.address()) defer {}
                @for script in scripts { script src=(script.address()) defer {} }
            }
        }
    }

    fn header(&self, place: Place) -> Markup {
        html! {
            header.top {
                (bar(place, &self.account()))
                (numbers(&self.status))
            }
        }
    }

    /// The address at which one signs in, and comes back to this page.
    pub(super) fn sign_in(&self) -> String {
        sign_in_from(&self.here)
    }

    /// Signing in, or out.
    fn account(&self) -> Markup {
        html! {
            div.account {
                @match &self.session {
                    Some(session) => {
                        form method="post" action="/sign-out" {
                            input type="hidden" name="csrf" value=(session.csrf);
                            button.quiet { "Sign out" }
                        }
                    }
                    None => {
                        a href=(self.sign_in()) { "Sign in" }
                    }
                }
            }
        }
    }
}

/// The name of the product and the way to its pages, with what belongs to the person beside it.
pub(super) fn bar(place: Place, account: &Markup) -> Markup {
    html! {
        div.bar {
            a.name href="/" { "Focus Server" }
            nav aria-label="Pages" {
                ul {
                    @for (one, path, name) in PLACES {
                        li { a href=(path) aria-current=[(one == place).then_some("page")] { (name) } }
                    }
                }
            }
            (account)
        }
    }
}

/// The numbers on every page's header. `data-value` is the raw value, as the status has it.
fn numbers(status: &Status) -> Markup {
    let (tone, catalog) = (tone_of(status.catalog_state), status.catalog_state.name());
    html! {
        section.at-this-moment aria-label="At this moment" {
            dl.numbers {
                div { dt { "Catalog" } dd data-field="catalog_state" data-kind="state" data-value=(catalog) { (parts::state(tone, catalog)) } }
                (count("Recordings", "recordings", None, status.recordings))
                (count("Pending", "pending", None, status.pending))
                div { dt { "Lag" } dd data-field="lag_ms" data-kind="duration" data-value=(status.lag_ms) { (parts::duration(status.lag_ms)) } }
                (count("Unrecognised", "unrecognised", Some("/unrecognised"), status.unrecognised))
                (count("Held", "held", Some("/held"), status.held))
                div.wide { dt { "Complete through" }
                    dd data-field="complete_through" data-kind="time" data-value=(status.complete_through.as_deref().unwrap_or("")) {
                        @match &status.complete_through {
                            Some(at) => { (parts::time(at)) }
                            None => { "not yet" }
                        }
                    }
                }
            }
            button.quiet #pause type="button" aria-pressed="false" hidden { "Pause" }
        }
    }
}

/// One number, with the page that has more about it.
fn count(name: &str, field: &str, path: Option<&str>, value: u64) -> Markup {
    html! {
        div {
            dt { @match path { Some(path) => { a href=(path) { (name) } } None => { (name) } } }
            dd data-field=(field) data-kind="number" data-value=(value) { (parts::number(value)) }
        }
    }
}

/// How good a state of the catalog is.
pub(super) fn tone_of(state: CatalogState) -> Tone {
    match state {
        CatalogState::InStep => Tone::Good,
        CatalogState::Recovering | CatalogState::Connecting => Tone::Busy,
        CatalogState::Standby => Tone::Plain,
        CatalogState::Unknown => Tone::Warn,
        CatalogState::Down => Tone::Bad,
    }
}

/// What the script shows while it hears nothing from the server.
fn not_told() -> Markup {
    html! {
        div.banner.warn #not-told hidden {
            p { strong { "The server does not answer." } " The numbers are those of the moment at which it answered last." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_pages_where_the_navigation_leads_to_it_or_above_it() {
        for path in ["/", "/held", "/outages/7", "/recordings/a%2Fb"] {
            assert!(is_place(path), "{path}");
        }
        for path in ["/recordings_in_time_range", "/api/v1/held", "/sign-in", "/heldx", "//"] {
            assert!(!is_place(path), "{path}");
        }
    }
}
