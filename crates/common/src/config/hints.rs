//! The table `[hints]`: queues of brokers whose messages are hints.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use super::Secret;
use super::alerts::Text;
use super::value::{Kind, Value};

/// What a mistake in the table begins with.
pub(super) const WRONG: &str = "hints: ";

/// Queues at most: each has a connection of its own.
const QUEUES_MAX: usize = 32;

/// Stands for the identity of the state folder in the name of a queue or durable.
pub const SERVER: &str = "{server}";

/// The queues of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HintQueues(Vec<HintQueue>);

impl std::ops::Deref for HintQueues {
    type Target = [HintQueue];

    fn deref(&self) -> &[HintQueue] {
        &self.0
    }
}

/// A queue of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintQueue {
    /// Its name in the status; no other queue has it.
    pub name: String,
    /// The address of the broker.
    pub url: Text,
    /// A file with the certificates that the broker's has to be signed by; none: those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// What of the broker is listened to.
    pub broker: Broker,
}

/// A broker, by its protocol, and what of it is listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broker {
    /// NATS.
    Nats {
        /// The subject; `*` and `>` are allowed.
        subject: String,
        /// The stream of JetStream, and the durable consumer on it; none: messages come while somebody listens.
        durable: Option<(String, String)>,
    },
    /// AMQP 0-9-1.
    Amqp {
        /// The queue. It is made where there is none.
        queue: String,
        /// Exchange and routing key that it is bound to; none: somebody else sees to that.
        binding: Option<(String, String)>,
    },
    /// MQTT 5.
    Mqtt {
        /// The filter of topics.
        topic: String,
    },
}

impl Broker {
    /// As the settings, the status and the metrics spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Broker::Nats { .. } => "nats",
            Broker::Amqp { .. } => "amqp",
            Broker::Mqtt { .. } => "mqtt",
        }
    }

    fn schemes(&self) -> &'static [&'static str] {
        match self {
            Broker::Nats { .. } => &["nats://", "tls://"],
            Broker::Amqp { .. } => &["amqp://", "amqps://"],
            Broker::Mqtt { .. } => &["mqtt://", "mqtts://"],
        }
    }

    fn shown(&self) -> Json {
        match self {
            Broker::Nats { subject, durable } => {
                let (stream, durable) = durable.clone().unzip();
                json!({ "subject": subject, "stream": stream, "durable": durable })
            }
            Broker::Amqp { queue, binding } => {
                let (exchange, key) = binding.clone().unzip();
                json!({ "queue": queue, "exchange": exchange, "routing_key": key })
            }
            Broker::Mqtt { topic } => json!({ "topic": topic }),
        }
    }
}

impl HintQueue {
    fn check(&self) -> Result<(), String> {
        let schemes = self.broker.schemes();
        match self.url.expose().filter(|url| !url.is_empty()) {
            Some(url) if !schemes.iter().any(|scheme| url.starts_with(scheme)) => {
                Err(format!("its address has to begin with {}", schemes.join(" or ")))
            }
            _ => Ok(()),
        }
    }
}

