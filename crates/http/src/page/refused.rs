//! What a person sees where there is no page, or none that can be shown now.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::files::{ICON, STYLE, page_headers};
use super::frame::{self, Place, bar};
use super::parts;
use crate::api::Problem;

/// Whether a person asks for a page: a browser says that it takes HTML, and the path is none of the API.
pub(crate) fn wants_page(request: &Request) -> bool {
    let path = request.uri().path();
    let of_api = [
        "/api/",
        "/fdsnws/",
        "/recordings_in_time_range",
        "/docs",
        "/metrics",
        "/livez",
        "/readyz",
        "/ack",
    ];
    let takes = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    matches!(*request.method(), Method::GET | Method::HEAD | Method::POST)
        && takes.is_some_and(|takes| takes.contains("text/html"))
        && !of_api.iter().any(|api| path.starts_with(api))
}

/// The answer to a page that needs a session and is asked for without one: signing in, which leads back. None
/// where no page is asked for.
pub(crate) fn way_in(request: &Request) -> Option<Response> {
    let uri = request.uri();
    if !frame::is_place(uri.path()) {
        return None;
    }
    // What a form would have changed is not done: the page that it stands on comes back.
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let next =
        if reads { uri.path_and_query().map_or("/", |here| here.as_str()) } else { uri.path() };
    Some(led_to(&frame::sign_in_from(next)))
}

/// Leads a browser to this path, which it gets with GET.
pub(super) fn led_to(path: &str) -> Response {
    let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response()
}

/// A problem as a page that needs nothing but the style sheet.
pub(crate) fn as_page(problem: &Problem) -> Response {
    let content = html! {
        h1 { (problem.title()) }
        p { (sentence(problem.detail(), problem.field())) }
        p { (sentence(problem.remedy(), None)) }
        p { a href="/" { "To the first page" } }
    };
    bare(problem.status(), problem.title(), &content)
}

/// A page without the numbers and the navigation: it says nothing of the server.
pub(super) fn bare(status: StatusCode, title: &str, content: &Markup) -> Response {
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Focus Server" }
                link rel="stylesheet" href=(STYLE.address());
                link rel="icon" href=(ICON.address()) type="image/svg+xml";
            }
            body {
                header.top { (bar(Place::Elsewhere, &html! {})) }
                main #content { (content) }
            }
        }
    };
    let mut response = (status, text.into_string()).into_response();
    page_headers(response.headers_mut());
    response
}

/// Words of the API as a sentence: with a capital, unless they begin with the name of a parameter.
fn sentence(words: &str, parameter: Option<&str>) -> Markup {
    if parameter.is_some_and(|name| words.starts_with(name)) {
        return parts::told(words);
    }
    let mut chars = words.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    parts::told(&format!("{first}{}", chars.as_str()))
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn words_of_the_api_are_a_sentence_without_markup_of_their_own() {
        let text = sentence("use `/docs`, not <b>\u{202e}", Some("from")).into_string();
        assert_eq!(text, "<bdi>Use <code>/docs</code>, not &lt;b&gt;\\u{202e}</bdi>");
        assert_eq!(sentence("", None).into_string(), "<bdi></bdi>");
        let text = sentence("from: it is after to", Some("from")).into_string();
        assert_eq!(text, "<bdi>from: it is after to</bdi>");
    }
}
