//! Process groups that may outlive the drill that started them.

use rustix::process::{Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::identity::{Identity, Process, boot};

/// A process group, by its leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Group(pub Identity);

impl Group {
    /// Kills every process of the group (SIGKILL). A number that another group has by now is left alone.
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
