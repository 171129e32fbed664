//! Processes, told apart from later ones with the same number by the time of their start and by the boot.

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

/// A process, told apart from a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// When it was started, in the kernel's ticks since boot.
    pub started: u64,
    /// The boot it was started in.
    pub boot: String,
}

/// A process as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// One letter: `R`, `S`, `T` (stopped), `Z` (zombie) and so on.
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// When it was started, in the kernel's ticks since boot.
    pub started: u64,
}

impl Process {
    /// Reads the process with this id; none where there is no such process.
    pub fn read(pid: i32) -> Option<Process> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in brackets, and may hold some itself.
        let (head, rest) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Process {
            name: name.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether the process has ended, and nobody has asked for its result yet.
    pub fn is_zombie(&self) -> bool {
        self.state == 'Z' || self.state == 'X'
    }
}

impl Identity {
    /// The identity of a process that runs; none where it has ended.
    pub fn of(pid: i32) -> Option<Identity> {
        let process = Process::read(pid).filter(|process| !process.is_zombie())?;
        Some(Identity { pid, started: process.started, boot: boot() })
    }

    /// Whether this very process still runs.
    pub fn runs(&self) -> bool {
        Identity::of(self.pid).as_ref() == Some(self)
    }

    /// The process id, for signals.
    pub fn raw(&self) -> Option<Pid> {
        Pid::from_raw(self.pid)
    }
}

/// The id of this boot of the machine; empty where the kernel does not tell.
pub(super) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_number_and_its_start() {
        let own = i32::try_from(std::process::id()).expect("small");
        let identity = Identity::of(own).expect("we run");
        assert!(identity.runs());
        let later = Identity { started: identity.started + 1, ..identity.clone() };
        assert!(!later.runs());
        let before = Identity { boot: "another".to_owned(), ..identity };
        assert!(!before.runs());
    }
}
