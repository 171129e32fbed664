//! The server as its users see it: by HTTP. What it says is read here, so that the rest of the drill has types.

use std::fmt;
use std::time::{Duration, Instant};

use focus_common::client::{Client, ClientError, escape};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An answer that takes longer is none.
const LIMIT: Duration = Duration::from_secs(2);

/// Unrecognised recordings looked through at most.
const UNRECOGNISED_MAX: usize = 100_000;

/// The state of the server's catalog, as its status says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogState {
    /// The server is connecting to the catalog.
    Connecting,
    /// The server is writing a backlog.
    Recovering,
    /// Nothing is pending, and no comparison is owed.
    InStep,
    /// Another server has the lease.
    Standby,
    /// The catalog is away.
    Down,
    /// The server does not know yet, or says something that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl CatalogState {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            CatalogState::Connecting => "connecting",
            CatalogState::Recovering => "recovering",
            CatalogState::InStep => "in_step",
            CatalogState::Standby => "standby",
            CatalogState::Down => "down",
            CatalogState::Unknown => "unknown",
        }
    }

    /// Whether the server reaches its catalog.
    pub fn is_reached(self) -> bool {
        matches!(self, CatalogState::InStep | CatalogState::Recovering | CatalogState::Standby)
    }
}

/// The part of the server's status that a drill looks at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// `mongodb` or `embedded`.
    pub catalog: String,
    /// The state of the catalog.
    pub catalog_state: CatalogState,
    /// Why it is so, and what to do.
    pub catalog_reason: Option<String>,
    /// The hosts that the server's calls go to.
    pub catalog_hosts: Vec<String>,
    /// Recognised recordings.
    pub recordings: u64,
    /// Recordings that the catalog has not acknowledged.
    pub pending: Option<u64>,
    /// The roots that the server serves.
    pub roots: Vec<ServedRoot>,
}

/// A root that the server serves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServedRoot {
    /// The marker's id, where it is known.
    pub id: Option<String>,
    /// The holder of the root's lease, where it is known.
    pub lease_holder: Option<String>,
    /// Extensions of its data files; empty where the server does not tell.
    pub data_extensions: Vec<String>,
    /// The extension of its sidecars.
    pub sidecar_extension: String,
}

/// What the server's index holds of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexedRecording {
    /// The catalog has not acknowledged it.
    pub pending: bool,
}

/// A recording that the server lists as unrecognised.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UnrecognisedRecording {
    /// A path of the recording, below the root.
    #[serde(default)]
    pub path: String,
    /// In what way it is unrecognised.
    pub state: UnrecognisedState,
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
}

/// In what way a recording is unrecognised.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnrecognisedState {
    /// The catalog's database does not accept its document.
    CatalogRefused,
    /// Any other state, as the server names it.
    #[serde(untagged)]
    Other(String),
}

impl fmt::Display for UnrecognisedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnrecognisedState::CatalogRefused => "catalog_refused",
            UnrecognisedState::Other(state) => state,
        })
    }
}

/// A client of a server.
#[derive(Clone, Debug)]
pub struct Server {
    client: Client,
}

impl Server {
    /// The server at this address, `host:port`.
    pub fn at(address: &str) -> Server {
        // The drill changes nothing through the server, so it needs no token.
        Server { client: Client::reading(address) }
    }

    /// The server at this URL: `http://HOST[:PORT]`.
    ///
    /// # Errors
    /// The URL cannot be used: why, and what to give instead.
    pub fn parse(url: &str) -> Result<Server, String> {
        if url.starts_with("https://") {
            return Err(format!(
                "--server {url}: focus serves plain HTTP; give the address behind what speaks TLS for it"
            ));
        }
        let rest = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        if rest.is_empty() || rest.contains(['/', '?', '#', '@', ' ']) {
            return Err(format!("--server {url:?} is no URL such as http://127.0.0.1:8480"));
        }
        let port = rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Ok(Server::at(&if port { rest.to_owned() } else { format!("{rest}:80") }))
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        self.client.address()
    }

