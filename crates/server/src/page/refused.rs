//! What a person sees where there is no page, or none that can be shown now.

use axum::extract::Request;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, html};

use super::files::{STYLE, page_headers};
use crate::api::Problem;

/// Whether a person asks for a page: a browser says that it takes HTML, and the path is none of the API.
pub(crate) fn wants_page(request: &Request) -> bool {
    let path = request.uri().path();
    let of_api = ["/api/", "/fdsnws/", "/docs", "/metrics", "/livez", "/readyz", "/ack"];
    let takes = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    matches!(*request.method(), Method::GET | Method::HEAD | Method::POST)
        && takes.is_some_and(|takes| takes.contains("text/html"))
        && !of_api.iter().any(|api| path.starts_with(api))
}

/// A problem as a page that needs nothing but the style sheet.
pub(crate) fn as_page(problem: &Problem) -> Response {
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (problem.title()) " · Focus Server" }
                link rel="stylesheet" href=(STYLE.address());
                link rel="icon" href="/page/icon.svg" type="image/svg+xml";
            }
            body {
                main #content {
                    h1 { (problem.title()) }
                    p { (problem.detail()) }
                    p { (problem.remedy()) }
                    p { a href="/" { "To the first page" } }
                }
            }
        }
    };
    let mut response = (problem.status(), text.into_string()).into_response();
    page_headers(response.headers_mut());
    response
}
