//! A file for each job in the state folder, with its result.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use focus_common::state_dir;
use focus_core::job::{
    ENDED_MAX, JobFailure, JobKind, JobRecord, JobRequest, JobState, QUEUED_MAX,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The folder of the jobs in the state folder.
const FOLDER: &str = "jobs";

/// A file that is larger was not written by us: a verification tells 10,000 findings at most.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Files that are looked at, at most.
const FILES_MAX: usize = 4 * (ENDED_MAX + QUEUED_MAX);

/// A job that is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeptJob {
    pub(super) record: JobRecord,
    /// How far it was when it ended: done, and of how many.
    pub(super) reached: Option<(u64, u64)>,
    pub(super) result: Value,
}

/// A job, as its file has it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    id: u64,
    kind: String,
    root: Option<String>,
    through: Option<i64>,
    quick: bool,
    state: String,
    created_ms: i64,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    reason: Option<String>,
    is_refused: bool,
    #[serde(default)]
    reached: Option<(u64, u64)>,
    result: Value,
}

/// Reads every job that is kept. What cannot be read is left out, and the log has it.
pub(super) fn read_all(state_dir: &Path) -> Vec<KeptJob> {
    let Ok(entries) = fs::read_dir(state_dir.join(FOLDER)) else { return Vec::new() };
    let mut ids: Vec<u64> = entries
        .take(FILES_MAX)
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_suffix(".json")?.parse().ok()
        })
        .collect();
    ids.sort_unstable();
    let newest = ids.iter().rev().take(ENDED_MAX + 2 * QUEUED_MAX);
    let read = newest.filter_map(|id| match read(state_dir, *id) {
        Ok(kept) => Some(kept),
        Err(error) => {
            tracing::warn!("{} cannot be read: {error}", file(state_dir, *id).display());
            None
        }
    });
    read.collect()
}

/// The job with this id.
pub(super) fn read(state_dir: &Path, id: u64) -> io::Result<KeptJob> {
    let mut bytes = Vec::new();
    fs::File::open(file(state_dir, id))?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let kept: Kept = serde_json::from_slice(&bytes)?;
    let wrong = || io::Error::other("it is no job of this server's");
    let kind = JobKind::from_name(&kept.kind).ok_or_else(wrong)?;
    let state = JobState::from_name(&kept.state).filter(|_| kept.id == id).ok_or_else(wrong)?;
    let is_refused = kept.is_refused;
    let record = JobRecord {
        id,
        request: JobRequest { kind, root: kept.root, through: kept.through, quick: kept.quick },
        state,
        created_ms: kept.created_ms,
        started_ms: kept.started_ms,
        ended_ms: kept.ended_ms,
        failure: kept.reason.map(|reason| JobFailure { is_refused, reason }),
    };
    Ok(KeptJob { record, reached: kept.reached, result: kept.result })
}

/// Keeps a job.
pub(super) fn write(state_dir: &Path, job: &KeptJob) -> io::Result<()> {
    let KeptJob { record: job, reached, result } = job;
    let kept = Kept {
        id: job.id,
        kind: job.request.kind.name().to_owned(),
        root: job.request.root.clone(),
        through: job.request.through,
        quick: job.request.quick,
        state: job.state.name().to_owned(),
        created_ms: job.created_ms,
        started_ms: job.started_ms,
        ended_ms: job.ended_ms,
        reason: job.failure.as_ref().map(|failure| failure.reason.clone()),
        is_refused: job.failure.as_ref().is_some_and(|failure| failure.is_refused),
        reached: *reached,
        result: result.clone(),
    };
    match fs::create_dir(state_dir.join(FOLDER)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let path = file(state_dir, job.id);
    let part = path.with_extension("part");
    state_dir::write_private(&part, &serde_json::to_vec(&kept)?)?;
    fs::rename(&part, &path)
}

/// Forgets a job. Where its file cannot be removed, it is left out when they are read.
pub(super) fn remove(state_dir: &Path, id: u64) {
    let _ = fs::remove_file(file(state_dir, id));
}

fn file(state_dir: &Path, id: u64) -> PathBuf {
    state_dir.join(FOLDER).join(format!("{id}.json"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn jobs_are_read_as_they_were_kept_and_what_is_damaged_hides_no_other() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(read_all(dir.path()).is_empty());
        let record = |id| JobRecord {
            id,
            request: JobRequest {
                kind: JobKind::Approve,
                root: Some("r".to_owned()),
                through: Some(7),
                quick: true,
            },
            state: JobState::Failed,
            created_ms: 1,
            started_ms: Some(2),
            ended_ms: Some(3),
            failure: Some(JobFailure { is_refused: true, reason: "why".to_owned() }),
        };
        let job = |id| KeptJob {
            record: record(id),
            reached: (id > 1).then_some((id, 9)),
            result: json!({ "approved": id }),
        };
        for id in 1..=3 {
            write(dir.path(), &job(id)).expect("kept");
        }
        let kept: Vec<_> = (1..=3).rev().map(job).collect();
        assert_eq!(read_all(dir.path()), kept);
        fs::write(file(dir.path(), 2), "{").expect("damaged");
        remove(dir.path(), 1);
        assert_eq!(read_all(dir.path()), kept[..1]);
    }
}
