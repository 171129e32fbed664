//! Channels: one task for each, so that one that hangs delays no other.

use std::sync::Arc;
use std::time::Duration;

use focus_common::clock;
use focus_common::config::{Alerts, Channel, ChannelKind, Heartbeat};
use focus_common::metrics::counters;
use focus_core::alert::Tried;
use tokio::time::{interval, sleep};

use super::board::{self, Board};
use super::mail;
use super::message::Message;
use super::post::{Posted, post};

/// A channel is looked after so often, besides when something changes.
const LOOK: Duration = Duration::from_millis(250);

/// Tells a channel what it is owed, until it is aborted.
pub(super) async fn run(board: Arc<Board>, alerts: Arc<Alerts>, channel: Channel) {
    let mut is_failing = false;
    loop {
        for message in board.owed(&channel, &alerts) {
            // Kept before it goes: whoever is killed then resolves what may have come.
            board.begin(&channel.name, &message);
            board::keep(&board).await;
            let posted = deliver(&message, &channel).await;
            let delivered = posted.tried == Tried::Delivered;
            let result = match posted.tried {
                Tried::Delivered => "delivered",
                Tried::Failed { .. } => "failed",
                Tried::Refused => "refused",
            };
            counters().alert_deliveries.with_label_values(&[channel.name.as_str(), result]).inc();
            board.tried(&channel.name, &message, posted.tried, &posted.words);
            board::keep(&board).await;
            if !delivered && !std::mem::replace(&mut is_failing, true) {
                tracing::warn!(
                    "the channel {:?} is not told of an alert: {}. It is tried again",
                    channel.name,
                    posted.words
                );
            }
            if !delivered {
                break;
            }
            if std::mem::take(&mut is_failing) {
                tracing::info!("the channel {:?} takes alerts again", channel.name);
            }
        }
        tokio::select! {
            () = board.changed.notified() => {}
            () = sleep(LOOK) => {}
        }
    }
}

async fn deliver(message: &Message, channel: &Channel) -> Posted {
    if channel.kind == ChannelKind::Email {
        return mail::send(message, channel).await;
    }
    let Some(delivery) = message.delivery(channel) else {
        let words = "its address or its key is empty: look at the file that the settings name";
        return Posted { tried: Tried::Refused, words: words.to_owned() };
    };
    post(&delivery.url, &delivery.headers, delivery.body).await
}

/// Tries a channel out.
///
/// # Errors
/// It did not take the message; the words say why.
pub async fn test(channel: &Channel, alerts: &Alerts) -> Result<String, String> {
    let posted = deliver(&Message::test(clock::wall_ms(), alerts), channel).await;
    if posted.tried == Tried::Delivered { Ok(posted.words) } else { Err(posted.words) }
}

/// Posts to an address at intervals, until it is aborted: who misses it knows that nobody looks after alerts.
pub(super) async fn heartbeat(heartbeat: Heartbeat) {
    let Some(url) = heartbeat.url.expose().map(str::to_owned) else { return };
    let mut ticks = interval(Duration::from_millis(heartbeat.every_ms));
    let mut is_failing = false;
    loop {
        ticks.tick().await;
        let json = ("content-type", "application/json".to_owned());
        let posted = post(&url, &[json], b"{\"status\":\"ok\"}".to_vec()).await;
        let fails = posted.tried != Tried::Delivered;
        if fails && !is_failing {
            tracing::warn!("the heartbeat of the alerts is not taken: {}", posted.words);
        }
        is_failing = fails;
    }
}
