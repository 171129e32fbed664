//! A recording that was acknowledged is on the disk: what the server asks of the system before it answers, by `strace`.

use std::fs;

use focus_testkit::broker::installed;
use focus_testkit::wait::until;

use super::form::{Handed, server, site};
use crate::site::{LIMIT, Site};

/// What the server syncs, moves and sends.
const CALLS: &str = "fsync,fdatasync,renameat2,renameat,linkat,mkdirat,writev,sendto";

/// Serves, with all calls of these kinds in the file that is returned.
async fn traced(site: &mut Site, crash: &str) -> std::path::PathBuf {
    let file = site.dir.path().join(format!("calls-{}", crash.len()));
    let trace = format!("trace={CALLS}");
    let file_name = file.display().to_string();
    let crash = format!("FOCUS_CRASH_AT={crash}");
    let by = ["env", &crash, "strace", "-D", "-f", "-qq", "-y", "-s", "64", "-e", &trace, "-o"];
    site.focus.by = by.map(str::to_owned).to_vec();
    site.focus.by.push(file_name);
    site.focus.serve().await;
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    file
}

/// The lines of the trace up to the answer with this status.
fn before_the_answer(file: &std::path::Path, status: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(file).expect("the calls");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let answer = lines.iter().position(|line| line.contains(&format!("HTTP/1.1 {status}")))?;
    Some(lines[..answer].to_vec())
}

/// Where this is synced, among these lines. The thread that syncs goes on when that has ended.
fn synced(lines: &[String], what: &str) -> Option<usize> {
    let is = |line: &String| line.contains("sync(") && line.contains(&format!("{what}>"));
    lines.iter().position(is)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_before_it_is_on_the_disk() {
    let traces = std::process::Command::new("strace").args(["-qq", "true"]).output();
    if installed("strace").is_none() || !traces.is_ok_and(|output| output.status.success()) {
        return println!("left out, needs strace: what is synced before an answer");
    }
    let mut site = site("");
    // A server that dies after both files are in place, and before anything of that is synced.
    let _ = traced(&mut site, "ingest/sidecar").await;
    let handed = Handed::over("2026/05/r", "one", b"data");
    let (address, token) = server(&site);
    assert!(handed.to(&address, &token).is_err(), "{}", site.focus.log());
    until("the server has died", LIMIT, || async {
        site.focus.answers().err().map(drop).ok_or_else(|| "it answers".to_owned())
    })
    .await;
    site.focus.kill();

    let calls = traced(&mut site, "").await;
    let again = handed.send(&site);
    assert_eq!(again.status, 200, "{again:?}");
    let new = Handed::over("2026/05/s", "two", b"more").send(&site);
    assert_eq!(new.status, 201, "{new:?}");
    let root = fs::canonicalize(site.tree.root()).expect("the root").display().to_string();
    let lines = until("the answers are traced", LIMIT, || async {
        let (again, new) = (before_the_answer(&calls, "200 OK"), before_the_answer(&calls, "201"));
        again.zip(new).ok_or_else(|| "not yet".to_owned())
    })
    .await;
    let shown = lines.1.join("\n");
    // The files and folders that the first server had made are as safe as if this one had.
    for what in ["/2026/05/r.dat", "/2026/05/r.json", "/2026/05", "/2026", ""] {
        assert!(synced(&lines.0, &format!("{root}{what}")).is_some(), "{what:?}: {shown}");
    }
    let renamed = |name: &str| {
        let line = lines
            .1
            .iter()
            .position(|line| line.contains("renameat2(") && line.contains(&format!("\"{name}\"")));
        line.unwrap_or_else(|| panic!("{name}: {shown}"))
    };
    let (data, sidecar) = (renamed("s.dat"), renamed("s.json"));
    let own = &lines.1[lines.0.len()..data];
    let parts =
        own.iter().filter(|line| line.contains("sync(") && line.contains("/.focus-ingest-"));
    assert_eq!((parts.count(), data < sidecar), (2, true), "{shown}");
    assert!(synced(&lines.1[sidecar..], &format!("{root}/2026/05")).is_some(), "{shown}");
}
