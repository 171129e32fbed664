//! AMQP 0-9-1, as RabbitMQ speaks it. The queue keeps what comes in while the server is not there.

mod frame;

use std::time::Duration;

use focus_core::hint::Envelope;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use self::frame::{Fields, Frame, Head, Method};
use crate::MESSAGE_BYTES_MAX;
use crate::address::Address;
use crate::queue::{CALL, Link};
use crate::skim::{Skimmed, skim_all};
use crate::wire::{KeepAlive, Wire};

/// Both sides tell so often that they are there, seconds. The broker waits twice as long, and hints may wait for room.
const HEARTBEAT_S: u16 = 20;

/// The server tells it more often.
const BEAT: Duration = Duration::from_secs(5);

/// A broker that says nothing for so long is not there.
const SILENCE: Duration = Duration::from_secs(45);

/// Messages that the broker may send before they are acknowledged.
const PREFETCH: u16 = 64;

/// The one channel.
const CHANNEL: u16 = 1;

const START: (u16, u16) = (10, 10);
const START_OK: (u16, u16) = (10, 11);
const TUNE: (u16, u16) = (10, 30);
const TUNE_OK: (u16, u16) = (10, 31);
const OPEN: (u16, u16) = (10, 40);
const OPEN_OK: (u16, u16) = (10, 41);
const CLOSE: (u16, u16) = (10, 50);
const CHANNEL_OPEN: (u16, u16) = (20, 10);
const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
const CHANNEL_CLOSE: (u16, u16) = (20, 40);
const CHANNEL_CLOSE_OK: (u16, u16) = (20, 41);
const DECLARE: (u16, u16) = (50, 10);
const DECLARE_OK: (u16, u16) = (50, 11);
const BIND: (u16, u16) = (50, 20);
const BIND_OK: (u16, u16) = (50, 21);
const QOS: (u16, u16) = (60, 10);
const QOS_OK: (u16, u16) = (60, 11);
const CONSUME: (u16, u16) = (60, 20);
const CONSUME_OK: (u16, u16) = (60, 21);
const CANCEL: (u16, u16) = (60, 30);
const DELIVER: (u16, u16) = (60, 60);
const ACK: (u16, u16) = (60, 80);

/// What a broker says of a queue that is not there.
const NOT_FOUND: u16 = 404;

/// What is listened to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) queue: &'a str,
    /// Exchange and routing key from which the queue gets its messages; none: somebody else sees to that.
    pub(crate) binding: Option<(&'a str, &'a str)>,
}

/// Takes messages until the connection ends, and says why it did.
pub(crate) async fn session(link: &Link, wanted: Wanted<'_>) -> String {
    let queue = link.named(wanted.queue);
    let wanted = Wanted { queue: &queue, ..wanted };
    let mut connection = match timeout(CALL, begin(link, wanted)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(words)) => return words,
        Err(_) => return format!("the broker does not answer within {} s", CALL.as_secs()),
    };
    link.connected();
    match connection.take_all(link).await {
        Ok(never) => match never {},
        Err(words) => words,
    }
}

async fn begin(link: &Link, wanted: Wanted<'_>) -> Result<Connection, String> {
    let address = Address::parse(&link.url, [("amqp://", 5672), ("amqps://", 5671)])?;
    let stream = address.connect(link.ca_file.as_deref()).await?;
    let mut connection = Connection { wire: Wire::new(stream, frame::length), delivery: None };
    connection.log_in(&address, &virtual_host(&link.url)).await?;
    connection.open_channel().await?;
    connection.declare(wanted.queue).await?;
    if let Some((exchange, key)) = wanted.binding {
        let bind = Method::new(CHANNEL, BIND).short(0).text(wanted.queue).text(exchange).text(key);
        connection.call(bind.byte(0).long_text(&[]), BIND_OK).await.map_err(Closed::words)?;
    }
    let qos = Method::new(CHANNEL, QOS).long(0).short(PREFETCH).byte(0);
    connection.call(qos, QOS_OK).await.map_err(Closed::words)?;
    let consume = Method::new(CHANNEL, CONSUME).short(0).text(wanted.queue).text("");
    connection.call(consume.byte(0).long_text(&[]), CONSUME_OK).await.map_err(Closed::words)?;
    Ok(connection)
}

