//! Scans of names skip folders that are as they were read. No watch helps here: what changes is found by scans alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use focus_testkit::focus::Focus;
use focus_testkit::wait::until;
use serde_json::Value;

use crate::site::{BINARY, LIMIT, Site};

/// Runs a program with mounts of its own, and without any inotify.
const WITHOUT_WATCH: &str = "echo 0 >/proc/sys/user/max_inotify_instances && exec \"$@\"";

/// A server without a watch, that scans names often; none where this machine does not let a test have one.
fn site(test: &str, settings: &str) -> Option<Site> {
    let by = ["unshare", "-Urm", "sh", "-c", WITHOUT_WATCH, "sh"];
    let tried = Command::new(by[0]).args(&by[1..]).arg("true").output();
    if !tried.is_ok_and(|output| output.status.success()) {
        println!("left out, needs unshare and user namespaces: {test}");
        return None;
    }
    let site = Site::new(&[]);
    let file = site.dir.path().join("focus.toml");
    let text = format!(
        "scan_interval_ms = 200\nsettle_ms = 100\nlog = \"info,focus_engine::scanner=debug\"\n{settings}"
    );
    fs::write(&file, text).expect("settings");
    let args = ["--config", &file.display().to_string()];
    let mut focus = Focus::new(BINARY, site.tree.root(), &site.state(), &args);
    focus.by = by.map(str::to_owned).to_vec();
    Some(Site { focus, ..site })
}

/// A recording in a folder of the root.
fn land(root: &Path, path: &str) {
    let data = root.join(format!("{path}.dat"));
    fs::create_dir_all(data.parent().expect("a folder")).expect("a folder");
    fs::write(&data, "x\n").expect("a file");
    let text = "{\"start_time\":\"2024-05-01T12:00:00Z\",\"end_time\":\"2024-05-01T12:30:00Z\"}\n";
    fs::write(data.with_extension("json"), text).expect("a file");
}

/// What the index has: the paths of recordings whose files are there.
fn paths(site: &Site) -> BTreeSet<String> {
    let Ok(index) = rusqlite::Connection::open(site.state().join("index.db")) else {
        return BTreeSet::new();
    };
    let read = || -> rusqlite::Result<BTreeSet<String>> {
        index
            .prepare("SELECT path FROM recordings WHERE vanished_ms IS NULL")?
            .query_map([], |row| row.get(0))?
            .collect()
    };
    read().unwrap_or_default()
}

/// Waits until the index has these recordings and no others.
async fn has(site: &Site, wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|path| format!("{path}.dat")).collect();
    until(&format!("{wanted:?}"), LIMIT, || async {
        let found = paths(site);
        if found == wanted { Ok(()) } else { Err(format!("{found:?}\n{}", site.focus.log())) }
    })
    .await;
}

/// How many folders each scan has read and skipped, as the log tells it.
fn scans(site: &Site) -> Vec<(u64, u64)> {
    let of =
        |line: &Value, field: &str| line[field].as_u64().or_else(|| line["fields"][field].as_u64());
    let lines = site.focus.log();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| Some((of(&line, "read")?, of(&line, "unchanged")?))).collect()
}

/// Waits until a scan that begins from now on reads nothing.
async fn everything_is_skipped(site: &Site) {
    let before = scans(site).len();
    until("a scan reads nothing", LIMIT, || async {
        let after = scans(site).split_off(before);
        let nothing = after.iter().skip(1).any(|(read, skipped)| *read == 0 && *skipped > 0);
        if nothing { Ok(()) } else { Err(format!("{after:?}\n{}", site.focus.log())) }
    })
    .await;
}

/// Runs a program among the server's mounts.
fn in_mounts(site: &Site, script: &str) {
    let pid = site.focus.pid().expect("a server").to_string();
    // The present folder would be one of the mounts outside.
    let script = format!("cd {}; {script}", site.tree.root().display());
    let done = Command::new("nsenter")
        .args(["-t", &pid, "-U", "-m", "--preserve-credentials", "sh", "-euc", &script])
        .status()
        .expect("nsenter runs");
    assert!(done.success(), "{script}");
}

