//! The reports that a server knows: those in its state folder, and those that drills elsewhere posted to it. All
//! are files of the archive; the report of the last drill that was posted is remembered beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::DateTime;
use focus_common::clock;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::archive::{self, ArchivedDrill, File};
use super::{FORMAT, Report, Verdict};
use crate::state::folder::Folder;

/// The file that remembers the last drill that was posted.
const LAST_POSTED: &str = "last_posted.json";

/// The drill that ended last of those that were posted to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastDrill {
    /// Its id.
    pub id: String,
    /// Its verdict: any but [`Verdict::Passed`] did not pass.
    pub verdict: Verdict,
    /// When it ended, milliseconds since 1970; never after it was posted.
    pub ended_ms: i64,
    /// When it was posted first, milliseconds since 1970.
    pub posted_ms: i64,
}

/// The outcome of posting a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It is kept from now on.
    Kept,
    /// It was there already.
    There,
}

/// Why a report is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// It is no report of a drill.
    #[error("{words}")]
    NoReport {
        /// The field that is to blame, where one is.
        field: Option<&'static str>,
        /// What is wrong.
        words: String,
    },
    /// Another report with this id is kept.
    #[error("another report of the drill {id} is kept here: a drill ends once")]
    Another {
        /// The drill's id.
        id: String,
    },
    /// It cannot be written.
    #[error("{0:#}")]
    NotWritten(anyhow::Error),
}

/// A report in the archive: a line of it, or why it cannot be read.
type Row = Result<ArchivedDrill, String>;

/// The reports that a server knows.
#[derive(Debug)]
pub struct Drills {
    folder: Folder,
    last: Mutex<Option<LastDrill>>,
    /// Read once each: a report may be large.
    rows: Mutex<BTreeMap<PathBuf, (File, Row)>>,
    /// Held while one is written.
    posting: Mutex<()>,
}

impl Drills {
    /// Those of this state folder. A note of the last one posted that cannot be read counts as none.
    pub fn open(state_dir: &Path) -> Drills {
        let folder = Folder::of(state_dir);
        let last = folder.read::<LastDrill>(LAST_POSTED).unwrap_or_else(|error| {
            tracing::warn!("the last drill that was posted is not known any more: {error:#}");
            None
        });
        Drills { folder, last: Mutex::new(last), rows: Mutex::default(), posting: Mutex::new(()) }
    }

    /// The drill that ended last of those posted to this server; none before the first.
    pub fn last_posted(&self) -> Option<LastDrill> {
        self.last.lock().clone()
    }

    /// When the last drill that passed was kept here, milliseconds since 1970; none where none has.
    pub fn last_passed_ms(&self) -> Option<i64> {
        archive::last_passed(&self.folder)
    }

    /// Takes a report that a drill has posted. A report that is kept already stays as it is.
    ///
    /// # Errors
    /// It is no report of a drill that did something, another with its id is kept, or it cannot be written.
    pub fn post(&self, body: &[u8]) -> Result<(String, Posted), PostError> {
        let report = understand(body)?;
        let ended_ms = ended_ms(&report)?;
        let _one = self.posting.lock();
        let posted = self.keep(&report)?;
        let posted_ms = clock::wall_ms();
        let drill = LastDrill {
            id: report.id.clone(),
            verdict: report.verdict,
            // A clock that is ahead must not keep later drills from being the last.
            ended_ms: ended_ms.min(posted_ms),
            posted_ms,
        };
        let newer = self
            .last_posted()
            .is_none_or(|last| last.id != drill.id && last.ended_ms <= drill.ended_ms);
        if newer {
            let bytes = serde_json::to_vec(&drill).map_err(|error| not_written(error.into()))?;
            self.folder.replace(LAST_POSTED, &bytes).map_err(not_written)?;
            *self.last.lock() = Some(drill);
        }
        Ok((report.id, posted))
    }

    fn keep(&self, report: &Report) -> Result<Posted, PostError> {
        if let Some(path) = self.path(&report.id) {
            let there = archive::read::<ArchivedDrill>(&path).map_err(not_written)?;
            let same = (there.verdict, &there.ended_at) == (report.verdict, &report.ended_at);
            return if same {
                Ok(Posted::There)
            } else {
                Err(PostError::Another { id: report.id.clone() })
            };
        }
        self.folder.make().map_err(not_written)?;
        archive::keep(&self.folder, report).map_err(not_written)?;
        Ok(Posted::Kept)
    }

