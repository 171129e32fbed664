//! The record of a way up: a part of the plan, so that another process can end the outage.

use serde::{Deserialize, Serialize};

use super::command::CommandUp;
use super::contract::WayUp;
use super::docker::Container;
use super::kubernetes::way_up::KubernetesUp;
use super::process::ProcessUp;
use super::proxy::ProxyUp;
use super::systemd::Units;

/// How an outage is ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Restore {
    /// A command of the site's own.
    Command(CommandUp),
    /// A container is started.
    Docker(Container),
    /// A workload of a cluster is as it was.
    Kubernetes(KubernetesUp),
    /// A process goes on, or is started by a command.
    Process(ProcessUp),
    /// The proxy passes everything on.
    Proxy(ProxyUp),
    /// Units are started.
    Systemd(Units),
}

impl Restore {
    /// The way up.
    pub fn way_up(&self) -> &dyn WayUp {
        match self {
            Restore::Command(up) => up,
            Restore::Docker(up) => up,
            Restore::Kubernetes(up) => up,
            Restore::Process(up) => up,
            Restore::Proxy(up) => up,
            Restore::Systemd(up) => up,
        }
    }
}

impl From<CommandUp> for Restore {
    fn from(up: CommandUp) -> Restore {
        Restore::Command(up)
    }
}

impl From<Container> for Restore {
    fn from(up: Container) -> Restore {
        Restore::Docker(up)
    }
}

impl From<KubernetesUp> for Restore {
    fn from(up: KubernetesUp) -> Restore {
        Restore::Kubernetes(up)
    }
}

impl From<ProcessUp> for Restore {
    fn from(up: ProcessUp) -> Restore {
        Restore::Process(up)
    }
}

impl From<ProxyUp> for Restore {
    fn from(up: ProxyUp) -> Restore {
        Restore::Proxy(up)
    }
}

impl From<Units> for Restore {
    fn from(up: Units) -> Restore {
        Restore::Systemd(up)
    }
}
