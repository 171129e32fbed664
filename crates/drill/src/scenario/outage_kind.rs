//! The kinds of outage.

/// How the database is taken away.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum OutageKind {
    /// A workload of a cluster: scaled to 0, its pods deleted, or cut off by a policy
    Kubernetes,
    /// A process on this machine: stopped or killed
    Process,
    /// A unit of systemd: stopped
    Systemd,
    /// A container of Docker or Podman: stopped
    Docker,
    /// `focus drill proxy`, which stands between server and database
    Proxy,
    /// A pair of commands
    Command,
}

impl OutageKind {
    /// As on the command line, and in files.
    pub fn name(self) -> &'static str {
        match self {
            OutageKind::Kubernetes => "kubernetes",
            OutageKind::Process => "process",
            OutageKind::Systemd => "systemd",
            OutageKind::Docker => "docker",
            OutageKind::Proxy => "proxy",
            OutageKind::Command => "command",
        }
    }
}

impl std::fmt::Display for OutageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
