//! Jobs that people and programs start: which are queued, which run, and what is kept of those that have ended.

use std::collections::VecDeque;

/// Jobs that wait at most.
pub const QUEUED_MAX: usize = 32;

/// Jobs that are kept at most once they have ended; the newest.
pub const ENDED_MAX: usize = 256;

/// Why a job that ran when its server ended has failed.
pub const SERVER_ENDED: &str = "the server ended while it ran: look at what it was to do, and start it again where that is not done";

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// One pass over storage and catalog.
    Scan,
    /// Compares storage, index and catalog.
    Verify,
    /// Verifies, and mends what can be mended.
    Repair,
    /// Compares catalog and index.
    Compare,
    /// Approves held deletions.
    Approve,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [JobKind; 5] =
        [JobKind::Scan, JobKind::Verify, JobKind::Repair, JobKind::Compare, JobKind::Approve];

    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            JobKind::Scan => "scan",
            JobKind::Verify => "verify",
            JobKind::Repair => "repair",
            JobKind::Compare => "compare",
            JobKind::Approve => "approve",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<JobKind> {
        JobKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether two of these kinds would be in one another's way.
    fn excludes(self, other: JobKind) -> bool {
        let verifies = |kind| matches!(kind, JobKind::Verify | JobKind::Repair);
        self == other || verifies(self) && verifies(other)
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits for its turn.
    Queued,
    /// It runs.
    Running,
    /// It has a result.
    Done,
    /// It has none, and a reason.
    Failed,
    /// Somebody has ended it.
    Cancelled,
}

impl JobState {
    /// Every state.
    pub const ALL: [JobState; 5] = [
        JobState::Queued,
        JobState::Running,
        JobState::Done,
        JobState::Failed,
        JobState::Cancelled,
    ];

    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<JobState> {
        JobState::ALL.into_iter().find(|state| state.name() == name)
    }

    /// It waits or runs.
    pub fn is_under_way(self) -> bool {
        matches!(self, JobState::Queued | JobState::Running)
    }
}

/// What is asked for. Two that are equal are one job while it is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// What it does.
    pub kind: JobKind,
    /// The marker of the only root that it is about; none: all of them.
    pub root: Option<String>,
    /// Of an approval: the end of the set that is approved.
    pub through: Option<i64>,
    /// Of a verification: sidecars are left unread.
    pub quick: bool,
}

/// Why a job has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFailure {
    /// It was refused: trying again changes nothing. Otherwise something was not there.
    pub is_refused: bool,
    /// What happened, and what to do.
    pub reason: String,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// Counts the jobs of a state folder, from 1.
    pub id: u64,
    /// What is asked for.
    pub request: JobRequest,
    /// How far it is.
    pub state: JobState,
    /// When it was asked for, milliseconds since 1970.
    pub created_ms: i64,
    /// When it began to run, milliseconds since 1970.
    pub started_ms: Option<i64>,
    /// When it ended, milliseconds since 1970.
    pub ended_ms: Option<i64>,
    /// Why it has failed.
    pub failure: Option<JobFailure>,
}

/// How a job that ran came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// It has a result.
    Done,
    /// It has none.
    Failed(JobFailure),
    /// Somebody has ended it.
    Cancelled,
}

/// The answer to somebody who asks for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A new job.
    New(u64),
    /// The one that is under way.
    UnderWay(u64),
    /// Too many wait.
    Full,
}

/// The answer to somebody who cancels a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It waited, and does not any more.
    Ended,
    /// It runs, and is to be stopped.
    Stop,
    /// It had ended before.
    EndedBefore,
    /// It cannot be stopped in its middle.
    CannotStop,
    /// There is no such job.
    Unknown,
}

/// All jobs that are known, in the order in which they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobTable {
    jobs: VecDeque<JobRecord>,
    last_id: u64,
}

impl JobTable {
    /// With what was kept, in any order, when a server starts at `now_ms`. What ran then has failed; what waited
    /// waits. Returns the jobs that have changed by that, too.
    pub fn of(mut kept: Vec<JobRecord>, now_ms: i64) -> (JobTable, Vec<u64>) {
        kept.sort_by_key(|job| job.id);
        kept.dedup_by_key(|job| job.id);
        let mut changed = Vec::new();
        for job in kept.iter_mut().filter(|job| job.state == JobState::Running) {
            job.state = JobState::Failed;
            job.ended_ms = Some(now_ms);
            job.failure = Some(JobFailure { is_refused: false, reason: SERVER_ENDED.to_owned() });
            changed.push(job.id);
        }
        let last_id = kept.last().map_or(0, |job| job.id);
        (JobTable { jobs: kept.into(), last_id }, changed)
    }

