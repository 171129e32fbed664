//! The style sheet and the scripts of the page: part of the binary, kept by browsers until they change.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::api::{Problem, ProblemKind, manners};

/// One of the page's files.
#[derive(Debug)]
pub(super) struct File {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The style sheet of every page.
pub(super) const STYLE: File = File {
    name: "style.css",
    media_type: "text/css; charset=utf-8",
    text: concat!(
        include_str!("assets/base.css"),
        include_str!("assets/parts.css"),
        include_str!("assets/now.css"),
        include_str!("assets/coverage.css"),
        include_str!("assets/recordings.css"),
    ),
};

/// The script of every page: live numbers, times in the viewer's zone.
pub(super) const LIVE: File =
    File { name: "live.js", media_type: SCRIPT, text: include_str!("assets/live.js") };

/// The script of every page that shows and hides banners.
pub(super) const BANNERS: File =
    File { name: "banners.js", media_type: SCRIPT, text: include_str!("assets/banners.js") };

/// The script of pages with parts that are asked for again.
pub(super) const RENEW: File =
    File { name: "renew.js", media_type: SCRIPT, text: include_str!("assets/renew.js") };

/// The script of `/coverage`: zooming and moving by keys, wheel and drag.
pub(super) const COVERAGE: File =
    File { name: "coverage.js", media_type: SCRIPT, text: include_str!("assets/coverage.js") };

/// The search as one types, the keys of the rows, and the button that copies a path.
pub(super) const RECORDINGS: File =
    File { name: "recordings.js", media_type: SCRIPT, text: include_str!("assets/recordings.js") };

/// The sign in the browser's tab.
pub(super) const ICON: File =
    File { name: "icon.svg", media_type: "image/svg+xml", text: include_str!("assets/icon.svg") };

/// Every file.
const ALL: &[&File] = &[&STYLE, &LIVE, &BANNERS, &RENEW, &COVERAGE, &RECORDINGS, &ICON];

/// What changes whenever a file does. It stands in the addresses of the files, so a browser never shows a page
/// with the files of an earlier version.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all: String = ALL.iter().map(|file| file.text).collect();
    manners::tag(all.as_bytes()).chars().filter(char::is_ascii_hexdigit).take(12).collect()
});

impl File {
    /// Its address on this server.
    pub(super) fn address(&self) -> String {
        format!("/page/{}?v={}", self.name, VERSION.as_str())
    }
}

/// The routes of the files.
pub(super) fn routes() -> Router<crate::api::AppState> {
    Router::new().route("/page/{name}", get(file))
}

async fn file(Path(name): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(file) = ALL.iter().find(|file| file.name == name) else {
        return Problem::of(ProblemKind::UnknownPath, "the page has no such file").into_response();
    };
    let mut response = manners::tagged(&headers, file.text.as_bytes(), file.media_type);
    // Under the address of this version nothing else will ever be.
    if query.is_some_and(|query| query.strip_prefix("v=") == Some(VERSION.as_str())) {
        let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(header::CACHE_CONTROL, kept);
    }
    response
}

/// The headers of a page, besides those of every answer: it uses its own files and nothing else, and its forms
/// lead to this server only. A form tells where it comes from, which `no-referrer` would hide.
pub(super) fn page_headers(headers: &mut HeaderMap) {
    const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}
