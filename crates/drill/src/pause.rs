//! Places at which a test stops the drill, to kill it there or to alter something. Nothing of it is in a
//! release.

use super::plan::Folder;

/// Stops where `FOCUS_DRILL_PAUSE_AT` names this place, says so in the file `paused`, and goes on when
/// that is removed.
#[cfg(debug_assertions)]
pub async fn at(place: &str, folder: &Folder) {
    if std::env::var("FOCUS_DRILL_PAUSE_AT").is_ok_and(|wanted| wanted == place) {
        // Where it cannot be said the test waits in vain, and says so.
        let paused = folder.file("paused");
        let _ = std::fs::write(&paused, place);
        while paused.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
pub async fn at(_place: &str, _folder: &Folder) {}
