//! What a drill is to come to.

use crate::drill_process::Said;

/// It ended with this verdict and its exit code; the reason holds these words.
pub(crate) fn ended((code, report): &Said, verdict: &str, words: &str) {
    let wanted = match verdict {
        "passed" => 0,
        "failed" => 1,
        "refused" => 2,
        "inconclusive" => 3,
        other => panic!("{other} is no verdict"),
    };
    assert_eq!((report["verdict"].as_str(), *code), (Some(verdict), Some(wanted)), "{report:#}");
    let reason = report["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(words), "{words:?} is not in {reason:?}");
}

/// It passed. Its figures are printed.
pub(crate) fn passed(said: &Said) {
    ended(said, "passed", "");
    let report = &said.1;
    println!(
        "{}: noticed after {} ms, converged in {} ms, outage {} ms",
        report["outage"]["kind"],
        report["time_to_detect_ms"],
        report["time_to_converge_ms"],
        report["outage_ms"]
    );
}

/// Nothing was done, for a reason with these words.
pub(crate) fn refused(said: &Said, words: &str) {
    ended(said, "refused", words);
    assert_eq!(said.1["steps"], serde_json::json!([]));
}
