//! The page in a real browser. The scenes are in `tests/browser`: a program of Node drives chromium, and asks this one
//! for outages and recordings. `cargo xtask browser` runs these tests alone.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::proxy::{Mode, Proxy};
use serde_json::{Value, json};

use crate::alert_host::tools;
use crate::site::{BINARY, LIMIT, Site, embedded_only, long};

/// Recordings of a full site, besides the hostile ones.
const COUNT: usize = 400;

/// Hostile recordings whose names cannot be catalogued: control characters are in no name.
const NAMES_REFUSED: usize = 1;

/// Bytes of a file's name, at most.
const NAME_MAX: usize = 255;

/// Every deletion is held, an outage is alerted on at once, and coverage has lanes by a field.
const SETTINGS: &str = "\
indexed_metadata = [\"station\"]
max_vanished_percent = 0
max_vanished_at_least = 0
[alerts.rules.catalog_down]
after_ms = 0
";

/// A site whose database can be taken away, or `None` where this test is left out.
struct Stage {
    site: Site,
    proxy: Proxy,
    server: MongoServer,
    kind: &'static str,
}

impl Stage {
    async fn full(test: &str) -> Option<Stage> {
        let mut stage = Stage::empty(test).await?;
        stage.kind = "full";
        stage.site.land(COUNT);
        let hostile = hostile(stage.site.tree.root());
        let wanted = (COUNT + hostile - NAMES_REFUSED) as u64;
        let unrecognised = (UNRECOGNISED.len() + NAMES_REFUSED) as u64;
        stage.site.focus.until_status("recordings", wanted, LIMIT).await;
        stage.site.focus.until_status("unrecognised", unrecognised, LIMIT).await;
        stage.site.in_step().await;
        Some(stage)
    }

