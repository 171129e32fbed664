//! The watch of a root while it is there: started with the session, and tried again where it could not
//! be, or has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_common::status::WatchState;
use focus_core::recording::Place;
use focus_core::settle::Closed;
use focus_storage::watch::{Hint, Watch, WatchProblem};
use focus_storage::{Pair, PartKind, Root};

use super::inbox::ScanAsked;
use super::root::ServedRoot;

/// The watch of one session.
pub(crate) struct Watching<'a> {
    side: &'a ServedRoot,
    root: &'a Root,
    pair: &'a Pair,
    watch: Result<Watch, WatchProblem>,
    tried: Instant,
    /// Between two tries.
    every: Duration,
}

impl<'a> Watching<'a> {
    /// Starts it; a watch that cannot be is a state.
    pub(crate) fn start(
        side: &'a ServedRoot,
        root: &'a Root,
        pair: &'a Pair,
        every: Duration,
    ) -> Watching<'a> {
        let watch = start(side, root, pair);
        let watching = Watching { side, root, pair, watch, tried: Instant::now(), every };
        watching.tell();
        watching
    }

    /// Looks after it. A watch that came back has missed something: all is looked at.
    pub(crate) fn keep(&mut self) {
        if self.watch.as_ref().is_ok_and(Watch::has_ended) {
            // It ends by itself where a new folder cannot be watched any more.
            self.watch = Err(WatchProblem::Limit);
            self.tell();
        }
        let hopeless = matches!(self.watch, Ok(_) | Err(WatchProblem::Unsupported(_)));
        if hopeless || self.tried.elapsed() < self.every {
            return;
        }
        self.tried = Instant::now();
        let again = start(self.side, self.root, self.pair);
        if again.is_ok() {
            tracing::info!("{}: watched again", self.root.path().display());
            self.side.inbox.ask_scan(ScanAsked::Stat);
            self.watch = again;
            self.tell();
        }
    }

    fn tell(&self) {
        let mut status = self.side.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let words = self.watch.as_ref().err().map(ToString::to_string);
        if let Some(words) =
            words.as_ref().filter(|words| status.watch_reason.as_ref() != Some(words))
        {
            tracing::warn!("{}: {words}", self.root.path().display());
        }
        status.watch = if words.is_none() { WatchState::Watching } else { WatchState::Scanning };
        status.watch_reason = words;
    }
}

fn start(side: &ServedRoot, root: &Root, pair: &Pair) -> Result<Watch, WatchProblem> {
    let inbox = Arc::clone(&side.inbox);
    let pair = pair.clone();
    let sink = move |hint| match hint {
        Hint::File { folder, name, closed } => {
            let Some(part) = pair.part(&name) else { return };
            let is_data = matches!(part.kind, PartKind::Data(_));
            let closed = Closed { data: closed && is_data, sidecar: closed && !is_data };
            inbox.hint(Place { folder, stem: part.stem.to_vec() }, closed);
        }
        Hint::Folder { folder } => inbox.hint_folder(folder),
        Hint::Rescan => inbox.ask_scan(ScanAsked::Stat),
        // The observer's own look at the root tells what became of it.
        Hint::RootGone => inbox.ask_scan(ScanAsked::Names),
    };
    Watch::start(root, Box::new(sink))
}
