//! `hints`: recordings on a root without a watch, scanned once an hour, whose hints come by HTTP and by the queue of each
//! broker, which is killed half-way; and a flood of hints that are nonsense.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use focus_testkit::amqp::RabbitMq;
use focus_testkit::focus::Focus;
use focus_testkit::mqtt::Mosquitto;
use focus_testkit::nats::NatsServer;
use focus_testkit::stats;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::options::Setup;
use crate::process::{Usage, peak_from_now_on};
use crate::report::{Measure, Report};
use crate::site::{counter, until};

/// How long files stand still here before they count as settled.
const SETTLE: Duration = Duration::from_millis(500);

/// A recording that is hinted may take so much longer.
const MORE: Duration = Duration::from_secs(1);

/// Between two recordings.
const EVERY: Duration = Duration::from_millis(40);

/// Hints of the flood.
const FLOOD: u64 = 1_000_000;

/// One of so many hints of the flood is at a recording.
const REAL: u64 = 10_000;

/// What a hint of the flood may take.
const FLOOD_PATIENCE: Duration = Duration::from_secs(5);

/// No wait is longer.
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let mut report = None;
    for way in [Way::http().await, Way::nats(false).await, Way::nats(true).await] {
        report = Some(measured(setup, n, way, report).await);
    }
    for way in [Way::mqtt().await, Way::amqp().await] {
        report = Some(measured(setup, n, way, report).await);
    }
    let mut report = report.expect("one way at least");
    if let Some(way) = Way::nats(false).await {
        flood(setup, way, &mut report).await;
    }
    report
}

/// A way on which hints come.
struct Way {
    name: &'static str,
    settings: String,
    by: By,
}

enum By {
    Http,
    Nats(NatsServer),
    Mqtt(Mosquitto),
    Amqp(RabbitMq),
}

impl Way {
    async fn http() -> Option<Way> {
        Some(Way { name: "HTTP", settings: String::new(), by: By::Http })
    }

    async fn nats(is_kept: bool) -> Option<Way> {
        let server = NatsServer::start().await?;
        let (mut name, mut more) = ("NATS", "");
        if is_kept {
            server.make_stream("FOCUS", "focus.>");
            (name, more) = ("JetStream", "stream = \"FOCUS\"\ndurable = \"focus-{server}\"\n");
        }
        let settings = format!(
            "[[hints.nats]]\nname = \"q\"\nurl = \"nats://{}\"\nsubject = \"focus.>\"\n{more}",
            server.address()
        );
        Some(Way { name, settings, by: By::Nats(server) })
    }

    async fn mqtt() -> Option<Way> {
        let broker = Mosquitto::start("").await?;
        let settings = format!(
            "[[hints.mqtt]]\nname = \"q\"\nurl = \"mqtt://{}\"\ntopic = \"focus/#\"\n",
            broker.address()
        );
        Some(Way { name: "MQTT", settings, by: By::Mqtt(broker) })
    }

    async fn amqp() -> Option<Way> {
        let broker = RabbitMq::start().await?;
        let settings = format!(
            "[[hints.amqp]]\nname = \"q\"\nurl = \"amqp://{}\"\nqueue = \"hints-{{server}}\"\nexchange = \"amq.topic\"\nrouting_key = \"focus.#\"\n",
            broker.address()
        );
        Some(Way { name: "AMQP", settings, by: By::Amqp(broker) })
    }

    fn hint(&self, site: &Hinted, path: &str) {
        match &self.by {
            By::Http => site.post(path),
            By::Nats(server) => server.publish("focus.x", &[], path.as_bytes()),
            By::Mqtt(broker) => broker.publish("focus/x", &[], &[path.as_bytes()]),
            By::Amqp(broker) => {
                broker.publish("amq.topic", "focus.x", "text/plain", path.as_bytes());
            }
        }
    }

