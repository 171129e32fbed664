//! Drills as processes: started, stopped at a place, killed, and recovered from.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use focus_testkit::wait::until;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use crate::scene::LIMIT;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_focus");

/// How a command ended: its exit code, and the value that it printed.
pub(crate) type Said = (Option<i32>, Value);

/// Every place at which a test can stop a drill, in the order in which they come.
pub(crate) const PLACES: [&str; 16] = [
    "planned",
    "armed",
    "down_noted",
    "down_begun",
    "unreachable",
    "planting",
    "planted",
    "up_begun",
    "up",
    "reachable",
    "converged",
    "verdict",
    "side_effects",
    "cleaning",
    "cleaned",
    "forgetting",
];

/// A program started by a test: ended when dropped.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a drill keeps its files, and where a paused one prints to.
pub(crate) struct DrillFiles {
    pub(crate) state: PathBuf,
    pub(crate) log: PathBuf,
}

impl DrillFiles {
    /// Those of a site in this folder.
    pub(crate) fn of(dir: &Path) -> DrillFiles {
        DrillFiles { state: dir.join("drills"), log: dir.join("drill.log") }
    }

    /// A file of the drill's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.state.join("drill").join(name)
    }

    /// Starts a drill that stops at this place, in a process group of its own, and waits until it is there.
    pub(crate) async fn paused(&self, mut drill: Command, place: &str) -> Ended {
        let paused = self.file("paused");
        let _ = std::fs::remove_file(&paused);
        let log = File::create(&self.log).expect("a log");
        let child = drill
            .env("FOCUS_DRILL_PAUSE_AT", place)
            .process_group(0)
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log)
            .spawn()
            .expect("the drill runs");
        let mut child = Ended(child);
        until(&format!("the drill is at {place}"), LIMIT, || {
            let there = std::fs::read_to_string(&paused).is_ok_and(|text| text == place);
            let ended = child.0.try_wait().expect("its state");
            let log = self.printed();
            assert!(there || ended.is_none(), "the drill ended: {ended:?} {log}");
            async move { if there { Ok(()) } else { Err(log) } }
        })
        .await;
        child
    }

    /// Lets a paused drill go on.
    pub(crate) fn release(&self) {
        std::fs::remove_file(self.file("paused")).expect("a paused drill");
    }

    /// Waits for the end of a drill that was paused.
    pub(crate) async fn ended(&self, mut drill: Ended) -> Said {
        let ended = tokio::task::spawn_blocking(move || drill.0.wait()).await.expect("a thread");
        (ended.expect("its end").code(), self.said())
    }

    /// What a drill that was paused has printed in the end.
    pub(crate) fn said(&self) -> Value {
        let log = self.printed();
        // Beside the result, the log has what was told on stderr: the report may not have been posted.
        let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with("error: ")).collect();
        serde_json::from_str(&lines.join("\n")).unwrap_or_else(|error| panic!("{error}: {log}"))
    }

    fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `focus drill recover`.
    pub(crate) fn recover(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.args(["drill", "recover", "--json", "--state-dir"]).arg(&self.state);
        command.stdin(Stdio::null());
        command
    }
}

/// Starts a command whose output nobody reads.
pub(crate) fn silent(mut command: Command) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ended(command.spawn().expect("the binary runs"))
}

/// Runs a command to its end, beside the test's own runtime.
pub(crate) async fn finished(mut command: Command) -> Said {
    let output: Output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("a thread")
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code(), value)
}

/// Ends a drill at once, as a crash does: itself, and not what it started.
pub(crate) fn kill(drill: &mut Ended) {
    drill.0.kill().expect("a signal");
    drill.0.wait().expect("its end");
}

/// The guard of a drill that was started in this state folder, if it still runs.
pub(crate) fn guards(state: &Path) -> Vec<i32> {
    let wanted = state.as_os_str().as_encoded_bytes();
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words.contains(&b"guard".as_slice()) && words.contains(&wanted)
        })
        .collect()
}

/// Ends the guards of this state folder too: nothing but a recovery is left to bring the database back.
pub(crate) fn kill_guards(state: &Path) {
    signal_all(&guards(state), Signal::KILL);
}

/// Sends a signal to these processes, where they are still there.
pub(crate) fn signal_all(pids: &[i32], signal: Signal) {
    for pid in pids.iter().copied().filter_map(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Sends a signal to the group of a paused drill, as a terminal does.
pub(crate) fn signal_group(child: &Ended, signal: Signal) {
    let pid = i32::try_from(child.0.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process_group(pid, signal).expect("a signal");
}
