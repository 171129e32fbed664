//! `/recordings`: recordings by start, found by text, time, root, state and metadata.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use focus_common::clock;
use focus_common::status::{IndexedKeyState, Status};
use focus_core::recording_state::RecordingState;
use maud::{Markup, html};

use super::address::{Address, Asked, as_segment};
use super::files::RECORDINGS;
use super::frame::{Frame, Place};
use super::parts::{self, Tone};
use super::recording;
use crate::api::{
    AppState, Moment, Problem, Recording, Recordings, RecordingsQuery, find_recordings,
};

/// So many recordings are read before one notices.
const READ_AT_ONCE: u64 = 10_000;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/recordings", get(recordings))
        .route("/recordings/{uuid}", get(recording::recording))
}

async fn recordings(
    State(state): State<AppState>,
    frame: Frame,
    asked: Asked<RecordingsQuery>,
) -> Result<Response, Problem> {
    let Asked { query, address } = asked;
    let window = (query.from, query.to);
    let (page, _) = find_recordings(&state, query, |page| page).await?;
    let content = html! {
        h1 { "Recordings" }
        (form(&frame.status, &address, window))
        div #results { (results(&frame.status, &address, &page)) }
    };
    Ok(frame.page(Place::Recordings, "Recordings", &[&RECORDINGS], &content))
}

/// Where one recording has its page.
pub(super) fn path_of(uuid: &str) -> String {
    format!("/recordings/{}", as_segment(uuid))
}

/// How good a state of a recording is.
pub(super) fn tone(state: RecordingState) -> Tone {
    match state {
        RecordingState::Catalogued => Tone::Good,
        RecordingState::Pending | RecordingState::Live => Tone::Busy,
        RecordingState::Vanished | RecordingState::Held => Tone::Warn,
        RecordingState::Refused => Tone::Bad,
        RecordingState::Deleted => Tone::Plain,
    }
}

/// A state that is given by its name.
pub(super) fn state_of(name: &str) -> Markup {
    let state = RecordingState::ALL.into_iter().find(|state| state.name() == name);
    parts::state(state.map_or(Tone::Plain, tone), name)
}

fn form(
    status: &Status,
    address: &Address,
    (from, to): (Option<Moment>, Option<Moment>),
) -> Markup {
    let value = |name| address.value(name).unwrap_or_default();
    html! {
        form.filters #search method="get" action="/recordings" role="search" autocomplete="off" {
            div.wide {
                label for="text" { "Path or uuid contains" }
                input #text type="search" name="text" value=(value("text")) maxlength="1024" spellcheck="false" autocapitalize="off";
            }
            div { label for="from" { "From (UTC)" } input #from type="datetime-local" step="any" name="from" value=(field(from)); }
            div { label for="to" { "To (UTC)" } input #to type="datetime-local" step="any" name="to" value=(field(to)); }
            @if status.roots.len() + status.removed_roots.len() > 1 {
                div { label for="root" { "Root" } (roots(status, value("root"))) }
            }
            div {
                label for="order" { "Order" }
                select #order name="order" {
                    option value="" { "Latest first" }
                    option value="start" selected[value("order") == "start"] { "Earliest first" }
                }
            }
            fieldset {
                legend { "State (none: all but deleted)" }
                @for state in RecordingState::ALL.into_iter().rev() {
                    label.check {
                        input type="checkbox" name="state" value=(state.name()) checked[address.has(("state", state.name()))];
                        " " (state.name())
                    }
                }
            }
            fieldset.pair {
                legend { "Field of the metadata equals" }
                div {
                    label for="meta_key" { "Field" }
                    input #meta_key name="meta_key" maxlength="256" spellcheck="false" autocapitalize="off" list="keys";
                }
                div {
                    label for="meta_value" { "Value" }
                    input #meta_value name="meta_value" maxlength="1024" spellcheck="false" autocapitalize="off";
                }
                datalist #keys { @for key in &status.indexed_metadata { option value=(key.key) {} } }
            }
            @for (name, value) in address.of_metadata() { input type="hidden" name=(name) value=(value); }
            @if let Some(limit) = address.value("limit") { input type="hidden" name="limit" value=(limit); }
            button { "Search" }
        }
    }
}

/// The choice of a root, by its path.
pub(super) fn roots(status: &Status, chosen: &str) -> Markup {
    let configured = status
        .roots
        .iter()
        .filter_map(|root| root.id.as_deref().map(|id| (id, root.path.as_str())));
    let removed = status.removed_roots.iter().map(|root| (root.id.as_str(), root.path.as_str()));
    html! {
        select #root name="root" {
            option value="" { "All" }
            @for (id, path) in configured.chain(removed) {
                option value=(id) selected[chosen == id || chosen == path] { (parts::shown(path)) }
            }
        }
    }
}

/// A moment as a browser's field for times has it, in UTC.
fn field(moment: Option<Moment>) -> String {
    let text = moment.map(|moment| clock::rfc3339(moment.0)).unwrap_or_default();
    let text = text.trim_end_matches('Z');
    text.strip_suffix(".000").unwrap_or(text).to_owned()
}

