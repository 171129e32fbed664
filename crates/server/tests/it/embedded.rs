//! The embedded catalog is taken away and brought back like any other database.

use std::fs;
use std::time::Duration;

use focus_testkit::wait::until;

use crate::site::{LIMIT, Site};

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_while_the_embedded_catalog_is_away_is_catalogued_on_its_return() {
    let mut site = Site::new(&[]);
    site.land(20);
    site.focus.serve().await;
    site.focus.until_status("recordings", 20, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let (here, away) = (site.state().join("catalog"), site.state().join("catalog.away"));
    std::fs::rename(&here, &away).expect("taken away");
    site.focus.until_status("catalog_state", "down", Duration::from_secs(5)).await;
    site.land(500);
    site.focus.until_status("pending", 500, LIMIT).await;
    std::fs::rename(&away, &here).expect("brought back");
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    let file = rusqlite::Connection::open(here.join("catalog.db")).expect("the catalog");
    let uuids: i64 = file
        .query_row("SELECT count(DISTINCT uuid) FROM recordings", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(uuids, 520);
    for planted in &site.planted {
        let row: (i64, Option<i64>, bool, String, i64) = file
            .query_row(
                "SELECT start_time, end_time, deleted, path, size FROM recordings WHERE uuid = ?1",
                [&planted.uuid],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
            )
            .expect("a document");
        let wanted =
            (planted.start_ms, planted.end_ms, planted.deleted, planted.path.clone(), planted.size);
        assert_eq!(row, wanted, "{}", planted.uuid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_damaged_index_is_rebuilt_and_nothing_is_written_anew() {
    let mut site = Site::new(&[]);
    site.land(100);
    site.focus.serve().await;
    site.focus.until_status("recordings", 100, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    let path = site.state().join("catalog/catalog.db");
    let dump = || {
        let file = rusqlite::Connection::open(&path).expect("the catalog");
        let mut rows = file
            .prepare("SELECT uuid, version, indexed_at, path FROM recordings ORDER BY uuid")
            .expect("a query");
        rows.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, String>(3)?,
            ))
        })
        .expect("rows")
        .collect::<Result<Vec<_>, _>>()
        .expect("rows")
    };
    let before = dump();
    assert_eq!(before.len(), 100);
    let index = site.state().join("index.db");
    for damage in ["lost", "damaged"] {
        match damage {
            "lost" => std::fs::remove_file(&index).expect("removed"),
            _ => std::fs::write(&index, vec![0x5A; 100_000]).expect("overwritten"),
        }
        site.focus.serve().await;
        site.focus.until_status("recordings", 100, LIMIT).await;
        site.focus.until_status("catalog_state", "in_step", LIMIT).await;
        site.focus.until_status("pending", 0, LIMIT).await;
        if damage == "damaged" {
            assert!(site.state().join("index.db.damaged-1").exists());
        }
        assert_eq!(site.focus.stop(), Some(0));
        assert_eq!(dump(), before, "{damage}");
    }
}

/// Scans wait for the observer, and the observer's looks must not wait for scans.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_scan_of_many_large_folders_ends() {
    let mut site = Site::new(&[]);
    for folder in 0..6 {
        let dir = site.tree.root().join(format!("large-{folder}"));
        std::fs::create_dir(&dir).expect("a folder");
        for n in 0..1_500 {
            let stem = dir.join(format!("f{folder}-{n}"));
            std::fs::write(stem.with_extension("dat"), "x").expect("a file");
            std::fs::write(stem.with_extension("json"), "{\"start_time\": 1}").expect("a file");
        }
    }
    site.focus.serve().await;
    site.focus.until_status("recordings", 9_000, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_of_an_outage_survives_a_restart_of_the_server() {
    let mut site = Site::new(&[]);
    site.land(2);
    site.focus.serve().await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site.focus.until_status("recordings", 2, LIMIT).await;
    let (catalog, away) = (site.state().join("catalog"), site.state().join("catalog.away"));
    fs::rename(&catalog, &away).expect("taken away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    let file = site.state().join("outages/1.json");
    until("it is kept", LIMIT, || async {
        let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
        if text.contains("began_ms") { Ok(()) } else { Err(text) }
    })
    .await;
    let began = |site: &Site| {
        let status = site.focus.status().expect("a status");
        status["outage"]["began_at"].as_str().map(str::to_owned)
    };
    let first = began(&site);
    assert!(first.is_some());
    site.focus.kill();
    site.focus.serve().await;
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    assert_eq!(began(&site), first, "after a crash");
    assert_eq!(site.focus.stop(), Some(0));
    fs::rename(&away, &catalog).expect("brought back");
    site.focus.serve().await;
    site.focus.until_status("outage", serde_json::Value::Null, LIMIT).await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    for _ in 0..2 {
        let status = site.focus.status().expect("a status");
        assert_eq!(
            status["last_outage"]["began_at"].as_str().map(str::to_owned),
            first,
            "{status:#}"
        );
        assert!(status["last_outage"]["ended_at"].is_string(), "{status:#}");
        assert_eq!(site.focus.stop(), Some(0));
        site.focus.serve().await;
    }
}
