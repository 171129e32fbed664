//! What a bench found: measures, each beside the bare piece of the same work, for people and as JSON.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Where results lie, one file for each bench and number of recordings.
pub(crate) const FOLDER: &str = "target/bench";

/// The result of one bench with one number of recordings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Its name, as `cargo xtask bench` takes it.
    pub(crate) bench: String,
    /// The number of recordings.
    pub(crate) n: u64,
    /// When it was taken, seconds since 1970.
    pub(crate) taken_at_s: u64,
    /// Where it was taken.
    pub(crate) machine: Machine,
    /// What was measured.
    pub(crate) versions: Versions,
    /// What was found.
    pub(crate) measures: Vec<Measure>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    /// Of the folder with recordings, state and database.
    pub(crate) file_system: String,
}

/// Versions of the programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) focus: String,
    pub(crate) database: String,
    pub(crate) sqlite: String,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// The bare piece of the same work, in the same run; none where there is no such thing.
    pub(crate) beside: Option<Beside>,
}

/// What a figure is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beside {
    /// What the bare piece of work is.
    pub(crate) name: String,
    /// Its figure, in the unit of the measure.
    pub(crate) value: f64,
    /// The measure by this figure.
    pub(crate) ratio: f64,
    /// Which ratio is the better one.
    pub(crate) better: Better,
    /// What the ratio should reach.
    pub(crate) goal: Option<f64>,
}

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    Lower,
    Higher,
}

impl Measure {
    /// A figure in a unit, with nothing beside it.
    pub(crate) fn of(name: &str, value: f64, unit: &str) -> Measure {
        Measure { name: name.to_owned(), value, unit: unit.to_owned(), beside: None }
    }

    /// Seconds.
    pub(crate) fn seconds(name: &str, time: Duration) -> Measure {
        Measure::of(name, time.as_secs_f64(), "s")
    }

    /// With the bare piece of the same work beside it, of which less is better.
    pub(crate) fn beside(self, name: &str, value: f64) -> Measure {
        self.compared(name, value, Better::Lower)
    }

    /// With a bare piece of work beside it, of which more is better.
    pub(crate) fn beside_higher(self, name: &str, value: f64) -> Measure {
        self.compared(name, value, Better::Higher)
    }

    /// With what its ratio should reach.
    pub(crate) fn goal(mut self, goal: f64) -> Measure {
        if let Some(beside) = &mut self.beside {
            beside.goal = Some(goal);
        }
        self
    }

    /// What was too little to be counted is nothing to compare with.
    fn compared(mut self, name: &str, value: f64, better: Better) -> Measure {
        let ratio = self.value / value;
        if value > 0.0 && ratio.is_finite() {
            self.beside = Some(Beside { name: name.to_owned(), value, ratio, better, goal: None });
        }
        self
    }

    /// In words, on one line.
    fn described(&self) -> String {
        let Measure { name, value, unit, beside } = self;
        let mut words = format!("{name:<44} {} {unit}", shown(*value));
        if let Some(beside) = beside {
            words += &format!(
                ", {}: {} {unit}, ratio {:.2}",
                beside.name,
                shown(beside.value),
                beside.ratio
            );
            if let Some(goal) = beside.goal {
                let sign = if beside.better == Better::Lower { "<=" } else { ">=" };
                words += &format!(" (goal {sign} {goal})");
            }
        }
        words
    }
}

/// Three digits that count, or all before the point.
pub(crate) fn shown(value: f64) -> String {
    let digits: usize = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 || size == 0.0 => 2,
        size if size >= 0.01 => 3,
        _ => 5,
    };
    format!("{value:.digits$}")
}

impl Report {
    /// An empty result that is taken now, with its files below this folder.
    pub(crate) fn begin(bench: &str, n: u64, versions: &Versions, folder: &Path) -> Report {
        println!("{bench}, {n} recordings");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Report {
            bench: bench.to_owned(),
            n,
            taken_at_s: now.map_or(0, |since| since.as_secs()),
            machine: Machine::of(folder),
            versions: versions.clone(),
            measures: Vec::new(),
        }
    }

