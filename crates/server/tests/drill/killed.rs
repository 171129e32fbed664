//! Drills that are killed, at any site: what a recovery has to do.

use std::time::Duration;

use focus_testkit::focus::Focus;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::drill_process::{DrillFiles, Ended, Said, finished, kill, kill_guards, silent};
use crate::scene::{LIMIT, Scene};

/// A site at which drills are killed.
pub(crate) trait Site {
    /// The drill's files.
    fn files(&self) -> DrillFiles;
    /// The server.
    fn focus(&self) -> &Focus;
    /// Starts a drill that stops at this place.
    async fn paused(&self, place: &str) -> Ended;
    /// The command of a recovery.
    fn recovery(&self) -> std::process::Command;
    /// The database takes writes, and nothing of any drill is left.
    async fn nothing_is_left(&self);
}

impl Site for Scene {
    fn files(&self) -> DrillFiles {
        Scene::files(self)
    }

    fn focus(&self) -> &Focus {
        &self.focus
    }

    async fn paused(&self, place: &str) -> Ended {
        Scene::paused(self, place, &["--count", "2"]).await
    }

    fn recovery(&self) -> std::process::Command {
        self.files().recover()
    }

    async fn nothing_is_left(&self) {
        Scene::nothing_is_left(self).await;
    }
}

/// A cluster, drilled by one method.
pub(crate) struct ByMethod<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) method: &'a str,
}

impl Site for ByMethod<'_> {
    fn files(&self) -> DrillFiles {
        self.cluster.files()
    }

    fn focus(&self) -> &Focus {
        &self.cluster.focus
    }

    async fn paused(&self, place: &str) -> Ended {
        self.cluster.paused(self.method, place).await
    }

    fn recovery(&self) -> std::process::Command {
        self.cluster.recover()
    }

    async fn nothing_is_left(&self) {
        self.cluster.nothing_is_left().await;
    }
}

/// A moment after its start at which a recovery is cut off.
const CUT_OFF_AFTER: Duration = Duration::from_millis(150);

/// Kills a drill at each of these places. At every other one its guard is killed too, so that the recovery alone
/// is left; at every third a recovery is killed before.
pub(crate) async fn killed_at(site: &impl Site, places: &[&str]) {
    for (at, place) in places.iter().enumerate() {
        let mut drill = site.paused(place).await;
        if at % 2 == 0 {
            kill_guards(&site.files().state);
        }
        kill(&mut drill);
        if at % 3 == 0 {
            let mut recovery = silent(site.recovery());
            tokio::time::sleep(CUT_OFF_AFTER).await;
            kill(&mut recovery);
        }
        is_put_right(site, place).await;
        // Again: nothing is to be done.
        let (code, said) = finished(site.recovery()).await;
        assert_eq!((code, &said["recovered"]), (Some(0), &Value::Null), "{place}");
    }
    println!("killed at {} places, and put right", places.len());
}

/// A recovery puts everything right, and the server is in step again.
pub(crate) async fn is_put_right(site: &impl Site, place: &str) {
    let (code, said): Said = finished(site.recovery()).await;
    assert_eq!(code, Some(0), "{place}: {said}");
    site.nothing_is_left().await;
    site.focus().until_status("catalog_state", "in_step", LIMIT).await;
}
