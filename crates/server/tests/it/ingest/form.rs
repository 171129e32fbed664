//! Recordings handed over, byte by byte as a client sends them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use focus_testkit::focus::{Answer, Focus};
use serde_json::{Value, json};

use crate::site::{BINARY, Site};

/// A site whose root takes recordings, with more settings.
pub(crate) fn site(settings: &str) -> Site {
    let mut site = Site::new(&[]);
    set(&site, settings);
    let settings = site.dir.path().join("focus.toml").display().to_string();
    let args = ["--state-dir", &site.state().display().to_string(), "--config", &settings]
        .map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    site.focus = Focus::with_args(BINARY, &site.state(), &args);
    site
}

/// Other settings of such a site.
pub(crate) fn set(site: &Site, settings: &str) {
    let root = site.tree.root().display();
    let settle = if settings.contains("settle_ms") { "" } else { "settle_ms = 200" };
    let text = format!("{settle}\n{settings}\n[[roots]]\npath = \"{root}\"\ningest = true\n");
    fs::write(site.dir.path().join("focus.toml"), text).expect("settings");
}

/// A sidecar with this uuid.
pub(crate) fn sidecar(uuid: &str) -> Value {
    json!({ "uuid": uuid, "start_time": 1_700_000_000_000_i64, "end_time": 1_700_000_060_000_i64, "gain": 3 })
}

/// The content type of the forms here.
pub(crate) const FORM: &str = "multipart/form-data; boundary=b0undary";

/// A form with these parts.
pub(crate) fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        body.extend(format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\r\nContent-Type: application/octet-stream\r\n\r\n").bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--b0undary--\r\n");
    body
}

/// A recording handed over.
#[derive(Clone)]
pub(crate) struct Handed {
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
    pub(crate) kind: String,
    pub(crate) headers: String,
}

impl Handed {
    /// One at this path, with this uuid and these data.
    pub(crate) fn over(path: &str, uuid: &str, data: &[u8]) -> Handed {
        Handed::with(path, sidecar(uuid).to_string().as_bytes(), data)
    }

    /// One with this sidecar.
    pub(crate) fn with(path: &str, sidecar: &[u8], data: &[u8]) -> Handed {
        Handed {
            query: format!("path={path}"),
            body: form(&[("sidecar", sidecar), ("data", data)]),
            kind: FORM.to_owned(),
            headers: String::new(),
        }
    }

    /// The head of the request.
    pub(crate) fn head(&self, address: &str, token: &str) -> Vec<u8> {
        format!(
            "POST /api/v1/recordings?{} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n",
            self.query,
            self.kind,
            self.body.len(),
            self.headers
        )
        .into_bytes()
    }

    /// Sends it whole, and reads the answer.
    pub(crate) fn send(&self, site: &Site) -> Answer {
        let server = server(site);
        self.to(&server.0, &server.1)
            .unwrap_or_else(|error| panic!("{error}\n{}", site.focus.log()))
    }

    /// Sends it whole to this address, with this token.
    pub(crate) fn to(&self, address: &str, token: &str) -> Result<Answer, String> {
        let send = || -> std::io::Result<Vec<u8>> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            stream.write_all(&self.head(address, token))?;
            stream.write_all(&self.body)?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(answer)
        };
        answer(&send().map_err(|error| error.to_string())?)
    }
}

/// Address and token of the server.
pub(crate) fn server(site: &Site) -> (String, String) {
    (crate::security::address(site), crate::security::token(site))
}

/// An answer as it came.
pub(crate) fn answer(bytes: &[u8]) -> Result<Answer, String> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no head: {text:?}"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
    let head = head.to_lowercase();
    let body = match head.contains("transfer-encoding: chunked") {
        true => unchunked(body),
        false => body.to_owned(),
    };
    Ok(Answer { status, head, body })
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap_or(0);
        let Some((piece, rest)) = rest.split_at_checked(length) else { break };
        whole.push_str(piece);
        body = rest.trim_start_matches("\r\n");
    }
    whole
}

/// The files below a folder, parts too, but no marker.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|below| format!("{name}/{below}")));
        } else if name != ".focus-root" {
            found.push(name);
        }
    }
    found.sort();
    found
}
