//! The guard stands between connections and handlers. It refuses requests that must not be asked here, reads
//! each body within bounds of size and time, and adds the headers that keep a browser within its own site.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError};

use super::listener::Activity;
use super::{AppState, Problem, ProblemKind, drills, fdsn, hints, ingest};
use crate::page;

/// Bytes of a request's body, at most.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a body may take to arrive.
pub(super) const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// How long a request may wait until it is worked on.
const PATIENCE: Duration = Duration::from_secs(1);

/// Calls whose answer comes when the work is done, however long that takes.
const LASTING: [&str; 3] = ["/api/v1/scan", "/api/v1/verify", "/api/v1/roots/forget"];

/// How long they may take.
const LASTING_TIME: Duration = Duration::from_secs(7 * 86_400);

/// Headers of every answer that does not set them itself.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Hands a request to its handler, or answers in the handler's place.
pub(super) async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let activity = request.extensions().get::<Activity>().cloned().unwrap_or_default();
    let of_service = fdsn::Fault::of_service(&request);
    let of_person = page::wants_page(&request);
    let way_in = page::way_in(&request);
    let mut response = match admit(&state, request).await {
        Ok(request) => {
            let busy = activity.begin();
            let response = work(&state, request, next).await;
            // The connection is busy until the last byte is handed over: an answer may be streamed.
            response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _held = &busy;
                    frame
                }))
            })
        }
        Err(problem) => {
            let mut response = match way_in {
                Some(way_in) if problem.kind() == ProblemKind::NoToken => way_in,
                _ => problem.into_response(),
            };
            // The rest of a body that was not read must not be taken for the next request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    };
    if let Some(fault) = of_service {
        response = fault.in_its_form(response).await;
    }
    if of_person && let Some(problem) = response.extensions().get::<Problem>() {
        let page = page::as_page(problem);
        let (head, body) = page.into_parts();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().extend(head.headers);
        *response.body_mut() = body;
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Has the request worked on: one of so many, and for so long. What is streamed afterwards counts as neither.
async fn work(state: &AppState, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Who asks whether the server is alive is told that also by one that has much to do.
    if path == "/livez" {
        return next.run(request).await;
    }
    // Who signs in may have to wait, and must not take a turn from others meanwhile.
    if path == page::SIGN_IN {
        return next.run(request).await;
    }
    // Its body may take long, and has a bound of its own on the time and on how many there are.
    if ingest::is_one(&request) {
        return next.run(request).await;
    }
    let limit = if LASTING.contains(&path) { LASTING_TIME } else { state.bounds.request_time };
    let turns = Arc::clone(&state.requests);
    let Ok(Ok(_turn)) = tokio::time::timeout(PATIENCE, turns.acquire_owned()).await else {
        let words = "too many requests are in work: ask again in a second";
        return Problem::busy(words).into_response();
    };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let ms = limit.as_millis();
            let words = format!(
                "the answer was not there within {ms} ms: ask for less at a time, or again later"
            );
            Problem::of(ProblemKind::TimedOut, words).into_response()
        }
    }
}