    /// All of them, the newest first, and a message for each that cannot be read.
    pub fn list(&self) -> (Vec<ArchivedDrill>, Vec<String>) {
        let (mut kept, mut unread) = (Vec::new(), Vec::new());
        for row in self.rows().into_values() {
            match row.1 {
                Ok(drill) => kept.push(drill),
                Err(words) => unread.push(words),
            }
        }
        kept.sort_by(|a, b| (&b.started_at, &b.id).cmp(&(&a.started_at, &a.id)));
        (kept, unread)
    }

    /// The file with the report of this id, and its length in bytes; none where there is none.
    ///
    /// # Errors
    /// It is there and cannot be read: why.
    pub fn file(&self, id: &str) -> Result<Option<(PathBuf, u64)>, String> {
        let Some(path) = self.path(id) else { return Ok(None) };
        match self.rows().remove(&path) {
            Some((file, Ok(_))) => Ok(Some((file.path, file.bytes))),
            Some((_, Err(words))) => Err(words),
            None => Ok(None),
        }
    }

    fn path(&self, id: &str) -> Option<PathBuf> {
        let path = self.folder.reports().join(format!("{id}.json"));
        (archive::is_id(id) && path.is_file()).then_some(path)
    }

    /// What is in the archive now. Only files that have changed are read.
    fn rows(&self) -> BTreeMap<PathBuf, (File, Row)> {
        let mut rows = self.rows.lock();
        let mut before = std::mem::take(&mut *rows);
        for file in archive::files(&self.folder).into_iter().take(archive::COUNT_MAX) {
            let known = before.remove(&file.path).filter(|(known, _)| *known == file);
            let row = known.unwrap_or_else(|| {
                let row = archive::read(&file.path).map_err(|error| format!("{error:#}"));
                (file.clone(), row)
            });
            rows.insert(file.path, row);
        }
        rows.clone()
    }
}

fn not_written(error: anyhow::Error) -> PostError {
    PostError::NotWritten(error)
}

fn no_report(field: &'static str, words: impl Into<String>) -> PostError {
    PostError::NoReport { field: Some(field), words: words.into() }
}

/// The report that the bytes are.
fn understand(body: &[u8]) -> Result<Report, PostError> {
    let words = |error: serde_json::Error| PostError::NoReport {
        field: None,
        words: format!("the body is no report of a drill: {error}"),
    };
    let value: Value = serde_json::from_slice(body).map_err(words)?;
    for field in ["format", "id", "verdict", "started_at", "ended_at"] {
        if value.get(field).is_none() {
            return Err(no_report(
                field,
                format!(
                    "{field} is missing: post the object that `focus drill run --json` ends with"
                ),
            ));
        }
    }
    let report: Report = serde_json::from_value(value).map_err(words)?;
    if report.format != FORMAT {
        return Err(no_report(
            "format",
            format!(
                "format {} is not known here: this server reads format {FORMAT}",
                report.format
            ),
        ));
    }
    if !archive::is_id(&report.id) {
        return Err(no_report("id", "id has 1 to 100 letters, digits, - and _"));
    }
    if report.verdict == Verdict::Refused {
        return Err(no_report("verdict", "a drill that was refused did nothing, and is not kept"));
    }
    Ok(report)
}

