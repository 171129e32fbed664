//! `POST /api/v1/recordings`: takes a recording that is handed over, as a form with its sidecar and its data.

mod body;
mod digest;
mod form;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use focus_common::client::escape;
use focus_core::sidecar::SIDECAR_BYTES_MAX;
use focus_engine::{IngestError, Receiving};
use focus_index::Whole;
use multer::Multipart;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::problem::ProblemKind;
use super::recordings::{WholeRecording, whole};
use super::{AppState, Problem, Right, ask, completeness_headers, v1};
use body::Incoming;
pub use form::skim_form;
use form::{boundary, broken_form};

/// The path that takes recordings.
const PATH: &str = "/api/v1/recordings";

/// Recordings that are handed over at the same time, at most. Each holds 1 MiB of pieces, a sidecar and a thread.
pub(super) const INGESTS_MAX: usize = 16;

/// Bytes of a body besides the data, at most: the sidecar, and what stands between the parts.
const BESIDE_DATA_MAX: u64 = SIDECAR_BYTES_MAX as u64 + 256 * 1024;

/// Where a recording goes that is handed over.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IngestQuery {
    /// Where it goes: relative to the root, with folders, without extension
    #[param(min_length = 1, max_length = 1_024, example = "2026/05/r17")]
    path: String,
    /// The root that takes it: its id, or its configured path. May be left out where one root takes recordings
    #[param(max_length = 1_024)]
    root: Option<String>,
}

/// A recording that is handed over: first the sidecar, then the data.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the fields describe what the handler reads")]
pub(super) struct HandedOver {
    /// The sidecar, as it is to lie on storage: a JSON object of at most 1 MiB
    #[schema(content_media_type = "application/json")]
    sidecar: String,
    /// The data file, of at most `ingest_max_bytes`
    #[schema(content_media_type = "application/octet-stream")]
    data: String,
}

/// Whether the request hands a recording over. Its handler reads the body.
pub(super) fn is_one(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().path() == PATH
}

