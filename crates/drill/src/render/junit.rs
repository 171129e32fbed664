//! A report as JUnit XML: a test case for each step, for each recording up to a bound, and for the verdict.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, FixedOffset};
use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use super::words::{why, worst_first};
use crate::report::{Fate, RecordingVerdict, Report, Step, Verdict};

/// Recordings with a test case of their own at most; those that are not as they should be come first.
pub const RECORDINGS_MAX: usize = 1_000;

/// The whole report.
///
/// # Errors
/// The library cannot write it.
pub fn render(report: &Report) -> anyhow::Result<String> {
    let mut junit = quick_junit::Report::new(format!("focus drill {}", report.id));
    junit.set_time(millis(report.steps.iter().map(|step| step.elapsed_ms).sum()));
    junit.add_test_suite(suite("focus drill: steps", steps(report), report));
    junit.add_test_suite(suite("focus drill: recordings", recordings(report), report));
    junit.add_test_suite(suite("focus drill: verdict", vec![verdict(report)], report));
    let text = junit.to_string().context("the report cannot be written as JUnit XML")?;
    // The library leaves out control characters, and these two stay, which XML cannot hold either.
    Ok(text.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}"))
}

fn suite(name: &str, cases: Vec<TestCase>, report: &Report) -> TestSuite {
    let mut suite = TestSuite::new(name);
    if let Ok(began) = report.started_at.parse::<DateTime<FixedOffset>>() {
        suite.set_timestamp(began);
    }
    for (key, value) in [
        ("id", &report.id),
        ("title", &report.title),
        ("version", &report.version),
        ("server", &report.server),
        ("root", &report.root),
        ("database", &report.database),
        ("outage", &report.outage.what),
    ] {
        suite.add_property(Property::new(key, value));
    }
    suite.add_test_cases(cases.into_iter().map(|mut case| {
        case.set_classname(name);
        case
    }));
    suite
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn case(name: impl AsRef<str>, elapsed_ms: u64, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name.as_ref(), status);
    case.set_time(millis(elapsed_ms));
    case
}

/// A case that did not come out as it has to: its kind in a word, and what was seen.
fn non_success(kind: NonSuccessKind, word: &str, seen: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    // A line break does not survive in an attribute.
    let first = seen.lines().next().unwrap_or_default();
    status.set_type(word).set_message(first).set_description(seen);
    status
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}

fn steps(report: &Report) -> Vec<TestCase> {
    let one = |step: Step| {
        let name = format!("{:02} {}", step.number(), step.name());
        match report.steps.iter().find(|taken| taken.name == step) {
            None => case(name, 0, skipped("not taken")),
            Some(taken) if taken.ok => {
                let mut case = case(name, taken.elapsed_ms, TestCaseStatus::success());
                case.set_system_out(&taken.detail);
                case
            }
            Some(taken) => {
                let status = non_success(NonSuccessKind::Failure, "step", &taken.detail);
                case(name, taken.elapsed_ms, status)
            }
        }
    };
    Step::ALL.into_iter().map(one).collect()
}

fn recordings(report: &Report) -> Vec<TestCase> {
    let (shown, left) = worst_first(report, RECORDINGS_MAX);
    let mut cases: Vec<TestCase> = shown.into_iter().map(recording).collect();
    if left > 0 {
        let why = format!(
            "at most {RECORDINGS_MAX} have a test case of their own; what is not as it should be comes first"
        );
        cases.push(case(format!("and {left} more"), 0, skipped(&why)));
    }
    cases
}

fn recording(one: &RecordingVerdict) -> TestCase {
    let took = one.landed_ms.zip(one.catalogued_ms);
    let took_ms = took.map_or(0, |(landed, seen)| seen.saturating_sub(landed));
    let status = match one.fate {
        Fate::Catalogued => TestCaseStatus::success(),
        fate => {
            let seen = format!("{}: {} ({})", fate.name(), why(one), one.path);
            non_success(NonSuccessKind::Failure, fate.name(), &seen)
        }
    };
    case(&one.recording_id, took_ms, status)
}

fn verdict(report: &Report) -> TestCase {
    let mut seen = report.reason.clone().unwrap_or_default();
    for effect in &report.side_effects {
        seen.push_str(&format!("\nside effect ({}): {}", effect.what.name(), effect.detail));
    }
    let status = match report.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed => non_success(NonSuccessKind::Failure, report.verdict.name(), &seen),
        // It could not be told.
        Verdict::Inconclusive | Verdict::Refused => {
            non_success(NonSuccessKind::Error, report.verdict.name(), &seen)
        }
    };
    let mut case = case("verdict", report.time_to_converge_ms.unwrap_or(0), status);
    if report.verdict == Verdict::Passed && !seen.is_empty() {
        case.set_system_out(&seen);
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn each_step_recording_and_the_verdict_has_a_case_and_the_counts_agree() {
        let text = render(&sample()).expect("XML");
        assert_eq!(text.matches("<testcase ").count(), 10 + 4 + 1, "{text}");
        assert_eq!(text.matches("<failure ").count(), 1 + 2 + 1, "{text}");
        assert_eq!(text.matches("<skipped ").count(), 2, "{text}");
        let counts = text.lines().find(|line| line.starts_with("<testsuites ")).expect("counts");
        for count in ["tests=\"15\"", "failures=\"4\"", "errors=\"0\""] {
            assert!(counts.contains(count), "{count}: {counts}");
        }
    }

    #[test]
    fn more_recordings_than_the_bound_are_counted_and_the_lost_are_shown() {
        let mut report = sample();
        let good = report.recordings[0].clone();
        report.recordings.splice(0..0, std::iter::repeat_n(good, 5_000));
        let text = render(&report).expect("XML");
        assert_eq!(text.matches("<testcase ").count(), 10 + RECORDINGS_MAX + 1 + 1);
        assert!(text.contains("and 4004 more") && text.contains("drill-3"), "{}", text.len());
    }

    #[test]
    fn what_could_not_be_told_is_an_error() {
        let mut report = sample();
        report.verdict = Verdict::Inconclusive;
        let text = render(&report).expect("XML");
        let error = text.lines().find(|line| line.contains("<error ")).expect("an error");
        assert!(error.contains("type=\"inconclusive\""), "{error}");
    }

    #[test]
    fn whatever_a_text_holds_stays_text_and_what_xml_cannot_hold_is_left_out() {
        let mut report = sample();
        report.reason = Some("\u{0}\u{1b}[1m<a href='x'>]]>\u{FFFF} & so on".to_owned());
        let text = render(&report).expect("XML");
        assert!(text.contains("&lt;a href=") && text.contains("&amp; so on"), "{text}");
        let unfit = |c: char| c != '\n' && (c.is_control() || c == '\u{FFFF}');
        assert!(!text.contains(unfit) && !text.contains("]]>"), "{text:?}");
    }
}
