//! The flags of `focus drill run`.

use std::path::PathBuf;

use super::duration::time_ms;
use super::outage_kind::OutageKind;
use super::plant_by::PlantBy;

/// The flags of `focus drill run`; whatever is not given comes from the experiment's file, and what is
/// not there either is the reference scenario.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// An experiment: steady state, method and rollback [default: the reference scenario]
    #[arg(value_name = "EXPERIMENT.toml")]
    pub experiment: Option<PathBuf>,
    /// The server that is drilled [default: the one running on the state folder, else --listen]
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// How the database is taken away
    #[arg(long, value_enum)]
    pub outage: Option<OutageKind>,
    /// How many recordings are planted while it is away [default: 1]
    #[arg(long, value_name = "N")]
    pub count: Option<u32>,
    /// Recordings planted per second at most [default: 50]
    #[arg(long, value_name = "R")]
    pub rate: Option<f64>,
    /// The outage lasts until all are planted, and at least so long [default: 3s]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub outage_for: Option<u64>,
    /// How long the catalog is waited for once the database is back [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub timeout: Option<u64>,
    /// The outage ends after so long at the latest, whatever happens to the drill [default: from the rest]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub deadline: Option<u64>,
    /// Plants by a command of your own, run by `sh -c` once per recording, told by FOCUS_DRILL_ID,
    /// FOCUS_RECORDING_ID, FOCUS_UUID, FOCUS_PATH (of the data file), FOCUS_START_TIME and FOCUS_END_TIME
    /// what to make
    #[arg(long, value_name = "CMD")]
    pub plant: Option<String>,
    /// Plants as files, or through the ingest call of the server, whose root has to take recordings [default: files]
    #[arg(long, value_enum, value_name = "WAY", conflicts_with = "plant")]
    pub plant_by: Option<PlantBy>,
    /// For `--plant-by ingest`: the file with a token that has the right `ingest` [default: the token in the state
    /// folder]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Stands in for the mark that says that this deployment may be drilled
    #[arg(long)]
    pub allow: bool,
    /// Tells what would be taken away, and stops there
    #[arg(long)]
    pub dry_run: bool,
    /// Writes the report as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Writes the report as one HTML file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// For `command`: takes the database away; run by `sh -c`
    #[arg(long, value_name = "CMD")]
    pub down: Option<String>,
    /// For `command` and `process`: brings it back; run by `sh -c`
    #[arg(long, value_name = "CMD")]
    pub up: Option<String>,
    /// For `process`: the file with the database's process number
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// process: stop, kill; proxy: refuse, black-hole, reset, slow; kubernetes: scale, delete-pods,
    /// network-policy [default: the first]
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,
    /// For `proxy`: its control socket [default: drill/proxy.sock in the state folder]
    #[arg(long, value_name = "FILE")]
    pub control: Option<PathBuf>,
    /// For `proxy` with `slow`: delay of each piece of data, milliseconds [default: 10000]
    #[arg(long, value_name = "N")]
    pub latency_ms: Option<u64>,
    /// For `proxy` with `slow`: bytes per second, 0 for no bound [default: 0]
    #[arg(long, value_name = "N")]
    pub bandwidth: Option<u64>,
    /// For `kubernetes`: the namespace
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
    /// For `kubernetes`: deployment/NAME or statefulset/NAME
    #[arg(long, value_name = "KIND/NAME")]
    pub workload: Option<String>,
    /// For `systemd`: the unit
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<String>,
    /// For `systemd`: it is a unit of the user's own manager
    #[arg(long)]
    pub user: bool,
    /// For `docker`: the container
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
    /// For `docker`: the engine's API socket [default: Docker's, else Podman's]
    #[arg(long, value_name = "FILE")]
    pub socket: Option<PathBuf>,
}
