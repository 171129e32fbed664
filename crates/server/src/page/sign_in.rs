//! `/sign-in`: a token, or a code of `focus open`, for a session. `/sign-out` ends it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use axum::Extension;
use axum::Router;
use axum::extract::State;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use focus_common::config::Secret;
use maud::{Markup, html};
use serde::Deserialize;

use super::frame::{Frame, Place};
use super::refused;
use super::{SIGN_IN, SIGN_OUT};
use crate::api::ask::{Ask, Filled};
use crate::api::{Activity, AppState, Peer, Problem};

pub(super) fn routes() -> Router<AppState> {
    Router::new().route(SIGN_IN, get(asked).post(told)).route(SIGN_OUT, post(signed_out))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignInQuery {
    /// Where it goes on afterwards.
    next: Option<String>,
    /// A code of `focus open`.
    code: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignInForm {
    token: Option<String>,
    code: Option<String>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignOutForm {
    csrf: String,
}

/// The form; with a code, the session.
async fn asked(
    method: Method,
    State(state): State<AppState>,
    headers: HeaderMap,
    Ask(query): Ask<SignInQuery>,
    frame: Result<Frame, Problem>,
) -> Result<Response, Problem> {
    let next = within(query.next.as_deref());
    let way = Way { state: &state, headers: &headers, frame: frame.ok(), next };
    match query.code {
        Some(code) if method == Method::GET && was_opened(&headers) => way.redeem(&code),
        code => Ok(way.form(StatusCode::OK, code.as_deref(), None)),
    }
}

/// What was filled in.
async fn told(
    State(state): State<AppState>,
    headers: HeaderMap,
    activity: Option<Extension<Activity>>,
    peer: Option<Extension<Peer>>,
    frame: Result<Frame, Problem>,
    Filled(form): Filled<SignInForm>,
) -> Result<Response, Problem> {
    let next = within(form.next.as_deref());
    let way = Way { state: &state, headers: &headers, frame: frame.ok(), next };
    if let Some(code) = form.code {
        return way.redeem(&code);
    }
    let from = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(Peer(from))| from);
    let delay = state.guesses.begin(from, Instant::now());
    if let Some(Extension(activity)) = activity
        && !delay.is_zero()
    {
        activity.rest(delay).await;
    }
    let token = Secret::new(form.token.unwrap_or_default().trim().to_owned());
    let response = match state.may_sign_in(&token) {
        Ok(()) => way.begin(&token)?,
        Err(problem) => {
            if problem.status() == StatusCode::UNAUTHORIZED {
                let words = "This is none of the server's tokens.";
                return Ok(way.form(problem.status(), None, Some(words)));
            }
            let words = "This token lets nobody in here: it needs the right `read` or, where everybody may read, `operate`.";
            way.form(problem.status(), None, Some(words))
        }
    };
    state.guesses.was_right(from);
    Ok(response)
}

async fn signed_out(
    State(state): State<AppState>,
    headers: HeaderMap,
    Filled(form): Filled<SignOutForm>,
) -> Result<Response, Problem> {
    let cookies = state.cookies(&headers);
    // Whose session is over already may leave, too.
    if state.session(&headers).is_some() {
        state.authorise_sign_out(&headers, &form.csrf)?;
        end(&state, &headers);
    }
    Ok(with_cookies(refused::led_to("/"), cookies.forgotten()))
}

/// Ends the session that a request belongs to.
fn end(state: &AppState, headers: &HeaderMap) {
    let cookies = state.cookies(headers);
    for value in cookies.reading(headers).chain(cookies.changing(headers)) {
        state.sessions.end(value);
    }
}

/// A request on its way in.
struct Way<'a> {
    state: &'a AppState,
    headers: &'a HeaderMap,
    /// None where there is no status to show, such as while the index is away.
    frame: Option<Frame>,
    next: String,
}

impl Way<'_> {
    /// A session for a code.
    fn redeem(&self, code: &str) -> Result<Response, Problem> {
        let token = self.state.sessions.redeem(code, Instant::now());
        match token.filter(|token| self.state.may_sign_in(token).is_ok()) {
            Some(token) => self.begin(&token),
            None => {
                let words = "This address has been used, or is older than 60 seconds. `focus open` prints another.";
                Ok(self.form(StatusCode::UNAUTHORIZED, None, Some(words)))
            }
        }
    }

    /// A new session with this token, in the place of the one that the browser had.
    fn begin(&self, token: &Secret) -> Result<Response, Problem> {
        let begun = self
            .state
            .sessions
            .begin(token, Instant::now())
            .ok_or_else(|| Problem::unavailable("the system has no random bytes to give"))?;
        end(self.state, self.headers);
        let kept = self.state.cookies(self.headers).kept(&begun);
        Ok(with_cookies(refused::led_to(&self.next), kept))
    }

    fn form(&self, status: StatusCode, code: Option<&str>, wrong: Option<&str>) -> Response {
        let content = form(&self.next, code, wrong);
        match &self.frame {
            // The numbers of the header are for those who may read.
            Some(frame) if self.state.may_read(self.headers).is_ok() => {
                frame.page_with(status, Place::Elsewhere, "Sign in", &[], &content)
            }
            _ => refused::bare(status, "Sign in", &content),
        }
    }
}

