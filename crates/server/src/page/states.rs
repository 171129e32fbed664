//! The parts of the server, each with its state, since when, and what to do.

use std::collections::BTreeMap;

use focus_common::alerts::AlertsStatus;
use focus_common::status::{
    CatalogState, HintQueueState, HintQueueStatus, IndexState, RootLease, RootState, RootStatus,
    Status, WatchState,
};
use maud::{Markup, html};

use super::frame::tone_of;
use super::parts::{self, Tone};
use crate::history::{Part, Since};

/// Roots whose parts are shown one by one. What is wrong comes first, so nothing wrong is left out unless more
/// roots than these are wrong.
const ROOTS_MAX: usize = 100;

/// A part as it is shown.
#[derive(Debug)]
pub(super) struct Shown {
    part: Part,
    pub(super) tone: Tone,
    state: &'static str,
    since: Option<Since>,
    /// What that means, and what to do.
    words: Markup,
    /// A path of this page that says more.
    more: Option<(&'static str, &'static str)>,
}

/// Every part of the status.
pub(super) fn of(
    status: &Status,
    since: &BTreeMap<Part, Since>,
    scan_interval_ms: u64,
) -> Vec<Shown> {
    let mut shown = vec![catalog(status), index(status), text_index(status)];
    shown.push(alerts(status.alerts.as_ref()));
    for root in &status.roots {
        shown.extend([folder(root), lease(root), watch(root, scan_interval_ms)]);
    }
    shown.extend(status.hints.iter().map(queue));
    for one in &mut shown {
        one.since = since.get(&one.part).copied();
    }
    shown
}

/// The parts as lists: the server's, then those of each root.
pub(super) fn list(shown: &[Shown]) -> Markup {
    let of_root = |one: &&Shown| root_of(&one.part).is_some();
    let (roots, server): (Vec<&Shown>, Vec<&Shown>) = shown.iter().partition(of_root);
    let mut paths: Vec<(&str, Vec<&Shown>)> = Vec::new();
    for one in roots {
        let Some(path) = root_of(&one.part) else { continue };
        match paths.last_mut().filter(|(known, _)| *known == path) {
            Some((_, parts)) => parts.push(one),
            None => paths.push((path, vec![one])),
        }
    }
    let is_fine =
        |parts: &Vec<&Shown>| !parts.iter().any(|one| matches!(one.tone, Tone::Bad | Tone::Warn));
    if paths.len() > 1 {
        paths.sort_by_key(|(_, parts)| is_fine(parts));
    }
    let beyond = paths.len().saturating_sub(ROOTS_MAX);
    html! {
        ul.parts { @for one in server { (row(one)) } }
        @for (path, parts) in paths.iter().take(ROOTS_MAX) {
            h3 { "Root " (parts::foreign(path)) }
            ul.parts { @for one in parts { (row(one)) } }
        }
        @if beyond > 0 { p { "And " (parts::number(beyond as u64)) " more roots: " code { "focus status" } " lists them." } }
    }
}

fn root_of(part: &Part) -> Option<&str> {
    match part {
        Part::Root(path) | Part::Lease(path) | Part::Watch(path) => Some(path),
        Part::Catalog | Part::Index | Part::TextIndex | Part::Alerts | Part::Hints(_) => None,
    }
}

impl Shown {
    /// Its name in a sentence.
    pub(super) fn name(&self) -> Markup {
        html! {
            @match &self.part {
                Part::Catalog => { "the catalog" }
                Part::Index => { "the index" }
                Part::TextIndex => { "the text index" }
                Part::Alerts => { "alerts" }
                Part::Root(path) => { "the storage of " (parts::foreign(path)) }
                Part::Lease(path) => { "the lease of " (parts::foreign(path)) }
                Part::Watch(path) => { "the watch of " (parts::foreign(path)) }
                Part::Hints(name) => { "the hints of " (parts::foreign(name)) }
            }
        }
    }
}

fn row(one: &Shown) -> Markup {
    html! {
        li {
            span.name {
                @match &one.part {
                    Part::Catalog => { "Catalog" }
                    Part::Index => { "Index" }
                    Part::TextIndex => { "Text index" }
                    Part::Alerts => { "Alerts" }
                    Part::Root(_) => { "Storage" }
                    Part::Lease(_) => { "Lease" }
                    Part::Watch(_) => { "Watch" }
                    Part::Hints(name) => { "Hints " (parts::foreign(name)) }
                }
            }
            (parts::state(one.tone, one.state))
            span.since {
                @match one.since {
                    Some(Since::Seen(at_ms)) => { "since " (parts::time_of(at_ms)) }
                    Some(Since::Start(at_ms)) => { "since the start, " (parts::time_of(at_ms)) }
                    None => { "since a moment ago" }
                }
            }
            span.words {
                (one.words)
                @if let Some((path, name)) = one.more { " " a href=(path) { (name) } }
            }
        }
    }
}