fn sh(folder: &Path, script: &str) {
    let ran = Command::new("sh").args(["-euc", script]).current_dir(folder).status();
    assert!(ran.expect("a shell").success(), "{script}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_changes_in_folders_that_scans_skip_is_found() {
    let name = "whatever_changes_in_folders_that_scans_skip_is_found";
    let Some(mut site) = site(name, "max_vanished_at_least = 100\n") else { return };
    let root = site.tree.root().to_owned();
    for path in ["a/deep/er/1", "a/2", "b/3", "b/4", "c/5", "e/sub/6"] {
        land(&root, path);
    }
    site.focus.serve().await;
    has(&site, &["a/deep/er/1", "a/2", "b/3", "b/4", "c/5", "e/sub/6"]).await;
    everything_is_skipped(&site).await;
    // In a folder whose parents do not change.
    land(&root, "a/deep/er/7");
    has(&site, &["a/deep/er/1", "a/2", "b/3", "b/4", "c/5", "e/sub/6", "a/deep/er/7"]).await;
    everything_is_skipped(&site).await;
    sh(&root, "rm b/4.*");
    has(&site, &["a/deep/er/1", "a/2", "b/3", "c/5", "e/sub/6", "a/deep/er/7"]).await;
    everything_is_skipped(&site).await;
    sh(&root, "mv c a/c; mv a/deep/er/7.* b");
    has(&site, &["a/deep/er/1", "a/2", "b/3", "a/c/5", "e/sub/6", "b/7"]).await;
    everything_is_skipped(&site).await;
    // Another folder, with another one in it that has not changed since long.
    let other = site.dir.path().join("other");
    land(&other, "sub/8");
    sh(site.dir.path(), "mv root/e gone; mv other root/e");
    has(&site, &["a/deep/er/1", "a/2", "b/3", "a/c/5", "e/sub/8", "b/7"]).await;
    everything_is_skipped(&site).await;
    land(&root, "n/e/w/9");
    has(&site, &["a/deep/er/1", "a/2", "b/3", "a/c/5", "e/sub/8", "b/7", "n/e/w/9"]).await;
    // A sidecar alone is not recognised; its data file comes while its folder is skipped.
    sh(&root, "cp b/7.json b/10.json");
    site.focus.until_status("unrecognised", 1, LIMIT).await;
    everything_is_skipped(&site).await;
    sh(&root, "echo x >b/10.dat");
    let all = ["a/deep/er/1", "a/2", "b/3", "a/c/5", "e/sub/8", "b/7", "n/e/w/9", "b/10"];
    has(&site, &all).await;
    everything_is_skipped(&site).await;
    // A start reads everything, whatever is remembered.
    assert_eq!(site.focus.stop(), Some(0));
    let before = scans(&site).len();
    sh(&root, "rm b/3.*");
    site.focus.serve().await;
    has(&site, &all.map(|path| if path == "b/3" { "b/7" } else { path })).await;
    until("a scan after the start", LIMIT, || async {
        match scans(&site).get(before) {
            Some((read, unchanged)) if *read > 8 && *unchanged == 0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_land_in_the_tick_in_which_their_folder_is_read_are_found() {
    let name = "files_that_land_in_the_tick_in_which_their_folder_is_read_are_found";
    let Some(mut site) = site(name, "") else { return };
    let root = site.tree.root().to_owned();
    land(&root, "a/0");
    site.focus.serve().await;
    let mut landed = vec!["a/0".to_owned()];
    // Each right after a scan.
    for n in 1..30 {
        let before = scans(&site).len();
        until("a scan", LIMIT, || async {
            if scans(&site).len() > before { Ok(()) } else { Err(site.focus.log()) }
        })
        .await;
        landed.push(format!("a/{n}"));
        land(&root, &format!("a/{n}"));
    }
    has(&site, &landed.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_settings_show_or_hide_anew_is_found_in_folders_that_were_skipped() {
    let name = "what_settings_show_or_hide_anew_is_found_in_folders_that_were_skipped";
    let Some(mut site) = site(name, "exclude = [\"hid\"]\n") else { return };
    let root = site.tree.root().to_owned();
    for path in ["a/1", "a/hid/2"] {
        land(&root, path);
    }
    site.focus.serve().await;
    has(&site, &["a/1"]).await;
    everything_is_skipped(&site).await;
    let file = site.dir.path().join("focus.toml");
    let text = fs::read_to_string(&file).expect("settings").replace("[\"hid\"]", "[]");
    fs::write(&file, text).expect("settings");
    let pid = site.focus.pid().expect("a server").to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill").success());
    has(&site, &["a/1", "a/hid/2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_over_a_skipped_folder_is_read_and_so_is_the_folder_below_it_afterwards() {
    let name = "a_mount_over_a_skipped_folder_is_read_and_so_is_the_folder_below_it_afterwards";
    let Some(mut site) = site(name, "") else { return };
    let root = site.tree.root().to_owned();
    for path in ["a/1", "a/m/in/2"] {
        land(&root, path);
    }
    site.focus.serve().await;
    has(&site, &["a/1", "a/m/in/2"]).await;
    everything_is_skipped(&site).await;
    let files = "mkdir a/m/in; cp a/1.dat a/m/in/3.dat; cp a/1.json a/m/in/3.json";
    in_mounts(&site, &format!("mount -t tmpfs none a/m; {files}"));
    has(&site, &["a/1", "a/m/in/3"]).await;
    everything_is_skipped(&site).await;
    in_mounts(&site, "umount a/m");
    has(&site, &["a/1", "a/m/in/2"]).await;
    everything_is_skipped(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_whose_times_are_not_known_is_read_by_every_scan() {
    let name = "a_file_system_whose_times_are_not_known_is_read_by_every_scan";
    let overlay = |folder: &Path| {
        format!(
            "mount -t overlay overlay -o lowerdir={0}/root,upperdir={0}/upper,workdir={0}/work {0}/root",
            folder.display()
        )
    };
    let tried = tempfile::tempdir().expect("a folder");
    let folders = |folder: &Path| -> Vec<PathBuf> {
        let made: Vec<PathBuf> = ["root", "upper", "work"].map(|name| folder.join(name)).into();
        made.iter().for_each(|folder| fs::create_dir_all(folder).expect("a folder"));
        made
    };
    folders(tried.path());
    let ran = Command::new("unshare").args(["-Urm", "sh", "-c", &overlay(tried.path())]).output();
    if !ran.is_ok_and(|output| output.status.success()) {
        println!("left out, needs overlays in user namespaces: {name}");
        return;
    }
    let Some(mut site) = site(name, "") else { return };
    folders(site.dir.path());
    for path in ["a/1", "b/2"] {
        land(site.tree.root(), path);
    }
    let script = format!("{} && {WITHOUT_WATCH}", overlay(site.dir.path()));
    site.focus.by = ["unshare", "-Urm", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
    site.focus.serve().await;
    has(&site, &["a/1", "b/2"]).await;
    until("enough scans for something to be skipped", LIMIT, || async {
        if scans(&site).len() > 40 { Ok(()) } else { Err(site.focus.log()) }
    })
    .await;
    assert!(scans(&site).iter().all(|scan| *scan == (3, 0)), "{:?}", scans(&site));
}
