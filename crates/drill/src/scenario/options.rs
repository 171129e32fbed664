//! What a drill is to do: the flags, else the experiment's file, else the reference scenario.

use std::path::PathBuf;

use super::experiment::Experiment;
use super::flags::Flags;
use super::outage_kind::OutageKind;
use super::plant_by::PlantBy;

/// Recordings planted by one drill at most.
pub const COUNT_MAX: u32 = 100_000;

/// Delay of a slow proxy where none is given, milliseconds: well above the silence by which a server takes its
/// database for away.
const SLOW_LATENCY_MS: u64 = 10_000;

/// What a drill is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The experiment's title.
    pub title: String,
    /// How the database is taken away.
    pub outage: OutageKind,
    /// How many recordings are planted: 1 to [`COUNT_MAX`].
    pub count: u32,
    /// Recordings planted per second at most: above 0, up to 100,000.
    pub rate: f64,
    /// The outage lasts at least this long, milliseconds; 24 hours at most.
    pub outage_for_ms: u64,
    /// The catalog is waited for this long, milliseconds; 24 hours at most.
    pub timeout_ms: u64,
    /// The outage ends after this many milliseconds at the latest, 48 hours at most; none where it follows from
    /// the rest.
    pub deadline: Option<u64>,
    /// The command that plants; none where the drill plants.
    pub plant: Option<String>,
    /// How the drill plants.
    pub plant_by: PlantBy,
    /// The file with the token for planting through the ingest call; none: that of the state folder.
    pub token_file: Option<PathBuf>,
    /// Whether the flag stands in for the mark that allows a drill.
    pub allow: bool,
    /// Whether the drill ends before anything is done.
    pub dry_run: bool,
    /// The command that takes the database away.
    pub down: Option<String>,
    /// The command that brings the database back.
    pub up: Option<String>,
    /// The file with the database's process number.
    pub pid_file: Option<PathBuf>,
    /// What the outage does to its target; each kind of outage reads its own methods.
    pub method: Option<String>,
    /// The proxy's control socket.
    pub control: Option<PathBuf>,
    /// Delay of a slow proxy, milliseconds.
    pub latency_ms: u64,
    /// Bytes per second of a slow proxy; 0 for no bound.
    pub bandwidth: u64,
    /// Kubernetes: the namespace.
    pub namespace: Option<String>,
    /// Kubernetes: `deployment/NAME` or `statefulset/NAME`.
    pub workload: Option<String>,
    /// systemd: the unit.
    pub unit: Option<String>,
    /// systemd: a unit of the user's own manager.
    pub user: bool,
    /// Docker: the container.
    pub container: Option<String>,
    /// Docker: the API socket.
    pub socket: Option<PathBuf>,
    /// The state folder.
    pub state_dir: PathBuf,
    /// The steady state is waited for this long before anything is broken, milliseconds.
    pub steady_within_ms: u64,
    /// Recordings that may be pending at most before anything is broken; none for no bound.
    pub steady_pending_max: Option<u64>,
}

