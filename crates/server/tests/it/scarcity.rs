//! What a machine may lack for a while: file handles, permissions, a clock that is right. Served on, told
//! by the status, and put right by itself.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use focus_testkit::tree::Writing;
use focus_testkit::wait::until;
use serde_json::Value;

use crate::hardship::as_nobody;
use crate::ledger;
use crate::site::{LIMIT, Site};

const COUNT: usize = 12;

/// Open files that the server is allowed.
const FILES: usize = 64;

/// A connection that is kept: asking on it needs no file handle of the server's.
struct Kept(TcpStream);

impl Kept {
    fn to(address: &str) -> Kept {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time");
        Kept(stream)
    }

    fn status(&mut self) -> Result<Value, String> {
        let request = "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
        self.0.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4_096];
        while !answer.ends_with(b"\r\n0\r\n\r\n") {
            let read = self.0.read(&mut buffer).map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("closed".to_owned());
            }
            answer.extend_from_slice(&buffer[..read]);
        }
        let text = String::from_utf8_lossy(&answer).to_string();
        let (_, mut rest) = text.split_once("\r\n\r\n").ok_or("no head")?;
        // The body comes in chunks, each with its length before it.
        let mut body = String::new();
        while let Some((length, after)) = rest.split_once("\r\n") {
            let length = usize::from_str_radix(length, 16).map_err(|error| error.to_string())?;
            body.push_str(after.get(..length).ok_or("half a chunk")?);
            rest = after.get(length + 2..).unwrap_or_default();
        }
        serde_json::from_str(&body).map_err(|error| format!("{error}: {text}"))
    }
}

