//! NATS. Without JetStream a message comes while somebody listens, and is gone otherwise; with JetStream it waits for the
//! durable consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, FromConsumer, PullConsumer};
use async_nats::{Client, ConnectOptions, Event, HeaderMap, Message, jetstream};
use focus_core::hint::{BinaryEvent, Envelope};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::queue::{CALL, Link};
use crate::tls;

/// A broker that says nothing is asked whether it is there.
const PING: Duration = Duration::from_secs(5);

/// Messages that the library keeps for us at most. They are taken from it at once.
const LIBRARY_MAX: usize = 4_096;

/// Bytes of messages without JetStream that wait to be taken at most: nobody else keeps them.
const BYTES_MAX: usize = 8 << 20;

/// What a message takes besides its text. Most of them are small.
const MESSAGE_BYTES: usize = size_of::<Message>() + 64;

/// How often JetStream sends a message at most. One that ends the connection, because the library cannot read its headers,
/// would else come for ever.
const DELIVERIES_MAX: i64 = 5;

/// Messages of JetStream that are asked for together: each may be 1 MiB.
const BATCH_MAX: usize = 16;

/// Takes messages until the connection ends, and says why it did.
pub(crate) async fn session(
    link: &Link,
    subject: &str,
    durable: Option<&(String, String)>,
) -> String {
    let (told, mut events) = mpsc::channel(8);
    let client = match timeout(CALL, connect(link, told)).await {
        Ok(Ok(client)) => client,
        Ok(Err(words)) => return words,
        Err(_) => return format!("the broker does not answer within {} s", CALL.as_secs()),
    };
    let messages = async {
        match durable {
            None => subscribed(link, &client, subject).await,
            Some((stream, durable)) => {
                let durable = link.named(durable);
                consumed(link, &client, subject, (stream, &durable)).await
            }
        }
    };
    let ended = async {
        while let Some(event) = events.recv().await {
            match event {
                Event::Disconnected | Event::Closed => return "the connection ended".to_owned(),
                Event::ServerError(error) => return format!("the broker says: {error}"),
                Event::SlowConsumer(_) => link.lost(),
                Event::Connected
                | Event::LameDuckMode
                | Event::Draining
                | Event::ClientError(_) => {}
            }
        }
        "the connection ended".to_owned()
    };
    tokio::select! {
        words = messages => words,
        words = ended => words,
    }
}

async fn connect(link: &Link, told: mpsc::Sender<Event>) -> Result<Client, String> {
    let mut options = ConnectOptions::new()
        .name("focus-server")
        .max_reconnects(1)
        .connection_timeout(CALL)
        .request_timeout(Some(CALL))
        .ping_interval(PING)
        .subscription_capacity(LIBRARY_MAX)
        .event_callback(move |event| {
            // A reader that is behind learns of the end all the same: the messages end, too.
            let _ = told.try_send(event);
            async {}
        });
    if let Some(file) = &link.ca_file {
        // The library's words name no file.
        tls::certificates(file)?;
        options = options.add_root_certificates(file.clone());
    }
    let connected = options.connect(link.url.as_str()).await;
    connected.map_err(|error| {
        tls::words(&error, link.ca_file.as_deref())
            .unwrap_or_else(|| format!("the broker cannot be reached: {}", causes(&error)))
    })
}

/// Without JetStream.
async fn subscribed(link: &Link, client: &Client, subject: &str) -> String {
    let mut messages = match client.subscribe(subject.to_owned()).await {
        Ok(messages) => messages,
        Err(error) => return format!("the subject cannot be subscribed to: {error}"),
    };
    // What is published from now on comes in.
    if let Err(error) = client.flush().await {
        return format!("the subject cannot be subscribed to: {error}");
    }
    link.connected();
    // Looks at storage take longer than messages, and the broker drops who does not read.
    let waiting = Arc::new(AtomicUsize::new(0));
    let (keep, mut kept) = mpsc::unbounded_channel::<Message>();
    let bytes = Arc::clone(&waiting);
    let read = async move {
        while let Some(message) = messages.next().await {
            let length = held(&message);
            if bytes.fetch_add(length, Ordering::Relaxed) > BYTES_MAX {
                bytes.fetch_sub(length, Ordering::Relaxed);
                link.lost();
            } else if keep.send(message).is_err() {
                return;
            }
        }
    };
    let take = async {
        while let Some(message) = kept.recv().await {
            let length = held(&message);
            take(link, &message.payload, message.headers.as_ref()).await;
            waiting.fetch_sub(length, Ordering::Relaxed);
        }
    };
    tokio::join!(read, take);
    "the subscription ended".to_owned()
}

/// Bytes that a message takes while it waits.
fn held(message: &Message) -> usize {
    message.length + MESSAGE_BYTES
}

/// With JetStream.
async fn consumed(
    link: &Link,
    client: &Client,
    subject: &str,
    (stream, durable): (&str, &str),
) -> String {
    let consumer = match consumer(client, subject, (stream, durable)).await {
        Ok(consumer) => consumer,
        Err(words) => return format!("the stream {stream:?}, the durable {durable:?}: {words}"),
    };
    let messages = consumer
        .stream()
        .max_messages_per_batch(BATCH_MAX)
        .heartbeat(PING)
        .expires(2 * PING)
        .messages()
        .await;
    let mut messages = match messages {
        Ok(messages) => messages,
        Err(error) => return format!("the stream {stream:?} cannot be read: {error}"),
    };
    link.connected();
    while let Some(message) = messages.next().await {
        let message = match message {
            Ok(message) => message,
            Err(error) => return format!("the stream {stream:?} cannot be read: {error}"),
        };
        take(link, &message.payload, message.headers.as_ref()).await;
        if let Err(error) = message.ack().await {
            return format!("a message cannot be acknowledged: {error}");
        }
    }
    "the consumer ended".to_owned()
}

/// The durable consumer; it is made where there is none.
async fn consumer(
    client: &Client,
    subject: &str,
    (stream, durable): (&str, &str),
) -> Result<PullConsumer, String> {
    let context = jetstream::new(client.clone());
    let stream = context.get_stream(stream).await.map_err(|error| causes(&error))?;
    let config = Config {
        durable_name: Some(durable.to_owned()),
        filter_subject: subject.to_owned(),
        ack_policy: AckPolicy::Explicit,
        // What was published before is found by the scan with which a server starts.
        deliver_policy: DeliverPolicy::New,
        max_deliver: DELIVERIES_MAX,
        ..Config::default()
    };
    let consumer = stream.get_or_create_consumer(durable, config).await;
    let consumer = consumer.map_err(|error| causes(&error))?;
    let mut there = consumer.cached_info().config.clone();
    if there.filter_subject == subject || there.filter_subject.is_empty() {
        return Ok(consumer);
    }
    // It was made for another subject, which the settings had before.
    there.filter_subject = subject.to_owned();
    let there = Config::try_from_consumer_config(there).map_err(|error| error.to_string())?;
    stream.create_consumer(there).await.map_err(|error| causes(&error))
}

async fn take(link: &Link, payload: &[u8], headers: Option<&HeaderMap>) {
    let header = |wanted: &str| {
        let mut all = headers.into_iter().flat_map(|headers| headers.iter());
        let found =
            all.find(|(name, _)| AsRef::<str>::as_ref(name).eq_ignore_ascii_case(wanted))?;
        found.1.first().map(|value| value.as_str())
    };
    let event = header("ce-specversion")
        .map(|version| BinaryEvent { version, subject: header("ce-subject") });
    link.take(payload, Envelope { content_type: header("content-type"), event }).await;
}

/// An error with what led to it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    words
}
