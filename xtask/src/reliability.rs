//! `docs/reliability.md` says which test proves what: each of them has to exist, and to have passed.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, bail};

const DOCUMENT: &str = "docs/reliability.md";

/// Where the simulation's faults are named.
const FAULTS: [&str; 2] = ["crates/sim/src/world.rs", "crates/core/src/broken.rs"];

/// The name of a test that has run and is not known to have failed, from a line of the test runner. What
/// tests print may stand before it, and between it and its result.
pub(crate) fn passed(line: &str) -> Option<String> {
    let (before, result) = line.split_once(" ... ")?;
    let (_, path) = before.rsplit_once("test ")?;
    let is_name = path.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':');
    let passed = is_name && !["FAILED", "ignored"].iter().any(|not| result.starts_with(not));
    passed.then(|| path.rsplit("::").next().unwrap_or(path).to_owned())
}

/// Every test and every simulated fault that the document names is there, and the tests have run; that
/// none has failed is known by then.
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

/// What stands between backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::passed;

    #[test]
    fn the_name_of_a_passed_test_is_read() {
        assert_eq!(passed("test a::b::it_holds ... ok"), Some("it_holds".to_owned()));
        assert_eq!(passed("printed before it test c ... ok"), Some("c".to_owned()));
        assert_eq!(passed("test a::b ... what it printed"), Some("b".to_owned()));
        assert_eq!(passed("test a::b ... FAILED"), None);
        assert_eq!(passed("test a::b ... ignored"), None);
        assert_eq!(passed("a test of the name a b ... and more"), None);
    }
}
