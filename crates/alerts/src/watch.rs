//! The look at the engine: once a second, every rule.

use std::sync::Arc;
use std::time::Duration;

use focus_common::config::Alerts;
use focus_common::status::{CatalogState, Status};
use focus_drill::report::Verdict;
use focus_drill::report::store::Drills;
use focus_engine::{Engine, RootFacts};
use tokio::sync::watch as hand;
use tokio::time::sleep;

use super::board::{self, Board};
use super::conditions::Conditions;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// No two looks are closer than this, however near an alert is.
const LOOK_MIN: Duration = Duration::from_millis(50);

/// What is looked at.
pub(super) struct Watched {
    /// The engine of now: a rebuilt index comes with a new one.
    pub(super) engines: hand::Receiver<Arc<Engine>>,
    /// The drills that were posted.
    pub(super) drills: Arc<Drills>,
}

/// Looks until it is aborted.
pub(super) async fn run(board: Arc<Board>, watched: Watched, alerts: Arc<Alerts>) {
    let mut conditions = Conditions::default();
    loop {
        let engine = Arc::clone(&watched.engines.borrow());
        wait(&board, &engine).await;
        let last = watched.drills.last_posted();
        let failed = last.filter(|last| last.verdict != Verdict::Passed).map(|last| last.id);
        let look = move || Some(Look::at(&engine, engine.root_facts().ok()?, failed));
        // An index that cannot be read has its own state, and nothing is concluded from it.
        let Ok(Some(look)) = tokio::task::spawn_blocking(look).await else { continue };
        if look.status.catalog_state == CatalogState::Unknown {
            continue;
        }
        let seen = conditions.see(&look, &board, &alerts);
        if board.observe(seen, look.catalog, look.drill) {
            // Before anybody is told: a message that is in flight at a crash is sent again as the same.
            board::keep(&board).await;
            board.changed.notify_waiters();
        }
    }
}

/// Waits for the next look: a second, or until the catalog comes or goes, or an alert is due.
async fn wait(board: &Board, engine: &Engine) {
    let mut reach = engine.reach();
    let due = board.next_in_ms().map_or(LOOK, Duration::from_millis).clamp(LOOK_MIN, LOOK);
    tokio::select! {
        () = sleep(due) => {}
        Ok(()) = reach.changed() => {}
    }
}

/// The engine, as it was at one moment.
pub(super) struct Look {
    pub(super) status: Status,
    pub(super) roots: Vec<RootFacts>,
    /// Free bytes and all bytes of the disk with the state folder.
    pub(super) disk: Option<(u64, u64)>,
    /// The last drill that was posted, where it did not pass.
    pub(super) failed_drill: Option<String>,
    /// The catalog, as identities name it.
    catalog: String,
    /// The drill under way.
    drill: Option<String>,
}

impl Look {
    fn at(engine: &Engine, roots: Vec<RootFacts>, failed_drill: Option<String>) -> Look {
        let (status, reader) = (engine.status(), engine.reader());
        let identity = engine.catalog_identity();
        // A collection that is made anew is still the same catalog for people.
        let identity = identity.and_then(|id| id.split('/').next().map(str::to_owned));
        Look {
            catalog: identity.unwrap_or_else(|| status.catalog_address.clone()),
            drill: reader.drill_under_way().ok().flatten(),
            disk: disk(engine.state_dir()),
            failed_drill,
            status,
            roots,
        }
    }
}

/// Free bytes and all bytes of the disk with this folder.
fn disk(folder: &std::path::Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some((bytes(stat.f_bavail), bytes(stat.f_blocks)))
}
