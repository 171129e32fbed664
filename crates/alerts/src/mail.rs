//! Alerts by e-mail: plain text, one subject and one thread for an alert.

use std::time::Duration;

use focus_common::config::Channel;
use focus_core::alert::Tried;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message as Mail};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::message::Message;
use super::post::Posted;

/// A try ends within this.
const LIMIT: Duration = Duration::from_secs(10);

/// Sends a message to a channel's addressees.
pub(super) async fn send(message: &Message, channel: &Channel) -> Posted {
    let refused = |words: String| Posted { tried: Tried::Refused, words };
    let mail = match mail(message, channel) {
        Ok(mail) => mail,
        Err(words) => return refused(words),
    };
    let Some(url) = channel.url.expose() else {
        return refused("its smtp_url is empty".to_owned());
    };
    let transport = match AsyncSmtpTransport::<Tokio1Executor>::from_url(url) {
        Ok(transport) => transport.timeout(Some(LIMIT)).build(),
        // The error may show the address.
        Err(_) => return refused("its smtp_url is none".to_owned()),
    };
    match tokio::time::timeout(LIMIT, transport.send(mail)).await {
        Ok(Ok(_)) => {
            Posted { tried: Tried::Delivered, words: "the mail server took it".to_owned() }
        }
        Ok(Err(error)) if error.is_permanent() => {
            refused(format!("the mail server refuses it{}", status(&error)))
        }
        Ok(Err(error)) => {
            Posted::doubted(format!("the mail server does not take it{}", status(&error)))
        }
        Err(_) => Posted::doubted(format!("no answer within {} s", LIMIT.as_secs())),
    }
}

/// The server's code, where it gave one: its words may hold addresses.
fn status(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!(": it answers {code}"),
        None if error.is_tls() => ": no TLS".to_owned(),
        None if error.is_timeout() => ": it does not answer in time".to_owned(),
        None => ": no connection".to_owned(),
    }
}

fn mail(message: &Message, channel: &Channel) -> Result<Mail, String> {
    let address =
        |text: &str| text.parse::<Mailbox>().map_err(|_| format!("{text:?} is no address of mail"));
    let thread = id(&message.first_id());
    let mut mail = Mail::builder()
        .from(address(&channel.from)?)
        // The same for the whole thread, so that programs for mail show it as one.
        .subject(message.subject())
        .message_id(Some(id(&message.id())));
    for to in &channel.to {
        mail = mail.to(address(to)?);
    }
    if message.id() != message.first_id() {
        mail = mail.in_reply_to(thread.clone()).references(thread);
    }
    mail.header(ContentType::TEXT_PLAIN)
        .body(text(message))
        .map_err(|error| format!("the mail cannot be written: {error}"))
}

fn id(id: &str) -> String {
    format!("<{id}@focus-server>")
}

fn text(message: &Message) -> String {
    format!("{}\n\n{}\n", message.head(), message.lines().join("\n"))
}