fn part(part: Part, tone: Tone, state: &'static str, words: Markup) -> Shown {
    Shown { part, tone, state, since: None, words, more: None }
}

fn catalog(status: &Status) -> Shown {
    let usual = match status.catalog_state {
        CatalogState::Unknown => "Nothing is known of it yet.",
        CatalogState::Connecting => "The database is being reached, and asked what it is.",
        CatalogState::Recovering => "It is there, and a backlog is being written to it.",
        CatalogState::InStep => "It holds what the index holds.",
        CatalogState::Standby => "Another server has the lease, and writes.",
        CatalogState::Down => {
            "Recordings keep landing, and are written when it is back. Look after the database."
        }
    };
    let words = html! {
        @match &status.catalog_reason { Some(reason) => { (parts::told(reason)) } None => { (usual) } }
        @for remark in &status.catalog_remarks { " " (parts::told(remark)) }
        " " span.soft { (status.catalog.name()) " " (parts::foreign(&status.catalog_address)) }
    };
    let tone = if status.catalog_refuses { Tone::Bad } else { tone_of(status.catalog_state) };
    let mut shown = part(Part::Catalog, tone, status.catalog_state.name(), words);
    shown.more = status.outage.as_ref().map(|_| ("/outages", "The outage"));
    shown
}

fn index(status: &Status) -> Shown {
    let (tone, usual) = match status.index_state {
        IndexState::Ok => (Tone::Good, "Every answer comes from it."),
        IndexState::Rebuilt => {
            (Tone::Warn, "It was damaged or missing, and was made anew from storage.")
        }
        IndexState::DiskFull => (Tone::Bad, "There is no room on its disk: make some."),
        IndexState::Damaged => (Tone::Bad, "It is damaged, and is made anew from storage."),
        IndexState::Failed => (Tone::Bad, "It fails: look after the disk of the state folder."),
    };
    let words = reason_or(status.index_reason.as_deref(), usual);
    part(Part::Index, tone, status.index_state.name(), words)
}

fn text_index(status: &Status) -> Shown {
    let known = &status.text_index;
    let (tone, state) =
        if known.done < known.of { (Tone::Busy, "indexing") } else { (Tone::Good, "ready") };
    let words = html! {
        @if known.done < known.of {
            (parts::number(known.done)) " of " (parts::number(known.of)) " recordings. Texts are looked for meanwhile, only slower."
        } @else { "Texts are looked for in it." }
        @for key in status.indexed_metadata.iter().take(20) {
            " " span.soft { (parts::foreign(&key.key)) ": " (key.state.name()) }
        }
    };
    part(Part::TextIndex, tone, state, words)
}

fn alerts(alerts: Option<&AlertsStatus>) -> Shown {
    let none = AlertsStatus::default();
    let alerts = alerts.unwrap_or(&none);
    let failing = alerts.channels.iter().filter(|channel| channel.state == "failing").count();
    let (tone, state) = match (alerts.firing, failing) {
        (0, 0) => (Tone::Good, "quiet"),
        (0, _) => (Tone::Warn, "quiet"),
        _ => (Tone::Warn, "firing"),
    };
    let words = html! {
        @match alerts.firing {
            0 => { "No alert is raised." }
            1 => { "One alert is raised." }
            firing => { (parts::number(firing)) " alerts are raised." }
        }
        @match (alerts.channels.len(), failing) {
            (0, _) => { " Nobody is told: no channel is set up." }
            (_, 0) => {}
            (all, failing) => { " " (failing) " of " (all) " channels do not take messages." }
        }
        @if !alerts.silences.is_empty() { " " (alerts.silences.len()) " silenced." }
    };
    let mut shown = part(Part::Alerts, tone, state, words);
    shown.more = Some(("/alerts", "Alerts"));
    shown
}