impl Options {
    /// Joins file and flags; flags win.
    ///
    /// # Errors
    /// A value is in neither, or is out of its range: which, and what to do.
    pub fn join(file: Experiment, flags: &Flags, state_dir: PathBuf) -> Result<Options, String> {
        let (steady, method, rollback) = (file.steady_state, file.method, file.rollback);
        let text = |flag: &Option<String>, file: Option<String>| flag.clone().or(file);
        let path = |flag: &Option<PathBuf>, file: Option<PathBuf>| flag.clone().or(file);
        let options = Options {
            title: file.title.unwrap_or_else(|| "reference scenario".to_owned()),
            outage: flags.outage.or(method.outage).ok_or(
                "which outage? Give --outage kubernetes, process, systemd, docker, proxy or command",
            )?,
            count: flags.count.or(method.count).unwrap_or(1),
            rate: flags.rate.or(method.rate).unwrap_or(50.0),
            outage_for_ms: flags.outage_for.or(method.outage_for.map(|t| t.0)).unwrap_or(3_000),
            timeout_ms: flags.timeout.or(method.timeout.map(|t| t.0)).unwrap_or(60_000),
            deadline: flags.deadline.or(rollback.deadline.map(|t| t.0)),
            // Whoever asks for one way with a flag does not mean the other one of the file.
            plant: match flags.plant_by {
                Some(_) => flags.plant.clone(),
                None => text(&flags.plant, method.plant),
            },
            plant_by: match flags.plant {
                Some(_) => PlantBy::Files,
                None => flags.plant_by.or(method.plant_by).unwrap_or_default(),
            },
            token_file: flags.token_file.clone(),
            allow: flags.allow,
            dry_run: flags.dry_run,
            down: text(&flags.down, method.down),
            up: text(&flags.up, rollback.up),
            pid_file: path(&flags.pid_file, method.pid_file),
            method: text(&flags.method, method.method),
            control: path(&flags.control, method.control),
            latency_ms: flags.latency_ms.or(method.latency_ms).unwrap_or(SLOW_LATENCY_MS),
            bandwidth: flags.bandwidth.or(method.bandwidth).unwrap_or(0),
            namespace: text(&flags.namespace, method.namespace),
            workload: text(&flags.workload, method.workload),
            unit: text(&flags.unit, method.unit),
            user: flags.user || method.user.unwrap_or(false),
            container: text(&flags.container, method.container),
            socket: path(&flags.socket, method.socket),
            state_dir,
            steady_within_ms: steady.within.map_or(10_000, |t| t.0),
            steady_pending_max: steady.pending_max,
        };
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), String> {
        if self.plant.is_some() && self.plant_by == PlantBy::Ingest {
            return Err("the experiment plants both by a command and by ingest: give one of plant and plant_by".to_owned());
        }
        if !(1..=COUNT_MAX).contains(&self.count) {
            return Err(format!("--count {} is not within 1 to {COUNT_MAX}", self.count));
        }
        if !(self.rate > 0.0 && self.rate <= 100_000.0) {
            return Err(format!("--rate {} is not above 0 and at most 100000", self.rate));
        }
        let hour = 3_600_000;
        for (flag, value, most) in [
            ("--outage-for", self.outage_for_ms, 24 * hour),
            ("--timeout", self.timeout_ms, 24 * hour),
            ("--deadline", self.deadline.unwrap_or(0), 48 * hour),
        ] {
            if value > most {
                return Err(format!("{flag} is more than {} hours", most / hour));
            }
        }
        if self.deadline.is_some_and(|deadline| deadline < self.planting_ms()) {
            return Err(format!(
                "--deadline is before the outage can end: planting takes {} ms",
                self.planting_ms()
            ));
        }
        Ok(())
    }

    /// How long the outage lasts where all goes well, milliseconds.
    pub fn planting_ms(&self) -> u64 {
        let planting = std::time::Duration::try_from_secs_f64(f64::from(self.count) / self.rate)
            .unwrap_or(std::time::Duration::from_secs(48 * 3_600));
        u64::try_from(planting.as_millis()).unwrap_or(u64::MAX).max(self.outage_for_ms)
    }

    /// The outage ends after this many milliseconds at the latest: where no deadline is given, twice what it is
    /// to take, and two minutes for the way down and the proofs.
    pub fn deadline_ms(&self) -> u64 {
        self.deadline
            .unwrap_or_else(|| self.planting_ms().saturating_mul(2).saturating_add(120_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_and_with_few_flags_it_is_the_reference_scenario() {
        let flags = Flags { outage: Some(OutageKind::Process), ..Flags::default() };
        let options = Options::join(Experiment::default(), &flags, PathBuf::from("/s"));
        let options = options.expect("good");
        assert_eq!((options.count, options.outage_for_ms, options.timeout_ms), (1, 3_000, 60_000));
        assert_eq!(options.deadline_ms(), 126_000);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let good = Flags { outage: Some(OutageKind::Process), ..Flags::default() };
        for flags in [
            Flags::default(),
            Flags { count: Some(0), ..good.clone() },
            Flags { count: Some(COUNT_MAX + 1), ..good.clone() },
            Flags { rate: Some(0.0), ..good.clone() },
            Flags { rate: Some(f64::NAN), ..good.clone() },
            Flags { outage_for: Some(100 * 3_600_000), ..good.clone() },
            Flags { deadline: Some(1_000), ..good.clone() },
        ] {
            assert!(
                Options::join(Experiment::default(), &flags, "/s".into()).is_err(),
                "{flags:?}"
            );
        }
    }
}
