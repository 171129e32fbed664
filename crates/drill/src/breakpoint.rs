//! Breakpoints: places at which a test stops the drill, to kill it there or to alter something. A release has
//! none of them.

use crate::state::folder::Folder;

/// A place at which a test can stop the drill, in the order in which a drill comes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Breakpoint {
    /// The plan is on disk, and the baseline taken.
    Planned,
    /// The guard is armed.
    Armed,
    /// The way down is on record, and not taken.
    DownNoted,
    /// The way down was taken.
    DownBegun,
    /// The outage is proved.
    Unreachable,
    /// The first recording is planted.
    Planting,
    /// All recordings are planted.
    Planted,
    /// The way up is on record, and not taken.
    UpBegun,
    /// The way up was taken.
    Up,
    /// Drill and server reach the database again.
    Reachable,
    /// The catalog was waited for.
    Converged,
    /// The verdict on each recording is known.
    Verdict,
    /// The side effects are known.
    SideEffects,
    /// Nothing planted is removed yet.
    Cleaning,
    /// Everything planted is removed.
    Cleaned,
    /// The plan is about to be removed.
    Forgetting,
}

/// Stops where `FOCUS_DRILL_PAUSE_AT` names this place. The file `paused` says so; the drill goes on when a test
/// removes that file.
#[cfg(debug_assertions)]
pub async fn reach(place: Breakpoint, folder: &Folder) {
    use serde::Deserialize;
    use serde::de::IntoDeserializer;
    use serde::de::value::Error;

    let Ok(name) = std::env::var("FOCUS_DRILL_PAUSE_AT") else { return };
    let wanted: Result<Breakpoint, Error> =
        Breakpoint::deserialize(name.as_str().into_deserializer());
    if wanted.is_ok_and(|wanted| wanted == place) {
        let paused = folder.file("paused");
        // Where the file cannot be written, the test waits in vain, and says so.
        let _ = std::fs::write(&paused, name);
        while paused.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
pub async fn reach(_place: Breakpoint, _folder: &Folder) {}