fn folder(root: &RootStatus) -> Shown {
    let (tone, usual) = match root.state {
        RootState::Unknown => (Tone::Busy, "It has not been opened yet."),
        RootState::Present if root.unreadable_folders > 0 => (Tone::Warn, ""),
        RootState::Present => (Tone::Good, "It is there."),
        RootState::Absent => (Tone::Bad, "Its folder is not there: mount it, or correct the path."),
        RootState::NoMarker => {
            (Tone::Bad, "It has no marker: mount what belongs there, or mark it with `focus init`.")
        }
        RootState::Replaced => (Tone::Bad, "Another root lies in its place: mount the right one."),
        RootState::DuplicateMarker => (
            Tone::Bad,
            "It has the marker of another root: make it one of its own with `focus init --new`.",
        ),
        RootState::Unreadable => {
            (Tone::Bad, "It cannot be read: look after the storage and the rights.")
        }
    };
    let words = html! {
        (reason_or(root.reason.as_deref(), usual))
        @if root.unreadable_folders > 0 {
            " " (parts::number(root.unreadable_folders)) " folders could not be read in the last scan: look after their rights."
        }
        @if let Some(at) = &root.last_scan_at {
            " " span.soft {
                "Last scan " (parts::time(at)) @if let Some(ms) = root.last_scan_ms { ", in " (parts::duration(ms)) }
            }
        }
    };
    part(Part::Root(root.path.clone()), tone, root.state.name(), words)
}

fn lease(root: &RootStatus) -> Shown {
    let holder = root.lease_holder.as_deref().unwrap_or("another server");
    let (tone, words) = match root.lease {
        RootLease::Unknown => {
            (Tone::Plain, html! { "Not known while the catalog cannot be asked." })
        }
        RootLease::Held => (Tone::Good, html! { "This server writes." }),
        RootLease::Standby => (
            Tone::Plain,
            html! { (parts::foreign(holder)) " writes. This server takes over when that one does not renew its lease." },
        ),
    };
    let words = html! {
        (words)
        @if root.lease_lost > 0 { " Lost " (parts::number(root.lease_lost)) " times since the start." }
    };
    part(Part::Lease(root.path.clone()), tone, root.lease.name(), words)
}

fn watch(root: &RootStatus, scan_interval_ms: u64) -> Shown {
    let tone = match (root.watch, &root.watch_reason) {
        (_, Some(_)) => Tone::Warn,
        (WatchState::Watching, None) => Tone::Good,
        (WatchState::Scanning, None) => Tone::Plain,
    };
    let usual = match root.watch {
        WatchState::Watching => "New recordings are noticed at once.".to_owned(),
        WatchState::Scanning => format!(
            "New recordings are noticed by scans alone, every {} at most.",
            parts::duration(scan_interval_ms)
        ),
    };
    let words = html! {
        (reason_or(root.watch_reason.as_deref(), &usual))
        @if root.watch_missed > 0 { " " (parts::number(root.watch_missed)) " recordings were missed, and found by scans." }
    };
    part(Part::Watch(root.path.clone()), tone, root.watch.name(), words)
}

fn queue(queue: &HintQueueStatus) -> Shown {
    let (tone, usual) = match queue.state {
        HintQueueState::Connecting => (Tone::Busy, "The broker is being called."),
        HintQueueState::Connected => (Tone::Good, "Messages come in."),
        HintQueueState::Failing => {
            (Tone::Warn, "The broker does not answer, or refuses. It is tried again.")
        }
    };
    let words = html! {
        (reason_or(queue.reason.as_deref(), usual))
        " " span.soft {
            (parts::foreign(&queue.kind)) ", " (parts::number(queue.accepted)) " of " (parts::number(queue.received)) " hints accepted"
        }
    };
    part(Part::Hints(queue.name.clone()), tone, queue.state.name(), words)
}

fn reason_or(reason: Option<&str>, usual: &str) -> Markup {
    html! { @match reason { Some(reason) => { (parts::told(reason)) } None => { (parts::told(usual)) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(shown: &[Shown], part: &Part) -> Tone {
        shown.iter().find(|one| one.part == *part).map(|one| one.tone).expect("shown")
    }

    #[test]
    fn every_part_is_shown_and_what_is_wrong_comes_first_among_roots() {
        let root = |path: &str, state| RootStatus {
            path: path.to_owned(),
            state,
            watch: WatchState::Watching,
            lease: RootLease::Held,
            ..RootStatus::default()
        };
        let status = Status {
            catalog_state: CatalogState::InStep,
            roots: vec![root("/fine", RootState::Present), root("/gone", RootState::Absent)],
            hints: vec![HintQueueStatus { name: "<i>".to_owned(), ..HintQueueStatus::default() }],
            ..Status::default()
        };
        let shown = of(&status, &BTreeMap::new(), 60_000);
        assert_eq!(shown.len(), 4 + 2 * 3 + 1);
        assert_eq!(tone(&shown, &Part::Catalog), Tone::Good);
        assert_eq!(tone(&shown, &Part::Root("/gone".to_owned())), Tone::Bad);
        let text = list(&shown).into_string();
        assert!(text.find("/gone").expect("there") < text.find("/fine").expect("there"), "{text}");
        assert!(text.contains("&lt;i&gt;") && !text.contains("<i>"), "{text}");
    }
}