fn ended_ms(report: &Report) -> Result<i64, PostError> {
    for (field, text) in [("started_at", &report.started_at), ("ended_at", &report.ended_at)] {
        if DateTime::parse_from_rfc3339(text).is_err() {
            return Err(no_report(field, format!("{field} is a time as RFC 3339 writes it")));
        }
    }
    let ended = DateTime::parse_from_rfc3339(&report.ended_at);
    ended
        .map(|ended| ended.timestamp_millis())
        .context("ended_at")
        .map_err(|_| no_report("ended_at", "ended_at is a time as RFC 3339 writes it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    fn drills() -> (tempfile::TempDir, Drills) {
        let dir = tempfile::tempdir().expect("a folder");
        let drills = Drills::open(dir.path());
        (dir, drills)
    }

    fn report(n: u32, verdict: Verdict) -> Report {
        Report {
            format: FORMAT,
            id: format!("drill-{n:04}"),
            started_at: format!("2026-01-01T{:02}:{:02}:00.000Z", n / 60, n % 60),
            ended_at: format!("2026-01-01T{:02}:{:02}:30.000Z", n / 60, n % 60),
            verdict,
            ..sample()
        }
    }

    fn post(drills: &Drills, report: &Report) -> Result<Posted, PostError> {
        drills.post(&serde_json::to_vec(report).expect("JSON")).map(|(_, posted)| posted)
    }

    #[test]
    fn the_drill_that_ended_last_of_those_posted_is_known_also_after_a_restart() {
        let (dir, drills) = drills();
        assert_eq!(drills.last_posted(), None);
        let (first, second) = (report(1, Verdict::Passed), report(2, Verdict::Failed));
        assert_eq!(post(&drills, &second).expect("kept"), Posted::Kept);
        assert_eq!(drills.last_passed_ms(), None);
        // It ended before the other, and comes late.
        assert_eq!(post(&drills, &first).expect("kept"), Posted::Kept);
        assert!(drills.last_passed_ms().is_some());
        let last = drills.last_posted().expect("a drill");
        assert_eq!((last.id.as_str(), last.verdict), ("drill-0002", Verdict::Failed));
        assert_eq!(Drills::open(dir.path()).last_posted(), Some(last));
    }

    #[test]
    fn a_drill_from_the_future_is_the_last_only_until_the_next() {
        let (_dir, drills) = drills();
        let ahead =
            Report { ended_at: "2099-01-01T00:00:00Z".to_owned(), ..report(1, Verdict::Failed) };
        post(&drills, &ahead).expect("kept");
        let now = clock::rfc3339(clock::wall_ms() + 10);
        let next = Report { ended_at: now, ..report(2, Verdict::Passed) };
        post(&drills, &next).expect("kept");
        assert_eq!(drills.last_posted().map(|last| last.id), Some("drill-0002".to_owned()));
    }

    #[test]
    fn a_report_that_is_there_stays_and_no_other_takes_its_id() {
        let (dir, drills) = drills();
        let whole = report(1, Verdict::Passed);
        let folder = Folder::of(dir.path());
        folder.make().expect("made");
        archive::keep(&folder, &whole).expect("kept by the drill itself");
        let shortened = Report { recordings: Vec::new(), ..whole.clone() };
        assert_eq!(post(&drills, &shortened).expect("there"), Posted::There);
        assert_eq!(archive::load(&folder, &whole.id).expect("read"), whole);
        assert_eq!(drills.last_posted().map(|last| last.id), Some(whole.id.clone()));
        let other = Report { verdict: Verdict::Failed, ..whole };
        assert!(matches!(post(&drills, &other), Err(PostError::Another { .. })));
    }

    #[test]
    fn what_is_no_report_is_not_taken_and_the_field_to_blame_is_named() {
        let (_dir, drills) = drills();
        let good = serde_json::to_value(report(1, Verdict::Passed)).expect("JSON");
        for (field, bad) in [
            ("format", Value::from(FORMAT + 1)),
            ("id", "../drill".into()),
            ("id", "".into()),
            ("verdict", "refused".into()),
            ("ended_at", "yesterday".into()),
            ("started_at", Value::Null),
        ] {
            let mut report = good.clone();
            if bad.is_null() {
                report.as_object_mut().expect("an object").remove(field);
            } else {
                report[field] = bad;
            }
            match drills.post(report.to_string().as_bytes()) {
                Err(PostError::NoReport { field: Some(blamed), .. }) => assert_eq!(blamed, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        for bad in ["", "{", "[]", "7", "\u{0}"] {
            assert!(
                matches!(drills.post(bad.as_bytes()), Err(PostError::NoReport { .. })),
                "{bad}"
            );
        }
        assert_eq!(drills.list(), (Vec::new(), Vec::new()));
    }

    #[test]
    fn the_archive_is_bounded_and_listed_as_it_is_now() {
        let (dir, drills) = drills();
        let count = u32::try_from(archive::COUNT_MAX).expect("small");
        (0..count + 5).for_each(|n| {
            post(&drills, &report(n, Verdict::Passed)).expect("kept");
        });
        let (kept, unread) = drills.list();
        assert_eq!((kept.len(), unread.len()), (archive::COUNT_MAX, 0));
        assert_eq!(kept[0].id, format!("drill-{:04}", count + 4));
        assert!(drills.file("drill-0000").expect("readable").is_none());
        assert!(drills.file("../plan").expect("readable").is_none());
        let (path, bytes) = drills.file(&kept[0].id).expect("readable").expect("there");
        assert_eq!(bytes, std::fs::metadata(&path).expect("there").len());
        // Another process changes one, and adds one.
        std::fs::write(&path, "{").expect("written");
        assert!(drills.file(&kept[0].id).is_err());
        archive::keep(&Folder::of(dir.path()), &report(900, Verdict::Passed)).expect("kept");
        let (again, unread) = drills.list();
        assert_eq!((again[0].id.as_str(), unread.len()), ("drill-0900", 1));
    }
}
