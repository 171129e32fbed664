//! The server as its users see it: by HTTP.

use std::time::{Duration, Instant};

use focus_common::client::{Client, ClientError, escape};
use serde_json::{Value, json};

/// An answer that takes longer is none.
const LIMIT: Duration = Duration::from_secs(2);

/// Unrecognised recordings looked through at most.
const UNRECOGNISED_MAX: usize = 100_000;

/// A server.
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

    /// The server at this URL.
    ///
    /// # Errors
    /// It is none that can be used: why.
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

    /// What `/api/v1/status` says.
    ///
    /// # Errors
    /// No answer.
    pub async fn status(&self) -> Result<Value, ClientError> {
        self.get("/api/v1/status").await
    }

    /// Asks for the recordings of a time range, as an application does; how long the answer took.
    ///
    /// # Errors
    /// No answer.
    pub async fn query(&self, from_ms: i64, to_ms: i64) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let body = json!({ "start_time": from_ms, "end_time": to_ms });
        let answer = self.client.post("/recordings_in_time_range", Some(&body), LIMIT).await?;
        anyhow::ensure!(answer.is_array(), "the answer is no list");
        Ok(began.elapsed())
    }

    /// What the server knows of the recording with this uuid; null where it does not know it.
    ///
    /// # Errors
    /// No answer.
    pub async fn recording(&self, uuid: &str) -> Result<Value, ClientError> {
        let path = format!("/api/v1/recordings?limit=1000&text={}", escape(uuid));
        let answer = self.get(&path).await?;
        let rows = answer["recordings"].as_array().cloned().unwrap_or_default();
        Ok(rows.into_iter().find(|row| row["uuid"] == uuid).unwrap_or(Value::Null))
    }

    /// Everything that the server lists as unrecognised.
    ///
    /// # Errors
    /// No answer.
    pub async fn unrecognised(&self) -> Result<Vec<Value>, ClientError> {
        let mut all: Vec<Value> = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let mut path = "/api/v1/unrecognised?limit=1000".to_owned();
            if let Some(after) = cursor.as_i64() {
                path.push_str(&format!("&cursor={after}"));
            }
            let answer = self.get(&path).await?;
            all.extend(answer["unrecognised"].as_array().cloned().unwrap_or_default());
            cursor = answer["next_cursor"].clone();
            if cursor.is_null() || all.len() >= UNRECOGNISED_MAX {
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
}
