//! A root whose marker changes while the server runs: another root in its place is none of ours, and
//! the first one is taken up again by itself.

use std::fs;
use std::time::Duration;

use focus_testkit::mongo::MongoServer;
use focus_testkit::tree::Writing;

use crate::site::{LIMIT, Site, embedded_only};

/// A return is noticed within this.
const NOTICED: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_root_whose_marker_is_another_one_is_replaced_until_its_own_is_back() {
    if embedded_only("a marker that changes") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = Site::with(&server, &["--scan-interval-ms", "500"]);
    site.land(20);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    let path = site.tree.root().join(".focus-root");
    let own = fs::read(&path).expect("a marker");
    let another = String::from_utf8_lossy(&own).replace(&site.marker, "00000000-0000-4000-8000-1");
    for broken in [Some(another.as_str()), None, Some("{")] {
        match broken {
            Some(text) => fs::write(&path, text).expect("written"),
            None => fs::remove_file(&path).expect("removed"),
        }
        let state = if broken == Some(another.as_str()) { "replaced" } else { "no_marker" };
        site.focus.until_status("/roots/0/state", state, NOTICED).await;
        let status = site.focus.status().expect("a status");
        let reason = status["roots"][0]["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.contains(&site.tree.root().display().to_string()), "{reason}");
        if state == "replaced" {
            assert!(reason.contains("replaced") && reason.contains("marker"), "{reason}");
        }
        // What is there is not looked at: nothing is catalogued, and nothing counts as gone.
        let stray = site.tree.add(3, Writing::Moved);
        fs::remove_file(site.tree.root().join(&site.planted[0].path)).expect("removed");
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let status = site.focus.status().expect("a status");
        let known = site.planted.len() as u64;
        assert_eq!((&status["recordings"], &status["vanished"]), (&known.into(), &0.into()));
        fs::write(
            site.tree.root().join(&site.planted[0].path),
            vec![b'x'; usize::try_from(site.planted[0].size).expect("small")],
        )
        .expect("back");

        fs::write(&path, &own).expect("restored");
        site.focus.until_status("/roots/0/state", "present", NOTICED).await;
        site.planted.extend(stray);
        site.converged(&server, "node4").await;
        site.land(2);
        site.converged(&server, "node4").await;
        site.focus.until_status("pending", 0, LIMIT).await;
    }
}