async fn admit(state: &AppState, request: Request) -> Result<Request, Problem> {
    let headers = request.headers();
    let host = host(&request);
    let hosts = state.hosts.borrow().clone();
    if let Some(hosts) = &hosts
        && let Some(host) = &host
        && !is_known(host, hosts)
    {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this server is not called by that name: use its address or localhost, or put the name into allowed_hosts of focus.toml",
        ));
    }
    let external = state.external_url();
    let names = [host.as_deref(), external.as_deref().and_then(authority_of)];
    if is_of_another_site(request.method(), headers, names) {
        return Err(Problem::of(
            ProblemKind::OtherSite,
            "a page of another site asks through a browser: this server answers its own page and programs only",
        ));
    }
    if !is_text(request.uri().path()) {
        let words = "the path is not UTF-8 once its %XX are decoded: encode the bytes of UTF-8";
        return Err(Problem::bad_request(words));
    }
    if needs_read(&request) {
        state.may_read(request.headers())?;
    }
    if drills::reads_body_itself(&request)
        || hints::reads_body_itself(&request)
        || ingest::is_one(&request)
    {
        return Ok(request);
    }
    let bytes_max =
        if fdsn::is_below(request.uri()) { fdsn::BODY_BYTES_MAX } else { BODY_BYTES_MAX };
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(BODY_PATIENCE, to_bytes(body, bytes_max)).await;
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_large(&error) => {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body has more than {bytes_max} bytes"),
            ));
        }
        Ok(Err(error)) => {
            return Err(Problem::bad_request(format!("the body cannot be read: {error}")));
        }
        Err(_) => {
            return Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body did not come within {} s", BODY_PATIENCE.as_secs()),
            ));
        }
    };
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Whether the request reads: what changes something asks for a right of its own.
fn needs_read(request: &Request) -> bool {
    let path = request.uri().path();
    // Elsewhere a body only says what is asked for: rights to change are checked by the calls that change something.
    let may_change = path.starts_with("/api/v1/") || path == "/ack";
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    (reads || !may_change) && !matches!(path, "/livez" | "/readyz") && !page::is_open(path)
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Host and port that the request is for, in lower case; empty where they are no text.
fn host(request: &Request) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str().to_lowercase());
    }
    let host = request.headers().get(header::HOST)?;
    Some(host.to_str().unwrap_or_default().to_lowercase())
}

/// Whether the host is an address, `localhost`, or a name of the settings. A name that somebody else made
/// lead to this address is none of these.
fn is_known(host: &str, names: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    // An authority may begin with credentials, which are no part of the name.
    !host.contains('@')
        && (address.parse::<std::net::IpAddr>().is_ok()
            || name == "localhost"
            || names.iter().any(|known| known == name))
}

/// Whether a path is UTF-8 once it is decoded.
fn is_text(path: &str) -> bool {
    percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

/// Host and port of an address, in the form of the settings.
fn authority_of(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split('/').next()
}

/// Whether a page of another site asks. Browsers say where the page is from; other programs do not. `names` are
/// what this server is called by: in the request, and where a proxy stands before it.
fn is_of_another_site(method: &Method, headers: &HeaderMap, names: [Option<&str>; 2]) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("null"));
    if text(HeaderName::from_static("sec-fetch-site")) == Some("cross-site") {
        // A person who follows a link sees the answer; the page with the link does not. A form that it sends is no link.
        return text(HeaderName::from_static("sec-fetch-mode")) != Some("navigate")
            || !matches!(*method, Method::GET | Method::HEAD);
    }
    let Some(origin) = text(header::ORIGIN) else { return false };
    let Some((_, from)) = origin.split_once("://") else { return true };
    !names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_not_given_is_not_known() {
        let names = ["focus.example".to_owned()];
        for good in ["127.0.0.1:8480", "[::1]:8480", "localhost", "focus.example:80", "10.1.2.3"] {
            assert!(is_known(good, &names), "{good}");
        }
        for bad in [
            "evil.example",
            "localhost.evil.example:8480",
            "127.0.0.1.evil.example",
            "evil.example@127.0.0.1",
            "127.0.0.1@evil.example",
            "",
            "a b",
        ] {
            assert!(!is_known(bad, &names), "{bad}");
        }
    }

    #[test]
    fn only_a_page_of_this_very_server_may_ask_through_a_browser() {
        let asks = |method: Method, pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect();
            is_of_another_site(&method, &headers, [Some("127.0.0.1:8480"), Some("focus.example")])
        };
        let ask = |pairs| asks(Method::GET, pairs);
        assert!(!ask(&[]));
        assert!(!ask(&[("origin", "https://focus.example")]));
        assert!(asks(
            Method::POST,
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]
        ));
        assert!(!ask(&[("origin", "http://127.0.0.1:8480")]));
        assert!(!ask(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]));
        assert!(ask(&[("origin", "http://evil.example")]));
        assert!(ask(&[("origin", "http://127.0.0.1:9999")]));
        assert!(ask(&[("origin", "null")]));
        assert!(ask(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]));
    }
}