    /// Kills the broker and starts it again.
    async fn broken(&mut self) {
        match &mut self.by {
            By::Http => {}
            By::Nats(server) => {
                server.kill();
                server.restart().await;
            }
            By::Mqtt(broker) => {
                broker.kill();
                broker.restart().await;
            }
            By::Amqp(broker) => {
                broker.kill();
                broker.restart().await;
            }
        }
    }

    async fn connected(&self, site: &Hinted) {
        if !matches!(self.by, By::Http) {
            until(&site.focus, "the queue is connected", |status| {
                status["hints"][0]["state"] == "connected"
            })
            .await;
        }
    }
}

/// A root without a watch, with the embedded catalog.
struct Hinted {
    dir: TempDir,
    focus: Focus,
}

impl Hinted {
    async fn serving(setup: &Setup, settings: &str) -> Hinted {
        let dir = TempDir::new().expect("a folder");
        let (root, state) = (dir.path().join("root"), dir.path().join("state"));
        fs::create_dir(&root).expect("a root");
        let file = dir.path().join("focus.toml");
        let settle_ms = SETTLE.as_millis();
        let text = format!(
            "listen = \"127.0.0.1:0\"\nstate_dir = {state:?}\nsettle_ms = {settle_ms}\n{settings}\n[[roots]]\npath = {root:?}\nwatch = false\nscan_interval_ms = 3600000\n"
        );
        fs::write(&file, text).expect("settings");
        let args = ["--config", &file.display().to_string()];
        let mut focus = Focus::with_args(&setup.binary, &state, &args);
        assert!(focus.run(&["init"]).status.success());
        focus.serve().await;
        until(&focus, "the first scan", |status| {
            !status["roots"][0]["last_scan_at"].is_null() && status["catalog_state"] == "in_step"
        })
        .await;
        Hinted { dir, focus }
    }

    fn land(&self, name: &str) {
        let at = |extension: &str| self.dir.path().join(format!("root/{name}.{extension}"));
        fs::write(at("dat"), "data").expect("written");
        let text = format!("{{\"uuid\":\"{name}\",\"start_time\":1,\"end_time\":2}}");
        fs::write(at("json"), text).expect("written");
    }

