//! Documents, rules and the dashboard name the metrics that exist, and no others.

use std::collections::BTreeSet;
use std::fs;

use focus_common::metrics::{ALL, Kind};

/// A file of the repository.
fn file(path: &str) -> String {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of metrics in a text: of histograms, those of their parts count too.
fn named(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !is_name(c));
    words.filter(|word| word.starts_with("focus_") || word.starts_with("process_")).collect()
}

/// The metric that a name is of.
fn metric(name: &str) -> Option<&'static str> {
    let known = |wanted: &str, kind: Option<Kind>| {
        let found = ALL.iter().find(|metric| metric.name == wanted)?;
        kind.is_none_or(|kind| found.kind == kind).then_some(found.name)
    };
    let part = ["_bucket", "_sum", "_count"].into_iter().find_map(|part| name.strip_suffix(part));
    known(name, None).or_else(|| known(part?, Some(Kind::Histogram)))
}

#[test]
fn every_metric_has_its_line_in_the_document_and_no_other_has_one() {
    let document = file("docs/metrics.md");
    let rows: BTreeSet<&str> =
        document.lines().filter(|line| line.starts_with('|')).flat_map(named).collect();
    let all: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(rows, all);
    for metric in ALL.iter().filter(|metric| !metric.labels.is_empty()) {
        let written = format!("`{}{{{}}}`", metric.name, metric.labels.join(","));
        assert!(document.contains(&written), "docs/metrics.md needs {written}");
    }
}

#[test]
fn the_dashboard_and_the_rules_ask_for_metrics_that_exist() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&file("deploy/grafana/focus.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut asked = BTreeSet::new();
    for panel in panels {
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let query = target["expr"].as_str().expect("a query");
            let names = named(query);
            assert!(!names.is_empty(), "{}: {query}", panel["title"]);
            for name in names {
                let of = metric(name).unwrap_or_else(|| panic!("{}: {name}", panel["title"]));
                asked.insert(of);
            }
        }
    }
    // A dashboard that leaves a metric of the product out would be out of date without anybody's notice.
    let missing: Vec<&str> = ALL
        .iter()
        .map(|metric| metric.name)
        .filter(|name| name.starts_with("focus_") && !asked.contains(name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    let rules = file("deploy/prometheus/alerts.yaml");
    let queries = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    for name in queries.flat_map(named) {
        assert!(metric(name).is_some(), "deploy/prometheus/alerts.yaml asks for {name}");
    }
}

#[test]
fn the_chart_has_the_rules_as_they_are() {
    let rules = file("deploy/prometheus/alerts.yaml");
    assert_eq!(file("deploy/helm/focus-server/alerts.yaml"), rules);
}
