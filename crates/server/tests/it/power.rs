//! The machine loses power under a running server: what it starts on afterwards is an index without its
//! last transactions, and the catalog ends true to storage all the same.

use std::fs;
use std::path::Path;
use std::time::Duration;

use focus_testkit::focus::Focus;
use focus_testkit::power::Moment;
use futures_util::StreamExt;

use crate::ledger;
use crate::site::{BINARY, Site};

/// Moments at which the power goes.
const MOMENTS: usize = 8;

/// Ways to lose it at each.
const WAYS: u64 = 3;

/// Copies the state folder of a server that stands still, but for what a loss leaves of its index.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("catalog")).expect("a folder");
    for name in ["identity", "catalog/catalog.db", "catalog/catalog.db-journal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("copied");
        }
    }
}

/// One server on what is left: its folder, and whether the catalog is that of the moment or of later.
async fn restart(site: &Site, state: &Path, what: &str) {
    let focus = Focus::new(BINARY, site.tree.root(), state, &["--settle-ms", "200"]);
    let mut left = Site {
        dir: tempfile::tempdir().expect("a folder"),
        tree: focus_testkit::tree::Tree::new(site.tree.root()),
        planted: site.planted.clone(),
        focus,
        marker: site.marker.clone(),
    };
    left.focus.serve().await;
    ledger::settled_in(&left.focus, left.planted.len()).await;
    let log = left.focus.log();
    assert!(!log.contains("damaged"), "{what}: {log}");
    assert_eq!(left.focus.stop(), Some(0), "{what}");
    ledger::agrees_in(state, &left, &[], &[]);
    ledger::index_in_is_sound(state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_loses_power_ends_with_a_catalog_true_to_storage() {
    let mut site = Site::new(&[]);
    site.land(50);
    site.focus.serve().await;
    ledger::settled(&site, 50).await;
    let mut cases = Vec::new();
    for at in 0..MOMENTS {
        // At another moment of looking, writing and acknowledging every time.
        site.land(60);
        tokio::time::sleep(Duration::from_millis(at as u64 * 13)).await;
        site.focus.pause();
        // Writes that were under way when the signal came are done.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let moment = Moment::read(&site.state().join("index.db"));
        for way in 0..WAYS {
            let lost = moment.lose(at as u64 * 100 + way);
            let state = site.dir.path().join(format!("state-{at}-{way}"));
            copy(&site.state(), &state);
            lost.write(&state.join("index.db"));
            cases.push((state, format!("moment {at}, way {way}: {}", lost.what), way));
        }
        site.focus.resume();
    }
    ledger::settled(&site, site.planted.len()).await;
    assert_eq!(site.focus.stop(), Some(0));
    for (state, _, way) in &cases {
        if way % 2 == 1 {
            // The catalog is another machine's, and goes on.
            let now = site.state().join("catalog/catalog.db");
            fs::copy(now, state.join("catalog/catalog.db")).expect("copied");
            let _ = fs::remove_file(state.join("catalog/catalog.db-journal"));
        }
    }
    let site = &site;
    let restarts = cases.iter().map(|(state, what, _)| restart(site, state, what));
    futures_util::stream::iter(restarts).buffer_unordered(3).collect::<Vec<()>>().await;
}
