//! `POST /recordings_in_time_range`. The answer, `[[start, end], …]`, is streamed, in the request's own unit.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use focus_core::json::{self, Field};
use focus_core::time::{Decimal, TimeUnit};
use futures_util::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::ask::{Ask, Nothing};
use super::{AppState, Problem, completeness_headers};

/// Bytes of one piece of the answer.
const PIECE: usize = 16 * 1024;

/// Answers that are streamed at the same time, at most: each one has a thread.
pub(super) const STREAMS_MAX: usize = 8;

/// How long a caller may take nothing of its answer, which holds a thread and the index's log. After that
/// the answer is cut off.
const STALL: Duration = Duration::from_secs(10);

type Piece = Result<Bytes, std::io::Error>;

/// The window of time that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The start, milliseconds since 1970.
    pub from_ms: i64,
    /// The end, milliseconds since 1970; it belongs to the window.
    pub to_ms: i64,
    /// The unit of the request, and so of the answer.
    pub unit: TimeUnit,
}

/// The window that the body of a request asks for.
///
/// # Errors
/// The body is no JSON object, or its times are missing, in the wrong order, or out of range.
pub(super) fn window(body: &[u8]) -> Result<Window, Problem> {
    let fields = json::object(body)
        .map_err(|error| Problem::bad_request(format!("the body is not a JSON object: {error}")))?;
    let number = |name: &str| {
        let field: Option<&Field> = fields.iter().find(|field| field.key == name);
        field.and_then(|field| field.number.as_deref()).and_then(Decimal::parse).ok_or_else(|| {
            Problem::bad_request(format!(
                "{name} must be a number: seconds, ms, us or ns since 1970"
            ))
        })
    };
    let (start, end) = (number("start_time")?, number("end_time")?);
    if start.is_larger(&end) {
        return Err(Problem::bad_request("start_time is after end_time"));
    }
    // The larger value tells the unit, because a window may begin at 0.
    let unit = TimeUnit::of(&end);
    let out = || Problem::bad_request("a time is out of all range");
    Ok(Window {
        from_ms: start.ceil_ms(unit).ok_or_else(out)?,
        to_ms: end.floor_ms(unit).ok_or_else(out)?,
        unit,
    })
}

/// The body of the call.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes what `window` reads")]
struct TimeRange {
    /// The start, a number since 1970
    start_time: f64,
    /// The end, which belongs to the window
    end_time: f64,
}

/// `POST /recordings_in_time_range`.
#[utoipa::path(
    post,
    path = "/recordings_in_time_range",
    tag = "recordings",
    summary = "Start and end of every recording that overlaps a window, `[[start, end], …]`",
    description = "Both ends of the window are included. The larger number tells the unit: seconds below 1e11, milliseconds below 1e14, microseconds below 1e17, else nanoseconds. The answer is by start, unpaged and in the same unit. It leaves deleted recordings out, and has pending ones; the end of a live one is null.",
    request_body = TimeRange,
    responses((status = 200, description = "By start", body = serde_json::Value, headers(
        ("Focus-Complete-Through" = String, description = "Start of the last finished look at all of storage, or `none`"),
        ("Focus-Pending" = u64, description = "Recordings that the catalog has not acknowledged yet"),
        ("Focus-Source" = String, description = "Where the answer comes from: `index`"),
    )))
)]
pub(super) async fn recordings_in_time_range(
    State(state): State<AppState>,
    Ask(Nothing {}): Ask<Nothing>,
    body: Bytes,
) -> Result<Response, Problem> {
    let window = window(&body)?;
    let completeness = state.read(|engine| Ok(engine.completeness())).await?;
    let (sender, mut receiver) = mpsc::channel::<Piece>(4);
    let turn = super::turn(&state.streams).await?;
    let engine = state.engine();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        write(&engine.reader(), window, &sender);
    });
    // The first piece shows whether the index can be read at all.
    let first = match receiver.recv().await {
        Some(Ok(piece)) => piece,
        Some(Err(error)) => return Err(Problem::unavailable(error.to_string())),
        None => return Err(Problem::unavailable("the index does not answer")),
    };
    // Fused: what compresses it asks again after the end.
    let rest = stream::unfold((Some(first), receiver), |(first, mut receiver)| async move {
        let piece = match first {
            Some(piece) => Ok(piece),
            None => receiver.recv().await?,
        };
        Some((piece, (None, receiver)))
    });
    let mut response = Response::new(Body::from_stream(rest.fuse()));
    response.headers_mut().extend(completeness_headers(completeness));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Hands a piece to the caller; `Break` where the caller has gone or does not read.
fn hand(out: &mpsc::Sender<Piece>, piece: Piece) -> ControlFlow<()> {
    match Handle::current().block_on(out.send_timeout(piece, STALL)) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// Writes the answer piece by piece, until the caller goes.
fn write(reader: &focus_index::Reader, window: Window, out: &mpsc::Sender<Piece>) {
    let mut piece = String::from("[");
    let mut first = true;
    let mut left = false;
    let done = reader.overlapping(window.from_ms, window.to_ms, &mut |start_ms, end_ms| {
        if !std::mem::take(&mut first) {
            piece.push(',');
        }
        piece.push('[');
        piece.push_str(&window.unit.from_ms(start_ms));
        piece.push(',');
        match end_ms {
            Some(ms) => piece.push_str(&window.unit.from_ms(ms)),
            None => piece.push_str("null"),
        }
        piece.push(']');
        if piece.len() >= PIECE {
            let handed = hand(out, Ok(Bytes::from(std::mem::take(&mut piece))));
            left = handed.is_break();
            return handed;
        }
        ControlFlow::Continue(())
    });
    let last = match done {
        Ok(()) if left => Err(std::io::Error::other("the caller does not read")),
        Ok(()) => {
            piece.push(']');
            Ok(Bytes::from(piece))
        }
        // The caller must see that the answer is not whole, so it is cut off and not closed.
        Err(error) => Err(std::io::Error::other(error.to_string())),
    };
    if !left {
        let _ = hand(out, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_value_tells_the_unit_and_both_ends_are_included() {
        let w = window(br#"{"start_time": 0, "end_time": 1700000000.5}"#).expect("good");
        assert_eq!(w, Window { from_ms: 0, to_ms: 1_700_000_000_500, unit: TimeUnit::Seconds });
        let w = window(br#"{"start_time": 1700000000000000001, "end_time": 1700000000001999999}"#);
        let w = w.expect("good");
        assert_eq!(
            (w.from_ms, w.to_ms, w.unit),
            (1_700_000_000_001, 1_700_000_000_001, TimeUnit::Nanos)
        );
    }

    #[test]
    fn what_is_no_window_is_a_bad_request() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"start_time": "1", "end_time": 2}"#,
            r#"{"start_time": 3, "end_time": 2}"#,
            r#"{"start_time": 1, "end_time": 1e99}"#,
        ] {
            assert!(window(body.as_bytes()).is_err(), "{body}");
        }
    }
}
