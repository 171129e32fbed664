//! `POST /api/v1/hints`: others tell of recordings on storage. The server looks for itself, and believes nothing.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use focus_core::hint::{BinaryEvent, Envelope, Form, form, parse};
use http_body_util::{BodyExt, Limited};

use super::ask::{Ask, Nothing};
use super::problem::ProblemKind;
use super::{AppState, Problem, Right, guard};

const PATH: &str = "/api/v1/hints";

/// Bytes of a body at most.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Calls whose hints are taken at the same time, at most: each may hold a body, and wait for room.
pub(super) const CALLS_MAX: usize = 16;

/// What metrics call hints that come this way.
const SOURCE: &str = "http";

/// What was made of hints.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(as = TakenHints)]
pub(super) struct Taken {
    /// Hints that will be looked at: they have the form of a name, lie in a root, and are not excluded
    accepted: u64,
    /// All others
    ignored: u64,
}

/// Paths as JSON. The call takes other forms too.
#[derive(utoipa::ToSchema)]
#[schema(as = HintedPaths)]
#[expect(dead_code, reason = "it describes what the handler reads")]
pub(super) struct Paths {
    /// Files of recordings, or folders: relative to the root, or absolute
    paths: Vec<String>,
    /// The id of a root, or its configured path; without it, paths are relative to every root
    #[schema(required = false, nullable = false)]
    root: Option<String>,
}

/// Whether the request's body is for its handler to read: it may be larger than others, once its sender is known.
pub(super) fn reads_body_itself(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().path() == PATH
}

/// `POST /api/v1/hints`.
#[utoipa::path(
    post,
    path = "/api/v1/hints",
    tag = "recordings",
    summary = "Tells of recordings that have landed, changed or gone, so that the server looks at once",
    security(("token" = ["hints"])),
    request_body(
        content((Paths = "application/json"), (String = "text/plain")),
        description = "Paths as JSON; or one path a line, an event notification of S3, or CloudEvents 1.0: docs/hints.md",
    ),
    responses(
        (status = 202, description = "The places will be looked at", body = Taken),
        (status = 415, response = super::description::ProblemResponse),
    )
)]
pub(super) async fn post(
    State(state): State<AppState>,
    _: Ask<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    state.authorise(&parts.headers, Right::Hints)?;
    let envelope = envelope(&parts.headers)?;
    let _turn = super::turn(&state.hinting).await?;
    let body = read(body).await?;
    let hints = parse(&body, envelope)
        .map_err(|problem| Problem::of(ProblemKind::BadBody, problem.to_string()))?;
    drop(body);
    let counts = state.engine().take_hints(&hints, SOURCE).await;
    let taken = Taken { accepted: counts.accepted, ignored: counts.ignored };
    Ok((StatusCode::ACCEPTED, Json(taken)).into_response())
}

/// What the headers say of the body. The headers of a CloudEvent begin with `ce-`.
fn envelope(headers: &HeaderMap) -> Result<Envelope<'_>, Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // A compressed body would be taken for the name of a folder.
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        let words =
            "the body is encoded, and is taken as it is: send it without `Content-Encoding`";
        return Err(Problem::of(ProblemKind::WrongMediaType, words));
    }
    let content_type = text(header::CONTENT_TYPE.as_str());
    let event =
        text("ce-specversion").map(|version| BinaryEvent { version, subject: text("ce-subject") });
    if event.is_none() && form(content_type) == Form::Other {
        let words = "hints are JSON or lines of text: send `Content-Type: application/json` or `text/plain`, or none";
        return Err(Problem::of(ProblemKind::WrongMediaType, words));
    }
    Ok(Envelope { content_type, event })
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let read = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(guard::BODY_PATIENCE, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the body has more than {BODY_BYTES_MAX} bytes: send the hints in several calls"
            ),
        )),
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body cannot be read: {error}"))),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not come within {} s", guard::BODY_PATIENCE.as_secs()),
        )),
    }
}
