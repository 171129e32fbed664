//! The jobs that are known: they are asked for, started, ended, cancelled, and kept over restarts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use focus_common::clock;
use focus_core::event_ring::EventKind;
use focus_core::job::{
    Asked, Cancelled, JobEnd, JobFailure, JobKind, JobRecord, JobRequest, JobState, JobTable,
};
use focus_engine::Engine;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::kept::{self, KeptJob};
use super::pace::{Measure, Progress};
use super::work;
use crate::events::Events;

/// Findings of so many verifications are kept; of older ones the counts are.
const FINDINGS_OF_MAX: usize = 8;

/// Why a job cannot be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelError {
    /// There is no such job.
    Unknown,
    /// It has ended.
    Ended,
    /// It cannot be stopped in its middle.
    CannotStop,
}

/// A job, as it is shown.
#[derive(Clone, Debug)]
pub struct ShownJob {
    /// Its id.
    pub id: u64,
    /// As in the answers.
    pub value: Value,
}

/// The jobs of a server.
#[derive(Debug)]
pub struct Jobs {
    state_dir: PathBuf,
    engines: watch::Receiver<Arc<Engine>>,
    events: Arc<Events>,
    board: Mutex<Board>,
    /// Held while a file is written: each is written with what is known then, so the last is the newest.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Board {
    table: JobTable,
    /// Of jobs that run.
    running: BTreeMap<u64, Running>,
    /// Of jobs that have ended: their results, without findings.
    results: BTreeMap<u64, Value>,
    /// Whole results that are on their way to the state folder.
    unkept: BTreeMap<u64, Value>,
    /// How far jobs were when they ended: done, and of how many.
    reached: BTreeMap<u64, (u64, u64)>,
    /// The server ends, and nothing is started any more.
    has_ended: bool,
}

#[derive(Debug, Default)]
struct Running {
    stop: Option<AbortHandle>,
    /// Somebody has cancelled it, perhaps before it could be stopped.
    is_cancelled: bool,
    measure: Option<Measure>,
    last: Option<Progress>,
}

impl Jobs {
    /// Begins with what an earlier server has kept, and goes on with what waited.
    pub fn begin(
        state_dir: &Path,
        engines: watch::Receiver<Arc<Engine>>,
        events: Arc<Events>,
    ) -> Arc<Jobs> {
        let mut board = Board::default();
        let mut records = Vec::new();
        for KeptJob { record, reached, result } in kept::read_all(state_dir) {
            board.results.insert(record.id, without_findings(&result));
            board.reached.extend(reached.map(|reached| (record.id, reached)));
            records.push(record);
        }
        let changed;
        (board.table, changed) = JobTable::of(records, clock::wall_ms());
        let jobs = Arc::new(Jobs {
            state_dir: state_dir.to_owned(),
            engines,
            events,
            board: Mutex::new(board),
            writing: tokio::sync::Mutex::default(),
        });
        let begun = Arc::clone(&jobs);
        tokio::spawn(async move {
            for id in changed {
                begun.keep(id, &Value::Null).await;
            }
            begun.start_due();
        });
        jobs
    }

    /// Somebody asks for a job. Returns its id, once it is kept, and whether it is new; none where too many wait.
    pub async fn submit(self: &Arc<Self>, request: JobRequest) -> Option<(u64, bool)> {
        let asked = self.board.lock().table.ask(request, clock::wall_ms());
        let (id, is_new) = match asked {
            Asked::New(id) => (id, true),
            Asked::UnderWay(id) => (id, false),
            Asked::Full => return None,
        };
        if is_new {
            self.tell(id);
            self.keep(id, &Value::Null).await;
            self.start_due();
        }
        Some((id, is_new))
    }

    /// The server ends: what runs is stopped, and has failed for the next server; what waits waits for it.
    pub fn stop(&self) {
        let mut board = self.board.lock();
        board.has_ended = true;
        board.running.values().filter_map(|one| one.stop.as_ref()).for_each(AbortHandle::abort);
    }

    /// Starts every job that nothing is in the way of.
    fn start_due(self: &Arc<Self>) {
        loop {
            let mut board = self.board.lock();
            if board.has_ended {
                return;
            }
            let Some(job) = board.table.start_next(clock::wall_ms()) else { return };
            board.running.insert(job.id, Running::default());
            drop(board);
            self.tell(job.id);
            tokio::spawn(Arc::clone(self).run(job));
        }
    }

