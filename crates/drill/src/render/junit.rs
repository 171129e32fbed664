//! A report as JUnit XML: a test case for each step, for each recording up to a bound, and for the verdict.

use super::markup::{element, escaped, tag};
use super::{STEPS, fate_name, why, worst_first};
use crate::report::{Fate, RecordingVerdict, Report, Verdict};

/// Recordings with a test case of their own at most; those that are not as they should be come first.
pub const RECORDINGS_MAX: usize = 1_000;

/// One test case, and what it came to.
struct Case {
    name: String,
    seconds: String,
    outcome: Outcome,
    /// What was seen.
    words: String,
}

enum Outcome {
    Passed,
    Failed(&'static str),
    /// It could not be told.
    Error(&'static str),
    Skipped,
}

/// The whole report.
pub fn render(report: &Report) -> String {
    let suites = [
        ("focus drill: steps", steps(report)),
        ("focus drill: recordings", recordings(report)),
        ("focus drill: verdict", vec![verdict(report)]),
    ];
    let seconds = seconds(report.steps.iter().map(|step| step.elapsed_ms).sum());
    let mut body = String::new();
    let mut all = [0; 4];
    for (name, cases) in &suites {
        let counts = counts(cases);
        all.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        body.push_str(&suite(name, cases, counts, report));
    }
    let [tests, failures, errors, skipped] = all.map(|count| count.to_string());
    let head = tag(
        "testsuites",
        &[
            ("name", &format!("focus drill {}", report.id)),
            ("tests", &tests),
            ("failures", &failures),
            ("errors", &errors),
            ("skipped", &skipped),
            ("time", &seconds),
        ],
    );
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{head}\n{body}</testsuites>\n")
}

/// Tests, failures, errors, skipped.
fn counts(cases: &[Case]) -> [usize; 4] {
    let count =
        |wanted: fn(&Outcome) -> bool| cases.iter().filter(|case| wanted(&case.outcome)).count();
    [
        cases.len(),
        count(|outcome| matches!(outcome, Outcome::Failed(_))),
        count(|outcome| matches!(outcome, Outcome::Error(_))),
        count(|outcome| matches!(outcome, Outcome::Skipped)),
    ]
}

fn suite(name: &str, cases: &[Case], counts: [usize; 4], report: &Report) -> String {
    let [tests, failures, errors, skipped] = counts.map(|count| count.to_string());
    let timestamp = report.started_at.as_str();
    let mut out = tag(
        "testsuite",
        &[
            ("name", name),
            ("tests", &tests),
            ("failures", &failures),
            ("errors", &errors),
            ("skipped", &skipped),
            ("timestamp", timestamp),
        ],
    );
    out.push_str("\n<properties>\n");
    for (key, value) in [
        ("id", &report.id),
        ("title", &report.title),
        ("version", &report.version),
        ("server", &report.server),
        ("root", &report.root),
        ("database", &report.database),
        ("outage", &report.outage.what),
    ] {
        let property = tag("property", &[("name", key), ("value", value)]);
        out.push_str(&format!("{}/>\n", property.trim_end_matches('>')));
    }
    out.push_str("</properties>\n");
    for case in cases {
        out.push_str(&testcase(name, case));
    }
    out.push_str("</testsuite>\n");
    out
}

fn testcase(class: &str, case: &Case) -> String {
    let head =
        tag("testcase", &[("classname", class), ("name", &case.name), ("time", &case.seconds)]);
    let within = match case.outcome {
        Outcome::Passed if case.words.is_empty() => String::new(),
        Outcome::Passed => element("system-out", &[], &case.words),
        Outcome::Failed(kind) => {
            element("failure", &[("type", kind), ("message", &case.words)], &case.words)
        }
        Outcome::Error(kind) => {
            element("error", &[("type", kind), ("message", &case.words)], &case.words)
        }
        Outcome::Skipped => format!("<skipped message=\"{}\"/>", escaped(&case.words)),
    };
    format!("{head}{within}</testcase>\n")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

fn steps(report: &Report) -> Vec<Case> {
    let case = |(at, name): (usize, &&str)| {
        let taken = report.steps.iter().find(|step| step.name == **name);
        let outcome = match taken {
            None => Outcome::Skipped,
            Some(step) if step.ok => Outcome::Passed,
            Some(_) => Outcome::Failed("step"),
        };
        Case {
            name: format!("{:02} {name}", at + 1),
            seconds: seconds(taken.map_or(0, |step| step.elapsed_ms)),
            outcome,
            words: taken.map_or_else(|| "not taken".to_owned(), |step| step.detail.clone()),
        }
    };
    STEPS.iter().enumerate().map(case).collect()
}

fn recordings(report: &Report) -> Vec<Case> {
    let (shown, left) = worst_first(report, RECORDINGS_MAX);
    let mut cases: Vec<Case> = shown.into_iter().map(recording).collect();
    if left > 0 {
        cases.push(Case {
            name: format!("and {left} more"),
            seconds: seconds(0),
            outcome: Outcome::Skipped,
            words: format!("at most {RECORDINGS_MAX} have a test case of their own; what is not as it should be comes first"),
        });
    }
    cases
}

fn recording(one: &RecordingVerdict) -> Case {
    let took = one.landed_ms.zip(one.catalogued_ms);
    Case {
        name: one.recording_id.clone(),
        seconds: seconds(took.map_or(0, |(landed, seen)| seen.saturating_sub(landed))),
        outcome: match one.fate {
            Fate::Catalogued => Outcome::Passed,
            other => Outcome::Failed(fate_name(other)),
        },
        words: match one.fate {
            Fate::Catalogued => String::new(),
            other => format!("{}: {} ({})", fate_name(other), why(one), one.path),
        },
    }
}

fn verdict(report: &Report) -> Case {
    let mut words = report.reason.clone().unwrap_or_default();
    for effect in &report.side_effects {
        words.push_str(&format!("\nside effect ({}): {}", effect.what, effect.detail));
    }
    Case {
        name: "verdict".to_owned(),
        seconds: seconds(report.time_to_converge_ms.unwrap_or(0)),
        outcome: match report.verdict {
            Verdict::Passed => Outcome::Passed,
            Verdict::Failed => Outcome::Failed("failed"),
            Verdict::Inconclusive => Outcome::Error("inconclusive"),
            Verdict::Refused => Outcome::Error("refused"),
        },
        words,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn each_step_recording_and_the_verdict_has_a_case_and_the_counts_agree() {
        let text = render(&sample());
        assert_eq!(text.matches("<testcase ").count(), 10 + 4 + 1, "{text}");
        assert_eq!(text.matches("<failure ").count(), 1 + 2 + 1, "{text}");
        assert_eq!(text.matches("<skipped ").count(), 2, "{text}");
        assert!(text.contains("tests=\"15\" failures=\"4\" errors=\"0\" skipped=\"2\""), "{text}");
    }

    #[test]
    fn more_recordings_than_the_bound_are_counted_and_the_lost_are_shown() {
        let mut report = sample();
        let good = report.recordings[0].clone();
        report.recordings.splice(0..0, std::iter::repeat_n(good, 5_000));
        let text = render(&report);
        assert_eq!(text.matches("<testcase ").count(), 10 + RECORDINGS_MAX + 1 + 1);
        assert!(text.contains("and 4004 more") && text.contains("drill-3"), "{}", text.len());
    }

    #[test]
    fn what_could_not_be_told_is_an_error() {
        let mut report = sample();
        report.verdict = Verdict::Inconclusive;
        assert!(render(&report).contains("<error type=\"inconclusive\""));
    }
}
