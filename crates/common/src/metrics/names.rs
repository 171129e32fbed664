//! The list of metrics: name, kind, labels and help. `docs/metrics.md` has a line for each.

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Observations, counted by their size.
    Histogram,
}

impl Kind {
    /// As Prometheus spells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with the unit last.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence on what it means.
    pub help: &'static str,
}

/// What stands for a metric that is not in the list: a mistake of the program.
pub(super) const UNKNOWN: Metric = gauge("focus_unknown", &[], "A metric that is not in the list");

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, help }
}

/// Every metric.
pub const ALL: &[Metric] = &[
    gauge("focus_build_info", &["version"], "Always 1; the label is the version of the program"),
    gauge("focus_catalog_up", &[], "Whether a primary of the catalog takes writes, 1 or 0"),
    gauge(
        "focus_catalog_state",
        &["state"],
        "1 for the state that the catalog is in, 0 for the others",
    ),
    gauge("focus_recordings", &["root", "state"], "Recordings in the index by root and state"),
    gauge(
        "focus_pending_recordings",
        &["root"],
        "Recordings that the catalog has not acknowledged yet",
    ),
    gauge(
        "focus_backlog_age_seconds",
        &["root"],
        "Age of the oldest pending recording, 0 without one",
    ),
    gauge(
        "focus_unrecognised_recordings",
        &["root", "state"],
        "Recordings on storage that cannot be catalogued, by reason",
    ),
    gauge("focus_held_deletions", &["root"], "Vanished recordings that wait for approval"),
    gauge("focus_root_present", &["root"], "Whether the root and its marker are there, 1 or 0"),
    gauge(
        "focus_lease_held",
        &["root"],
        "Whether this server writes the root to the catalog, 1 or 0",
    ),
    counter("focus_lease_lost_total", &["root"], "Leases that were lost to another server"),
    counter("focus_outages_total", &[], "Outages of the catalog that this state folder has seen"),
    histogram(
        "focus_outage_detect_seconds",
        &[],
        "Time from the last answer of the database until it counted as away",
    ),
    histogram(
        "focus_outage_converge_seconds",
        &[],
        "Time from the return of the database until everything was in the catalog",
    ),
    histogram("focus_catalog_write_seconds", &[], "Time of a call that writes to the catalog"),
    histogram("focus_scan_seconds", &[], "Time of a scan of a whole root"),
    counter("focus_catalog_writes_total", &["result"], "Documents sent to the catalog, by outcome"),
    counter(
        "focus_watch_missed_total",
        &["root"],
        "Changes on storage that a scan found and the watch had not told",
    ),
    counter(
        "focus_hints_total",
        &["source", "result"],
        "Hints at changes on storage, by where they come from",
    ),
    gauge("focus_drift_findings", &["root", "kind"], "Differences that the last verification left"),
    gauge(
        "focus_verify_finished_timestamp_seconds",
        &["root"],
        "When the last verification ended, seconds since 1970",
    ),
    gauge(
        "focus_drill_passed_timestamp_seconds",
        &[],
        "When the last drill that passed ended, seconds since 1970",
    ),
    counter(
        "focus_http_requests_total",
        &["route", "method", "code"],
        "Requests that were answered",
    ),
    histogram(
        "focus_http_request_seconds",
        &["route"],
        "Time of a request until its answer begins",
    ),
    gauge("focus_alerts_firing", &["rule", "severity"], "Alerts that are raised now"),
    counter(
        "focus_alert_deliveries_total",
        &["channel", "result"],
        "Deliveries of alerts, by outcome",
    ),
    gauge("focus_state_disk_free_bytes", &[], "Free space of the disk with the state folder"),
    counter("process_cpu_seconds_total", &[], "Processor time of the process, user and system"),
    gauge("process_resident_memory_bytes", &[], "Resident memory of the process"),
    gauge("process_virtual_memory_bytes", &[], "Virtual memory of the process"),
    gauge("process_open_fds", &[], "Open file descriptors of the process"),
    gauge("process_max_fds", &[], "The most file descriptors that the process may open"),
    gauge("process_threads", &[], "Threads of the process"),
    gauge("process_start_time_seconds", &[], "When the process started, seconds since 1970"),
];