/// The virtual host that an address names, `/` without one.
fn virtual_host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let name = path.split('?').next().unwrap_or_default();
    if name.is_empty() {
        return "/".to_owned();
    }
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// Why a call did not succeed.
#[derive(Debug)]
enum Closed {
    /// The broker closed the channel, with this code and these words.
    Channel(u16, String),
    /// The connection ended.
    Connection(String),
}

impl Closed {
    fn words(self) -> String {
        match self {
            Closed::Channel(code, words) => format!("the broker refuses with code {code}: {words}"),
            Closed::Connection(words) => words,
        }
    }
}

impl From<String> for Closed {
    fn from(words: String) -> Closed {
        Closed::Connection(words)
    }
}

/// A message that is coming in.
#[derive(Debug)]
struct Delivery {
    tag: u64,
    head: Option<Head>,
    body: Vec<u8>,
    /// Bytes of the body that are still to come.
    left: u64,
}

/// A connection, and the message that is coming in on it.
struct Connection {
    wire: Wire,
    delivery: Option<Delivery>,
}

impl Connection {
    async fn log_in(&mut self, address: &Address, virtual_host: &str) -> Result<(), String> {
        self.wire.send(frame::GREETING).await?;
        self.answer(START).await.map_err(Closed::words)?;
        let user = address.user.as_deref().unwrap_or("guest");
        let password = address.password.as_deref().unwrap_or("guest");
        let start = Method::new(0, START_OK)
            .long_text(&frame::client_properties())
            .text("PLAIN")
            .long_text(format!("\0{user}\0{password}").as_bytes())
            .text("en_US");
        // A broker that refuses the user ends the connection.
        self.wire.send(&start.bytes()).await?;
        let offered = self
            .answer(TUNE)
            .await
            .map_err(|closed| format!("user or password may be wrong: {}", closed.words()))?;
        let frame_max = frame_bytes_max(Fields(&offered))?;
        let tune = Method::new(0, TUNE_OK).short(CHANNEL).long(frame_max).short(HEARTBEAT_S);
        self.wire.send(&tune.bytes()).await?;
        let open = Method::new(0, OPEN).text(virtual_host).text("").byte(0);
        self.call(open, OPEN_OK).await.map_err(Closed::words)
    }

    async fn open_channel(&mut self) -> Result<(), String> {
        let open = Method::new(CHANNEL, CHANNEL_OPEN).text("");
        self.call(open, CHANNEL_OPEN_OK).await.map_err(Closed::words)
    }

    /// Makes sure of the queue: one that is there is taken as it is, and else a durable one is made.
    async fn declare(&mut self, queue: &str) -> Result<(), String> {
        let declare =
            |bits: u8| Method::new(CHANNEL, DECLARE).short(0).text(queue).byte(bits).long_text(&[]);
        match self.call(declare(1), DECLARE_OK).await {
            Ok(()) => Ok(()),
            Err(Closed::Channel(NOT_FOUND, _)) => {
                self.open_channel().await?;
                self.call(declare(2), DECLARE_OK).await.map_err(Closed::words)
            }
            Err(closed) => Err(closed.words()),
        }
    }

    async fn call(&mut self, method: Method, answer: (u16, u16)) -> Result<(), Closed> {
        self.wire.send(&method.bytes()).await?;
        self.answer(answer).await.map(drop)
    }

    /// Waits for a method. Returns its fields.
    async fn answer(&mut self, wanted: (u16, u16)) -> Result<Vec<u8>, Closed> {
        loop {
            let frame = frame::read(self.wire.next().await?).map_err(str::to_owned)?;
            let closed = match frame {
                Frame::Method(method, fields) if method == wanted => {
                    return Ok(fields.rest().to_vec());
                }
                Frame::Method(CHANNEL_CLOSE, fields) => {
                    let (code, words) = reason(fields)?;
                    Closed::Channel(code, words)
                }
                Frame::Method(CLOSE, fields) => {
                    let (code, words) = reason(fields)?;
                    return Err(Closed::Connection(format!(
                        "the broker ends the connection with code {code}: {words}"
                    )));
                }
                // A message that comes before the answer would be lost: it is taken in turn.
                other => {
                    take_frame(other, &mut self.delivery)?;
                    continue;
                }
            };
            self.wire.send(&Method::new(CHANNEL, CHANNEL_CLOSE_OK).bytes()).await?;
            return Err(closed);
        }
    }

