//! A root without a watch that is scanned once an hour, as on a network file system: what lands there comes into the
//! catalog by hints alone.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use focus_testkit::focus::Focus;
use focus_testkit::wait::until;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::site::{BINARY, LIMIT};

/// How long files have to stand still here.
pub(crate) const SETTLE_MS: u64 = 200;

pub(crate) struct Unwatched {
    pub(crate) dir: TempDir,
    pub(crate) focus: Focus,
}

impl Unwatched {
    /// A root without a watch, and a server with the embedded catalog and more settings like these.
    pub(crate) fn new(settings: &str) -> Unwatched {
        let dir = TempDir::new().expect("a folder");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("a root");
        let file = dir.path().join("focus.toml").display().to_string();
        let args = ["--config", &file];
        let focus = Focus::with_args(BINARY, &dir.path().join("state"), &args);
        let site = Unwatched { dir, focus };
        site.settings(settings);
        assert!(site.focus.run(&["init"]).status.success());
        site
    }

    pub(crate) fn settings(&self, more: &str) {
        let (root, state) = (self.root(), self.dir.path().join("state"));
        let text = format!(
            "listen = \"127.0.0.1:0\"\nstate_dir = {state:?}\nsettle_ms = {SETTLE_MS}\n{more}\n[[roots]]\npath = {root:?}\nwatch = false\nscan_interval_ms = 3600000\n"
        );
        fs::write(self.dir.path().join("focus.toml"), text).expect("settings");
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Starts the server, and waits until its first scan is over.
    pub(crate) async fn serve(&mut self) {
        self.focus.serve().await;
        until("the first scan", LIMIT, || async {
            let status = self.focus.status()?;
            let is_scanned = !status["roots"][0]["last_scan_at"].is_null();
            if is_scanned && status["catalog_state"] == "in_step" {
                return Ok(());
            }
            Err(format!("{status:#}\n{}", self.focus.log()))
        })
        .await;
    }

    /// Writes a recording below the root, its path without an extension.
    pub(crate) fn land(&self, path: &str) {
        write(&self.root(), path);
    }

    /// What the catalog has: each path, and whether it is deleted.
    pub(crate) fn documents(&self) -> Vec<(String, bool)> {
        let file = self.dir.path().join("state/catalog/catalog.db");
        let Ok(file) = Connection::open(file) else { return Vec::new() };
        let Ok(mut rows) = file.prepare("SELECT path, deleted FROM recordings ORDER BY path")
        else {
            return Vec::new();
        };
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        rows.query_map([], row).expect("rows").filter_map(Result::ok).collect()
    }

    pub(crate) async fn until_documents(&self, wanted: &[&str], limit: Duration) {
        until(&format!("{wanted:?} in the catalog"), limit, || async {
            let rows = self.documents();
            let found: Vec<&str> = rows.iter().map(|(path, _)| path.as_str()).collect();
            if found == wanted { Ok(()) } else { Err(format!("{found:?}\n{}", self.focus.log())) }
        })
        .await;
    }

    /// While the catalog is away, a recording that is hinted is pending; then it is catalogued beside those that are there.
    pub(crate) async fn outage(&self, there: &[&str], hint: impl FnOnce(&str)) {
        let state = self.dir.path().join("state");
        fs::rename(state.join("catalog"), state.join("away")).expect("taken away");
        self.focus.until_status("catalog_state", "down", LIMIT).await;
        self.land("meanwhile");
        hint("meanwhile.dat");
        self.focus.until_status("pending", 1, LIMIT).await;
        fs::rename(state.join("away"), state.join("catalog")).expect("brought back");
        let mut wanted = [there, &["meanwhile.dat"]].concat();
        wanted.sort_unstable();
        self.until_documents(&wanted, LIMIT).await;
    }

    /// Sends hints by HTTP with these headers; the status and the answer.
    pub(crate) fn hint(&self, headers: &str, body: &[u8]) -> (u16, Value) {
        let token = self.server()["token"].as_str().expect("a token").to_owned();
        self.hint_as(&token, headers, body)
    }

    pub(crate) fn hint_as(&self, token: &str, headers: &str, body: &[u8]) -> (u16, Value) {
        let server = self.server();
        let address = server["address"].as_str().expect("an address");
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        let length = body.len();
        let head = format!(
            "POST /api/v1/hints HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        // A server that refuses by the head alone closes before it has read everything.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).expect("JSON"))
    }

    fn server(&self) -> Value {
        let text = fs::read(self.dir.path().join("state/server.json")).expect("server.json");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// A counter of `focus_hints_total`.
    pub(crate) fn counted(&self, source: &str, result: &str) -> u64 {
        let metrics = self.focus.get("/metrics").expect("metrics");
        let name = format!("focus_hints_total{{result=\"{result}\",source=\"{source}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap_or_else(|| panic!("{name} in {metrics}")).parse().expect("a number")
    }
}

/// Writes a recording below a folder, its path without an extension.
pub(crate) fn write(root: &Path, path: &str) {
    let at = root.join(path);
    fs::create_dir_all(at.parent().expect("a folder")).expect("a folder");
    let name = |extension: &str| PathBuf::from(format!("{}.{extension}", at.display()));
    fs::write(name("dat"), "data").expect("written");
    let text = json!({ "uuid": path, "start_time": 1, "end_time": 2 });
    fs::write(name("json"), text.to_string()).expect("written");
}
