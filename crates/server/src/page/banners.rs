//! Banners: what is wrong now, on every page. The script of the page asks for them anew whenever what they depend on
//! changes, so there is one place that says what is wrong.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use focus_common::status::{CatalogState, RootState, RootStatus, Status};
use focus_core::iso8601;
use maud::{Markup, html};

use super::files::page_headers;
use super::frame::Frame;
use super::parts;
use crate::api::AppState;

/// Roots that are named, at most.
const ROOTS_MAX: usize = 5;

/// After so many times between two scans without a finished one, completeness is told to be stale.
const SCANS: u64 = 2;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/banners", get(anew))
}

/// The banners alone, for a page that is open.
async fn anew(frame: Frame) -> Response {
    let mut response = frame.banners().into_string().into_response();
    page_headers(response.headers_mut());
    response
}

/// What is wrong, each with what it means and what to do.
pub(super) fn banners(status: &Status, is_stale: bool, scan_interval_ms: u64) -> Markup {
    html! {
        div #banners {
            (catalog(status))
            (roots(&status.roots))
            (held(status.held))
            @if is_stale { (stale(status, scan_interval_ms)) }
        }
    }
}

fn catalog(status: &Status) -> Markup {
    html! {
        @if status.catalog_state == CatalogState::Down {
            div.banner.bad data-banner="catalog" {
                @if status.catalog_refuses {
                    p { strong { "The catalog refuses this server." } " Recordings keep landing and are indexed, and wait until somebody acts." }
                } @else {
                    p { strong { "The catalog is away." } " Recordings keep landing and are indexed. Answers come from the index, and what landed is catalogued by itself once the database is back." }
                }
                @if let Some(reason) = &status.catalog_reason { p.why { (parts::told(reason)) } }
            }
        }
    }
}

fn roots(roots: &[RootStatus]) -> Markup {
    let away = || {
        roots.iter().filter(|root| !matches!(root.state, RootState::Present | RootState::Unknown))
    };
    let more = away().count().saturating_sub(ROOTS_MAX);
    html! {
        @for root in away().take(ROOTS_MAX) {
            div.banner.bad data-banner="root" {
                p { strong { "The root " (parts::foreign(&root.path)) " is " (named(root.state)) "." } " Nothing of it is concluded to be deleted." }
                @if let Some(reason) = &root.reason { p.why { (parts::told(reason)) } }
            }
        }
        @if more > 0 {
            div.banner.bad data-banner="root" {
                p { strong { "So are " (parts::number(more as u64)) " more roots." } " " a href="/" { "All roots" } }
            }
        }
    }
}

fn named(state: RootState) -> &'static str {
    match state {
        RootState::Unknown | RootState::Present => "there",
        RootState::Absent => "not there",
        RootState::NoMarker => "without its marker",
        RootState::Replaced => "replaced by another root",
        RootState::DuplicateMarker => "a copy of another root",
        RootState::Unreadable => "not readable",
    }
}

fn held(count: u64) -> Markup {
    html! {
        @if count > 0 {
            div.banner.warn data-banner="held" {
                p {
                    strong { @if count == 1 { "1 deletion is held." } @else { (parts::number(count)) " deletions are held." } }
                    " They wait for a person: " a href="/held" { "look at them" } "."
                }
            }
        }
    }
}

/// How long ago the last finished look at all roots began, where that is more than twice the time between two.
pub(super) fn stale_ms(
    complete_through: Option<&str>,
    scan_interval_ms: u64,
    now_ms: i64,
) -> Option<u64> {
    let through_ms = iso8601::from_text(complete_through?, None).ok()?;
    let age_ms = u64::try_from(now_ms.saturating_sub(through_ms)).ok()?;
    (age_ms > scan_interval_ms.saturating_mul(SCANS)).then_some(age_ms)
}

fn stale(status: &Status, scan_interval_ms: u64) -> Markup {
    html! {
        @if let Some(through) = &status.complete_through {
            div.banner.warn data-banner="stale" {
                p {
                    strong { "The index may not be complete." }
                    " The last finished scan of all roots began at " (parts::time(through))
                    ", and there should be one every " (parts::duration(scan_interval_ms))
                    ". A root that is away or very slow keeps it from being finished: "
                    a href="/" { "see what the parts say" } "."
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: &Status, is_stale: bool) -> Vec<String> {
        let text = banners(status, is_stale, 60_000).into_string();
        let parts = text.split("data-banner=\"").skip(1);
        parts.map(|part| part.split('"').next().unwrap_or_default().to_owned()).collect()
    }

    fn root(state: RootState) -> RootStatus {
        RootStatus { state, path: "<b>".to_owned(), ..RootStatus::default() }
    }

    #[test]
    fn a_server_in_order_has_no_banner() {
        let roots = vec![root(RootState::Present), root(RootState::Unknown)];
        let status = Status { catalog_state: CatalogState::InStep, roots, ..Status::default() };
        assert_eq!(told(&status, false), Vec::<String>::new());
    }

    #[test]
    fn everything_that_is_wrong_has_a_banner_of_its_own() {
        let status = Status {
            catalog_state: CatalogState::Down,
            held: 1,
            roots: vec![root(RootState::Absent), root(RootState::Present)],
            complete_through: Some("2026-01-01T00:00:00.000Z".to_owned()),
            ..Status::default()
        };
        assert_eq!(told(&status, true), ["catalog", "root", "held", "stale"]);
        let text = banners(&status, true, 60_000).into_string();
        assert!(text.contains("&lt;b&gt;") && text.contains("1 deletion is held"), "{text}");
    }

    #[test]
    fn of_a_thousand_roots_that_are_away_few_are_named() {
        let status = Status { roots: vec![root(RootState::Absent); 1_000], ..Status::default() };
        assert_eq!(told(&status, false).len(), ROOTS_MAX + 1);
    }

    #[test]
    fn completeness_is_stale_after_twice_the_time_between_scans() {
        let through = Some("2026-05-01T12:00:00.000Z");
        let at = |s: i64| 1_777_636_800_000 + s * 1_000;
        assert_eq!(stale_ms(through, 60_000, at(120)), None);
        assert_eq!(stale_ms(through, 60_000, at(121)), Some(121_000));
        assert_eq!(stale_ms(through, 60_000, at(-5)), None, "the clock was set back");
        assert_eq!(stale_ms(None, 60_000, at(500)), None);
    }
}
