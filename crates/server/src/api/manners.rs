//! The manners of HTTP: entity tags, and answers that are not sent again.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use ring::digest;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

/// Bytes of an answer that is compressed, at least.
const COMPRESSED_MIN: u16 = 1_024;

/// Compresses answers as their callers ask for. Server-sent events are never held back for it.
pub(super) fn compression() -> CompressionLayer<impl Predicate> {
    let what = SizeAbove::new(COMPRESSED_MIN).and(NotForContentType::SSE);
    CompressionLayer::new().gzip(true).zstd(true).compress_when(what)
}

/// An answer with an entity tag, or 304 where the caller has it already.
pub(crate) fn tagged(asked: &HeaderMap, body: &[u8], media_type: &'static str) -> Response {
    let tag = tag(body);
    let mut response = if is_known(asked, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Body::from(body.to_vec()));
        let kind = HeaderValue::from_static(media_type);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    };
    say_tag(response.headers_mut(), &tag);
    response
}

/// Adds an entity tag. A caller may keep the answer, and asks each time whether it still holds.
pub(super) fn say_tag(headers: &mut HeaderMap, tag: &str) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
}

/// The entity tag of a body. It is weak: the body may come compressed.
pub(crate) fn tag(body: &[u8]) -> String {
    let sum = digest::digest(&digest::SHA256, body);
    let hex: String = sum.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{hex}\"")
}

/// Whether `If-None-Match` names this tag.
pub(super) fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let opaque = tag.trim_start_matches("W/");
    asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(
        |value| {
            value
                .split(',')
                .map(str::trim)
                .any(|one| one == "*" || one.trim_start_matches("W/") == opaque)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_has_is_not_sent_again() {
        let first = tagged(&HeaderMap::new(), b"x", "text/plain");
        let tag = first.headers()[header::ETAG].clone();
        for (shown, status) in [
            (tag.to_str().expect("text").to_owned(), StatusCode::NOT_MODIFIED),
            (format!("\"a\", {}", tag.to_str().expect("text")), StatusCode::NOT_MODIFIED),
            ("*".to_owned(), StatusCode::NOT_MODIFIED),
            ("\"a\"".to_owned(), StatusCode::OK),
        ] {
            let mut asked = HeaderMap::new();
            asked.insert(header::IF_NONE_MATCH, shown.parse().expect("a header"));
            assert_eq!(tagged(&asked, b"x", "text/plain").status(), status, "{shown}");
            assert_eq!(tagged(&asked, b"x", "text/plain").headers()[header::ETAG], tag);
        }
    }
}
