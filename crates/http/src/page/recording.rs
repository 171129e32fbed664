//! `/recordings/{uuid}`: one recording with everything that is known of it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use focus_common::clock;
use focus_common::status::Status;
use focus_core::iso8601;
use focus_core::recording_state::RecordingState;
use maud::{Markup, html};
use serde_json::Value;

use super::address::{Address, as_segment};
use super::files::RECORDINGS;
use super::frame::{Frame, Place};
use super::recordings::{length, state_of};
use super::{metadata_tree, parts};
use crate::api::{AppState, Ask, Nothing, Problem, whole_recording};

/// Time that is shown on both sides of a recording, at least.
const AROUND_MIN_MS: i64 = 3_600_000;

pub(super) async fn recording(
    State(state): State<AppState>,
    frame: Frame,
    Path(uuid): Path<String>,
    _: Ask<Nothing>,
) -> Result<Response, Problem> {
    let wanted = uuid.clone();
    let found = state.read(move |engine| engine.reader().recording(&wanted)).await?;
    let Some(found) = found else {
        let content = unknown(&frame.status, &uuid);
        let code = StatusCode::NOT_FOUND;
        return Ok(frame.page_with(code, Place::Recordings, "No such recording", &[], &content));
    };
    let one = whole_recording(&found);
    let name = path(&one).rsplit('/').next().map(parts::shown).unwrap_or_default();
    let content = content(&frame.status, &one, found.listed.state);
    Ok(frame.page(Place::Recordings, &name, &[&RECORDINGS], &content))
}

/// How complete the index is tells whether it may yet come.
fn unknown(status: &Status, uuid: &str) -> Markup {
    html! {
        h1 { "No such recording" }
        div.empty {
            p { "The index has no recording with the uuid " (parts::brief(uuid, 300)) "." }
            @match &status.complete_through {
                Some(through) => p { "It is complete through " (parts::time(through)) ": what landed later may still come. Reload the page to look again." }
                None => p { "The first scan is not finished: it may still come. Reload the page to look again." }
            }
            @if status.unrecognised > 0 {
                p { "What is on storage and cannot be catalogued is among " a href="/unrecognised" { "the unrecognised" } "." }
            }
            p { a href="/recordings" { "All recordings" } }
        }
    }
}

fn path(one: &Value) -> &str {
    text(one, "path")
}

fn text<'a>(one: &'a Value, field: &str) -> &'a str {
    one[field].as_str().unwrap_or_default()
}

fn content(status: &Status, one: &Value, state: RecordingState) -> Markup {
    let root = parts::root_name(status, text(one, "root"));
    let whole = format!("{}/{}", root.trim_end_matches('/'), path(one));
    let address = |path: &str| format!("{path}/{}", as_segment(text(one, "uuid")));
    html! {
        h1.long { (parts::foreign(path(one))) }
        p.long {
            (state_of(text(one, "state")))
            " " (meaning(state))
            @if let Some(reason) = one["reason"].as_str() { " " (parts::foreign(reason)) }
        }
        div.cards.wide {
            section.card {
                h2 { "Recorded" }
                dl.facts {
                    (fact("Start", one, "start_time"))
                    dt { "End" }
                    dd data-of="end_time" data-value=(text(one, "end_time")) {
                        @match one["end_time"].as_str() { Some(end) => (parts::time(end)), None => "none yet: it is live" }
                    }
                    dt { "Length" } dd { (length(text(one, "start_time"), one["end_time"].as_str())) }
                }
                p { a href=(around(one)) { "Coverage around it" } }
            }
            section.card {
                h2 { "Seen and catalogued" }
                dl.facts {
                    dt { "First seen" }
                    dd data-of="first_seen_at" data-value=(text(one, "first_seen_at")) {
                        @match one["first_seen_at"].as_str() { Some(at) => (parts::time(at)), None => "not known: an earlier version saw it" }
                    }
                    dt { "Acknowledged" }
                    dd data-of="acknowledged_at" data-value=(text(one, "acknowledged_at")) {
                        @match one["acknowledged_at"].as_str() {
                            Some(at) => { (parts::time(at)) @if let Some(ms) = between(one) { span.soft { " " (parts::duration(ms)) " after it was seen" } } }
                            None => "not yet by the catalog"
                        }
                    }
                }
                p.soft { "A recording is seen once both its files have settled. The catalog acknowledges it anew each time it changes." }
            }
        }
        h2 { "On storage" }
        dl.facts {
            dt { "Path" }
            dd { (parts::foreign(&whole)) " " button.quiet.copy type="button" data-copy=(whole) hidden { "Copy path" } }
            dt { "Root" } dd data-of="root" data-value=(text(one, "root")) { (parts::foreign(root)) " " span.soft { (parts::foreign(text(one, "root"))) } }
            dt { "Size" }
            dd data-of="size" data-value=(one["size"]) {
                @let size = one["size"].as_u64().unwrap_or(0);
                (parts::bytes(size)) " " span.soft { (parts::number(size)) " bytes" }
            }
            @for (name, field) in [("Recording id", "recording_id"), ("uuid", "uuid"), ("Fingerprint", "fingerprint")] {
                dt { (name) } dd data-of=(field) data-value=(text(one, field)) { (parts::foreign(text(one, field))) }
            }
        }
        h2 { "Metadata" }
        div.metadata { (metadata_tree::tree(&one["metadata"])) }
        p { a href=(address("/api/v1/recordings")) { "As JSON" } }
    }
}