fn address(site: &Site) -> String {
    let file = fs::read(site.state().join("server.json")).expect("an address");
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    file["address"].as_str().expect("an address").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_file_handles_is_told_and_goes_on_once_there_are_some() {
    let mut site = Site::new(&[]);
    let limit = format!("ulimit -n {FILES}; exec \"$@\"");
    site.focus.by = ["sh", "-c", &limit, "sh"].map(str::to_owned).to_vec();
    site.land(COUNT);
    site.focus.serve().await;
    ledger::settled(&site, COUNT).await;
    let address = address(&site);
    let mut kept = Kept::to(&address);
    kept.status().expect("a status");
    // Callers that say nothing use up what is left.
    let mut idle: Vec<TcpStream> =
        (0..FILES * 2).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    site.land(30);
    let told = {
        let kept = std::cell::RefCell::new(&mut kept);
        until("the want of file handles is told", LIMIT, || {
            let status = kept.borrow_mut().status();
            async move {
                let status = status?;
                let reasons = [&status["roots"][0]["reason"], &status["index_reason"]];
                let told = reasons
                    .iter()
                    .filter_map(|reason| reason.as_str())
                    .find(|words| words.contains("open files"));
                told.map(str::to_owned).ok_or_else(|| format!("{status:#}"))
            }
        })
        .await
    };
    println!("{told}");
    let status = kept.status().expect("served on");
    for field in ["vanished", "held", "deleted", "unrecognised"] {
        assert_eq!(status[field], 0, "{field}: {status:#}");
    }
    idle.clear();
    ledger::settled(&site, COUNT + 30).await;
    site.focus.until_status("/roots/0/watch", "watching", LIMIT).await;
    site.focus.until_status("index_state", "ok", LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
    ledger::index_is_sound(&site);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}

/// The state folder is the server's own.
fn open_state(site: &Site) {
    fs::create_dir_all(site.state()).expect("a state folder");
    set_mode(&site.state(), 0o777);
}

/// A site with all catalogued, whose server has no power over permissions; none where this cannot be had.
async fn nobodys() -> Option<Site> {
    let mut site = Site::new(&[]);
    if !as_nobody(&mut site) {
        return None;
    }
    open_state(&site);
    site.land(COUNT);
    site.focus.serve().await;
    ledger::settled(&site, COUNT).await;
    Some(site)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_may_not_be_read_any_more_is_an_outage_and_no_deletion() {
    let Some(mut site) = nobodys().await else { return };
    let root = site.tree.root().to_owned();
    for _ in 0..3 {
        set_mode(&root, 0o000);
        site.focus.until_status("/roots/0/state", "unreadable", LIMIT).await;
        let status = site.focus.status().expect("a status");
        for field in ["vanished", "held", "deleted"] {
            assert_eq!(status[field], 0, "{field}: {status:#}");
        }
        set_mode(&root, 0o777);
        site.focus.until_status("/roots/0/state", "present", LIMIT).await;
        assert_eq!(site.focus.ask("POST", "/api/v1/scan", "", true).expect("a scan").status, 200);
    }
    site.land(3);
    ledger::settled(&site, COUNT + 3).await;
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogued_recording_whose_files_may_not_be_read_keeps_its_document() {
    let Some(mut site) = nobodys().await else { return };
    let data = site.tree.root().join(&site.planted[1].path);
    let (sidecar, folder) = (data.with_extension("json"), data.parent().expect("a folder"));
    // Another one in its place, which would have to be read, and never could be.
    let text = fs::read(&sidecar).expect("a sidecar");
    let another = site.dir.path().join("another.json");
    fs::write(&another, [&text[..], b" "].concat()).expect("written");
    set_mode(&another, 0o000);
    fs::rename(&another, &sidecar).expect("moved");
    site.focus.until_status("unrecognised", 1, LIMIT).await;
    set_mode(folder, 0o000);
    assert_eq!(site.focus.ask("POST", "/api/v1/scan", "", true).expect("a scan").status, 200);
    let status = site.focus.status().expect("a status");
    for field in ["vanished", "held", "deleted"] {
        assert_eq!(status[field], 0, "{field}: {status:#}");
    }
    ledger::agrees(&site, &[], &[]);
    set_mode(folder, 0o777);
    set_mode(&sidecar, 0o644);
    assert_eq!(site.focus.ask("POST", "/api/v1/scan", "", true).expect("a scan").status, 200);
    site.focus.until_status("unrecognised", 0, LIMIT).await;
    ledger::settled(&site, COUNT).await;
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_that_may_not_be_read_any_more_is_told_and_got_over() {
    let Some(mut site) = nobodys().await else { return };
    let mut kept = Kept::to(&address(&site));
    if rustix::process::getuid().is_root() {
        let owned = Command::new("chown").arg("65534:65534").arg(site.state()).status();
        assert!(owned.expect("chown runs").success());
    }
    set_mode(&site.state(), 0o000);
    {
        let kept = std::cell::RefCell::new(&mut kept);
        until("it is told", LIMIT, || {
            let status = kept.borrow_mut().status();
            async move {
                let status = status?;
                let reason = status["catalog_reason"].as_str().unwrap_or_default();
                if reason.contains("ermission") { Ok(()) } else { Err(format!("{status:#}")) }
            }
        })
        .await;
    }
    site.land(10);
    assert!(kept.status().is_ok(), "served on");
    set_mode(&site.state(), 0o777);
    ledger::settled(&site, COUNT + 10).await;
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
}

/// A clock that was wrong, or is set back, shows in the files' own times: these are compared, never
/// put in an order, nor with any clock.
#[tokio::test(flavor = "multi_thread")]
async fn files_from_the_future_and_the_past_are_catalogued_and_followed() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    let touch = |site: &Site, at: usize, time: &str| {
        let data = site.tree.root().join(&site.planted[at].path);
        let done = Command::new("touch")
            .args(["-d", time])
            .args([data.with_extension("json"), data])
            .status()
            .expect("touch runs");
        assert!(done.success());
    };
    site.planted = site.tree.add(COUNT, Writing::InPlace);
    for at in 0..COUNT {
        touch(&site, at, ["2099-12-31", "1971-01-01", "now"][at % 3]);
    }
    ledger::settled(&site, COUNT).await;
    // The clock is set back: what changes next is older than what was there before.
    for at in 0..4 {
        let planted = &mut site.planted[at];
        let path = site.tree.root().join(&planted.path).with_extension("json");
        let mut sidecar: Value =
            serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
        sidecar["note"] = "later".into();
        planted.metadata["note"] = "later".into();
        fs::write(&path, sidecar.to_string()).expect("written");
        touch(&site, at, "1970-06-01");
    }
    until("the change is in the catalog", LIMIT, || async {
        let noted = "SELECT count(*) FROM recordings WHERE metadata LIKE '%\"note\":\"later\"%'";
        match ledger::number(&site, noted) {
            4 => Ok(()),
            count => Err(format!("{count}\n{:#}", site.focus.status()?)),
        }
    })
    .await;
    ledger::settled(&site, COUNT).await;
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
}
