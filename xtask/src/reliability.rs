//! The check of `docs/reliability.md`: every test that it names has to exist and to have passed.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, bail};

const DOCUMENT: &str = "docs/reliability.md";

/// The files that name the simulation's faults.
const FAULTS: [&str; 2] = ["crates/sim/src/world.rs", "crates/core/src/broken.rs"];

/// Checks that every test that the document names is among those that passed, and that the
/// simulation knows every fault that it names.
pub(crate) fn check(passed: &BTreeSet<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(DOCUMENT).context(DOCUMENT)?;
    let mut simulated = String::new();
    for file in FAULTS {
        simulated.push_str(&fs::read_to_string(file).context(file)?);
    }
    let mut wrong = Vec::new();
    let mut rows = 0;
    for (at, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        // `| fault | result | simulated as | test |`, between two empty cells.
        let [_, fault, _, faults, tests, _] = cells[..] else { continue };
        if fault == "Fault" || fault.starts_with("---") {
            continue;
        }
        rows += 1;
        let line = at + 1;
        let tests: Vec<&str> = names(tests).collect();
        if tests.is_empty() {
            wrong.push(format!("{DOCUMENT}:{line} names no test"));
        }
        for test in tests.into_iter().filter(|test| !passed.contains(*test)) {
            wrong.push(format!("{DOCUMENT}:{line} names {test}, which did not run and pass"));
        }
        for fault in names(faults).filter(|fault| !simulated.contains(&format!("\"{fault}\""))) {
            wrong.push(format!("{DOCUMENT}:{line} names {fault}, which the simulation lacks"));
        }
    }
    if rows == 0 {
        bail!("{DOCUMENT} has no table of faults");
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    println!("{rows} faults of {DOCUMENT}: every test that is named ran and passed");
    Ok(())
}

/// The words between backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