fn fact(name: &str, one: &Value, field: &str) -> Markup {
    let at = text(one, field);
    html! { dt { (name) } dd data-of=(field) data-value=(at) { (parts::time(at)) } }
}

/// What a state means, and what to do where something has to be done.
fn meaning(state: RecordingState) -> &'static str {
    match state {
        RecordingState::Catalogued => "The catalog has it as it is on storage.",
        RecordingState::Live => "It is being written: its sidecar has no end yet.",
        RecordingState::Pending => {
            "The catalog does not have it yet, or not as it is now. The server writes it as soon as the catalog takes it; nothing has to be done."
        }
        RecordingState::Refused => {
            "The catalog's database does not accept its document. The server tries again every minute; the cause has to be mended in the sidecar or in the database."
        }
        RecordingState::Vanished => {
            "Both files are gone. Once that is proved, its document is marked as deleted; if the files come back, nothing happens."
        }
        RecordingState::Held => "Its deletion waits for a person to approve it.",
        RecordingState::Deleted => "Its document is marked as deleted and stays.",
    }
}

fn ms(one: &Value, field: &str) -> Option<i64> {
    iso8601::from_text(one[field].as_str()?, None).ok()
}

/// From the moment it was seen until the catalog acknowledged it, where the one follows the other.
fn between(one: &Value) -> Option<u64> {
    u64::try_from(ms(one, "acknowledged_at")? - ms(one, "first_seen_at")?).ok()
}

/// The coverage of its root around its time: ten times its length on both sides, an hour at least.
fn around(one: &Value) -> String {
    let start = ms(one, "start_time").unwrap_or(0);
    let end = ms(one, "end_time").unwrap_or(start).max(start);
    let margin = (end - start).saturating_mul(10).max(AROUND_MIN_MS);
    let coverage = Address::of("/coverage");
    let from = coverage.with("from", &clock::rfc3339(start.saturating_sub(margin).max(0)));
    from.with("to", &clock::rfc3339(end.saturating_add(margin))).text()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn coverage_is_shown_around_a_recording_and_never_before_1970() {
        let one = json!({"start_time": "2026-05-01T12:00:00.000Z", "end_time": "2026-05-01T13:00:00.000Z"});
        assert_eq!(
            around(&one),
            "/coverage?from=2026-05-01T02:00:00.000Z&to=2026-05-01T23:00:00.000Z"
        );
        let live = json!({"start_time": "1970-01-01T00:00:01.000Z"});
        assert_eq!(
            around(&live),
            "/coverage?from=1970-01-01T00:00:00.000Z&to=1970-01-01T01:00:01.000Z"
        );
    }

    #[test]
    fn what_was_acknowledged_before_it_was_seen_has_no_time_between() {
        let one = json!({"first_seen_at": "2026-05-01T12:00:00.000Z", "acknowledged_at": "2026-05-01T12:00:00.250Z"});
        assert_eq!(between(&one), Some(250));
        assert_eq!(
            between(
                &json!({"first_seen_at": "2026-05-01T12:00:00.000Z", "acknowledged_at": "2025-05-01T12:00:00.250Z"})
            ),
            None
        );
        assert_eq!(
            between(&json!({"first_seen_at": null, "acknowledged_at": "2025-05-01T12:00:00.250Z"})),
            None
        );
    }
}
