//! What an attacker tries, on the shipped binary: requests, files, names and mistakes that carry secrets.

mod callers;
mod files;
mod requests;
mod secrets;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::site::Site;

/// What must turn up nowhere.
pub(crate) const PASSWORD: &str = "hunter22-geheim";

pub(crate) fn server_file(site: &Site) -> Value {
    let text = std::fs::read(site.state().join("server.json")).expect("a running server");
    serde_json::from_slice(&text).expect("JSON")
}

pub(crate) fn address(site: &Site) -> String {
    server_file(site)["address"].as_str().expect("an address").to_owned()
}

pub(crate) fn token(site: &Site) -> String {
    server_file(site)["token"].as_str().expect("a token").to_owned()
}

/// Sends bytes as they are; what comes back until the connection ends, or `patience` is over.
pub(crate) fn raw(address: &str, request: &[u8], patience: Duration) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(patience)).expect("a limit");
    // The server may end the connection before all of it is sent.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn get(address: &str, path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    raw(address, request.as_bytes(), Duration::from_secs(10))
}

pub(crate) fn status_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

pub(crate) fn all_of(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

pub(crate) fn modes(dir: &Path) -> Vec<(std::path::PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        // A log of the database may go while it is looked at.
        let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
        found.push((path.clone(), meta.permissions().mode()));
        if meta.is_dir() {
            found.extend(modes(&path));
        }
    }
    found
}

/// Any file below holds the text, the server's address file with its token apart.
pub(crate) fn files_hold(dir: &Path, text: &str) -> bool {
    modes(dir).into_iter().any(|(path, _)| {
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