    async fn take_all(&mut self, link: &Link) -> Result<std::convert::Infallible, String> {
        let alive = KeepAlive { beat: &frame::heartbeat(), every: BEAT, silence: SILENCE };
        loop {
            let next = self.wire.next_alive(alive).await?;
            take_frame(frame::read(next)?, &mut self.delivery)?;
            if let Some(whole) = self.delivery.take_if(|one| one.head.is_some() && one.left == 0) {
                whole.hand_over(link).await;
                let ack = Method::new(CHANNEL, ACK).long_long(whole.tag).byte(0);
                self.wire.send(&ack.bytes()).await?;
            }
        }
    }
}

/// Bytes of a frame at most, as the broker offers it, or fewer: it ends a connection that asks for more. 0 stands for any.
fn frame_bytes_max(mut offered: Fields<'_>) -> Result<u32, String> {
    offered.short()?;
    Ok(match offered.long()? {
        0 => frame::FRAME_BYTES_MAX,
        bytes => bytes.min(frame::FRAME_BYTES_MAX),
    })
}

/// Takes a frame of the broker into the message that is coming in.
fn take_frame(frame: Frame<'_>, delivery: &mut Option<Delivery>) -> Result<(), String> {
    match frame {
        Frame::Method(DELIVER, mut fields) => {
            fields.text()?;
            let tag = fields.long_long()?;
            *delivery = Some(Delivery { tag, head: None, body: Vec::new(), left: 0 });
        }
        Frame::Head(head) => {
            let one = delivery.as_mut().ok_or("a head without a message")?;
            one.left = head.size;
            one.head = Some(head);
        }
        Frame::Body(part) => {
            let one = delivery.as_mut().ok_or("a body without a message")?;
            one.left = one.left.saturating_sub(part.len() as u64);
            if one.is_small() {
                one.body.extend_from_slice(part);
            }
        }
        Frame::Method(CANCEL, _) => return Err("the queue has gone".to_owned()),
        Frame::Method(CHANNEL_CLOSE | CLOSE, fields) => {
            let (code, words) = reason(fields)?;
            return Err(format!("the broker ends the connection with code {code}: {words}"));
        }
        Frame::Method(..) | Frame::Heartbeat => {}
    }
    Ok(())
}

/// Why the broker closes something.
fn reason(mut fields: Fields<'_>) -> Result<(u16, String), String> {
    Ok((fields.short()?, fields.text()?.into_owned()))
}

impl Delivery {
    /// A message that is too large is counted, and not kept.
    fn is_small(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.size <= MESSAGE_BYTES_MAX as u64)
    }

    /// One that is too large, or compressed, holds no hint that can be read.
    async fn hand_over(&self, link: &Link) {
        if !self.is_small() || self.head.as_ref().is_some_and(|head| head.is_encoded) {
            return link.refuse();
        }
        let content_type = self.head.as_ref().and_then(|head| head.content_type.as_deref());
        link.take(&self.body, Envelope { content_type, event: None }).await;
    }
}

/// Reads what a broker sends, without a connection.
pub(crate) fn skim(bytes: &[u8]) -> Skimmed {
    let mut delivery = None;
    skim_all(bytes, frame::length, |packet| {
        take_frame(frame::read(packet)?, &mut delivery)?;
        let whole = delivery.take_if(|one: &mut Delivery| one.head.is_some() && one.left == 0);
        Ok(whole.map(|whole| whole.body.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_long_as_the_broker_allows_and_not_longer_than_there_is_room_for() {
        let offered = |bytes: u32| {
            let fields = [&2_047_u16.to_be_bytes()[..], &bytes.to_be_bytes(), &[0, 60]].concat();
            frame_bytes_max(Fields(&fields))
        };
        assert_eq!(offered(4_096), Ok(4_096));
        assert_eq!(offered(1 << 20), Ok(frame::FRAME_BYTES_MAX));
        assert_eq!(offered(0), Ok(frame::FRAME_BYTES_MAX));
    }

    #[test]
    fn an_address_names_a_virtual_host() {
        for (url, wanted) in [
            ("amqp://h", "/"),
            ("amqp://u:p@h:5672/", "/"),
            ("amqp://h/lab?x=y", "lab"),
            ("amqp://h/%2Flab", "/lab"),
        ] {
            assert_eq!(virtual_host(url), wanted, "{url}");
        }
    }
}