    async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.client.get(path, LIMIT).await
    }

    /// Part of an answer with the type that it has to have.
    fn typed<T: DeserializeOwned>(&self, part: Value) -> Result<T, ClientError> {
        serde_json::from_value(part).map_err(|error| ClientError::NoAnswer {
            address: self.address().to_owned(),
            cause: error.into(),
        })
    }

    /// What `/api/v1/status` says.
    ///
    /// # Errors
    /// The server does not answer within 2 s.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.typed(self.get("/api/v1/status").await?)
    }

    /// Asks for the recordings of a time range (milliseconds since 1970), as an application does. Returns how
    /// long the answer took.
    ///
    /// # Errors
    /// The server does not answer within 2 s, or its answer is not a list.
    pub async fn query(&self, from_ms: i64, to_ms: i64) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let body = json!({ "start_time": from_ms, "end_time": to_ms });
        let answer = self.client.post("/recordings_in_time_range", Some(&body), LIMIT).await?;
        anyhow::ensure!(answer.is_array(), "the answer is no list");
        Ok(began.elapsed())
    }

    /// What the server's index holds of the recording with this uuid; none where it does not know it.
    ///
    /// # Errors
    /// The server does not answer within 2 s.
    pub async fn recording(&self, uuid: &str) -> Result<Option<IndexedRecording>, ClientError> {
        match self.get(&format!("/api/v1/recordings/{}", escape(uuid))).await {
            Ok(found) => {
                let pending = found["state"] == "pending" || found["state"] == "refused";
                Ok(Some(IndexedRecording { pending }))
            }
            Err(ClientError::Refused { status, .. }) if status.as_u16() == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Everything that the server lists as unrecognised, up to 100,000 recordings.
    ///
    /// # Errors
    /// The server does not answer within 2 s.
    pub async fn unrecognised(&self) -> Result<Vec<UnrecognisedRecording>, ClientError> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut path = "/api/v1/unrecognised?limit=1000".to_owned();
            if let Some(after) = cursor {
                path.push_str(&format!("&cursor={}", escape(&after)));
            }
            let mut answer = self.get(&path).await?;
            let page: Option<Vec<UnrecognisedRecording>> = self.typed(answer["items"].take())?;
            all.extend(page.unwrap_or_default());
            cursor = answer["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || all.len() >= UNRECOGNISED_MAX {
                return Ok(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_plain_url_with_or_without_a_port() {
        for (url, address) in [
            ("http://127.0.0.1:8480", "127.0.0.1:8480"),
            ("http://focus.example/", "focus.example:80"),
            ("localhost:9000", "localhost:9000"),
            ("http://[::1]:8480", "[::1]:8480"),
        ] {
            assert_eq!(Server::parse(url).expect("good").address(), address);
        }
        for url in ["", "https://x", "http://", "http://x/api", "http://u:p@x"] {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_state_that_this_version_does_not_know_is_unknown_and_names_are_as_in_json() {
        let read = |text: &str| serde_json::from_value::<CatalogState>(json!(text)).expect("read");
        for state in ["connecting", "recovering", "in_step", "standby", "down", "unknown"] {
            assert_eq!(read(state).name(), state);
            assert_eq!(serde_json::to_value(read(state)).expect("JSON"), state);
        }
        assert_eq!(read("of tomorrow"), CatalogState::Unknown);
    }

    #[test]
    fn a_refused_document_is_told_apart_from_the_other_unrecognised() {
        let read = |state: &str| {
            let row = json!({ "path": "a.dat", "state": state, "reason": "why", "more": 1 });
            serde_json::from_value::<UnrecognisedRecording>(row).expect("read").state
        };
        assert_eq!(read("catalog_refused"), UnrecognisedState::CatalogRefused);
        assert_eq!(read("time_invalid"), UnrecognisedState::Other("time_invalid".to_owned()));
        assert_eq!(read("time_invalid").to_string(), "time_invalid");
    }
}