    /// All of them, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &JobRecord> {
        self.jobs.iter().rev()
    }

    /// The one with this id.
    pub fn get(&self, id: u64) -> Option<&JobRecord> {
        self.jobs.iter().find(|job| job.id == id)
    }

    /// Somebody asks for a job.
    pub fn ask(&mut self, request: JobRequest, now_ms: i64) -> Asked {
        let same = |job: &&JobRecord| job.state.is_under_way() && job.request == request;
        if let Some(job) = self.jobs.iter().find(same) {
            return Asked::UnderWay(job.id);
        }
        let queued = self.jobs.iter().filter(|job| job.state == JobState::Queued).count();
        if queued >= QUEUED_MAX {
            return Asked::Full;
        }
        self.last_id = self.last_id.saturating_add(1);
        self.jobs.push_back(JobRecord {
            id: self.last_id,
            request,
            state: JobState::Queued,
            created_ms: now_ms,
            started_ms: None,
            ended_ms: None,
            failure: None,
        });
        Asked::New(self.last_id)
    }

    /// Starts the job that has waited longest of those that nothing is in the way of. Returns it; none where there
    /// is none.
    pub fn start_next(&mut self, now_ms: i64) -> Option<JobRecord> {
        let running: Vec<JobKind> = self
            .jobs
            .iter()
            .filter(|job| job.state == JobState::Running)
            .map(|job| job.request.kind)
            .collect();
        let is_free = |job: &&mut JobRecord| {
            job.state == JobState::Queued
                && !running.iter().any(|other| other.excludes(job.request.kind))
        };
        let job = self.jobs.iter_mut().find(is_free)?;
        job.state = JobState::Running;
        job.started_ms = Some(now_ms);
        Some(job.clone())
    }

    /// A job that ran has come to its end. Returns those that are to be forgotten, the oldest first.
    pub fn end(&mut self, id: u64, end: JobEnd, now_ms: i64) -> Vec<u64> {
        let running = |job: &&mut JobRecord| job.id == id && job.state == JobState::Running;
        if let Some(job) = self.jobs.iter_mut().find(running) {
            job.ended_ms = Some(now_ms);
            job.state = match end {
                JobEnd::Done => JobState::Done,
                JobEnd::Cancelled => JobState::Cancelled,
                JobEnd::Failed(failure) => {
                    job.failure = Some(failure);
                    JobState::Failed
                }
            };
        }
        self.forget()
    }

    /// Somebody cancels a job. Returns those that are to be forgotten, too.
    pub fn cancel(&mut self, id: u64, now_ms: i64) -> (Cancelled, Vec<u64>) {
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else {
            return (Cancelled::Unknown, Vec::new());
        };
        match job.state {
            JobState::Queued => {
                job.state = JobState::Cancelled;
                job.ended_ms = Some(now_ms);
                (Cancelled::Ended, self.forget())
            }
            // What is approved cannot be taken back, and an approval takes a moment.
            JobState::Running if job.request.kind == JobKind::Approve => {
                (Cancelled::CannotStop, Vec::new())
            }
            JobState::Running => (Cancelled::Stop, Vec::new()),
            _ => (Cancelled::EndedBefore, Vec::new()),
        }
    }

    fn forget(&mut self) -> Vec<u64> {
        let ended = |job: &JobRecord| !job.state.is_under_way();
        let beyond = self.jobs.iter().filter(|job| ended(job)).count().saturating_sub(ENDED_MAX);
        let forgotten: Vec<u64> =
            self.jobs.iter().filter(|job| ended(job)).take(beyond).map(|job| job.id).collect();
        self.jobs.retain(|job| !forgotten.contains(&job.id));
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(kind: JobKind, root: Option<&str>) -> JobRequest {
        JobRequest { kind, root: root.map(str::to_owned), through: None, quick: false }
    }

    fn state(table: &JobTable, id: u64) -> JobState {
        table.get(id).expect("a job").state
    }

    #[test]
    fn the_same_kind_and_root_under_way_is_one_job() {
        let mut table = JobTable::default();
        assert_eq!(table.ask(request(JobKind::Scan, None), 1), Asked::New(1));
        assert_eq!(table.ask(request(JobKind::Scan, None), 2), Asked::UnderWay(1));
        assert_eq!(table.ask(request(JobKind::Scan, Some("r")), 3), Asked::New(2));
        let approve =
            |through| JobRequest { through: Some(through), ..request(JobKind::Approve, Some("r")) };
        assert_eq!(table.ask(approve(5), 4), Asked::New(3));
        assert_eq!(table.ask(approve(6), 5), Asked::New(4), "another set");
        assert_eq!(table.start_next(6).map(|job| job.id), Some(1));
        assert_eq!(table.ask(request(JobKind::Scan, None), 7), Asked::UnderWay(1));
        table.end(1, JobEnd::Done, 8);
        assert_eq!(table.ask(request(JobKind::Scan, None), 9), Asked::New(5), "it has ended");
    }

    #[test]
    fn what_would_be_in_the_way_of_another_waits_and_nothing_else_does() {
        let mut table = JobTable::default();
        for kind in [JobKind::Verify, JobKind::Repair, JobKind::Scan, JobKind::Compare] {
            table.ask(request(kind, None), 1);
        }
        let started: Vec<u64> =
            std::iter::from_fn(|| table.start_next(2)).map(|job| job.id).collect();
        assert_eq!(started, [1, 3, 4]);
        table.end(1, JobEnd::Done, 3);
        assert_eq!(table.start_next(4).map(|job| job.id), Some(2));
    }

    #[test]
    fn what_waits_is_cancelled_at_once_and_what_runs_is_stopped() {
        let mut table = JobTable::default();
        table.ask(request(JobKind::Scan, None), 1);
        table.ask(request(JobKind::Scan, Some("r")), 1);
        table.ask(request(JobKind::Approve, Some("r")), 1);
        while table.start_next(2).is_some() {}
        assert_eq!(table.cancel(2, 3).0, Cancelled::Ended);
        assert_eq!(state(&table, 2), JobState::Cancelled);
        assert_eq!(table.cancel(2, 3).0, Cancelled::EndedBefore);
        assert_eq!(table.cancel(1, 3).0, Cancelled::Stop);
        assert_eq!(state(&table, 1), JobState::Running, "until it has stopped");
        table.end(1, JobEnd::Cancelled, 4);
        assert_eq!(state(&table, 1), JobState::Cancelled);
        assert_eq!(table.cancel(3, 5).0, Cancelled::CannotStop);
        assert_eq!(table.cancel(9, 5).0, Cancelled::Unknown);
        // An end that comes late changes nothing.
        table.end(1, JobEnd::Done, 6);
        assert_eq!(state(&table, 1), JobState::Cancelled);
    }

    #[test]
    fn after_a_restart_what_ran_has_failed_with_the_reason_and_what_waited_waits() {
        let mut table = JobTable::default();
        table.ask(request(JobKind::Scan, None), 1);
        table.ask(request(JobKind::Scan, Some("r")), 1);
        table.ask(request(JobKind::Verify, None), 1);
        table.start_next(2);
        let verify = table.start_next(2).expect("started").id;
        table.end(verify, JobEnd::Done, 3);
        let (mut again, changed) = JobTable::of(table.newest_first().cloned().collect(), 10);
        assert_eq!(changed, [1]);
        let failed = again.get(1).expect("a job");
        assert_eq!((failed.state, failed.ended_ms), (JobState::Failed, Some(10)));
        assert_eq!(failed.failure.as_ref().map(|why| why.reason.as_str()), Some(SERVER_ENDED));
        assert_eq!((state(&again, 2), state(&again, 3)), (JobState::Queued, JobState::Done));
        assert_eq!(again.start_next(11).map(|job| job.id), Some(2));
        assert_eq!(again.ask(request(JobKind::Scan, None), 12), Asked::New(4), "no id twice");
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in JobKind::ALL {
            assert_eq!(JobKind::from_name(kind.name()), Some(kind));
        }
        for state in JobState::ALL {
            assert_eq!(JobState::from_name(state.name()), Some(state));
        }
        assert_eq!((JobKind::from_name("x"), JobState::from_name("x")), (None, None));
    }

    proptest! {
        #[test]
        fn queue_and_history_are_bounded_whatever_is_asked_for(
            steps in prop::collection::vec((0u8..4, 0usize..5, 0u8..40), 1..900)
        ) {
            let mut table = JobTable::default();
            for (now, (step, kind, root)) in steps.into_iter().enumerate() {
                let now_ms = now as i64;
                match step {
                    0 | 1 => {
                        let root = format!("{root}");
                        table.ask(request(JobKind::ALL[kind], Some(&root)), now_ms);
                    }
                    2 => {
                        table.start_next(now_ms);
                    }
                    _ => {
                        let is_running = |job: &&JobRecord| job.state == JobState::Running;
                        let running = table.newest_first().find(is_running).map(|job| job.id);
                        let newest = table.newest_first().next().map(|job| job.id);
                        match (running, newest) {
                            (Some(id), _) => drop(table.end(id, JobEnd::Done, now_ms)),
                            (None, Some(id)) => drop(table.cancel(id, now_ms)),
                            (None, None) => {}
                        }
                    }
                }
                let count = |wanted: &dyn Fn(JobState) -> bool| {
                    table.newest_first().filter(|job| wanted(job.state)).count()
                };
                prop_assert!(count(&|state| state == JobState::Queued) <= QUEUED_MAX);
                prop_assert!(count(&|state| !state.is_under_way()) <= ENDED_MAX);
                let running: Vec<JobKind> = table
                    .newest_first()
                    .filter(|job| job.state == JobState::Running)
                    .map(|job| job.request.kind)
                    .collect();
                for (at, kind) in running.iter().enumerate() {
                    prop_assert!(!running[..at].iter().any(|other| other.excludes(*kind)));
                }
            }
        }
    }
}
