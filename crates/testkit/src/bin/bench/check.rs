//! `--check` and `--store`: ratios of small runs beside those that are stored in the repository.
//!
//! Only ratios are compared, because both of their sides were taken on the same machine in the same run.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::options::{Options, Setup};
use crate::report::{Better, Report};
use crate::take;

/// Where the ratios are stored.
const FILE: &str = "xtask/bench-ratios.json";

/// A ratio fails where it is worse than the stored one by more than this part of it.
const TOLERANCE: f64 = 0.2;

/// A bench with a ratio that fails is taken so often, because something else may have had the machine meanwhile. The
/// best one counts.
const TAKEN_MAX: usize = 3;

/// What is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stored {
    benches: Vec<StoredBench>,
}

/// The ratios of one bench at one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StoredBench {
    bench: String,
    n: u64,
    /// By the names of measures. Measures that are not named here are not checked; while there are none, `--store`
    /// takes all.
    ratios: BTreeMap<String, StoredRatio>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct StoredRatio {
    ratio: f64,
    better: Better,
}

/// A ratio that fails: its name, what is stored, and what was found.
#[derive(Clone, Debug, PartialEq)]
struct Worse {
    measure: String,
    stored: f64,
    /// None where nothing has this name any more.
    found: Option<f64>,
}

impl Worse {
    fn told(&self, bench: &str, n: u64) -> String {
        let Worse { measure, stored, found } = self;
        match found {
            Some(found) => format!(
                "{bench} {n}, {measure}: {found:.3}, stored {stored:.3}, {:.0} % worse",
                worse_by(*stored, *found) * 100.0
            ),
            None => format!("{bench} {n}, {measure}: nothing is measured by this name any more"),
        }
    }
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<(), String> {
    let file = Path::new(FILE);
    let mut stored = read(file)?;
    let (mut failed, mut checked) = (Vec::new(), 0);
    let is_stored = |name: &&String| stored.benches.iter().any(|bench| bench.bench == **name);
    if let Some(name) = options.names.iter().find(|name| !is_stored(name)) {
        return Err(format!("{FILE} has no bench {name}: give it an entry with its size"));
    }
    let chosen =
        |bench: &StoredBench| options.names.is_empty() || options.names.contains(&bench.bench);
    for bench in stored.benches.iter_mut().filter(|bench| chosen(bench)) {
        if options.store {
            let mut taken = Vec::new();
            for _ in 0..TAKEN_MAX {
                taken.push(ratios(&take(setup, &bench.bench, bench.n).await));
            }
            store(bench, &taken);
        } else {
            checked += bench.ratios.len();
            failed.extend(checked_bench(setup, bench).await);
        }
    }
    if options.store {
        write(file, &stored)?;
        println!("{FILE} has the ratios of this machine now: the median of {TAKEN_MAX} runs each");
        return Ok(());
    }
    if failed.is_empty() {
        println!("{checked} ratios are as good as the stored ones, or less than 20 % worse");
        return Ok(());
    }
    Err(format!(
        "{} of {checked} ratios are more than 20 % worse than the stored ones:\n  {}\n\
         Where that is meant, `cargo xtask bench --check --store` stores new ones in {FILE}.",
        failed.len(),
        failed.join("\n  ")
    ))
}

/// Takes a bench until its ratios are good enough, and tells those that never are.
async fn checked_bench(setup: &Setup, bench: &StoredBench) -> Vec<String> {
    let mut best = BTreeMap::new();
    for _ in 0..TAKEN_MAX {
        keep_better(&mut best, ratios(&take(setup, &bench.bench, bench.n).await));
        if worse(bench, &best).is_empty() {
            break;
        }
    }
    worse(bench, &best).iter().map(|worse| worse.told(&bench.bench, bench.n)).collect()
}

/// The ratios of a result, by the names of their measures.
fn ratios(report: &Report) -> BTreeMap<String, StoredRatio> {
    let measures = report.measures.iter().filter_map(|measure| {
        let beside = measure.beside.as_ref()?;
        let ratio = StoredRatio { ratio: beside.ratio, better: beside.better };
        Some((measure.name.clone(), ratio))
    });
    measures.collect()
}

/// Keeps the better one of each.
fn keep_better(best: &mut BTreeMap<String, StoredRatio>, taken: BTreeMap<String, StoredRatio>) {
    for (name, ratio) in taken {
        let kept = best.entry(name).or_insert(ratio);
        kept.ratio = match ratio.better {
            Better::Lower => kept.ratio.min(ratio.ratio),
            Better::Higher => kept.ratio.max(ratio.ratio),
        };
    }
}

/// How much the worse one of two ratios is away from the better one, as a part of the smaller one.
fn worse_by(stored: f64, found: f64) -> f64 {
    let (small, large) = if stored < found { (stored, found) } else { (found, stored) };
    large / small.max(f64::EPSILON) - 1.0
}

/// What fails: worse by more than the tolerance, or not measured any more.
fn worse(bench: &StoredBench, found: &BTreeMap<String, StoredRatio>) -> Vec<Worse> {
    let failing = bench.ratios.iter().filter_map(|(measure, stored)| {
        let found = found.get(measure).map(|found| found.ratio);
        let is_worse = found.is_none_or(|found| match stored.better {
            Better::Lower => found > stored.ratio * (1.0 + TOLERANCE),
            Better::Higher => found * (1.0 + TOLERANCE) < stored.ratio,
        });
        is_worse.then(|| Worse { measure: measure.clone(), stored: stored.ratio, found })
    });
    failing.collect()
}

/// Stores the median of each ratio that is named, or of all where none is.
fn store(bench: &mut StoredBench, taken: &[BTreeMap<String, StoredRatio>]) {
    let Some(last) = taken.last() else { return };
    let takes_all = bench.ratios.is_empty();
    let mut ratios = BTreeMap::new();
    for (name, ratio) in last {
        if !takes_all && !bench.ratios.contains_key(name) {
            continue;
        }
        let mut all: Vec<f64> = taken.iter().filter_map(|one| Some(one.get(name)?.ratio)).collect();
        all.sort_by(f64::total_cmp);
        // Three digits are more than a ratio means.
        let median = (all[all.len() / 2] * 1e3).round() / 1e3;
        ratios.insert(name.clone(), StoredRatio { ratio: median, better: ratio.better });
    }
    bench.ratios = ratios;
}

fn read(file: &Path) -> Result<Stored, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read(file).map_err(|error| told(&error))?;
    serde_json::from_slice(&text).map_err(|error| told(&error))
}

