//! MQTT 5. The broker keeps the session of each server, with what was published while the server was not there.

mod packet;

use std::time::Duration;

use focus_core::hint::{BinaryEvent, Envelope};
use tokio::time::{Instant, timeout};

use self::packet::{Credentials, Packet};
use crate::address::Address;
use crate::queue::{CALL, Link};
use crate::skim::{Skimmed, skim_all};
use crate::wire::{KeepAlive, Wire};

/// A broker that says nothing is asked so often whether it is there.
const PING: Duration = Duration::from_secs(5);

/// A broker that says nothing for so long is not there.
const SILENCE: Duration = Duration::from_secs(15);

/// The broker lets a server be silent for one and a half times this: it may wait for room for hints.
const KEEP_ALIVE_S: u16 = 30;

/// Takes messages until the connection ends, and says why it did.
pub(crate) async fn session(link: &Link, topic: &str) -> String {
    let mut connection = match timeout(CALL, begin(link, topic)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(words)) => return words,
        Err(_) => return format!("the broker does not answer within {} s", CALL.as_secs()),
    };
    match connection.take_all(link).await {
        Ok(never) => match never {},
        Err(words) => words,
    }
}

async fn begin(link: &Link, topic: &str) -> Result<Connection, String> {
    let address = Address::parse(&link.url, [("mqtt://", 1883), ("mqtts://", 8883)])?;
    let stream = address.connect(link.ca_file.as_deref()).await?;
    let mut connection = Connection { wire: Wire::new(stream, packet::length) };
    let credentials = Credentials { user: address.user, password: address.password };
    let client = link.client_id();
    connection.wire.send(&packet::connect(&client, &credentials, KEEP_ALIVE_S)).await?;
    match packet::read(connection.wire.next().await?)? {
        Packet::Connected(0) => {}
        Packet::Connected(code) => return Err(refused("the connection", code)),
        _ => return Err("the broker answers as none of MQTT 5 does".to_owned()),
    }
    // A subscription that is there stays as it is.
    connection.wire.send(&packet::subscribe(topic)).await?;
    Ok(connection)
}

fn refused(what: &str, code: u8) -> String {
    let why = match code {
        // The first is an answer of older brokers.
        0x01 | 0x84 => ": it does not speak MQTT 5",
        0x86 => ": user or password are wrong",
        0x87 => ": this user may not",
        0x8F | 0xA2 => ": the topic is no filter that it takes",
        _ => "",
    };
    format!("the broker refuses {what} with code {code:#04x}{why}")
}

fn ended(code: u8) -> String {
    let why = match code {
        0x8B => ": it shuts down",
        0x8E => {
            ": another client has the same name. Do two servers have copies of one state folder?"
        }
        _ => "",
    };
    format!("the broker ends the connection with code {code:#04x}{why}")
}

async fn take(link: &Link, message: &packet::Message<'_>) {
    let event = message.version.map(|version| BinaryEvent { version, subject: message.subject });
    link.take(message.body, Envelope { content_type: message.content_type, event }).await;
}

/// A connection.
struct Connection {
    wire: Wire,
}

impl Connection {
    async fn take_all(&mut self, link: &Link) -> Result<std::convert::Infallible, String> {
        let ping = packet::ping();
        let alive = KeepAlive { beat: &ping, every: PING, silence: SILENCE };
        let mut subscribing = Some(Instant::now());
        loop {
            match packet::read(self.wire.next_alive(alive).await?)? {
                // What the session has kept comes before the answer to the subscription, and may be much.
                Packet::Message(message) => {
                    let id = message.id;
                    take(link, &message).await;
                    self.acknowledge(id).await?;
                    subscribing = subscribing.map(|_| Instant::now());
                }
                Packet::Subscribed(code) if code >= 0x80 => {
                    return Err(refused("the subscription", code));
                }
                Packet::Subscribed(_) => {
                    subscribing = None;
                    link.connected();
                }
                Packet::Disconnected(code) => return Err(ended(code)),
                Packet::Connected(_) | Packet::Pong => {}
            }
            if subscribing.is_some_and(|since| since.elapsed() > SILENCE) {
                return Err("the broker does not answer the subscription".to_owned());
            }
        }
    }

    async fn acknowledge(&mut self, id: Option<u16>) -> Result<(), String> {
        match id {
            Some(id) => self.wire.send(&packet::acknowledge(id)).await,
            None => Ok(()),
        }
    }
}

/// Reads what a broker sends, without a connection.
pub(crate) fn skim(bytes: &[u8]) -> Skimmed {
    skim_all(bytes, packet::length, |packet| match packet::read(packet)? {
        Packet::Message(message) => Ok(Some(message.body.len())),
        Packet::Connected(_) | Packet::Subscribed(_) | Packet::Pong | Packet::Disconnected(_) => {
            Ok(None)
        }
    })
}