/// `POST /api/v1/recordings`.
#[utoipa::path(
    post,
    path = "/api/v1/recordings",
    tag = "recordings",
    summary = "Takes a recording: writes its files, and answers once the index has it",
    description = "Off, unless a root takes recordings (`ingest`). Nothing that is there is replaced, and a repeat is safe: it is answered with 200.",
    security(("token" = ["ingest"])),
    params(
        IngestQuery,
        ("Content-Digest" = Option<String>, Header, description = "The SHA-256 of the whole body, `sha-256=:BASE64:` (RFC 9530). It is checked before anything is put in place"),
    ),
    request_body(content = HandedOver, content_type = "multipart/form-data", description = "The part `sidecar`, then the part `data`"),
    responses(
        (status = 201, description = "It is on storage and in the index", body = WholeRecording, headers(
            ("Location" = String, description = "Where it is"),
            ("Focus-Complete-Through" = String, description = "As `complete_through`, or `none`"),
            ("Focus-Pending" = u64, description = "As `pending`"),
            ("Focus-Source" = String, description = "As `source`"),
        )),
        (status = 200, description = "It was there already, with the same bytes", body = WholeRecording),
        (status = 409, response = super::description::ProblemResponse),
        (status = 415, response = super::description::ProblemResponse),
        (status = 507, response = super::description::ProblemResponse),
    )
)]
pub(super) async fn ingest(State(state): State<AppState>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let wanted = digest::wanted(&parts.headers);
    let mut incoming = Incoming::new(body, matches!(wanted, Ok(Some(_))));
    let taken = match wanted {
        Ok(wanted) => take(&state, &parts, incoming.clone(), wanted).await,
        Err(problem) => state.authorise(&parts.headers, Right::Ingest).and(Err(problem)),
    };
    match taken {
        Ok((found, is_new)) => match answer(&state, &found, is_new).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        },
        Err(problem) => {
            let expects = parts.headers.get(header::EXPECT);
            let waits = expects.is_some_and(|value| value.as_bytes() == b"100-continue");
            incoming.drain(waits).await;
            let mut response = problem.into_response();
            // What may still come must not be taken for the next request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

/// Takes a recording. Returns what the index has of it, and whether a file was put in place for it.
async fn take(
    state: &AppState,
    parts: &Parts,
    mut incoming: Incoming,
    wanted: Option<[u8; 32]>,
) -> Result<(Whole, bool), Problem> {
    state.authorise(&parts.headers, Right::Ingest)?;
    let boundary = boundary(&parts.headers)?;
    let IngestQuery { path, root } = ask::query(parts.uri.query().unwrap_or_default())?;
    let _turn = super::turn(&state.ingests).await.map_err(|_| {
        Problem::busy("too many recordings are being handed over: ask again in a second")
    })?;
    let (engine, bytes) = (state.engine(), length(&parts.headers));
    let begun = blocking(move || engine.begin_ingest(root.as_deref(), &path, bytes)).await?;
    let data_max = begun.data_bytes_max();
    if bytes.is_some_and(|bytes| bytes > data_max.saturating_add(BESIDE_DATA_MAX)) {
        return Err(IngestError::TooLarge(data_max).into());
    }
    let mut form = Multipart::new(incoming.clone(), boundary);
    let receiving = begun.receive(form::sidecar(&mut form).await?);
    let is_sent = tokio::select! {
        // What cannot be taken is told before all of it has come.
        biased;
        () = receiving.refused() => false,
        sent = send_data(&mut form, &receiving) => sent.map(|()| true)?,
    };
    if is_sent {
        form::epilogue(&mut incoming).await?;
        is_as_wanted(&incoming, wanted)?;
    }
    Ok(receiving.land().await?)
}

/// Reads the part with the data, and has it written. Nothing may come after it.
async fn send_data(
    form: &mut Multipart<'static>,
    receiving: &Receiving<Bytes>,
) -> Result<(), Problem> {
    let mut data = form::data(form).await?;
    while let Some(bytes) = data.chunk().await.map_err(broken_form)? {
        receiving.add(bytes).await;
    }
    // Before what follows the data is known: mostly nothing does.
    receiving.end().await;
    drop(data);
    form::end(form).await
}

/// The body that came has the digest that its sender gave.
fn is_as_wanted(incoming: &Incoming, wanted: Option<[u8; 32]>) -> Result<(), Problem> {
    if let (Some(wanted), Some(sum)) = (wanted, incoming.sum())
        && sum.as_ref() != wanted
    {
        let words = format!(
            "{}: the body that came has another SHA-256: it was changed on its way, or the digest is not of the whole body. Send it again",
            digest::HEADER
        );
        return Err(Problem::of(ProblemKind::WrongDigest, words).at(digest::HEADER));
    }
    Ok(())
}

/// What the index has of a recording that was taken.
async fn answer(state: &AppState, found: &Whole, is_new: bool) -> Result<Response, Problem> {
    let completeness = state.read(|engine| Ok(engine.completeness())).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("{PATH}/{}", escape(&found.listed.uuid));
    let value = v1::with_completeness(whole(found), completeness);
    let mut response = (status, [(header::LOCATION, location)], Json(value)).into_response();
    response.headers_mut().extend(completeness_headers(completeness));
    Ok(response)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, Problem> {
    let done = spawn_blocking(work).await;
    Ok(done.map_err(|error| Problem::unavailable(error.to_string()))??)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Problem {
        let words = error.to_string();
        let of = |kind| Problem::of(kind, words.clone());
        match error {
            IngestError::Off(_) => of(ProblemKind::IngestOff).at("root"),
            IngestError::UnknownRoot | IngestError::WhichRoot => {
                Problem::bad_value("root", format!("root: {words}"))
            }
            IngestError::Away(_) => of(ProblemKind::Unavailable).at("root"),
            IngestError::Held(_) => of(ProblemKind::Conflict).at("root"),
            IngestError::Path(_) | IngestError::Folder(_) => {
                Problem::bad_value("path", format!("path: {words}"))
            }
            IngestError::Sidecar(_) => of(ProblemKind::BadBody).at("sidecar"),
            IngestError::PathTaken => of(ProblemKind::Conflict).at("path"),
            IngestError::UuidTaken(_) => of(ProblemKind::Conflict).at("uuid"),
            IngestError::TooLarge(_) => of(ProblemKind::TooLarge).at("data"),
            IngestError::Full(_) => of(ProblemKind::NoSpace),
            IngestError::Busy => of(ProblemKind::Busy),
            IngestError::Storage(_)
            | IngestError::Index(_)
            | IngestError::NotYet
            | IngestError::Ended => of(ProblemKind::Unavailable),
        }
    }
}
