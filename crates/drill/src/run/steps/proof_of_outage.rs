//! Step 3: proves the outage. It is proved when the drill cannot write to the database, several looks in a row,
//! and the server's own status says that its catalog is down; never by what was done to a process.

use std::time::Instant;

use crate::early_end::EarlyEnd;
use crate::run::context::{Drill, Seen, StepResult};
use crate::server::CatalogState;
use crate::state::progress::Stage;
use crate::watcher::{DrillView, ServerView};

/// The drill's own view counts once this many looks in a row say the same.
const LOOKS: u64 = 2;

/// When the outage began.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) struct Proof {
    /// The drill's last sight of the database.
    pub(in crate::run) gone: Instant,
    /// From then until the server's status said so, milliseconds.
    pub(in crate::run) detect_ms: u64,
}

/// Waits until the outage is proved. `begun` is when the way down was taken.
pub(in crate::run) async fn wait(drill: &Drill<'_>, begun: Instant) -> StepResult<Proof> {
    let within = drill.deployment.outage.effect_within();
    let away = drill.watcher.until(within, |drill, server| {
        !drill.reachable && drill.in_a_row >= LOOKS && server.is_down()
    });
    let away = away.await;
    let (view, server) = (drill.watcher.drill(), drill.watcher.server());
    if !away {
        return Err(EarlyEnd::inconclusive(format!(
            "the outage did not take the database away within {} s: {}",
            within.as_secs(),
            still_there(&view, &server)
        )));
    }
    drill.journal.stage(Stage::Down)?;
    drill.watcher.outage(true);
    let gone = view.last_reached.map_or(begun, |seen| seen.max(begun));
    let noticed = server.since.unwrap_or_else(Instant::now);
    let detect = noticed.saturating_duration_since(gone);
    let detect_ms = u64::try_from(detect.as_millis()).unwrap_or(u64::MAX);
    let detail = format!(
        "for the drill (no primary takes writes) and for the server (catalog_state down), which noticed after {detect_ms} ms"
    );
    Ok(Seen::new(Proof { gone, detect_ms }, detail))
}

/// Who still reaches the database.
fn still_there(view: &DrillView, server: &ServerView) -> String {
    let state = server.state_name();
    match (view.reachable, server.state) {
        (true, Some(CatalogState::Down)) => {
            "the server says that it is down, but the drill still reaches it".to_owned()
        }
        (true, _) => format!("the drill still reaches it, and the server says {state}"),
        (false, _) => format!("the drill does not reach it, but the server says {state}"),
    }
}
