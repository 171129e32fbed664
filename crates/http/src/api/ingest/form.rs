//! The form in which a recording is handed over: first the part `sidecar`, then the part `data`, and nothing else.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use focus_core::sidecar::SIDECAR_BYTES_MAX;
use futures_util::stream;
use multer::{Field, Multipart};

use super::super::Problem;
use super::super::problem::ProblemKind;
use super::body::{Incoming, Interrupted};

/// Reads the part with the sidecar.
pub(super) async fn sidecar(form: &mut Multipart<'static>) -> Result<Vec<u8>, Problem> {
    let Some(mut field) = next(form).await?.filter(|field| field.name() == Some("sidecar")) else {
        let words = "the form has to begin with the part `sidecar`: send it before the data, which is read as it comes";
        return Err(bad_form(words).at("sidecar"));
    };
    let mut sidecar = Vec::new();
    while let Some(bytes) = field.chunk().await.map_err(broken_form)? {
        if sidecar.len() + bytes.len() > SIDECAR_BYTES_MAX {
            let words = format!(
                "the sidecar has more than {SIDECAR_BYTES_MAX} bytes: keep large data in the data file"
            );
            return Err(Problem::of(ProblemKind::TooLarge, words).at("sidecar"));
        }
        sidecar.extend_from_slice(&bytes);
    }
    Ok(sidecar)
}

/// The part with the data, which is read as it comes.
pub(super) async fn data(form: &mut Multipart<'static>) -> Result<Field<'static>, Problem> {
    let data = next(form).await?.filter(|field| field.name() == Some("data"));
    data.ok_or_else(|| {
        let words = "the form has to have the part `data` after the part `sidecar`: send it, if it is empty too";
        bad_form(words).at("data")
    })
}

/// Nothing may come after the data.
pub(super) async fn end(form: &mut Multipart<'static>) -> Result<(), Problem> {
    match next(form).await? {
        None => Ok(()),
        Some(_) => Err(bad_form("the form has a part after `data`: leave it out")),
    }
}

/// Reads what comes after the last part.
pub(super) async fn epilogue(incoming: &mut Incoming) -> Result<(), Problem> {
    if incoming.end().await.map_err(interrupted)? {
        return Ok(());
    }
    Err(bad_form("there is too much after its last part: leave that out"))
}

async fn next(form: &mut Multipart<'static>) -> Result<Option<Field<'static>>, Problem> {
    form.next_field().await.map_err(broken_form)
}

/// The boundary between the parts of the form.
pub(super) fn boundary(headers: &HeaderMap) -> Result<String, Problem> {
    let wrong = |words: &str| {
        let words =
            format!("{words}: send a form with `Content-Type: multipart/form-data; boundary=…`");
        Problem::of(ProblemKind::WrongMediaType, words)
    };
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Err(wrong("the body is encoded, and is taken as it is"));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    multer::parse_boundary(kind.unwrap_or_default()).map_err(|_| wrong("the body has to be a form"))
}

fn bad_form(words: &str) -> Problem {
    Problem::of(ProblemKind::BadBody, words)
}

/// A form that cannot be read on.
pub(super) fn broken_form(error: multer::Error) -> Problem {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<Interrupted>() {
            Ok(cause) => interrupted(*cause),
            Err(cause) => Problem::bad_request(format!("the body cannot be read: {cause}")),
        },
        error => bad_form(&format!("the form cannot be read: {error}. Send it anew")),
    }
}

fn interrupted(cause: Interrupted) -> Problem {
    match cause {
        Interrupted::Paused => Problem::of(ProblemKind::TooSlow, format!("{cause}: send it again")),
        Interrupted::Broken(_) => {
            Problem::bad_request(format!("the body broke off: {cause}. Send it again"))
        }
    }
}

/// Reads a form that comes in pieces of so many bytes: its sidecar and its data. For checks that hold for any bytes.
///
/// # Errors
/// It cannot be used; why, in words.
pub async fn skim_form(
    bytes: &[u8],
    boundary: &str,
    piece: usize,
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let pieces: Vec<Result<Bytes, Infallible>> =
        bytes.chunks(piece.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut incoming = Incoming::new(Body::from_stream(stream::iter(pieces)), false);
    let mut form = Multipart::new(incoming.clone(), boundary);
    let read = async {
        let sidecar = sidecar(&mut form).await?;
        let mut field = data(&mut form).await?;
        let mut data = Vec::new();
        while let Some(bytes) = field.chunk().await.map_err(broken_form)? {
            data.extend_from_slice(&bytes);
        }
        drop(field);
        end(&mut form).await?;
        epilogue(&mut incoming).await?;
        Ok::<_, Problem>((sidecar, data))
    };
    read.await.map_err(|problem| problem.detail().to_owned())
}
