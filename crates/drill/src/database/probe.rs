//! Whether the database takes writes: the proof of an outage, and of its end.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::doc;
use mongodb::options::{ClientOptions, ServerAddress};

use super::address::Address;

/// Asks a database whether it takes writes. Each look uses a connection of its own: a reused one could hide
/// what a new one would meet.
#[derive(Clone)]
pub struct Probe {
    options: ClientOptions,
    limit: Duration,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The options may hold a password.
        f.debug_struct("Probe").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Probe {
    /// A probe of this database; nothing is asked yet.
    ///
    /// # Errors
    /// The connection string cannot be used. The message holds no credentials.
    pub async fn new(address: &Address) -> anyhow::Result<Probe> {
        let patience = Duration::from_millis(address.probe_timeout_ms);
        let mut options = address.client_options().await?;
        options.connect_timeout = Some(patience);
        options.server_selection_timeout = Some(patience + Duration::from_millis(200));
        options.heartbeat_freq = Some(Duration::from_millis(500));
        Ok(Probe { options, limit: patience * 2 + Duration::from_millis(300) })
    }

    /// Whether the database answers, and is a primary that takes writes.
    pub async fn takes_writes(&self) -> bool {
        if !self.listens().await {
            return false;
        }
        let options = self.options.clone();
        let mut asking = tokio::spawn(async move {
            let client = Client::with_options(options)?;
            client.database("admin").run_command(doc! { "hello": 1 }).await
        });
        match tokio::time::timeout(self.limit, &mut asking).await {
            Ok(Ok(Ok(hello))) => hello.get_bool("isWritablePrimary").unwrap_or(false),
            Ok(_) => false,
            Err(_) => {
                // The client is this call's alone: nothing is left half done.
                asking.abort();
                false
            }
        }
    }

    /// Whether some host takes connections. Where all refuse them, the driver would go on trying until its
    /// time limit.
    async fn listens(&self) -> bool {
        let mut trying = tokio::task::JoinSet::new();
        for host in &self.options.hosts {
            let ServerAddress::Tcp { host, port } = host else { return true };
            let (host, port) = (host.clone(), port.unwrap_or(27_017));
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let patience = self.limit;
            trying.spawn(async move {
                let taken = tokio::net::TcpStream::connect((host, port));
                matches!(tokio::time::timeout(patience, taken).await, Ok(Ok(_)))
            });
        }
        while let Some(taken) = trying.join_next().await {
            if taken.unwrap_or(false) {
                return true;
            }
        }
        false
    }
}
