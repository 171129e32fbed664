//! The results of the tests of one binary.
//!
//! What a test prints goes to the same stream as what the test harness says, so a line is no proof.
//! The result follows from three things instead: the list of tests that the binary gave before it
//! ran, the way its process ended, and the summary, which the harness prints after every test has
//! ended. A summary counts only where it agrees with the other two. Where none does, nothing of the
//! binary counts as passed.

use std::collections::BTreeSet;

/// The tests of a binary, listed before they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Every test, by its path in the binary.
    pub(super) tests: BTreeSet<String>,
    /// Those of them that are marked `#[ignore]`.
    pub(super) ignored: BTreeSet<String>,
}

/// The result of one binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every test that ran has a result.
    Told { passed: BTreeSet<String>, failed: BTreeSet<String> },
    /// The binary ended without a result that can be believed, for this reason.
    Untold(String),
}

/// How the harness's process ends where all tests passed.
const PASSED: i32 = 0;

/// How it ends where a test failed.
const FAILED: i32 = 101;

/// The tests in what a binary prints for `--list --format terse`.
///
/// # Errors
/// A line is not one of such a list.
pub(super) fn listed(text: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut tests = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let Some(test) = line.strip_suffix(": test") else {
            anyhow::bail!("{line:?} in the list of tests is none");
        };
        tests.insert(test.to_owned());
    }
    Ok(tests)
}

/// The result of a binary that listed these tests, ended with this code (`None`: by a signal), and
/// wrote these lines.
pub(super) fn outcome(listed: &Listed, code: Option<i32>, lines: &[String]) -> Outcome {
    let ran: BTreeSet<String> = listed.tests.difference(&listed.ignored).cloned().collect();
    match code {
        Some(PASSED | FAILED) => {}
        Some(code) => return Outcome::Untold(format!("it ended with {code}")),
        None => return Outcome::Untold("it was ended by a signal".to_owned()),
    }
    let summaries =
        lines.iter().enumerate().rev().filter_map(|(at, line)| Some((at, summary(line)?)));
    for (at, summary) in summaries {
        let failed = failures(&lines[..at]);
        let agrees = summary.ok == (code == Some(PASSED))
            && summary.ok == failed.is_empty()
            && summary.failed == failed.len()
            && summary.passed + summary.failed == ran.len()
            && summary.ignored == listed.ignored.len()
            && failed.is_subset(&ran);
        if agrees {
            let passed = ran.difference(&failed).cloned().collect();
            return Outcome::Told { passed, failed };
        }
    }
    Outcome::Untold("it printed no summary that agrees with its list of tests".to_owned())
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
struct Summary {
    ok: bool,
    passed: usize,
    failed: usize,
    ignored: usize,
}

fn summary(line: &str) -> Option<Summary> {
    let (word, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let ok = match word {
        "ok" => true,
        "FAILED" => false,
        _ => return None,
    };
    let mut counts = counts.split("; ");
    let mut count = |name: &str| counts.next()?.strip_suffix(name)?.trim_end().parse().ok();
    Some(Summary {
        ok,
        passed: count("passed")?,
        failed: count("failed")?,
        ignored: count("ignored")?,
    })
}

/// The names in the block of failures that these lines end with; none where they end with no such
/// block.
fn failures(lines: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in lines.iter().rev().skip_while(|line| line.is_empty()) {
        if line == "failures:" {
            return names;
        }
        let Some(name) = line.strip_prefix("    ") else { break };
        names.insert(name.to_owned());
    }
    BTreeSet::new()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Listed, Outcome, listed, outcome};

    const OK: &str = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
    const ONE_FAILED: &str = "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Tests `a`, `m::b` and the ignored `c`.
    fn read(code: Option<i32>, text: &str) -> Outcome {
        let listed = Listed { tests: names(&["a", "c", "m::b"]), ignored: names(&["c"]) };
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        outcome(&listed, code, &lines)
    }

    fn told(passed: &[&str], failed: &[&str]) -> Outcome {
        Outcome::Told { passed: names(passed), failed: names(failed) }
    }

    fn is_untold(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Untold(_))
    }

    #[test]
    fn tests_that_passed_are_those_listed_without_the_ignored() {
        assert_eq!(read(Some(0), &format!("test a ... ok\n\n{OK}\n")), told(&["a", "m::b"], &[]));
    }

    #[test]
    fn tests_that_failed_are_read_from_the_last_block() {
        let text = format!("test a ... ok\n\nfailures:\n\nfailures:\n    m::b\n\n{ONE_FAILED}\n");
        assert_eq!(read(Some(101), &text), told(&["a"], &["m::b"]));
    }

    #[test]
    fn a_test_that_prints_a_summary_of_success_and_fails_has_failed() {
        let text = format!("{OK}\ntest a ... ok\n\nfailures:\n    a\n\n{ONE_FAILED}\n");
        assert_eq!(read(Some(101), &text), told(&["m::b"], &["a"]));
    }

    #[test]
    fn a_test_that_prints_results_and_failures_of_others_and_passes_has_passed() {
        let text = format!(
            "test x ... ok\ntest result: ok. 5 passed; 0 failed\nfailures:\n    a\n\n{ONE_FAILED}\ntest a ... FAILED\n\n{OK}\n"
        );
        assert_eq!(read(Some(0), &text), told(&["a", "m::b"], &[]));
    }

    #[test]
    fn a_process_that_lives_longer_than_the_tests_and_prints_hides_nothing() {
        let after =
            "late words\ntest result: ok. 5 passed; 0 failed; 0 ignored; 0 measured\n    a\n";
        assert_eq!(read(Some(0), &format!("{OK}\n{after}")), told(&["a", "m::b"], &[]));
        let text = format!("failures:\n    a\n\n{ONE_FAILED}\n{after}");
        assert_eq!(read(Some(101), &text), told(&["m::b"], &["a"]));
    }

    #[test]
    fn a_binary_that_a_test_ended_has_no_result_whatever_it_printed() {
        assert!(is_untold(&read(Some(0), "test a ... ok\n")));
        assert!(is_untold(&read(Some(0), "test result: ok. 5 passed; 0 failed; 0 ignored\n")));
        assert!(is_untold(&read(Some(7), &format!("{OK}\n"))));
        assert!(is_untold(&read(None, &format!("{OK}\n"))));
    }

    #[test]
    fn a_summary_that_contradicts_the_way_the_process_ended_is_not_believed() {
        assert!(is_untold(&read(Some(101), &format!("{OK}\n"))));
        assert!(is_untold(&read(Some(0), &format!("failures:\n    a\n\n{ONE_FAILED}\n"))));
        // A failure that is none of the binary's tests, and one that was ignored.
        assert!(is_untold(&read(Some(101), &format!("failures:\n    z\n\n{ONE_FAILED}\n"))));
        assert!(is_untold(&read(Some(101), &format!("failures:\n    c\n\n{ONE_FAILED}\n"))));
    }

    #[test]
    fn a_list_of_tests_is_read_and_anything_else_is_an_error() {
        assert_eq!(listed("a: test\nm::b: test\n").unwrap(), names(&["a", "m::b"]));
        assert!(listed("a: test\nwords\n").is_err());
    }
}