impl HintQueues {
    /// Every address: it may hold a password.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.iter().filter_map(|queue| queue.url.expose())
    }

    /// Reads the files that are named, and checks what is in them.
    pub(super) fn read(&mut self, read: &dyn Fn(&Path) -> std::io::Result<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        for queue in &mut self.0 {
            let told = queue.url.read(read).and_then(|()| queue.check());
            wrong.extend(told.err().map(|words| format!("the queue {:?}: {words}", queue.name)));
        }
        wrong
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    nats: Vec<NatsTable>,
    #[serde(default)]
    mqtt: Vec<MqttTable>,
    #[serde(default)]
    amqp: Vec<AmqpTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NatsTable {
    name: String,
    url: Option<Secret>,
    url_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    subject: String,
    stream: Option<String>,
    durable: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MqttTable {
    name: String,
    url: Option<Secret>,
    url_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    topic: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmqpTable {
    name: String,
    url: Option<Secret>,
    url_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    queue: String,
    exchange: Option<String>,
    routing_key: Option<String>,
}

impl TryFrom<AmqpTable> for HintQueue {
    type Error = String;

    fn try_from(table: AmqpTable) -> Result<HintQueue, String> {
        let binding = match (table.exchange, table.routing_key) {
            (None, None) => None,
            (Some(exchange), key) => Some((exchange, key.unwrap_or_default())),
            (None, Some(_)) => {
                let words = "a routing_key needs an exchange";
                return Err(format!("the queue {:?}: {words}", table.name));
            }
        };
        let broker = Broker::Amqp { queue: table.queue, binding };
        queue(table.name, table.url, table.url_file, table.ca_file, broker)
    }
}

impl TryFrom<MqttTable> for HintQueue {
    type Error = String;

    fn try_from(table: MqttTable) -> Result<HintQueue, String> {
        let broker = Broker::Mqtt { topic: table.topic };
        queue(table.name, table.url, table.url_file, table.ca_file, broker)
    }
}

impl TryFrom<NatsTable> for HintQueue {
    type Error = String;

    fn try_from(table: NatsTable) -> Result<HintQueue, String> {
        let durable = match (table.stream, table.durable) {
            (None, None) => None,
            (Some(stream), Some(durable)) => Some((stream, durable)),
            _ => {
                let words = "stream and durable go together";
                return Err(format!("the queue {:?}: {words}", table.name));
            }
        };
        let broker = Broker::Nats { subject: table.subject, durable };
        queue(table.name, table.url, table.url_file, table.ca_file, broker)
    }
}

fn queue(
    name: String,
    url: Option<Secret>,
    url_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    broker: Broker,
) -> Result<HintQueue, String> {
    let named = |words: String| format!("the queue {name:?}: {words}");
    let url = Text::of(url, url_file, "url").map_err(named)?;
    if !url.is_given() {
        return Err(named("it needs url or url_file".to_owned()));
    }
    let queue = HintQueue { name: name.clone(), url, ca_file, broker };
    queue.check().map_err(named)?;
    Ok(queue)
}

impl Table {
    fn queues(self) -> Result<HintQueues, String> {
        let nats = self.nats.into_iter().map(HintQueue::try_from);
        let mqtt = self.mqtt.into_iter().map(HintQueue::try_from);
        let amqp = self.amqp.into_iter().map(HintQueue::try_from);
        let queues: Vec<HintQueue> = amqp.chain(mqtt).chain(nats).collect::<Result<_, _>>()?;
        let mut names = BTreeSet::new();
        for queue in &queues {
            if queue.name.is_empty() || !names.insert(queue.name.as_str()) {
                return Err(format!("{:?} is no name, or the name of two queues", queue.name));
            }
        }
        if queues.len() > QUEUES_MAX {
            return Err(format!("there are more than {QUEUES_MAX} queues"));
        }
        Ok(HintQueues(queues))
    }
}

impl<'de> Deserialize<'de> for HintQueues {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<HintQueues, D::Error> {
        Table::deserialize(from)?
            .queues()
            .map_err(|words| serde::de::Error::custom(format!("{WRONG}{words}")))
    }
}

impl Value for HintQueues {
    const KIND: Kind = Kind::Table;

    fn shown(&self) -> Json {
        let mut table = json!({});
        for queue in self.iter() {
            let mut shown = queue.broker.shown();
            shown["name"] = json!(queue.name);
            match queue.url.file() {
                Some(file) => shown["url_file"] = json!(file),
                None => shown["url"] = json!("***"),
            }
            if let Some(file) = &queue.ca_file {
                shown["ca_file"] = json!(file);
            }
            let kind = &mut table[queue.broker.kind()];
            if kind.is_null() {
                *kind = json!([]);
            }
            if let Some(list) = kind.as_array_mut() {
                list.push(shown);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(text: &str) -> Result<HintQueues, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_queue_is_read_and_its_address_is_never_shown() {
        let mut read = queues(
            r#"{"nats": [{"name": "a", "url": "nats://u:hunter22@h", "subject": "s"},
                {"name": "b", "url_file": "/b", "subject": "s.>", "stream": "S", "durable": "d-{server}"}],
                "mqtt": [{"name": "c", "url": "mqtt://h", "topic": "a/#"}]}"#,
        )
        .expect("queues");
        assert_eq!(read.read(&|_| Ok("tls://h:4222\n".to_owned())), Vec::<String>::new());
        let secrets: Vec<&str> = read.secrets().collect();
        assert_eq!(secrets, ["mqtt://h", "nats://u:hunter22@h", "tls://h:4222"]);
        assert!(!read.shown().to_string().contains("hunter22"), "{}", read.shown());
        assert!(!format!("{read:?}").contains("hunter22"));
        let wrong = read.read(&|_| Ok("http://u:hunter22@h".to_owned())).join("");
        assert!(wrong.contains("nats://") && !wrong.contains("hunter22"), "{wrong}");
    }

    #[test]
    fn a_mistake_in_a_queue_is_told() {
        for (text, words) in [
            (r#"{"nats": [{"name": "a", "subject": "s"}]}"#, "needs url"),
            (r#"{"nats": [{"name": "", "url": "nats://h", "subject": "s"}]}"#, "no name"),
            (
                r#"{"nats": [{"name": "a", "url": "http://h", "subject": "s"}]}"#,
                "begin with nats://",
            ),
            (
                r#"{"nats": [{"name": "a", "url": "nats://h", "subject": "s", "stream": "S"}]}"#,
                "go together",
            ),
            (
                r#"{"nats": [{"name": "a", "url": "nats://h", "subject": "s"}, {"name": "a", "url": "nats://h", "subject": "s"}]}"#,
                "two queues",
            ),
            (
                r#"{"amqp": [{"name": "a", "url": "amqp://h", "queue": "q", "routing_key": "k"}]}"#,
                "needs an exchange",
            ),
            (r#"{"kafka": []}"#, "unknown field"),
        ] {
            let told = queues(text).expect_err(text);
            assert!(told.contains(words), "{told}");
        }
    }
}
