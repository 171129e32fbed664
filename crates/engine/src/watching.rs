//! The watch of a root while it is there: started with the session, and tried again where it could not
//! be started or has ended.

use std::sync::Arc;
use std::time::Instant;

use focus_common::metrics::counters;
use focus_core::recording::Place;
use focus_core::settle::Closed;
use focus_storage::PartKind;
use focus_storage::watch::{Hint, Watch, WatchProblem};

use crate::inbox::ScanAsked;
use crate::present_root::PresentRoot;

/// The watch of one session.
pub(crate) struct Watching<'a> {
    present: PresentRoot<'a>,
    watch: Result<Watch, WatchProblem>,
    /// When the watch was last tried to start.
    tried: Instant,
}

impl<'a> Watching<'a> {
    /// Starts the watch. A watch that cannot be started is a state, not an error: scans find
    /// everything.
    pub(crate) fn start(present: PresentRoot<'a>) -> Watching<'a> {
        let is_on = present.settings.watch_of(&present.served.settings);
        let watch = if is_on { start(present) } else { Err(WatchProblem::Off) };
        let watching = Watching { present, watch, tried: Instant::now() };
        watching.tell();
        watching
    }

    /// Looks after the watch, and tries to start it again as often as the root is scanned. A watch that
    /// was started again has missed something: the whole root is scanned.
    pub(crate) fn keep(&mut self) {
        if self.watch.as_ref().is_ok_and(Watch::has_ended) {
            // A watch ends by itself where a new folder cannot be watched any more.
            self.watch = Err(WatchProblem::Limit);
            self.tell();
        }
        let needs_no_try =
            matches!(self.watch, Ok(_) | Err(WatchProblem::Unsupported(_) | WatchProblem::Off));
        let every = self.present.scan_interval();
        if needs_no_try || self.tried.elapsed() < every {
            return;
        }
        self.tried = Instant::now();
        let again = start(self.present);
        if again.is_ok() {
            tracing::info!("{}: watched again", self.present.root.path().display());
            self.present.inbox().ask_scan(ScanAsked::Stat);
            self.watch = again;
            self.tell();
        }
    }

    fn tell(&self) {
        let problem = self.watch.as_ref().err();
        if let Some(problem) = problem.filter(|problem| **problem != WatchProblem::Off) {
            self.present.served.warn_of_watch(problem);
        }
        self.present.served.set_watch(problem.map(ToString::to_string));
    }
}

fn start(present: PresentRoot<'_>) -> Result<Watch, WatchProblem> {
    let inbox = Arc::clone(&present.served.inbox);
    let pair = present.pair.clone();
    let hints = |result| counters().hints.with_label_values(&["watch", result]);
    let (accepted, ignored) = (hints("accepted"), hints("ignored"));
    let sink = move |hint| match hint {
        Hint::File { folder, name, closed } => {
            let Some(part) = pair.part(&name) else { return ignored.inc() };
            accepted.inc();
            let is_data = matches!(part.kind, PartKind::Data(_));
            let closed = Closed { data: closed && is_data, sidecar: closed && !is_data };
            if !pair.is_exact(part.kind) {
                // Where another spelling counts, this file is looked at by itself.
                inbox.hint(Place { folder: folder.clone(), stem: name.clone() }, closed);
            }
            inbox.hint(Place { folder, stem: part.stem.to_vec() }, closed);
        }
        Hint::Folder { folder } => {
            accepted.inc();
            inbox.hint_folder(folder);
        }
        Hint::Rescan => inbox.ask_scan(ScanAsked::Stat),
        // The session looks at the root itself, and tells whether it is there.
        Hint::RootGone => inbox.ask_scan(ScanAsked::Names),
    };
    Watch::start(present.root, Box::new(sink))
}
