//! The reports of earlier drills, kept in the state folder: the newest 100, and 256 MiB at most.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use focus_common::clock;
use serde::{Deserialize, Serialize};

use super::{Report, Verdict, kind_or_empty};
use crate::scenario::outage_kind::OutageKind;
use crate::state::folder::Folder;

/// Reports kept at most.
pub const COUNT_MAX: usize = 100;

/// Bytes of all reports together at most; the newest is kept whatever its size.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The file with the time of the last drill that passed.
const LAST_PASSED: &str = "last_passed_ms";

/// A report that is larger was not written by us.
const REPORT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// An earlier drill, in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ArchivedDrill {
    /// The drill's id.
    pub id: String,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339.
    pub ended_at: String,
    /// The experiment's title.
    pub title: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Recordings planted.
    pub planted: u64,
    /// Recordings in the catalog, once and right.
    pub catalogued: u64,
    /// How long the server took to notice.
    pub time_to_detect_ms: Option<u64>,
    /// How long the catalog took.
    pub time_to_converge_ms: Option<u64>,
    /// How long the database was away.
    pub outage_ms: Option<u64>,
    /// The outage.
    pub outage: ArchivedOutage,
}

/// The outage of an earlier drill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArchivedOutage {
    /// The kind; none where it was not known yet.
    #[serde(with = "kind_or_empty")]
    pub kind: Option<OutageKind>,
}

/// Keeps a report, and removes the oldest reports beyond the bounds.
///
/// # Errors
/// The report cannot be written.
pub fn keep(folder: &Folder, report: &Report) -> anyhow::Result<()> {
    anyhow::ensure!(is_id(&report.id), "the report cannot be kept: {:?} is no id", report.id);
    let name = format!("reports/{}.json", report.id);
    folder
        .replace(&name, &serde_json::to_vec_pretty(report)?)
        .context("the report cannot be kept")?;
    if report.verdict == Verdict::Passed {
        folder.replace(LAST_PASSED, clock::wall_ms().to_string().as_bytes())?;
    }
    // What cannot be removed now is removed next time.
    let mut bytes = 0;
    for (at, file) in files(folder).into_iter().enumerate() {
        bytes += file.bytes;
        if at >= COUNT_MAX || at > 0 && bytes > BYTES_MAX {
            let _ = std::fs::remove_file(&file.path);
        }
    }
    Ok(())
}

/// When the last drill of this folder that passed was kept, milliseconds since 1970; none where none has.
pub fn last_passed(folder: &Folder) -> Option<i64> {
    std::fs::read_to_string(folder.file(LAST_PASSED)).ok()?.trim().parse().ok()
}

/// Earlier drills, the newest first, and a message for each report that cannot be read.
pub fn list(folder: &Folder) -> (Vec<ArchivedDrill>, Vec<String>) {
    let (mut kept, mut unread) = (Vec::new(), Vec::new());
    for file in files(folder).into_iter().take(COUNT_MAX) {
        match read::<ArchivedDrill>(&file.path) {
            Ok(one) => kept.push(one),
            Err(error) => unread.push(format!("{error:#}")),
        }
    }
    kept.sort_by(|a, b| b.started_at.cmp(&a.started_at));
    (kept, unread)
}

/// The report with this id, or the only report whose id begins so.
///
/// # Errors
/// There is no such report, there are several, or it cannot be read.
pub fn load(folder: &Folder, id: &str) -> anyhow::Result<Report> {
    let files = files(folder);
    let named = |file: &File| file.path.file_stem().is_some_and(|stem| stem == id);
    let begins = |file: &&File| {
        file.path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with(id))
    };
    let found: Vec<&File> = match files.iter().find(|file| named(file)) {
        Some(exactly) => vec![exactly],
        None if is_id(id) => files.iter().filter(begins).collect(),
        None => Vec::new(),
    };
    match found[..] {
        [one] => read(&one.path),
        [] => {
            anyhow::bail!("no drill {id:?} is kept here: `focus drill list` names those that are")
        }
        _ => anyhow::bail!("{} drills begin with {id:?}: give more of the id", found.len()),
    }
}

/// A drill's id, so that no name leads out of the folder.
pub(super) fn is_id(id: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=100).contains(&id.len()) && id.chars().all(good)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    modified: SystemTime,
}

/// The files of reports, the newest first.
pub(super) fn files(folder: &Folder) -> Vec<File> {
    let Ok(entries) = std::fs::read_dir(folder.reports()) else { return Vec::new() };
    let mut files: Vec<File> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let (path, meta) = (entry.path(), entry.metadata().ok()?);
            let is_report = meta.is_file() && path.extension().is_some_and(|e| e == "json");
            is_report.then_some(File {
                path,
                bytes: meta.len(),
                modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            })
        })
        .collect();
    files.sort_by(|a, b| (b.modified, &b.path).cmp(&(a.modified, &a.path)));
    files
}

pub(super) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let told = || format!("the report {} cannot be read", path.display());
    let bytes = std::fs::metadata(path).with_context(told)?.len();
    anyhow::ensure!(bytes <= REPORT_BYTES_MAX, "{}: it is too large", told());
    serde_json::from_slice(&std::fs::read(path).with_context(told)?).with_context(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::of(dir.path());
        folder.make().expect("made");
        (dir, folder)
    }

    fn report(n: usize) -> Report {
        let mut report = sample();
        report.id = format!("drill-{n:04}");
        report.started_at = format!("2026-01-01T00:{:02}:{:02}Z", n / 60, n % 60);
        report
    }

    #[test]
    fn a_report_is_read_back_as_it_was_kept_also_by_the_beginning_of_its_id() {
        let (_dir, folder) = folder();
        (1..=12).for_each(|n| keep(&folder, &report(n)).expect("kept"));
        assert_eq!(load(&folder, "drill-0007").expect("read"), report(7));
        assert_eq!(load(&folder, "drill-0012").expect("read"), report(12));
        let several = load(&folder, "drill-001").expect_err("several").to_string();
        assert!(several.contains("3 drills begin"), "{several}");
        for none in ["nothing", "", "../drill", "drill-0001/../../plan"] {
            let error = load(&folder, none).expect_err("none").to_string();
            assert!(error.contains("drill list"), "{none}: {error}");
        }
    }

    #[test]
    fn only_so_many_are_kept_and_the_newest_stay() {
        let (_dir, folder) = folder();
        (0..COUNT_MAX + 5).for_each(|n| keep(&folder, &report(n)).expect("kept"));
        let (kept, unread) = list(&folder);
        assert_eq!((kept.len(), unread), (COUNT_MAX, Vec::new()));
        assert_eq!(kept[0].id, format!("drill-{:04}", COUNT_MAX + 4));
        assert_eq!(kept[0].verdict, Verdict::Failed);
        assert!(load(&folder, "drill-0000").is_err());
    }

    #[test]
    fn a_damaged_report_is_told_and_hides_no_other() {
        let (_dir, folder) = folder();
        keep(&folder, &report(1)).expect("kept");
        std::fs::write(folder.reports().join("bad.json"), "{").expect("written");
        let (kept, unread) = list(&folder);
        assert_eq!(kept.len(), 1);
        assert!(unread[0].contains("bad.json"), "{unread:?}");
        assert!(keep(&folder, &Report { id: "../x".to_owned(), ..sample() }).is_err());
    }
}