fn write(file: &Path, stored: &Stored) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = serde_json::to_string_pretty(stored).map_err(|error| told(&error))?;
    std::fs::write(file, text + "\n").map_err(|error| told(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    fn bench(ratios: &[(&str, f64, Better)]) -> StoredBench {
        let ratios = ratios.iter().map(|(name, ratio, better)| {
            ((*name).to_owned(), StoredRatio { ratio: *ratio, better: *better })
        });
        StoredBench { bench: "fill".to_owned(), n: 10_000, ratios: ratios.collect() }
    }

    /// A time ratio of 1 and a rate ratio of 0.5.
    fn found() -> BTreeMap<String, StoredRatio> {
        ratios(&report("fill", 10_000, 2.0))
    }

    #[test]
    fn a_ratio_within_a_fifth_of_the_stored_one_is_in_order() {
        for (time, rate) in [(0.84, 0.59), (1.0, 0.5), (5.0, 0.01)] {
            let stored = bench(&[("time", time, Better::Lower), ("rate", rate, Better::Higher)]);
            assert_eq!(worse(&stored, &found()), []);
        }
    }

    #[test]
    fn a_ratio_that_is_worse_fails_in_the_direction_that_is_worse_for_it() {
        let stored = bench(&[("time", 0.8, Better::Lower), ("rate", 0.7, Better::Higher)]);
        let failing = worse(&stored, &found());
        let told: Vec<String> = failing.iter().map(|worse| worse.told("fill", 10_000)).collect();
        assert_eq!(
            told,
            [
                "fill 10000, rate: 0.500, stored 0.700, 40 % worse",
                "fill 10000, time: 1.000, stored 0.800, 25 % worse",
            ]
        );
    }

    #[test]
    fn a_stored_ratio_that_nothing_measures_fails() {
        let failing = worse(&bench(&[("gone", 1.0, Better::Lower)]), &found());
        assert_eq!(failing.len(), 1);
        assert!(failing[0].told("fill", 1).contains("any more"), "{failing:?}");
    }

    #[test]
    fn of_several_runs_the_better_ratio_counts() {
        let mut best = BTreeMap::new();
        for value in [3.0, 2.0, 4.0] {
            keep_better(&mut best, ratios(&report("fill", 1, value)));
        }
        assert_eq!((best["time"].ratio, best["rate"].ratio), (1.0, 1.0));
    }

    #[test]
    fn what_is_stored_is_the_median_of_the_ratios_that_are_named() {
        let taken = [2.0, 8.0, 3.0].map(|value| ratios(&report("fill", 1, value)));
        let mut named = bench(&[("time", 9.0, Better::Lower)]);
        store(&mut named, &taken);
        assert_eq!(named, bench(&[("time", 1.5, Better::Lower)]));
        let mut all = bench(&[]);
        store(&mut all, &taken);
        assert_eq!(all, bench(&[("time", 1.5, Better::Lower), ("rate", 0.75, Better::Higher)]));
    }

    #[test]
    fn the_stored_file_is_read_as_it_was_written_and_names_benches_that_there_are() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FILE);
        let stored = read(&file).unwrap();
        for bench in &stored.benches {
            assert!(crate::BENCHES.iter().any(|(name, _)| *name == bench.bench), "{bench:?}");
        }
        let dir = tempfile::TempDir::new().unwrap();
        write(&dir.path().join("stored.json"), &stored).unwrap();
        assert_eq!(read(&dir.path().join("stored.json")), Ok(stored));
    }
}
