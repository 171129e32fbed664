//! `focus open`: an address that signs a browser in, with a one-time code of the running server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;

use super::output::Output;
use super::{Ending, Stop, running_server, runtime};
use focus_common::config::Settings;

/// How long the server may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// `focus open`.
#[derive(Debug, clap::Args)]
pub(super) struct OpenArgs {
    /// Begin the address with external_url of the settings, for a browser on another machine
    #[arg(long)]
    external: bool,
}

pub(super) fn open(settings: &Settings, args: &OpenArgs, out: &Output) -> anyhow::Result<Ending> {
    let Some(server) = running_server(&settings.state_dir)? else {
        return Err(Stop::error(
            Ending::CouldNotTell,
            format!(
                "no server runs on the state folder {}, and the page is a server's: start it with `focus serve`, or name its folder with --state-dir",
                settings.state_dir.display()
            ),
        ));
    };
    let base = match (args.external, &settings.external_url) {
        (false, _) => format!("http://{}", reached(server.address())),
        (true, Some(url)) => url.trim_end_matches('/').to_owned(),
        (true, None) => {
            let words = "external_url is not set: set it in focus.toml to the address by which people reach the server, or leave --external out";
            return Err(Stop::error(Ending::Refused, words));
        }
    };
    let code =
        runtime()?.block_on(server.post("/api/v1/sign-in-codes", None, LIMIT)).map_err(Stop::of)?;
    let Some(path) = code["path"].as_str() else {
        let words = "the server's answer has no path: it is of another version than this command";
        return Err(Stop::error(Ending::CouldNotTell, words));
    };
    let address = format!("{base}{path}");
    out.value(&json!({ "address": address, "expires_at": code["expires_at"] }));
    out.line(&address);
    out.remark("It signs one browser in, within 60 s.");
    Ok(Ending::InOrder)
}

/// The address at which a browser on this machine reaches a server that listens on `address`.
fn reached(address: &str) -> String {
    let Ok(mut address) = address.parse::<SocketAddr>() else { return address.to_owned() };
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_reached_by_loopback() {
        assert_eq!(reached("0.0.0.0:8480"), "127.0.0.1:8480");
        assert_eq!(reached("[::]:8480"), "[::1]:8480");
        assert_eq!(reached("10.1.2.3:80"), "10.1.2.3:80");
    }
}