/// The part that changes while one types: what is filtered, how much was found, and the rows.
fn results(status: &Status, address: &Address, page: &Recordings) -> Markup {
    let several_roots = status.roots.len() + status.removed_roots.len() > 1;
    html! {
        (address.chips())
        (remarks(status, address))
        @if page.items.is_empty() {
            (nothing(status, address, page))
        } @else {
            (count(address, page))
            div.scroll tabindex="0" role="region" aria-label="Recordings" {
                table.rows {
                    thead {
                        tr {
                            th scope="col" { "Start" }
                            th.amount scope="col" { "Length" }
                            th scope="col" { "State" }
                            th scope="col" { "Path" }
                            @if several_roots { th scope="col" { "Root" } }
                            th.amount scope="col" { "Size" }
                        }
                    }
                    tbody { @for one in &page.items { (row(status, one, several_roots)) } }
                }
            }
            p.soft.keys hidden { "Keys: ↓ from the search goes to the rows; there ↑ and ↓, or j and k, and Enter." }
        }
        (address.pager(page.next_cursor.as_deref()))
    }
}

fn row(status: &Status, one: &Recording, several_roots: bool) -> Markup {
    html! {
        tr {
            td.when { (parts::time(&one.start_time)) }
            td.amount { (length(&one.start_time, one.end_time.as_deref())) }
            td { (state_of(one.state)) }
            td.path { a.row href=(path_of(&one.uuid)) { (parts::foreign(&one.path)) } }
            @if several_roots { td.path { (parts::foreign(parts::root_name(status, &one.root))) } }
            td.amount { (parts::bytes(u64::try_from(one.size).unwrap_or(0))) }
        }
    }
}

/// How long a recording is, in words.
pub(super) fn length(start: &str, end: Option<&str>) -> String {
    let ms = |text| focus_core::iso8601::from_text(text, None).ok();
    let Some(end) = end else { return "live".to_owned() };
    let length = ms(start).zip(ms(end)).and_then(|(start, end)| u64::try_from(end - start).ok());
    length.map_or_else(|| "not known".to_owned(), parts::duration)
}

fn count(address: &Address, page: &Recordings) -> Markup {
    let shown = parts::number(page.items.len() as u64);
    let which = if address.value("cursor").is_some() { "on this page" } else { "shown" };
    html! {
        p #found {
            (shown) " " (which)
            @match (page.more, &page.next_cursor) {
                (Some(0), _) | (None, None) => { ", none after " @if page.items.len() == 1 { "it" } @else { "them" } }
                (Some(more), _) => { ", " (parts::number(more)) @if more >= 100_000 { " or more" } " after them" }
                (None, Some(_)) => {
                    ", more follow · " a href=(address.with_count().text()) { "Count them" }
                }
            }
            "."
        }
    }
}

/// What makes an answer slow, where something does.
fn remarks(status: &Status, address: &Address) -> Markup {
    let index = &status.text_index;
    let is_ready = |name: &str| {
        let key = name.trim_start_matches("meta.");
        let known = |state| state == IndexedKeyState::Ready;
        status.indexed_metadata.iter().any(|one| one.key == key && known(one.state))
    };
    let is_large = status.recordings > READ_AT_ONCE;
    html! {
        @if address.value("text").is_some() && index.of.saturating_sub(index.done) > READ_AT_ONCE {
            p.remark {
                "The text index has " (parts::number(index.done)) " of " (parts::number(index.of))
                " recordings. The others are read, so a search takes longer; it finds the same."
            }
        }
        @for (name, _) in address.of_metadata().filter(|(name, _)| is_large && !is_ready(name)) {
            p.remark {
                (parts::foreign(name.trim_start_matches("meta.")))
                " is no indexed key, so recordings are read one by one; " code { "indexed_metadata" } " names such keys."
            }
        }
    }
}

/// What stands where no recording does.
fn nothing(status: &Status, address: &Address, page: &Recordings) -> Markup {
    html! {
        div.empty {
            @if page.next_cursor.is_some() {
                p { "None among the recordings that were looked at. The search goes on with the next page." }
            } @else if !address.is_unfiltered() {
                p { "No recording is as these filters ask." }
                p { a href=(address.bare().text()) { "Show all recordings" } }
            } @else if status.complete_through.is_none() {
                p { "The first scan is not finished: recordings show as they are found." }
            } @else {
                p { "There is no recording yet. It is two files with one name in a root: the data, and a sidecar that says when it was made." }
            }
            @if let Some(through) = &status.complete_through {
                p { "The index is complete through " (parts::time(through)) "." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_lasts_from_its_start_to_its_end() {
        assert_eq!(
            length("2026-05-01T12:00:00.000Z", Some("2026-05-01T12:01:00.000Z")),
            "1 min 0 s"
        );
        assert_eq!(length("2026-05-01T12:00:00.000Z", None), "live");
        assert_eq!(
            length("2026-05-01T12:00:00.000Z", Some("2025-05-01T12:01:00.000Z")),
            "not known"
        );
    }

    #[test]
    fn a_field_for_times_has_no_zone_and_no_empty_fraction() {
        assert_eq!(field(Some(Moment(1_777_636_800_000))), "2026-05-01T12:00:00");
        assert_eq!(field(Some(Moment(1_777_636_800_500))), "2026-05-01T12:00:00.500");
        assert_eq!(field(None), "");
    }

    #[test]
    fn the_address_of_a_recording_stands_for_any_uuid() {
        assert_eq!(path_of("a/../<b>?#\u{e9}"), "/recordings/a%2F%2E%2E%2F%3Cb%3E%3F%23%C3%A9");
    }
}
