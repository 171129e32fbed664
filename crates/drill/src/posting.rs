//! The end of a drill: its report goes to the server that was drilled.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use focus_common::client::{Client, ClientError};
use focus_common::config::Settings;
use focus_common::state_dir;
use serde_json::Value;
use tokio::net::lookup_host;

use crate::report::{Fate, Report};
use crate::server::Server;

/// Bytes of a report that is posted, at most.
pub const POST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long the server has to take the report.
const LIMIT: Duration = Duration::from_secs(10);

/// Posts the report to the server that was drilled, with the token of the state folder where that is the
/// server's. A report that is too large goes without the recordings that were catalogued, then without any.
///
/// # Errors
/// The server does not take it.
pub async fn post(settings: &Settings, report: &Report) -> anyhow::Result<()> {
    let server = Server::parse(&report.server).map_err(anyhow::Error::msg)?;
    let own = own_client(settings, &server).await;
    let has_token = own.is_some();
    let client = own.unwrap_or_else(|| Client::reading(server.address()));
    match client.post("/api/v1/drills", Some(&body(report)?), LIMIT).await {
        Ok(_) => Ok(()),
        Err(ClientError::Refused { status, .. }) if status.as_u16() == 401 && !has_token => {
            anyhow::bail!(
                "the state folder {} has no token for the server at {}: run the drill with the state folder of that server",
                settings.state_dir.display(),
                server.address()
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// A client with the token of the state folder, where that is the folder of this server. The token goes to the address
/// that its server has written down, and nowhere else.
pub(crate) async fn own_client(settings: &Settings, server: &Server) -> Option<Client> {
    let file = state_dir::running(&settings.state_dir).ok().flatten()?;
    is_at(&file.address, server.address()).await.then(|| Client::new(file))
}

/// The report as it is posted.
fn body(report: &Report) -> anyhow::Result<Value> {
    let is_small =
        |report: &Report| anyhow::Ok(serde_json::to_vec(report)?.len() <= POST_BYTES_MAX);
    if is_small(report)? {
        return Ok(serde_json::to_value(report)?);
    }
    let mut short = report.clone();
    short.recordings.retain(|recording| recording.fate != Fate::Catalogued);
    if !is_small(&short)? {
        short.recordings.clear();
    }
    Ok(serde_json::to_value(&short)?)
}

/// Whether the server that listens on `own` is the one that `asked` leads to.
async fn is_at(own: &str, asked: &str) -> bool {
    let Ok(own) = own.parse::<SocketAddr>() else { return own == asked };
    let is_own = |ip: IpAddr| ip == own.ip() || own.ip().is_unspecified() && ip.is_loopback();
    match lookup_host(asked).await {
        Ok(mut found) => found.any(|at| at.port() == own.port() && is_own(at.ip())),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[tokio::test]
    async fn a_token_is_shown_only_to_the_server_that_it_is_of() {
        for (own, asked) in [
            ("127.0.0.1:8480", "127.0.0.1:8480"),
            ("127.0.0.1:8480", "localhost:8480"),
            ("0.0.0.0:8480", "127.0.0.1:8480"),
        ] {
            assert!(is_at(own, asked).await, "{own} {asked}");
        }
        for (own, asked) in [
            ("127.0.0.1:8480", "127.0.0.1:8481"),
            ("127.0.0.1:8480", "192.0.2.1:8480"),
            ("0.0.0.0:8480", "192.0.2.1:8480"),
            ("127.0.0.1:8480", ""),
        ] {
            assert!(!is_at(own, asked).await, "{own} {asked}");
        }
    }

    #[test]
    fn a_report_that_is_too_large_goes_without_what_is_in_order() {
        let mut report = sample();
        let mut lost = report.recordings[0].clone();
        lost.fate = Fate::Lost;
        let mut good = lost.clone();
        good.fate = Fate::Catalogued;
        good.path = "p".repeat(1_000);
        report.recordings = vec![lost];
        report.recordings.resize(POST_BYTES_MAX / 1_000, good);
        let short = body(&report).expect("JSON");
        assert_eq!(short["recordings"].as_array().map(Vec::len), Some(1));
        assert_eq!(short["planted"], report.planted);
    }
}