    async fn run(self: Arc<Self>, job: JobRecord) {
        let id = job.id;
        tracing::info!(id, "the job {id} ({}) has begun", job.request.kind.name());
        // Were it kept later, a crash would have the next server take it for one that waits.
        self.keep(id, &Value::Null).await;
        // A task of its own: it can be stopped, and its panic ends it alone.
        let work = tokio::spawn(work::run(self.engines.clone(), job.request));
        if let Some(running) = self.board.lock().running.get_mut(&id) {
            running.stop = Some(work.abort_handle());
            if running.is_cancelled {
                work.abort();
            }
        }
        let (end, result) = match work.await {
            Ok(Ok(result)) => (JobEnd::Done, result),
            Ok(Err(failure)) => (JobEnd::Failed(failure), Value::Null),
            // The server ends: the next one says so of it.
            Err(error) if error.is_cancelled() && self.board.lock().has_ended => return,
            Err(error) if error.is_cancelled() => (JobEnd::Cancelled, Value::Null),
            Err(error) => {
                let failure = JobFailure { is_refused: false, reason: error.to_string() };
                (JobEnd::Failed(failure), Value::Null)
            }
        };
        self.end(id, end, result).await;
        self.start_due();
    }

    async fn end(&self, id: u64, end: JobEnd, result: Value) {
        let (forgotten, without) = {
            let mut board = self.board.lock();
            let whole = (end == JobEnd::Done).then(|| work::reached(&result)).flatten();
            tracing::info!(id, "the job {id} has ended: {}", described(&end));
            let forgotten = board.table.end(id, end, clock::wall_ms());
            board.results.insert(id, without_findings(&result));
            board.unkept.insert(id, result.clone());
            let last = board.running.remove(&id).and_then(|running| running.last);
            let reached = whole.map(|of| (of, of)).or(last.map(|last| (last.done, last.of)));
            board.reached.extend(reached.map(|reached| (id, reached)));
            for id in &forgotten {
                board.results.remove(id);
                board.reached.remove(id);
            }
            (forgotten, board.beyond_findings())
        };
        self.tell(id);
        self.keep(id, &result).await;
        self.board.lock().unkept.remove(&id);
        if let Some(id) = without {
            let result = self.board.lock().results.get(&id).cloned().unwrap_or_default();
            self.keep(id, &result).await;
        }
        self.forget(forgotten).await;
    }

    /// Cancels a job. One that runs is stopped, and is cancelled a moment later.
    ///
    /// # Errors
    /// It cannot be cancelled.
    pub async fn cancel(self: &Arc<Self>, id: u64) -> Result<(), CancelError> {
        let (cancelled, forgotten) = {
            let mut board = self.board.lock();
            let (cancelled, forgotten) = board.table.cancel(id, clock::wall_ms());
            if cancelled == Cancelled::Stop
                && let Some(running) = board.running.get_mut(&id)
            {
                running.is_cancelled = true;
                if let Some(stop) = &running.stop {
                    stop.abort();
                }
            }
            (cancelled, forgotten)
        };
        match cancelled {
            Cancelled::Ended => {
                self.tell(id);
                self.keep(id, &Value::Null).await;
                self.forget(forgotten).await;
                Ok(())
            }
            Cancelled::Stop => Ok(()),
            Cancelled::EndedBefore => Err(CancelError::Ended),
            Cancelled::CannotStop => Err(CancelError::CannotStop),
            Cancelled::Unknown => Err(CancelError::Unknown),
        }
    }

    /// All of them, the newest first; results without findings. Blocks for as long as a read of the index takes.
    pub fn list(&self) -> Vec<ShownJob> {
        let ids: Vec<u64> = self.board.lock().table.newest_first().map(|job| job.id).collect();
        ids.into_iter().filter_map(|id| self.show(id)).collect()
    }

