//! Recordings that are handed over: what is taken is on storage whole, and nothing else ever is.

mod durable;
pub(crate) mod form;
mod put;
mod refused;

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use focus_testkit::wait::until;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ledger;
use crate::site::{LIMIT, Site};
use form::{Handed, answer, files, server, set, sidecar, site};

/// A site that takes recordings, and serves.
async fn serving(settings: &str) -> Site {
    let mut site = site(settings);
    site.focus.serve().await;
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    site
}

fn digest(body: &[u8]) -> String {
    format!("Content-Digest: sha-256=:{}:\r\n", STANDARD.encode(Sha256::digest(body)))
}

/// Waits until nothing is on storage but these files.
async fn only(site: &Site, wanted: &[&str]) {
    until("storage has these files", LIMIT, || async {
        let found = files(site.tree.root());
        if found == wanted { Ok(()) } else { Err(format!("{found:?}\n{}", site.focus.log())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_is_on_storage_in_the_index_and_in_the_catalog() {
    // It does not wait for its files to settle, and needs no watch and no scan.
    let site = serving("settle_ms = 3600000\nscan_interval_ms = 86400000").await;
    let data: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut handed = Handed::over("2026/tag%20ü/r.1", "first", &data);
    handed.headers = digest(&handed.body);
    let taken = handed.send(&site);
    assert_eq!(taken.status, 201, "{taken:?}");
    assert_eq!(taken.header("location"), Some("/api/v1/recordings/first"));
    assert_eq!(taken.header("focus-source"), Some("index"));
    let told = taken.json();
    assert_eq!(told["path"], "2026/tag ü/r.1.dat");
    assert_eq!(
        (&told["size"], &told["metadata"]["gain"]),
        (&Value::from(12_000_000), &Value::from(3))
    );
    let shown = site.focus.get("/api/v1/recordings/first").expect("it is there");
    let mut shown: Value = serde_json::from_str(&shown).expect("JSON");
    // What may have changed since.
    for field in ["state", "acknowledged_at", "pending", "complete_through"] {
        shown[field] = told[field].clone();
    }
    assert_eq!(shown, told);
    let root = site.tree.root();
    only(&site, &["2026/tag ü/r.1.dat", "2026/tag ü/r.1.json"]).await;
    assert!(fs::read(root.join("2026/tag ü/r.1.dat")).expect("data") == data);
    let written = fs::read(root.join("2026/tag ü/r.1.json")).expect("a sidecar");
    assert_eq!(written, sidecar("first").to_string().as_bytes());
    ledger::settled(&site, 1).await;
    let again = handed.send(&site);
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.json()["fingerprint"], told["fingerprint"]);
    assert_eq!(again.header("location"), Some("/api/v1/recordings/first"));
    // One without data, at the top, whose id is its name.
    let empty = Handed::with("e", br#"{"start_time": 1700000000}"#, b"").send(&site);
    assert_eq!((empty.status, &empty.json()["uuid"]), (201, &Value::from("e")), "{empty:?}");
    assert_eq!(empty.json()["end_time"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_is_taken_and_an_equal_one_is_told_so() {
    let site = serving("").await;
    let at_once = |all: Vec<Handed>| {
        let (address, token) = server(&site);
        let sent: Vec<_> = all
            .into_iter()
            .map(|one| {
                let (address, token) = (address.clone(), token.clone());
                thread::spawn(move || one.to(&address, &token).expect("an answer").status)
            })
            .collect();
        let mut got: Vec<u16> = sent.into_iter().map(|one| one.join().expect("sent")).collect();
        got.sort_unstable();
        got
    };
    let data = vec![1; 2_000_000];
    let same = Handed::over("new/a", "a", &data);
    assert_eq!(at_once(vec![same.clone(), same.clone(), same]), [200, 200, 201]);
    let other = vec![2; 2_000_000];
    let one_path = vec![Handed::over("new/b", "b", &data), Handed::over("new/b", "b", &other)];
    assert_eq!(at_once(one_path), [201, 409]);
    let one_uuid = vec![Handed::over("c", "c", &data), Handed::over("more/c", "c", &data)];
    assert_eq!(at_once(one_uuid), [201, 409]);
    until("three are there, and nothing else", LIMIT, || async {
        let found = files(site.tree.root());
        if found.len() == 6 { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    let many =
        (0..40).map(|n| Handed::over(&format!("many/{n}"), &format!("m{n}"), &data[..5_000]));
    let got = at_once(many.collect());
    assert!(got.iter().all(|status| *status == 201 || *status == 503), "{got:?}");
    let taken = got.iter().filter(|status| **status == 201).count();
    assert!(taken >= 16, "{got:?}");
    ledger::settled(&site, 3 + taken).await;
    assert_eq!(files(site.tree.root()).len(), 6 + 2 * taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ends_anywhere_leaves_nothing_behind() {
    let site = serving("").await;
    let handed = Handed::over("folder/r", "r", &vec![7; 100_000]);
    let (address, token) = server(&site);
    let head = handed.head(&address, &token);
    let length = handed.body.len();
    // Within the head, each part's own head, the sidecar, the data, and the last boundary.
    let cuts =
        [0, 1, 40, 150, 200, 260, 330, 400, 450, 30_000, length - 16, length - 3, length - 1];
    for cut in cuts {
        let mut stream = TcpStream::connect(&address).expect("connected");
        stream.write_all(&head).expect("sent");
        stream.write_all(&handed.body[..cut]).expect("sent");
        if cut % 2 == 0 {
            stream.shutdown(Shutdown::Write).expect("ended");
        }
        drop(stream);
    }
    only(&site, &[]).await;
    assert_eq!(handed.send(&site).status, 201);
    only(&site, &["folder/r.dat", "folder/r.json"]).await;
    ledger::settled(&site, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_waited_for_and_one_that_stops_is_not() {
    let mut site = serving("request_time_ms = 500").await;
    let handed = Handed::over("slow", "slow", &[5; 3_000]);
    let (address, token) = server(&site);
    let mut stopped = TcpStream::connect(&address).expect("connected");
    let stops = Handed::over("stops", "stops", &[5; 3_000]);
    stopped.write_all(&stops.head(&address, &token)).expect("sent");
    stopped.write_all(&stops.body[..500]).expect("sent");
    let began = Instant::now();
    let mut stream = TcpStream::connect(&address).expect("connected");
    stream.write_all(&handed.head(&address, &token)).expect("sent");
    for piece in handed.body.chunks(handed.body.len() / 20) {
        stream.write_all(piece).expect("sent");
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut bytes).expect("an answer");
    assert!(began.elapsed() > Duration::from_secs(1), "it was slow");
    assert_eq!(answer(&bytes).expect("an answer").status, 201);
    let mut bytes = Vec::new();
    stopped.set_read_timeout(Some(LIMIT)).expect("a limit");
    std::io::Read::read_to_end(&mut stopped, &mut bytes).expect("an answer");
    let late = answer(&bytes).expect("an answer");
    assert_eq!((late.status, &late.json()["type"]), (408, &Value::from("/docs#error-too-slow")));
    only(&site, &["slow.dat", "slow.json"]).await;
    assert_eq!(site.focus.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_catalog_keeps_nothing_from_being_taken() {
    let site = serving("").await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    let busy = ledger::busy(&site);
    let taken = Handed::over("a", "a", b"data").send(&site);
    assert_eq!((taken.status, &taken.json()["state"]), (201, &Value::from("pending")), "{taken:?}");
    drop(busy);
    ledger::settled(&site, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_without_its_sidecar_is_completed_by_a_repeat() {
    let site = serving("").await;
    let handed = Handed::over("half", "half", b"all of the data");
    let half = site.tree.root().join("half.dat");
    fs::write(&half, "all of the").expect("written");
    let refused = handed.send(&site);
    assert_eq!((refused.status, &refused.json()["field"]), (409, &Value::from("path")));
    fs::write(&half, "all of the data").expect("written");
    assert_eq!(handed.send(&site).status, 201);
    assert_eq!(handed.send(&site).status, 200);
    only(&site, &["half.dat", "half.json"]).await;
    ledger::settled(&site, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_deleted_can_be_handed_over_again() {
    let site = serving("").await;
    let handed = Handed::over("a", "a", b"data");
    assert_eq!(handed.send(&site).status, 201);
    for other in 0..12 {
        let other = Handed::over(&format!("o{other}"), &format!("o{other}"), b"data");
        assert_eq!(other.send(&site).status, 201);
    }
    ledger::settled(&site, 13).await;
    let remove = |stem: &str| {
        for file in [format!("{stem}.dat"), format!("{stem}.json")] {
            fs::remove_file(site.tree.root().join(file)).expect("removed");
        }
    };
    let is = async |state: &str| {
        until("its state", LIMIT, || async {
            let told = site.focus.get("/api/v1/recordings/a")?;
            let told: Value = serde_json::from_str(&told).map_err(|error| error.to_string())?;
            if told["state"] == state { Ok(()) } else { Err(format!("{told:#}")) }
        })
        .await;
    };
    is("catalogued").await;
    remove("a");
    is("deleted").await;
    // At its path, then at another one.
    assert_eq!(handed.send(&site).status, 201);
    is("catalogued").await;
    remove("a");
    is("deleted").await;
    let elsewhere = Handed::over("b/a", "a", b"data").send(&site);
    assert_eq!((elsewhere.status, &elsewhere.json()["path"]), (201, &Value::from("b/a.dat")));
    is("catalogued").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_left_is_gone_after_the_next_start_and_only_that() {
    let mut site = serving("exclude_more = [\".*\", \"hidden\"]").await;
    let root = site.tree.root().to_owned();
    let theirs = root.join(".focus-ingest-11111111-1111-4111-8111-111111111111-1");
    fs::write(&theirs, "of another server").expect("written");
    fs::create_dir(root.join("deep")).expect("a folder");
    let (address, token) = server(&site);
    let mut open = Vec::new();
    for n in 0..5 {
        let handed = Handed::over(&format!("deep/r{n}"), &format!("r{n}"), &vec![7; 300_000]);
        let mut stream = TcpStream::connect(&address).expect("connected");
        stream.write_all(&handed.head(&address, &token)).expect("sent");
        stream.write_all(&handed.body[..200_000]).expect("sent");
        open.push(stream);
    }
    until("all are being written", LIMIT, || async {
        let found = files(&root.join("deep"));
        if found.len() == 10 { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    // A scan takes nothing away that is being written.
    assert_eq!(
        site.focus.job("/api/v1/jobs", r#"{"kind": "scan"}"#).await.expect("a scan")["state"],
        "done"
    );
    assert_eq!(files(&root.join("deep")).len(), 10);
    site.focus.kill();
    assert_eq!(files(&root.join("deep")).len(), 10);
    site.focus.serve().await;
    only(&site, &[theirs.file_name().expect("a name").to_str().expect("text")]).await;
    let log = site.focus.log();
    assert!(log.contains("whose handing over broke off are removed"), "{log}");
    assert_eq!(site.focus.status().expect("a status")["unrecognised"], 0);
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_break_off_what_is_handed_over_and_a_repeat_is_safe() {
    let site = serving("").await;
    let handed = Handed::over("r", "r", &vec![7; 300_000]);
    let (address, token) = server(&site);
    let mut stream = TcpStream::connect(&address).expect("connected");
    stream.write_all(&handed.head(&address, &token)).expect("sent");
    stream.write_all(&handed.body[..200_000]).expect("sent");
    set(&site, "stat_interval_ms = 700000");
    site.focus.hang_up();
    until("the settings are taken", LIMIT, || async {
        let log = site.focus.log();
        if log.contains("stat_interval_ms") { Ok(()) } else { Err(log) }
    })
    .await;
    stream.write_all(&handed.body[200_000..]).expect("sent");
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut bytes).expect("an answer");
    let status = answer(&bytes).expect("an answer").status;
    assert!(status == 201 || status == 503, "{status}");
    until("a repeat is taken", LIMIT, || async {
        let again = handed.send(&site);
        if again.status < 300 { Ok(()) } else { Err(format!("{again:?}")) }
    })
    .await;
    only(&site, &["r.dat", "r.json"]).await;
    ledger::settled(&site, 1).await;
}