fn form(next: &str, code: Option<&str>, wrong: Option<&str>) -> Markup {
    html! {
        h1 { "Sign in" }
        @if let Some(words) = wrong { p.banner.bad #wrong role="alert" { (words) } }
        form.sign-in method="post" action=(SIGN_IN) {
            input type="hidden" name="next" value=(next);
            @if let Some(code) = code {
                input type="hidden" name="code" value=(code);
                p { "This address of " code { "focus open" } " signs you in once." }
                button { "Sign in" }
            } @else {
                label for="token" { "Token" }
                input #token type="password" name="token" required autocomplete="current-password" autofocus
                    aria-describedby=[wrong.map(|_| "wrong")];
                button { "Sign in" }
            }
        }
        p.soft {
            "On the machine of the server, " code { "focus open" } " prints an address that signs you in. Elsewhere, use a token of "
            code { "[[tokens]]" } " in the settings: with the right " code { "operate" } " it can change things, with "
            code { "read" } " it can look."
        }
        p.soft { "A session ends after 12 hours without use, when you sign out, and when the server starts anew." }
    }
}

/// Whether a person opened the address, and no page of another site and no program that looks ahead did.
fn was_opened(headers: &HeaderMap) -> bool {
    let text = |name: &'static str| {
        headers.get(HeaderName::from_static(name)).and_then(|value| value.to_str().ok())
    };
    matches!(text("sec-fetch-site"), None | Some("none" | "same-origin"))
        && text("sec-purpose").is_none()
}

/// Where it goes on: a path of this server, whatever was asked for.
fn within(next: Option<&str>) -> String {
    let is_path = |next: &&str| {
        next.starts_with('/')
            && !next.starts_with("//")
            && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#')
            && next.parse::<PathAndQuery>().is_ok_and(|next| {
                !matches!(next.path(), SIGN_IN | SIGN_OUT)
                    && HeaderValue::from_str(next.as_str()).is_ok()
            })
    };
    next.filter(is_path).unwrap_or("/").to_owned()
}

fn with_cookies(mut response: Response, cookies: Vec<HeaderValue>) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_signing_in_is_a_path_of_this_server() {
        for good in ["/", "/held?root=a%20b&cursor=x", "/recordings/a%2Fb", "/alerts"] {
            assert_eq!(within(Some(good)), good);
        }
        for bad in [
            "",
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "/a\\b",
            "/\t/evil.example",
            "/\n",
            "/ä",
            "/a b",
            "javascript:alert(1)",
            "evil.example",
            "/sign-in?next=/sign-in",
            "/sign-out",
        ] {
            assert_eq!(within(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(within(None), "/");
    }

    #[test]
    fn a_code_is_not_used_up_by_who_looks_ahead_nor_by_another_site() {
        let asked = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            was_opened(&pairs.collect())
        };
        assert!(asked(&[]) && asked(&[("sec-fetch-site", "none")]));
        assert!(!asked(&[("sec-fetch-site", "cross-site")]));
        assert!(!asked(&[("sec-fetch-site", "none"), ("sec-purpose", "prefetch;prerender")]));
    }
}