    /// One of them, its result without findings; none where there is none. Blocks as [`Jobs::list`] does, where it
    /// runs.
    pub fn show(&self, id: u64) -> Option<ShownJob> {
        let job = self.board.lock().table.get(id).cloned()?;
        // The index is not asked under the lock.
        let progress = (job.state == JobState::Running)
            .then(|| work::progress(&Arc::clone(&self.engines.borrow()), job.request.kind))
            .flatten();
        let mut board = self.board.lock();
        let result = board.results.get(&id).cloned().unwrap_or_default();
        let mut value = described_job(&job, result);
        if let Some((done, of)) = board.reached.get(&id) {
            value["done"] = json!(done);
            value["of"] = json!(of);
        }
        if let Some((progress, running)) = progress.zip(board.running.get_mut(&id)) {
            let now = Instant::now();
            let measure = running.measure.get_or_insert_with(|| Measure::begin(progress, now));
            let pace = measure.pace(progress, now);
            running.last = Some(progress);
            value["done"] = json!(progress.done);
            value["of"] = json!(progress.of);
            value["rate_per_s"] = json!(pace.rate_per_s);
            value["left_ms"] = json!(pace.left_ms);
        }
        Some(ShownJob { id, value })
    }

    /// One of them with its whole result. Blocks for as long as a read of the state folder takes.
    pub fn show_whole(&self, id: u64) -> Option<ShownJob> {
        let mut shown = self.show(id)?;
        // Before the file is read: what is not there is in it by then.
        let unkept = self.board.lock().unkept.get(&id).cloned();
        if let Some(result) = unkept {
            shown.value["result"] = result;
        } else if let Ok(kept) = kept::read(&self.state_dir, id)
            && !kept.result.is_null()
        {
            shown.value["result"] = kept.result;
        }
        Some(shown)
    }

    /// Tells the readers of events how a job stands.
    fn tell(&self, id: u64) {
        let board = self.board.lock();
        let Some(job) = board.table.get(id) else { return };
        let result = board.results.get(&id).cloned().unwrap_or_default();
        self.events.publish(EventKind::Job, &described_job(job, result));
    }

    /// Keeps a job with this result, as it is known now. Where the disk is full, only a restart forgets.
    async fn keep(&self, id: u64, result: &Value) {
        let _turn = self.writing.lock().await;
        let job = {
            let board = self.board.lock();
            let Some(record) = board.table.get(id).cloned() else { return };
            let reached = board.reached.get(&id).copied();
            KeptJob { record, reached, result: result.clone() }
        };
        let state_dir = self.state_dir.clone();
        let work = move || {
            if let Err(error) = kept::write(&state_dir, &job) {
                tracing::warn!("the job {id} cannot be kept in the state folder: {error}");
            }
        };
        // A panic there has been told.
        let _ = tokio::task::spawn_blocking(work).await;
    }

    async fn forget(&self, ids: Vec<u64>) {
        let _turn = self.writing.lock().await;
        let state_dir = self.state_dir.clone();
        let work = move || ids.into_iter().for_each(|id| kept::remove(&state_dir, id));
        let _ = tokio::task::spawn_blocking(work).await;
    }
}

impl Board {
    /// The newest job whose findings are not to be kept any more; none where there is none.
    fn beyond_findings(&self) -> Option<u64> {
        let has_findings = |job: &&JobRecord| {
            matches!(job.request.kind, JobKind::Verify | JobKind::Repair)
                && job.state == JobState::Done
        };
        let mut verified = self.table.newest_first().filter(has_findings);
        verified.nth(FINDINGS_OF_MAX).map(|job| job.id)
    }
}

fn described(end: &JobEnd) -> String {
    match end {
        JobEnd::Done => "done".to_owned(),
        JobEnd::Failed(failure) => format!("failed: {}", failure.reason),
        JobEnd::Cancelled => "cancelled".to_owned(),
    }
}

/// A result of a verification may be large: lists go without its findings.
fn without_findings(result: &Value) -> Value {
    let mut result = result.clone();
    if let Some(findings) = result.get_mut("findings").and_then(Value::as_array_mut)
        && !findings.is_empty()
    {
        findings.clear();
        result["truncated"] = json!(true);
    }
    result
}

fn described_job(job: &JobRecord, result: Value) -> Value {
    let time = |ms: Option<i64>| ms.map(clock::rfc3339);
    json!({
        "id": job.id,
        "kind": job.request.kind.name(),
        "root": job.request.root,
        "state": job.state.name(),
        "created_at": clock::rfc3339(job.created_ms),
        "started_at": time(job.started_ms),
        "ended_at": time(job.ended_ms),
        "done": null,
        "of": null,
        "rate_per_s": null,
        "left_ms": null,
        "result": result,
        "reason": job.failure.as_ref().map(|failure| &failure.reason),
        "refused": job.failure.as_ref().is_some_and(|failure| failure.is_refused),
    })
}
