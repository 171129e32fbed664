//! The thread of one root: it opens the root, watches it, scans it and observes it, and begins anew
//! with every return of its storage.

use std::time::{Duration, Instant};

use focus_common::clock;
use focus_common::config::Settings;
use focus_core::vanish::Held;
use focus_index::{HeldRow, Index, IndexError, RootId};
use focus_storage::{Pair, Root, RootProblem};

use crate::absence::Absence;
use crate::form;
use crate::inbox::ScanAsked;
use crate::known_folders::KnownFolders;
use crate::observer::{ObserveError, Observer};
use crate::present_root::PresentRoot;
use crate::scanner;
use crate::served_root::ServedRoot;
use crate::watching::Watching;

/// Time between two looks for a root that is not there, and between two tries of an index that fails.
const RETURN_LOOK: Duration = Duration::from_millis(500);

/// Time between two looks whether the root that was opened is still there.
const PRESENCE_LOOK: Duration = Duration::from_secs(1);

/// Held deletions read from the index at once.
const HELD_PAGE: usize = 4_096;

/// Serves a root until its inbox is closed.
pub(crate) fn run(served: &ServedRoot, index: &Index, settings: &Settings) {
    let mut expected: Option<String> = None;
    while !served.inbox.is_closed() {
        match open(served, index, expected.as_deref()) {
            Ok(root) => {
                let root = root.excluding(settings.exclude_of(&served.settings));
                expected = Some(root.id().to_owned());
                served.inbox.reopen();
                served.set_marker_place(&root);
                if let Some(id) = remember(served, index, &root)
                    && let Some(pair) = pairs(served, index, id, settings)
                {
                    let (root, pair, folders) = (&root, &pair, &KnownFolders::default());
                    let present = PresentRoot { served, root, id, index, pair, settings, folders };
                    if let Err(problem) = session(present) {
                        served.set_lost(&problem);
                    }
                }
            }
            Err(NotOpened::Root(problem)) => served.set_lost(&problem),
            Err(NotOpened::Index(error)) => served.index_fault.tell(&error),
        }
        served.inbox.pause(RETURN_LOOK);
    }
}

/// Why a root is not served now.
enum NotOpened {
    /// It is not there, or is another's.
    Root(RootProblem),
    /// The index does not say where its marker was seen last.
    Index(IndexError),
}

/// Opens the root. A root that was there before has to be the same one: its marker says so. One whose
/// marker is another configured root's is not served.
fn open(served: &ServedRoot, index: &Index, expected: Option<&str>) -> Result<Root, NotOpened> {
    let path = &served.settings.path;
    let root = Root::open(path).map_err(|problem| {
        served.markers.none_at(path);
        NotOpened::Root(problem)
    })?;
    let known_at = if expected == Some(root.id()) {
        None
    } else {
        index.reader().root_with_marker(root.id()).map_err(NotOpened::Index)?
    };
    let known_at = known_at.map(|(_, path)| path);
    served.markers.take(&root, known_at.as_deref()).map_err(NotOpened::Root)?;
    match expected {
        Some(id) if id != root.id() => Err(NotOpened::Root(RootProblem::Replaced {
            path: path.to_owned(),
            words: format!(
                "its marker is {} and was {id}. Bring the storage back, or restart to take the new one",
                root.id()
            ),
        })),
        _ => Ok(root),
    }
}

/// The root's row in the index. Tries until the index answers; none where the inbox is closed before.
fn remember(served: &ServedRoot, index: &Index, root: &Root) -> Option<RootId> {
    let known = served.memory.borrow().as_ref().map(|(_, memory)| memory.id);
    if known.is_some() {
        return known;
    }
    let path = root.path().display().to_string();
    loop {
        match index.root_blocking(root.id().to_owned(), path.clone(), clock::boot_ms()) {
            Ok(memory) => {
                let id = memory.id;
                index.reader().was_there(&served.path(), root.id());
                served.remember(root.id(), memory);
                return Some(id);
            }
            Err(error) => served.index_fault.tell(&error),
        }
        if served.inbox.is_closed() {
            return None;
        }
        served.inbox.pause(RETURN_LOOK);
    }
}

/// What the pairs of the root are. Tries until the index answers; none where the inbox is closed before.
fn pairs(served: &ServedRoot, index: &Index, id: RootId, settings: &Settings) -> Option<Pair> {
    while !served.inbox.is_closed() {
        match form::pairs(served, settings, index, id) {
            Ok(pair) => return Some(pair),
            Err(error) => served.index_fault.tell(&error),
        }
        served.inbox.pause(RETURN_LOOK);
    }
    None
}

/// Serves a root from its being there to its being lost, or to the end of everything.
fn session(present: PresentRoot<'_>) -> Result<(), RootProblem> {
    // Watched before the first scan, so that nothing slips between.
    let watching = Watching::start(present);
    present.served.set_present(present.root);
    show_again(present);
    present.inbox().ask_scan(ScanAsked::Stat);
    std::thread::scope(|scope| {
        let scanner = std::thread::Builder::new()
            .name("scan".to_owned())
            .spawn_scoped(scope, || scanner::run(present));
        let ended = match scanner {
            Ok(_) => observe(present, watching),
            // Without a scan nothing is ever found or concluded: the next session tries again.
            Err(error) => {
                tracing::error!(
                    "no thread to scan {}: {error}. Raise the limit of threads (`ulimit -u`, `TasksMax=`)",
                    present.root.path().display()
                );
                present.inbox().pause(RETURN_LOOK);
                Ok(())
            }
        };
        present.inbox().lose_root();
        ended
    })
}

/// Looks anew for what was held because an exclude or the form of pairs hid it, and which the present ones do not
/// hide. It waits for a person where that fails, as before.
fn show_again(present: PresentRoot<'_>) {
    let PresentRoot { index, id, root, pair, .. } = present;
    let mut after = 0;
    loop {
        let page = match index.reader().held(id, after, HELD_PAGE) {
            Ok(page) => page,
            Err(error) => return present.served.index_fault.tell(&error),
        };
        let Some(last) = page.last() else { return };
        after = last.seq;
        let is_shown = |row: &&HeldRow| {
            let path = row.path.as_bytes();
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
            let is_hidden = root.exclude().hides_path(path) || pair.former_stem(name).is_some();
            row.why == Held::Excluded && !is_hidden
        };
        let seqs: Vec<i64> = page.iter().filter(is_shown).map(|row| row.seq).collect();
        if seqs.is_empty() {
            continue;
        }
        if let Err(error) = index.shown_blocking(id, seqs) {
            return present.served.index_fault.tell(&error);
        }
    }
}

/// Observes what waits, and follows absences, until the session is over.
fn observe(present: PresentRoot<'_>, mut watching: Watching<'_>) -> Result<(), RootProblem> {
    let (served, inbox) = (present.served, present.inbox());
    let observer = Observer::new(present);
    let mut absence = Absence::new(present);
    let mut looked = Instant::now();
    while !inbox.is_over() {
        match observer.round().and_then(|news| Ok(absence.round()? | news)) {
            Ok(news) => {
                served.index_fault.clear();
                if news {
                    served.wake.notify_one();
                }
            }
            Err(ObserveError::Root(problem)) => return Err(problem),
            Err(ObserveError::Index(error)) => {
                served.index_fault.tell(&error);
                absence.start_over();
                inbox.pause(RETURN_LOOK);
            }
        }
        if looked.elapsed() >= PRESENCE_LOOK {
            present.root.still_there()?;
            served.set_marker_place(present.root);
            watching.keep();
            looked = Instant::now();
        }
    }
    present.root.still_there()
}