    fn post(&self, body: &str) {
        let server = fs::read(self.dir.path().join("state/server.json")).expect("the server");
        let server: serde_json::Value = serde_json::from_slice(&server).expect("JSON");
        let text = |field: &str| server[field].as_str().expect("text").to_owned();
        let (address, token) = (text("address"), text("token"));
        let mut stream = TcpStream::connect(&address).expect("connected");
        let request = format!(
            "POST /api/v1/hints HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }

    fn catalog(&self) -> PathBuf {
        self.dir.path().join("state/catalog/catalog.db")
    }
}

/// When each recording came into the catalog.
struct Arrivals {
    catalog: Connection,
    at: HashMap<String, Instant>,
}

impl Arrivals {
    fn of(site: &Hinted) -> Arrivals {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let catalog = Connection::open_with_flags(site.catalog(), flags).expect("the catalog");
        Arrivals { catalog, at: HashMap::new() }
    }

    /// Looks until all of these are there.
    async fn all(&mut self, wanted: usize, site: &Hinted) {
        let began = Instant::now();
        while self.look() < wanted {
            let there = self.at.len();
            assert!(began.elapsed() < LIMIT, "{there} of {wanted}: {}", site.focus.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn look(&mut self) -> usize {
        let mut rows = self.catalog.prepare_cached("SELECT path FROM recordings").expect("rows");
        let paths = rows.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        let now = Instant::now();
        for path in paths {
            self.at.entry(path.expect("a path")).or_insert(now);
        }
        self.at.len()
    }

    /// How long each took that was hinted then.
    fn took(&self, hinted: &[(String, Instant)]) -> Vec<Duration> {
        hinted.iter().map(|(path, at)| self.at[path].saturating_duration_since(*at)).collect()
    }
}

/// From the message until the recording is in the catalog, by one way.
async fn measured(setup: &Setup, n: u64, way: Option<Way>, report: Option<Report>) -> Report {
    let mut report = report;
    let Some(mut way) = way else {
        println!("  left out: a broker is not installed");
        return report.expect("one way at least");
    };
    let site = Hinted::serving(setup, &way.settings).await;
    let report = report.get_or_insert_with(|| setup.report("hints", n, site.dir.path()));
    way.connected(&site).await;
    let (mut arrivals, mut hinted) = (Arrivals::of(&site), Vec::new());
    for number in 0..n {
        if number == n / 2 {
            way.broken().await;
            way.connected(&site).await;
        }
        let name = format!("r{number:06}");
        site.land(&name);
        let path = format!("{name}.dat");
        hinted.push((path.clone(), Instant::now()));
        way.hint(&site, &path);
        arrivals.look();
        tokio::time::sleep(EVERY).await;
    }
    arrivals.all(hinted.len(), &site).await;
    let took = arrivals.took(&hinted);
    println!("  {}: {}", way.name, stats::describe(&took));
    let bound = SETTLE + MORE;
    let p99 = Measure::seconds(&format!("{}, p99", way.name), stats::at(&took, 990));
    report.add(p99.beside("settle_ms and 1 s", bound.as_secs_f64()).goal(1.0));
    report.clone()
}

/// Nonsense of several kinds, with a recording now and then.
async fn flood(setup: &Setup, way: Way, report: &mut Report) {
    let site = Hinted::serving(setup, &way.settings).await;
    way.connected(&site).await;
    let before = Usage::of(site.focus.pid()).resident_kib as f64 / 1_024.0;
    peak_from_now_on(site.focus.pid());
    let By::Nats(server) = &way.by else { panic!("the flood comes by NATS") };
    let mut arrivals = Arrivals::of(&site);
    let began = Instant::now();
    let (ends, over) = channel::<()>();
    let (hinted, sent) = std::thread::scope(|scope| {
        let site = &site;
        let sending = scope.spawn(move || {
            // Its end is told by that of this.
            let _ends = ends;
            let mut hinted = Vec::new();
            let bodies: Vec<String> = (0..FLOOD).map(nonsense).collect();
            let bodies = bodies.iter().enumerate().map(|(number, body)| {
                if number as u64 % REAL == REAL - 1 {
                    site.land(body.trim_end_matches(".dat"));
                    hinted.push((body.clone(), Instant::now()));
                }
                body.as_str()
            });
            server.publish_all("focus.x", bodies);
            (hinted, began.elapsed())
        });
        while over.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
            arrivals.look();
        }
        sending.join().expect("sent")
    });
    arrivals.all(hinted.len(), &site).await;
    let took = arrivals.took(&hinted);
    let usage = Usage::of(site.focus.pid());
    println!("  flood by NATS, sent in {:.1} s: {}", sent.as_secs_f64(), stats::describe(&took));
    let most = Measure::seconds("flood: a real hint, at most", stats::at(&took, 1_000));
    report.add(most.beside("allowed", FLOOD_PATIENCE.as_secs_f64()).goal(1.0));
    let peak = Measure::of("flood: memory at the most", usage.peak_mib(), "MiB");
    report.add(peak.beside("before", before));
    let metrics = site.focus.get("/metrics").expect("metrics");
    let counted = Measure::of("flood: hints counted", counter(&metrics, "focus_hints_total"), "1");
    report.add(counted.beside_higher("sent", FLOOD as f64).goal(1.0));
}

/// A hint of the flood.
fn nonsense(number: u64) -> String {
    match number % REAL {
        rest if rest == REAL - 1 => format!("real{number}.dat"),
        rest => match rest % 4 {
            0 => format!("notes/{number}.txt"),
            1 => format!("{{\"paths\": [{number}"),
            2 => format!("../outside/{number}.dat"),
            _ => format!("nothing/here-{number}.dat"),
        },
    }
}
