//! Metrics: every one that `GET /metrics` tells, and the counters that are kept where things happen.
//!
//! A process is one server, so its counters are the process's own. What is a state, such as the number of
//! pending recordings, is read when it is asked for.

mod names;
mod process;

use std::sync::LazyLock;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};

pub use names::{ALL, Kind, Metric};
pub use process::process;

/// Bounds of histograms of what takes milliseconds to minutes, in seconds.
const QUICK: [f64; 14] =
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Bounds of histograms of what may take hours, in seconds.
const SLOW: [f64; 14] =
    [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0];

/// The counters of this process.
#[derive(Debug)]
pub struct Counters {
    registry: Registry,
    /// Time from the database's last answer until it counted as away, seconds.
    pub outage_detect: Histogram,
    /// Time from the database's return until everything was in the catalog, seconds.
    pub outage_converge: Histogram,
    /// Time of a call that writes to the catalog, seconds.
    pub catalog_write: Histogram,
    /// Documents that were written to the catalog, by `result`.
    pub catalog_writes: IntCounterVec,
    /// Time of a scan of a whole root, seconds.
    pub scan: Histogram,
    /// Hints at changes on storage, by `source` and `result`.
    pub hints: IntCounterVec,
    /// Requests, by `route`, `method` and `code`.
    pub http_requests: IntCounterVec,
    /// Time of a request until its answer begins, by `route`, seconds.
    pub http_request: HistogramVec,
    /// Deliveries of alerts, by `channel` and `result`.
    pub alert_deliveries: IntCounterVec,
}

static COUNTERS: LazyLock<Counters> = LazyLock::new(Counters::new);

/// The counters of this process.
pub fn counters() -> &'static Counters {
    &COUNTERS
}

impl Counters {
    fn new() -> Counters {
        let registry = Registry::new();
        let histogram = |name: &str, bounds: &[f64]| {
            let opts = HistogramOpts::new(name, help(name)).buckets(bounds.to_vec());
            kept(&registry, Histogram::with_opts(opts))
        };
        // A counter that appears with its first event hides that event from `increase`: what is known before
        // is there at 0.
        let counter = |name: &str, known: &[&[&str]]| {
            let opts = Opts::new(name, help(name));
            let counter = kept(&registry, IntCounterVec::new(opts, labels(name)));
            for values in known {
                counter.with_label_values(values);
            }
            counter
        };
        let http =
            HistogramOpts::new("focus_http_request_seconds", help("focus_http_request_seconds"))
                .buckets(QUICK.to_vec());
        Counters {
            outage_detect: histogram("focus_outage_detect_seconds", &QUICK),
            outage_converge: histogram("focus_outage_converge_seconds", &SLOW),
            catalog_write: histogram("focus_catalog_write_seconds", &QUICK),
            catalog_writes: counter(
                "focus_catalog_writes_total",
                &[&["written"], &["duplicate"], &["refused"], &["failed"], &["removed"]],
            ),
            scan: histogram("focus_scan_seconds", &SLOW),
            hints: counter(
                "focus_hints_total",
                &[
                    &["watch", "accepted"],
                    &["watch", "ignored"],
                    &["http", "accepted"],
                    &["http", "ignored"],
                    &["nats", "accepted"],
                    &["nats", "ignored"],
                    &["mqtt", "accepted"],
                    &["mqtt", "ignored"],
                    &["amqp", "accepted"],
                    &["amqp", "ignored"],
                ],
            ),
            http_requests: counter("focus_http_requests_total", &[]),
            alert_deliveries: counter("focus_alert_deliveries_total", &[]),
            http_request: kept(
                &registry,
                HistogramVec::new(http, labels("focus_http_request_seconds")),
            ),
            registry,
        }
    }
}

/// A collector, registered. Its name comes from [`ALL`], so it is good, and it is registered once.
fn kept<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    #[expect(
        clippy::expect_used,
        reason = "a name of the list of metrics, which a test makes all of"
    )]
    let collector = made.expect("a metric of the list");
    if let Err(error) = registry.register(Box::new(collector.clone())) {
        tracing::error!("a metric is left out: {error}");
    }
    collector
}

fn metric(name: &str) -> &'static Metric {
    ALL.iter().find(|metric| metric.name == name).unwrap_or(&names::UNKNOWN)
}

fn help(name: &str) -> &'static str {
    metric(name).help
}

fn labels(name: &str) -> &'static [&'static str] {
    metric(name).labels
}

/// States that are told beside the counters, each as it is when it is asked for.
#[derive(Debug, Default)]
pub struct Scrape {
    registry: Registry,
}

impl Scrape {
    /// With nothing in it.
    pub fn new() -> Scrape {
        Scrape::default()
    }

    /// Adds a metric of the list with its values, each with the values of its labels.
    pub fn add<'a>(&self, name: &str, values: impl IntoIterator<Item = (Vec<&'a str>, f64)>) {
        let metric = metric(name);
        let opts = Opts::new(metric.name, metric.help);
        let added = match metric.kind {
            Kind::Counter => {
                prometheus::CounterVec::new(opts, metric.labels).and_then(|counters| {
                    for (labels, value) in values {
                        counters.get_metric_with_label_values(&labels)?.inc_by(value.max(0.0));
                    }
                    self.registry.register(Box::new(counters))
                })
            }
            Kind::Gauge | Kind::Histogram => prometheus::GaugeVec::new(opts, metric.labels)
                .and_then(|gauges| {
                    for (labels, value) in values {
                        gauges.get_metric_with_label_values(&labels)?.set(value);
                    }
                    self.registry.register(Box::new(gauges))
                }),
        };
        if let Err(error) = added {
            tracing::error!("the metric {name} cannot be told: {error}");
        }
    }

    /// All counters and these states in Prometheus' text format, version 0.0.4.
    pub fn text(&self) -> String {
        let mut families = counters().registry.gather();
        families.extend(self.registry.gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!("the metrics cannot be told: {error}");
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_the_list_can_be_told_with_help_and_type() {
        let all = counters();
        all.hints.with_label_values(&["watch", "accepted"]).inc();
        all.http_requests.with_label_values(&["/ack", "GET", "200"]).inc();
        all.http_request.with_label_values(&["/ack"]).observe(0.1);
        all.catalog_writes.with_label_values(&["written"]).inc();
        all.alert_deliveries.with_label_values(&["ops", "delivered"]).inc();
        let scrape = Scrape::new();
        let kept: Vec<String> =
            all.registry.gather().iter().map(|one| one.name().to_owned()).collect();
        for metric in ALL.iter().filter(|metric| !kept.contains(&metric.name.to_owned())) {
            let labels: Vec<&str> = metric.labels.iter().map(|_| "x").collect();
            scrape.add(metric.name, [(labels, 1.0)]);
        }
        let text = scrape.text();
        for metric in ALL {
            let kind = format!("# TYPE {} {}\n", metric.name, metric.kind.name());
            assert!(text.contains(&kind), "{kind}{text}");
            assert!(text.contains(&format!("# HELP {} ", metric.name)), "{}", metric.name);
        }
    }
}
