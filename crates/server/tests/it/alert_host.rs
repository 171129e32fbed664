//! A host that takes the messages of alerts, and a site with alerts that lose no time.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use serde_json::Value;

use crate::site::{BINARY, LIMIT, Site, long};

/// A key of 32 bytes.
pub(crate) const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
pub(crate) const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// What a channel's host was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) raw: String,
    pub(crate) body: Value,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// What the host answers next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Code(u16),
    /// Nothing, for longer than anybody waits.
    Hang,
}

/// A host that takes messages.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    address: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Host {
    pub(crate) fn start() -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = Host {
            address: listener.local_addr().expect("an address").to_string(),
            sent: Arc::default(),
            answers: Arc::default(),
        };
        let served = host.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let host = served.clone();
                std::thread::spawn(move || host.serve(stream));
            }
        });
        host
    }

    fn serve(&self, stream: std::net::TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let answer = self.answers.lock().expect("not poisoned").pop_front();
        let code = match answer {
            Some(Answer::Hang) => {
                // Until the other side has had enough.
                let _ = reader.read_to_end(&mut Vec::new());
                return None;
            }
            Some(Answer::Code(code)) => code,
            None => 202,
        };
        let raw = String::from_utf8(body).ok()?;
        let body = serde_json::from_str(&raw).ok()?;
        if code < 300 {
            self.sent.lock().expect("not poisoned").push(Sent { path, headers, raw, body });
        }
        let mut stream = stream;
        write!(stream, "HTTP/1.1 {code} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("not poisoned").clone()
    }

    pub(crate) fn answers(&self, answers: &[Answer]) {
        self.answers.lock().expect("not poisoned").extend(answers);
    }

    /// Waits until so many messages have come.
    pub(crate) async fn until(&self, count: usize) -> Vec<Sent> {
        until(&format!("{count} messages"), LIMIT, || async {
            let sent = self.sent();
            if sent.len() >= count { Ok(()) } else { Err(format!("{sent:#?}")) }
        })
        .await;
        self.sent()
    }
}

/// A channel of the settings file.
pub(crate) fn channel(name: &str, kind: &str, host: &Host, more: &str) -> String {
    let address = &host.address;
    format!(
        "[[alerts.channels]]\nname = {name:?}\nkind = {kind:?}\nurl = \"http://{address}/hidden-path\"\n{more}\n"
    )
}

/// Rules that lose no time.
pub(crate) const QUICK: &str = "[alerts.rules.catalog_down]\nafter_ms = 500\nclear_after_ms = 500\n\
    [alerts.rules.unrecognised_growth]\nclear_after_ms = 500\n\
    [alerts.rules.disk_low]\nenabled = false\n";

/// A site with these alerts; its server runs.
pub(crate) async fn alerted(server: &MongoServer, alerts: &str) -> Site {
    let mut site = Site::with(server, &[]);
    site.focus = with_alerts(server, &site, alerts);
    site.land(5);
    site.focus.serve().await;
    site.converged(server, "node4").await;
    site
}

pub(crate) fn with_alerts(server: &MongoServer, site: &Site, alerts: &str) -> Focus {
    let settings = site.dir.path().join("focus.toml");
    fs::write(&settings, format!("{alerts}{QUICK}")).expect("settings");
    let settings = settings.display().to_string();
    let mut args = server.args();
    args.extend(["--settle-ms", "200", "--config", &settings].map(str::to_owned));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Focus::new(BINARY, site.tree.root(), &site.dir.path().join("state"), &args)
}

/// Time in which a message that must not come would have come.
pub(crate) async fn a_while() {
    tokio::time::sleep(Duration::from_secs(4)).await;
}

/// Holds a message against the verifier that the makers of Standard Webhooks publish, which is another program. It
/// also refuses the message where one byte of it is another.
pub(crate) fn is_signed(sent: &Sent) {
    let python = tools().join("python/bin/python");
    if !python.is_file() {
        assert!(!long(), "`cargo xtask test --all` installs the verifier");
        return println!("left out, needs a verifier (`cargo xtask test --all`): a signature");
    }
    let script = "import json, sys\n\
        from standardwebhooks import Webhook, WebhookVerificationError\n\
        given = json.load(sys.stdin)\n\
        hook = Webhook(given['secret'])\n\
        hook.verify(given['body'], given['headers'])\n\
        try:\n    hook.verify(given['body'] + ' ', given['headers'])\n\
        except WebhookVerificationError:\n    sys.exit(0)\n\
        sys.exit(9)\n";
    let headers: serde_json::Map<String, Value> = sent
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.clone())))
        .collect();
    let given = serde_json::json!({ "secret": SECRET, "body": sent.raw, "headers": headers });
    let mut verifier = Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    verifier.stdin.take().expect("a pipe").write_all(given.to_string().as_bytes()).expect("sent");
    let verified = verifier.wait_with_output().expect("it ends");
    assert!(verified.status.success(), "{verified:?}\n{sent:#?}");
}

/// The folder for tools that `cargo xtask test` installs.
pub(crate) fn tools() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.unwrap_or_default().join("focus-server/tools")
}
