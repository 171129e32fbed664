//! `GET /metrics`: what Prometheus and its tools read, through an outage and over restarts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use serde_json::Value;

use crate::site::{LIMIT, Site, embedded_only, no_server_to_end};

/// The metrics by their names with labels, as they are told now.
fn told(site: &Site) -> BTreeMap<String, f64> {
    let text = site.focus.get("/metrics").expect("metrics");
    let value = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(value).collect()
}

/// A metric reaches a value.
async fn reaches(site: &Site, name: &str, wanted: f64) {
    until(&format!("{name} is {wanted}"), LIMIT, || async {
        let told = told(site);
        match told.get(name) {
            Some(value) if (value - wanted).abs() < 1e-9 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

fn of_root(site: &Site, name: &str) -> String {
    format!("{name}{{root=\"{}\"}}", site.tree.root().display())
}

/// A program of Debian's package `prometheus`; none where it is not there, and the test says so.
fn prometheus(program: &str, test: &str) -> Option<PathBuf> {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        println!("left out, needs {program} (`apt-get install prometheus`): {test}");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_shows_in_the_metrics_and_what_is_past_survives_a_restart() {
    if no_server_to_end("metrics of an outage") {
        return;
    }
    let mut server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    site.land(20);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    // Documents that are there are pending until the batch's watermark is there too.
    site.in_step().await;
    let before = told(&site);
    assert_eq!(before["focus_catalog_up"], 1.0);
    assert_eq!(before["focus_outages_total"], 0.0);
    assert_eq!(before[&of_root(&site, "focus_root_present")], 1.0);
    reaches(&site, &of_root(&site, "focus_lease_held"), 1.0).await;
    assert!(before["focus_catalog_writes_total{result=\"written\"}"] >= 20.0, "{before:#?}");
    server.kill();
    reaches(&site, "focus_catalog_up", 0.0).await;
    reaches(&site, "focus_catalog_state{state=\"down\"}", 1.0).await;
    assert_eq!(told(&site)["focus_outages_total"], 1.0);
    assert_eq!(told(&site)["focus_outage_detect_seconds_count"], 1.0);
    site.land(5);
    // Bad ones are counted by their state, good ones are pending.
    fs::write(site.tree.root().join("alone.dat"), "data").expect("written");
    reaches(&site, &of_root(&site, "focus_pending_recordings"), 5.0).await;
    let alone = format!(
        "focus_unrecognised_recordings{{root=\"{}\",state=\"data_without_sidecar\"}}",
        site.tree.root().display()
    );
    reaches(&site, &alone, 1.0).await;
    assert!(told(&site)[&of_root(&site, "focus_backlog_age_seconds")] > 0.0);
    server.restart().await;
    reaches(&site, "focus_catalog_up", 1.0).await;
    reaches(&site, &of_root(&site, "focus_pending_recordings"), 0.0).await;
    reaches(&site, "focus_outage_converge_seconds_count", 1.0).await;
    // A verification is of the past too.
    let verified = site.focus.run(&["verify", "--json"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    let verify = of_root(&site, "focus_verify_finished_timestamp_seconds");
    let ended = told(&site)[&verify];
    assert!(ended > 1_700_000_000.0);
    assert_eq!(site.focus.stop(), Some(0));
    site.focus.serve().await;
    let after = told(&site);
    assert_eq!((after["focus_outages_total"], after[&verify]), (1.0, ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route_and_what_callers_choose_is_no_label() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    for path in ["/nothing/1", "/nothing/2", "/api/v1/recordings?text=a", "/api/v1/recordings"] {
        let _ = site.focus.ask("GET", path, "", false);
    }
    let _ = site.focus.ask("BREW", "/ack", "", false);
    let told = told(&site);
    let count = |route: &str, method: &str, code: &str| {
        let labels = format!("code=\"{code}\",method=\"{method}\",route=\"{route}\"");
        told.get(&format!("focus_http_requests_total{{{labels}}}")).copied()
    };
    assert_eq!(count("other", "GET", "404"), Some(2.0), "{told:#?}");
    assert_eq!(count("/api/v1/recordings", "GET", "200"), Some(2.0), "{told:#?}");
    assert_eq!(count("/ack", "other", "405"), Some(1.0), "{told:#?}");
    assert!(!told.keys().any(|name| name.contains("nothing") || name.contains("BREW")));
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_in_the_metrics_of_a_server() {
    let Some(promtool) = prometheus("promtool", "promtool check metrics") else { return };
    let mut site = Site::new(&[]);
    site.land(3);
    fs::write(site.tree.root().join("alone.dat"), "data").expect("written");
    site.focus.serve().await;
    site.focus.until_status("recordings", 3, LIMIT).await;
    let verified = site.focus.run(&["verify"]);
    assert!(verified.status.code().is_some(), "{verified:?}");
    let text = site.focus.get("/metrics").expect("metrics");
    let file = site.dir.path().join("metrics.txt");
    fs::write(&file, &text).expect("written");
    let checked = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(fs::File::open(&file).expect("open"))
        .output()
        .expect("promtool runs");
    let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    assert!(checked.status.success() && said.trim().is_empty(), "{said}\n{text}");
}

/// A Prometheus that scrapes a server.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn start(program: &Path, site: &Site) -> Prometheus {
        let port = focus_testkit::mongo::free_port();
        let target = site.focus.address().expect("an address");
        let rules =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/alerts.yaml");
        let settings = format!(
            "global: {{scrape_interval: 250ms, evaluation_interval: 250ms}}\nrule_files: [{}]\nscrape_configs:\n- job_name: focus\n  static_configs:\n  - targets: ['{}']\n",
            rules.display(),
            target,
        );
        let file = site.dir.path().join("prometheus.yml");
        fs::write(&file, settings).expect("settings");
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", site.dir.path().join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(site.dir.path().join("prometheus.log")).expect("a log"))
            .spawn()
            .expect("prometheus runs");
        Prometheus { child, port }
    }

    /// Asks for the result of a query.
    fn ask(&self, query: &str) -> Result<Vec<Value>, String> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("/api/v1/query?query={encoded}");
        let address = format!("127.0.0.1:{}", self.port);
        let text = focus_testkit::focus::ask(&address, "GET", &path, "", "")?.body;
        let answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }

    /// A query's first result reaches a value.
    async fn reaches(&self, query: &str, wanted: &str) {
        until(&format!("{query} is {wanted}"), LIMIT, || async {
            let found = self.ask(query)?;
            let value = found.first().map(|one| one["value"][1].clone());
            if value.as_ref().is_some_and(|value| value == wanted) {
                return Ok(());
            }
            Err(format!("{found:?}"))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_holds_the_curve_of_an_outage_and_raises_its_alert() {
    if embedded_only("a Prometheus") || no_server_to_end("a Prometheus") {
        return;
    }
    let Some(program) = prometheus("prometheus", "a scrape by Prometheus") else { return };
    let mut server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    site.land(10);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    site.in_step().await;
    let prometheus = Prometheus::start(&program, &site);
    prometheus.reaches("focus_catalog_up", "1").await;
    server.kill();
    prometheus.reaches("focus_catalog_up", "0").await;
    site.land(7);
    prometheus.reaches("sum(focus_pending_recordings)", "7").await;
    prometheus.reaches("count(ALERTS{alertname=\"FocusCatalogDown\"})", "1").await;
    server.restart().await;
    prometheus.reaches("focus_catalog_up", "1").await;
    prometheus.reaches("sum(focus_pending_recordings)", "0").await;
    // All of it is in what is kept.
    prometheus.reaches("min_over_time(focus_catalog_up[5m])", "0").await;
    prometheus.reaches("max_over_time(focus_catalog_up[5m])", "1").await;
    prometheus.reaches("max(max_over_time(focus_pending_recordings[5m]))", "7").await;
    let none = || async {
        let found = prometheus.ask("ALERTS{alertname=\"FocusCatalogDown\"}")?;
        if found.is_empty() { Ok(()) } else { Err(format!("{found:?}")) }
    };
    until("the alert is over", Duration::from_secs(90), none).await;
}

#[test]
fn promtool_is_content_with_the_rules_and_their_tests_pass() {
    let Some(promtool) = prometheus("promtool", "promtool check rules, test rules") else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus");
    for args in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]] {
        let ran =
            Command::new(&promtool).args(args).current_dir(&folder).output().expect("it runs");
        let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
        assert!(ran.status.success() && said.contains("SUCCESS"), "{args:?}: {said}");
    }
}
