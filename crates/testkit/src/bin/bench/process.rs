//! What processes take: processor time, bytes written, memory.

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// A process that runs to its end is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a process has taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time of all its threads, user and system. The kernel counts it in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Bytes that it had the kernel write to disks: pages that it was the first to change.
    pub(crate) written_bytes: u64,
    /// Resident memory at the most so far, KiB; 0 once it has ended.
    pub(crate) peak_kib: u64,
    /// Resident memory now, KiB; 0 once it has ended.
    pub(crate) resident_kib: u64,
}

impl Usage {
    /// Of a process that is there, or has ended and was not waited for.
    pub(crate) fn of(pid: Option<u32>) -> Usage {
        let folder = format!("/proc/{}", pid.unwrap_or(0));
        let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}"));
        let status = read("status").unwrap_or_default();
        Usage {
            cpu: cpu(&read("stat").unwrap_or_default()),
            written_bytes: field(&read("io").unwrap_or_default(), "write_bytes:"),
            peak_kib: field(&status, "VmHWM:"),
            resident_kib: field(&status, "VmRSS:"),
        }
    }

    /// What it has taken since an earlier time; memory as it is now.
    pub(crate) fn since(self, before: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(before.cpu),
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
            ..self
        }
    }

    /// Processor time for each of `n`, µs.
    pub(crate) fn cpu_us_each(self, n: u64) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / n.max(1) as f64
    }

    /// Bytes written for each of `n`.
    pub(crate) fn bytes_each(self, n: u64) -> f64 {
        self.written_bytes as f64 / n.max(1) as f64
    }

    /// Resident memory at the most, MiB.
    pub(crate) fn peak_mib(self) -> f64 {
        self.peak_kib as f64 / 1_024.0
    }
}

/// User and system time are fields 14 and 15, in ticks of 10 ms; the second field, a name, may hold spaces.
fn cpu(stat: &str) -> Duration {
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    Duration::from_millis(fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}

fn field(text: &str, name: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    rest.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Has the peak of the resident memory of a process begin anew.
///
/// # Panics
/// The kernel does not do that.
pub(crate) fn peak_from_now_on(pid: Option<u32>) {
    std::fs::write(format!("/proc/{}/clear_refs", pid.unwrap_or(0)), "5").expect("its peak");
}

/// Processor time of a process to the nanosecond, by the counts of its threads.
#[derive(Debug, Default)]
pub(crate) struct ExactCpu(std::collections::BTreeMap<String, (u64, u64)>);

impl ExactCpu {
    /// Looks at all threads. What a thread took between the last look and its end is not counted, so look often.
    pub(crate) fn look(&mut self, pid: Option<u32>) {
        let is_first = self.0.is_empty();
        let folder = format!("/proc/{}/task", pid.unwrap_or(0));
        for thread in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(thread.path().join("schedstat"));
            let ns = text.ok().and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
            let Some(ns) = ns else { continue };
            // A thread that comes later begins with nothing.
            let began = if is_first { ns } else { 0 };
            let name = thread.file_name().to_string_lossy().into_owned();
            self.0.entry(name).or_insert((began, ns)).1 = ns;
        }
    }

    /// From the first look to the last one.
    pub(crate) fn taken(&self) -> Duration {
        let all = self.0.values().map(|(began, now)| now.saturating_sub(*began));
        Duration::from_nanos(all.sum())
    }
}

/// A process that has run to its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) took: Duration,
    /// All that it took. The peak of its memory is that of the last look, some milliseconds before its end.
    pub(crate) usage: Usage,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
}

/// Runs a command to its end, and counts what it takes. It must not print more than a pipe holds, 64 KiB.
///
/// # Panics
/// It cannot be run.
pub(crate) async fn run(command: &mut Command) -> Ended {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let began = Instant::now();
    let child = command.spawn().expect("the program runs");
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let mut peak_kib = 0;
    while waitid(WaitId::Pid(pid), options).expect("its state").is_none() {
        peak_kib = Usage::of(Some(child.id())).peak_kib.max(peak_kib);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = began.elapsed();
    let usage = Usage { peak_kib, ..Usage::of(Some(child.id())) };
    let output = child.wait_with_output().expect("its output");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ended { took, usage, status: output.status, stdout }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_with_spaces_and_brackets() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 1 0 5";
        assert_eq!(cpu(stat), Duration::from_millis(2_000));
        assert_eq!(cpu(""), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_process_that_has_ended_is_told_with_status_output_and_peak() {
        let ended = run(Command::new("sh").args(["-c", "sleep 0.1; echo done; exit 3"])).await;
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!(ended.stdout, "done\n");
        assert!(ended.usage.peak_kib > 0, "{ended:?}");
    }

    #[test]
    fn exact_time_counts_what_is_taken_between_two_looks() {
        let mut cpu = ExactCpu::default();
        cpu.look(Some(std::process::id()));
        let began = Instant::now();
        while cpu.taken() == Duration::ZERO {
            assert!(began.elapsed() < Duration::from_secs(60));
            cpu.look(Some(std::process::id()));
        }
    }
}