    async fn empty(test: &str) -> Option<Stage> {
        if !long() {
            println!("left out, takes minutes (`cargo xtask test --all`): {test}");
            return None;
        }
        if embedded_only(test) {
            return None;
        }
        let server = MongoServer::start().await;
        let proxy = Proxy::start(server.port()).await;
        let mut site = Site::new(&[]);
        let settings = site.dir.path().join("focus.toml");
        fs::write(&settings, SETTINGS).expect("settings");
        let mut args = server.args_through(&proxy.uri());
        args.extend(["--settle-ms".to_owned(), "200".to_owned()]);
        args.extend(["--config".to_owned(), settings.display().to_string()]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        site.focus = Focus::new(BINARY, site.tree.root(), &site.state(), &args);
        site.focus.serve().await;
        site.in_step().await;
        Some(Stage { site, proxy, server, kind: "empty" })
    }

    /// Plays a scene to its end.
    fn play(&mut self, scene: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
        let (modules, chromium) = (tools().join("browser"), on_path("chromium"));
        let node = on_path("node").filter(|_| modules.join("node_modules").is_dir());
        let (Some(node), Some(chromium)) = (node, chromium) else {
            panic!("`cargo xtask test --all` installs or names what the browser tests need");
        };
        let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/browser");
        fs::create_dir_all(&pictures).expect("a folder for pictures");
        let site = json!({
            "address": self.site.focus.address().expect("an address"),
            "token": crate::security::token(&self.site),
            "pid": self.site.focus.pid(),
            "kind": self.kind,
            "pictures": pictures.canonicalize().expect("its path"),
        });
        let mut child = Command::new(node)
            .arg(folder.join("run.mjs"))
            .arg(scene)
            .env("FOCUS_BROWSER_SITE", site.to_string())
            .env("FOCUS_BROWSER_TOOLS", modules)
            .env("FOCUS_BROWSER_CHROMIUM", chromium)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let mut answers = child.stdin.take().expect("its input");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut player = Player(child);
        for line in said.lines() {
            let line = line.expect("text");
            match line.strip_prefix("order: ") {
                Some(order) => self.obey(order, &mut answers),
                None => println!("{line}"),
            }
        }
        let ended = player.0.wait().expect("its end");
        assert!(ended.success(), "{scene}: {ended}, see above\n{}", self.site.focus.log());
    }

    fn obey(&mut self, order: &str, answers: &mut ChildStdin) {
        let (what, count) = order.split_once(' ').unwrap_or((order, "0"));
        let count: usize = count.parse().expect("a number");
        match what {
            "away" => self.proxy.set(Mode::Refuse),
            "back" => self.proxy.set(Mode::Pass),
            "land" => self.site.land(count),
            "lose" => self.lose(count),
            "drill" => self.drill(),
            _ => panic!("{order} is no order"),
        }
        // A scene that has failed does not listen any more, and says itself why.
        let _ = answers.write_all(b"done\n");
    }

    /// Runs a drill, so that there is a report. A deployment is not stopped, and has none.
    fn drill(&self) {
        let Some(pid) = self.server.pid() else { return };
        let (down, up) = (format!("kill -STOP {pid}"), format!("kill -CONT {pid}"));
        let told = ["--outage", "command", "--down", &down, "--up", &up, "--allow"];
        let how = ["--count", "3", "--outage-for", "3s", "--json"];
        let words = [&["drill", "run"][..], &told, &how].concat();
        let drill = self.site.focus.run(&words);
        assert!(drill.status.success(), "{drill:?}");
    }

    /// Removes the files of the recordings that landed last.
    fn lose(&mut self, count: usize) {
        for _ in 0..count {
            let planted = self.site.planted.pop().expect("recordings");
            let data = self.site.tree.root().join(planted.path);
            fs::remove_file(data.with_extension("json")).expect("removed");
            fs::remove_file(data).expect("removed");
        }
    }
}

/// The program that plays a scene, ended with the test. Its browser ends with it.
struct Player(Child);

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Folders, names and values that would break a page which believed them; how many recordings they are.
fn hostile(root: &Path) -> usize {
    let markup = "<img src=x onerror=alert(1)>";
    let turned = "\u{202e}gnp.nur\u{2066}\u{200f}";
    let long = "n".repeat(NAME_MAX - ".json".len());
    let folder = root.join(format!("{markup} {turned}"));
    fs::create_dir_all(&folder).expect("a folder");
    for (state, sidecar) in UNRECOGNISED {
        let data = folder.join(format!("{state} \"'><svg onload=alert(2)>.dat"));
        fs::write(&data, "data").expect("written");
        if !sidecar.is_empty() {
            fs::write(data.with_extension("json"), sidecar).expect("written");
        }
    }
    let thousand: serde_json::Map<String, Value> = (0..1_000)
        .map(|n| (format!("key-{n:04} {markup}"), json!(format!("{turned} {n}"))))
        .collect();
    let deep = (0..60).fold(json!(markup), |inner, n| json!({ format!("level {n}"): inner }));
    let cases = [
        (markup, Some("\"/><b>x"), json!({ "station": markup })),
        (turned, Some(".."), json!({ "station": turned, "note": "\u{1b}[31m red \u{7}\r\n two" })),
        (long.as_str(), None, json!({ "station": "s".repeat(2_000) })),
        ("?a=1&b=2#c %2e%2e", Some("a/b?c#d%2f"), json!({ "station": "javascript:alert(3)" })),
        ("thousand", Some("thousand keys"), Value::Object(thousand)),
        ("deep", Some("'; drop table --"), json!({ "nested": deep, "</script>": "</style>" })),
        ("control \u{7}\u{1b}[2J", Some("\u{feff}zero\u{200b}width"), json!({ "": "", " ": null })),
    ];
    let count = cases.len();
    for (n, (name, uuid, mut sidecar)) in (0_i64..).zip(cases) {
        sidecar["start_time"] = json!(1_700_000_500_000_i64 + n * 60_000);
        sidecar["end_time"] = json!(1_700_000_550_000_i64 + n * 60_000);
        if let Some(uuid) = uuid {
            sidecar["uuid"] = json!(uuid);
        }
        fs::write(folder.join(format!("{name}.json")), sidecar.to_string()).expect("written");
        fs::write(folder.join(format!("{name}.dat")), "data").expect("written");
    }
    count
}

/// What cannot be catalogued: the name, and the sidecar.
const UNRECOGNISED: [(&str, &str); 4] = [
    ("no sidecar", ""),
    ("no JSON", "{\"start_time\": <script>alert(4)</script>}"),
    ("no time", "{\"note\": \"\u{202e}<b>\"}"),
    ("a wrong time", "{\"start_time\": \"<i>yesterday</i>\"}"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_number_of_every_page_is_the_apis_through_an_outage_and_a_recovery() {
    let Some(mut stage) = Stage::full("numbers of the page through an outage").await else {
        return;
    };
    stage.play("outage");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_on_a_page_can_be_held_and_a_hidden_page_asks_for_nothing() {
    let Some(mut stage) = Stage::full("live numbers of the page").await else { return };
    stage.play("live");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_shows_the_same_elsewhere_on_the_way_back_and_without_scripts() {
    let Some(mut stage) = Stage::full("links to the page").await else { return };
    stage.play("links");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_in_every_state_is_accessible_and_fits_its_window() {
    let Some(mut stage) = Stage::full("looks of the page").await else { return };
    stage.play("looks");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_an_empty_server_is_accessible_and_fits_its_window() {
    let Some(mut stage) = Stage::empty("looks of an empty server's page").await else { return };
    stage.play("looks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_neither_reads_nor_changes() {
    let Some(mut stage) = Stage::full("the page and other sites").await else { return };
    stage.play("other-site");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_data_weighs_little() {
    let Some(mut stage) = Stage::empty("the weight of the page").await else { return };
    stage.play("weight");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_stays_open_grows_neither_itself_nor_the_server() {
    let Some(mut stage) = Stage::full("a page that stays open").await else { return };
    stage.play("lasting");
}