    /// Takes a figure, and tells it.
    pub(crate) fn add(&mut self, measure: Measure) {
        println!("  {}", measure.described());
        self.measures.push(measure);
    }

    /// The file of this bench with this number of recordings.
    pub(crate) fn file(&self) -> PathBuf {
        Path::new(FOLDER).join(format!("{}-{}.json", self.bench, self.n))
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// The disk does not take it.
    pub(crate) fn write(&self, file: &Path) -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(file, text)
    }

    /// Reads one.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub(crate) fn read(file: &Path) -> Result<Report, String> {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = std::fs::read(file).map_err(|error| told(&error))?;
        serde_json::from_slice(&text).map_err(|error| told(&error))
    }
}

impl Machine {
    /// This one, for files in this folder.
    fn of(folder: &Path) -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Machine {
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_mib: memory_kib(&read("/proc/meminfo")) / 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&read("/proc/self/mountinfo"), &folder),
        }
    }
}

fn memory_kib(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The type of the file system that a folder is on: that of the mount point nearest above it. Of several mounts on one
/// point the last one counts.
fn file_system(mountinfo: &str, folder: &Path) -> String {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?;
        folder.starts_with(point).then_some((point.len(), after.split(' ').next()?))
    });
    mounts.max_by_key(|(length, _)| *length).map_or("unknown", |(_, kind)| kind).to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A result with a measure that has a ratio, and one that has none.
    pub(crate) fn report(bench: &str, n: u64, value: f64) -> Report {
        Report {
            bench: bench.to_owned(),
            n,
            taken_at_s: 1_700_000_000,
            machine: Machine {
                cores: 2,
                memory_mib: 24_000,
                kernel: "6.1".to_owned(),
                file_system: "ext4".to_owned(),
            },
            versions: Versions {
                focus: "0.1.0".to_owned(),
                database: "mongod 7".to_owned(),
                sqlite: "3.50".to_owned(),
            },
            measures: vec![
                Measure::of("time", value, "s").beside("a walk", 2.0).goal(1.25),
                Measure::of("rate", value, "1/s").beside_higher("bare inserts", 4.0),
                Measure::of("peak memory", 50.0, "MiB"),
            ],
        }
    }

    #[test]
    fn a_result_that_is_written_is_read_as_it_was() {
        let dir = tempfile::TempDir::new().unwrap();
        let written = report("fill", 10_000, 3.25);
        let file = dir.path().join("below").join("fill-10000.json");
        written.write(&file).unwrap();
        assert_eq!(Report::read(&file), Ok(written));
    }

    #[test]
    fn a_file_that_is_no_result_is_told_by_its_name() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("fill-1.json");
        std::fs::write(&file, "{}").unwrap();
        let told = Report::read(&file).unwrap_err();
        assert!(told.contains("fill-1.json"), "{told}");
    }

    #[test]
    fn a_measure_tells_value_bare_value_ratio_and_goal() {
        let told = report("fill", 1, 3.0).measures[0].described();
        assert!(told.ends_with("3.00 s, a walk: 2.00 s, ratio 1.50 (goal <= 1.25)"), "{told}");
    }

    #[test]
    fn a_bare_figure_of_nothing_is_no_comparison() {
        assert_eq!(Measure::of("time", 1.0, "s").beside("a walk", 0.0).goal(1.0).beside, None);
    }

    #[test]
    fn figures_have_three_digits_that_count() {
        let told = [0.0, 0.0123, 0.5, 1.234, 12.34, 123.4, 12_345.6].map(shown);
        assert_eq!(told, ["0.00", "0.012", "0.500", "1.23", "12.3", "123", "12346"]);
    }

    #[test]
    fn a_folder_is_on_the_file_system_of_the_nearest_mount() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/vda rw\n\
                      23 22 0:5 / /tmp rw,nosuid shared:2 - tmpfs tmpfs rw\n\
                      24 22 0:6 / /tmpfiles rw - xfs /dev/vdb rw\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/a/b")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/work/tmp")), "ext4");
        assert_eq!(file_system(mounts, Path::new("/tmpfiles")), "xfs");
        assert_eq!(file_system("", Path::new("/tmp")), "unknown");
    }
}
