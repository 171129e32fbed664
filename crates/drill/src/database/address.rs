//! Where the database is. No message and no report shows the credentials in the address.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Bson, doc};
use mongodb::options::ClientOptions;
use serde::{Deserialize, Serialize};

/// Where the database is. The connection string may hold a password. The plan keeps it, because recovery has
/// to log in to remove what a dead server left; its user alone can read that file.
#[derive(Clone, Serialize, Deserialize)]
pub struct Address {
    /// The MongoDB connection string.
    pub uri: String,
    /// The database.
    pub name: String,
    /// The collection of the root's recordings.
    pub collection: String,
    /// Silence of the database for about twice this long counts as unreachable. Milliseconds.
    pub probe_timeout_ms: u64,
}

impl Address {
    /// Where the connection string leads, without credentials and options.
    pub fn shown(&self) -> String {
        let rest = self.uri.split_once("://").map_or("", |(_, rest)| rest);
        let rest = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
        let hosts = rest.split(['/', '?']).next().unwrap_or_default();
        format!("mongodb://{hosts}/{}", self.name)
    }

    /// The members that the database at `listen` names, where clients that come there go on to those and not
    /// back to `listen`; none where they stay.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn leads_around(&self, listen: &str) -> anyhow::Result<Option<Vec<String>>> {
        let mut options = self.client_options().await?;
        options.hosts = vec![listen.parse()?];
        options.direct_connection = Some(true);
        options.server_selection_timeout = Some(Duration::from_secs(5));
        let client = Client::with_options(options)?;
        let hello = client.database("admin").run_command(doc! { "hello": 1 }).await?;
        let named = hello.get_array("hosts").map_or(&[][..], Vec::as_slice);
        let named: Vec<String> = named.iter().filter_map(Bson::as_str).map(str::to_owned).collect();
        let stays = named.is_empty() || named.iter().any(|host| host == listen);
        Ok((!stays).then_some(named))
    }

    /// The connection string asks for this very server, whatever it names as the members of its set.
    pub async fn is_direct(&self) -> bool {
        let options = self.client_options().await;
        options.is_ok_and(|options| options.direct_connection == Some(true))
    }

    /// A message without the credentials of the connection string.
    pub(super) fn redacted(&self, message: &str) -> String {
        let rest = self.uri.split_once("://").map_or(&*self.uri, |(_, rest)| rest);
        match rest.rsplit_once('@') {
            Some((credentials, _)) if !credentials.is_empty() => {
                message.replace(credentials, "***")
            }
            _ => message.to_owned(),
        }
    }

    /// The options of a client that never repeats a call by itself.
    ///
    /// # Errors
    /// The connection string cannot be used. The message holds no credentials.
    pub(super) async fn client_options(&self) -> anyhow::Result<ClientOptions> {
        let mut options = ClientOptions::parse(&self.uri).await.map_err(|error| {
            let message = format!("the MongoDB connection string cannot be used: {}", error.kind);
            anyhow::anyhow!(self.redacted(&message))
        })?;
        options.app_name = Some("focus drill".to_owned());
        options.retry_reads = Some(false);
        options.retry_writes = Some(false);
        Ok(options)
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_and_no_address_holds_credentials() {
        let uri = "mongodb://user:pa/ss@db.example:27018,other/admin?tls=true";
        let address = Address {
            uri: uri.to_owned(),
            name: "focus".into(),
            collection: "node4".into(),
            probe_timeout_ms: 500,
        };
        assert_eq!(address.shown(), "mongodb://db.example:27018,other/focus");
        assert_eq!(address.redacted("no login as user:pa/ss here"), "no login as *** here");
        assert!(!format!("{address:?}").contains("pa/ss"));
    }
}
