//! Process groups that outlive the one who started them, told apart from later ones with the same number.

use std::process::Stdio;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// A process, with what tells it from a later one of the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub pid: i32,
    /// When it was started, in the kernel's ticks since boot.
    pub started: u64,
    /// The boot it was started in.
    pub boot: String,
}

/// What a process does, as the kernel says.
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
    /// Reads it; none where there is no such process.
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

    /// It has ended, and nobody has asked for its result yet.
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

    /// It still runs, and is the same.
    pub fn runs(&self) -> bool {
        Identity::of(self.pid).as_ref() == Some(self)
    }

    /// The process, for signals.
    pub fn raw(&self) -> Option<Pid> {
        Pid::from_raw(self.pid)
    }
}

/// This boot of the machine.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// A process group: its leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Group(pub Identity);

impl Group {
    /// Ends everything in it at once. A number that is another group's by now is left alone.
    pub fn end(&self) {
        if self.0.boot != boot() {
            return;
        }
        // While a group has members its number is given to nobody: another start time means that the
        // old group is gone. A leader that has ended may have left members behind.
        let other =
            Process::read(self.0.pid).is_some_and(|leader| leader.started != self.0.started);
        if let Some(pid) = self.0.raw().filter(|_| !other) {
            // Gone is as good as ended.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// A shell command that waits, in a group of its own, for leave to run. Nothing of it runs before its
/// group is on record; where we die before, it ends without having done anything.
#[derive(Debug)]
pub struct Waiting {
    child: Child,
    /// Its group.
    pub group: Group,
}

impl Waiting {
    /// Starts the shell. What the command prints goes to `log`, never to the caller's own output; it is
    /// `told` these variables.
    ///
    /// # Errors
    /// No shell can be started, or the log cannot be written.
    pub fn start(
        command: &str,
        log: &std::path::Path,
        told: &[(&str, String)],
    ) -> anyhow::Result<Waiting> {
        let (out, err) = output(log)?;
        let child = Command::new("sh")
            .envs(told.iter().map(|(name, value)| (name, value)))
            .args(["-c", "read -r go && exec sh -c \"$1\" </dev/null", "sh", command])
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .context("sh cannot be run")?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let identity = pid.and_then(Identity::of).context("the command's shell ended at once")?;
        Ok(Waiting { child, group: Group(identity) })
    }

    /// Lets it run.
    ///
    /// # Errors
    /// The shell has ended.
    pub async fn go(mut self) -> anyhow::Result<Child> {
        let mut leave = self.child.stdin.take().context("the command's shell has no input")?;
        leave.write_all(b"go\n").await.context("the command's shell has ended")?;
        drop(leave);
        Ok(self.child)
    }
}

/// Both outputs of a helper, into a file.
///
/// # Errors
/// The file cannot be made.
pub fn output(log: &std::path::Path) -> anyhow::Result<(Stdio, Stdio)> {
    let file = std::fs::File::create(log)
        .with_context(|| format!("{} cannot be written", log.display()))?;
    let second = file.try_clone()?;
    Ok((Stdio::from(file), Stdio::from(second)))
}

/// The end of a log, for an error.
pub fn tail(log: &std::path::Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let from = text.len().saturating_sub(400);
    shown(String::from_utf8_lossy(&text[from..]).trim())
}

/// A command, or what it printed, as it may be shown: logins in URLs are left out.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || "'\"".contains(c));
        let (url, beyond) = after.split_at(end.unwrap_or(after.len()));
        // A password may hold anything that was not escaped: the last @ ends it.
        let shown =
            url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, host)| format!("***@{host}"));
        out.push_str(&shown);
        rest = beyond;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_in_commands_are_not_shown() {
        for (text, told) in [
            (
                "mongosh 'mongodb://u:p@h/admin' --eval x",
                "mongosh 'mongodb://***@h/admin' --eval x",
            ),
            ("a mongodb://u:p@w/@h b", "a mongodb://***@h b"),
            ("curl http://h/ https://t@x", "curl http://h/ https://***@x"),
            ("no url", "no url"),
        ] {
            assert_eq!(shown(text), told);
        }
    }

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
