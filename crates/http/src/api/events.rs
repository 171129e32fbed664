//! `GET /api/v1/events`: server-sent events.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use focus_core::event_ring::{Event, EventKind, Wanted};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::ask::Ask;
use super::listener::Activity;
use super::{AppState, Problem};
use crate::events::{Place, READERS_MAX};

/// Bytes of events that are handed over at once, about.
const PIECE: usize = 16 * 1024;

/// Pieces that wait for a reader.
const PIECES: usize = 4;

/// How long a reader may take nothing. After that it is cut off.
const STALL: Duration = Duration::from_secs(10);

/// Without events, a comment shows so often that the server is there.
const COMMENT: Duration = Duration::from_secs(15);

/// The id of the last event that a reader has got.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The query.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// The kinds that are wanted, with commas between them; all by default
    types: Option<String>,
}

/// `GET /api/v1/events`.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    summary = "Server-sent events: status, recording, recordings, outage, alert, job",
    description = "`docs/events.md` says when each comes and what it holds. A reader that comes again with `Last-Event-ID` misses nothing of the last 4,096 events. 128 can read at the same time.",
    params(EventsQuery, ("Last-Event-ID" = Option<String>, Header, description = "Goes on after this event; where that cannot be, one `reset` says so")),
    responses(
        (status = 200, description = "A stream that does not end", content_type = "text/event-stream", body = String),
    )
)]
pub(super) async fn events(
    State(state): State<AppState>,
    Ask(query): Ask<EventsQuery>,
    activity: Option<Extension<Activity>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = match &query.types {
        None => Wanted::all(),
        Some(names) => Wanted::of(names).map_err(|wrong| {
            let all = EventKind::ALL.map(EventKind::name).join(", ");
            Problem::bad_value("types", format!("types: {wrong:?} is none of {all}"))
        })?,
    };
    let place = state.services.events.join().ok_or_else(|| {
        Problem::busy(format!("{READERS_MAX} readers have events now: try again in a while"))
    })?;
    let last_id = headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or_default().to_owned());
    let (out, receiver) = mpsc::channel(PIECES);
    let Extension(activity) = activity.unwrap_or_default();
    tokio::spawn(async move {
        let told = Telling { place, wanted, out, stall: STALL };
        if told.tell(last_id.as_deref()).await == Ended::TooSlow {
            // It does not read, so it does not see an end either.
            activity.cut_off();
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece: Bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(piece), receiver))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Why a reader gets no more.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// It has left.
    Left,
    /// It does not read, or not fast enough.
    TooSlow,
}

/// What tells a reader.
struct Telling {
    place: Place,
    wanted: Wanted,
    out: mpsc::Sender<Bytes>,
    /// How long the reader may take nothing.
    stall: Duration,
}

impl Telling {
    async fn tell(mut self, last_id: Option<&str>) -> Ended {
        let (mut after, is_reset) = self.place.begin(last_id);
        let mut piece = String::from("retry: 2000\n\n");
        if is_reset {
            let _ = write!(piece, "id: {}\nevent: reset\ndata: {{}}\n\n", self.place.id(after));
        }
        loop {
            let Some((events, through)) = self.place.read(after, &self.wanted, PIECE) else {
                return Ended::TooSlow;
            };
            after = through;
            events.iter().for_each(|event| self.write(&mut piece, event));
            if !piece.is_empty() {
                let whole = Bytes::from(std::mem::take(&mut piece));
                match self.out.send_timeout(whole, self.stall).await {
                    Ok(()) => continue,
                    Err(mpsc::error::SendTimeoutError::Closed(_)) => return Ended::Left,
                    Err(mpsc::error::SendTimeoutError::Timeout(_)) => return Ended::TooSlow,
                }
            }
            let out = self.out.clone();
            tokio::select! {
                () = self.place.changed(after) => {}
                () = tokio::time::sleep(COMMENT) => piece.push_str(": the server is there\n\n"),
                () = out.closed() => return Ended::Left,
            }
        }
    }

    fn write(&self, piece: &mut String, event: &Event) {
        let Some(text) = &event.text else { return };
        let (id, kind) = (self.place.id(event.number), event.kind.name());
        // JSON on one line: a line break in a text is escaped there.
        let _ = write!(piece, "id: {id}\nevent: {kind}\ndata: {text}\n\n");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use focus_core::event_ring::EVENTS_MAX;
    use serde_json::json;

    use super::*;
    use crate::events::Events;

    fn telling(events: &Arc<Events>) -> (Telling, mpsc::Receiver<Bytes>) {
        let (out, receiver) = mpsc::channel(PIECES);
        let place = events.join().expect("a place");
        let stall = Duration::from_millis(50);
        (Telling { place, wanted: Wanted::all(), out, stall }, receiver)
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_off_and_nobody_waits_for_it() {
        let events = Arc::new(Events::default());
        let (told, receiver) = telling(&events);
        let publisher = Arc::clone(&events);
        let large = json!("x".repeat(PIECE));
        let publishing = tokio::spawn(async move {
            for _ in 0..2 * EVENTS_MAX {
                publisher.publish(EventKind::Status, &large);
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(told.tell(None).await, Ended::TooSlow);
        publishing.await.expect("published");
        drop(receiver);
    }

    #[tokio::test]
    async fn a_reader_that_leaves_frees_its_place_at_once() {
        let events = Arc::new(Events::default());
        let (told, mut receiver) = telling(&events);
        let telling = tokio::spawn(async move { told.tell(Some("other-7")).await });
        let first = receiver.recv().await.expect("a piece");
        let first = String::from_utf8_lossy(&first).into_owned();
        assert!(first.contains("event: reset\ndata: {}\n\n"), "{first}");
        drop(receiver);
        assert_eq!(telling.await.expect("told"), Ended::Left);
        assert!(events.rest(), "no reader is left");
    }
}
