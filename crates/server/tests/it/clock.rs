//! The machine's clock set back and forward under a running server: Debian's libfaketime stands between
//! the shipped binary and the clock, and the test sets it as an administrator would.

use std::fs;
use std::path::{Path, PathBuf};

use focus_testkit::mongo::MongoServer;
use focus_testkit::oracle;
use focus_testkit::wait::until;

use crate::site::{LIMIT, Site, no_server_to_end};

/// Recordings at first, and of each round.
const COUNT: usize = 12;

/// What libfaketime is told, and the hours by which the clock is off then.
const SETTINGS: [(&str, i64); 4] =
    [("-1d", -24), ("+1d", 24), ("-400d", -400 * 24), ("+3650d", 3_650 * 24)];

/// The library of Debian's package `libfaketime`, which `faketime` brings along.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?;
    let named = |folder: fs::DirEntry| folder.path().join("faketime/libfaketimeMT.so.1");
    folders.filter_map(Result::ok).map(named).find(|path| path.is_file())
}

/// A site whose server's clock is what the file says.
async fn begin(server: &MongoServer, library: &Path) -> (Site, PathBuf) {
    let mut site = Site::with(server, &[]);
    let clock = site.dir.path().join("clock");
    fs::write(&clock, "+0").expect("written");
    site.focus.by = vec![
        "env".to_owned(),
        format!("LD_PRELOAD={}", library.display()),
        format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ];
    site.land(COUNT);
    site.focus.serve().await;
    site.converged(server, "node4").await;
    site.in_step().await;
    (site, clock)
}

/// Waits until the catalog is as storage: all that is planted, and the gone marked as deleted.
async fn agrees(site: &Site, server: &MongoServer, gone: &[String]) {
    let client = server.client().await;
    until("the catalog is as storage", LIMIT, || async {
        let (marker, planted) = (&site.marker, &site.planted);
        let verdict = oracle::compare(&client, server.database(), "node4", marker, planted).await;
        let mut rest = verdict.clone();
        rest.extra.retain(|uuid| !gone.contains(uuid));
        let status = site.focus.status()?;
        let good = rest.is_good()
            && verdict.extra.len() == gone.len()
            && status["deleted"] == gone.len()
            && status["pending"] == 0;
        if good { Ok(()) } else { Err(format!("{verdict:?}\n{status:#}\n{}", site.focus.log())) }
    })
    .await;
}

/// How far from the machine's clock the time is that the server shows for the outage that goes on, hours.
fn off_by(site: &Site) -> i64 {
    let status = site.focus.status().expect("a status");
    let shown: jiff::Timestamp =
        status["outage"]["began_at"].as_str().expect("an outage").parse().expect("a time");
    let hours = shown.duration_since(jiff::Timestamp::now()).as_secs_f64() / 3_600.0;
    #[expect(clippy::cast_possible_truncation, reason = "some thousands at most")]
    let hours = hours.round() as i64;
    hours
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_and_forward_changes_what_is_shown_and_nothing_else() {
    if no_server_to_end("a clock that is set") {
        return;
    }
    let Some(library) = library() else {
        println!("left out, needs libfaketime (`apt-get install faketime`): a clock that is set");
        return;
    };
    let mut server = MongoServer::start().await;
    let (mut site, clock) = begin(&server, &library).await;
    let mut gone = Vec::new();
    for (setting, hours) in SETTINGS {
        fs::write(&clock, setting).expect("written");
        server.kill();
        site.focus.until_status("catalog_state", "down", LIMIT).await;
        until("the outage is told of", LIMIT, || async {
            let status = site.focus.status()?;
            if status["outage"]["began_at"].is_string() {
                Ok(())
            } else {
                Err(format!("{status:#}"))
            }
        })
        .await;
        assert_eq!(off_by(&site), hours, "the server sees the clock as it is set");
        site.land(COUNT);
        site.focus.until_status("pending", COUNT, LIMIT).await;
        server.restart().await;
        agrees(&site, &server, &gone).await;
        let removed = site.planted.remove(1);
        let data = site.tree.root().join(&removed.path);
        fs::remove_file(data.with_extension("json")).expect("removed");
        fs::remove_file(data).expect("removed");
        gone.push(removed.uuid);
        agrees(&site, &server, &gone).await;
        let status = site.focus.status().expect("a status");
        for (field, wanted) in [("/held", 0), ("/roots/0/lease_lost", 0), ("/unrecognised", 0)] {
            assert_eq!(status.pointer(field), Some(&wanted.into()), "{field}: {status:#}");
        }
        assert_eq!(status["roots"][0]["lease"], "held", "{status:#}");
    }
    assert_eq!(site.focus.stop(), Some(0));
}
