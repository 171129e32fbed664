//! The packets of MQTT 5 that a subscriber needs (OASIS MQTT 5.0, chapters 2 and 3).
//!
//! A codec of our own: a subscriber needs nine kinds of packets, and the libraries bring sessions of their own, which
//! would have to agree with the broker's.

/// Bytes of a packet at most: a message of 1 MiB with its topic and properties.
pub(super) const PACKET_BYTES_MAX: u32 = (1 << 20) + (128 << 10);

/// Messages that the broker may send before they are acknowledged.
const RECEIVE_MAX: u16 = 64;

/// How long the broker keeps the session of a server that is not there, seconds: a week.
const SESSION_S: u32 = 7 * 86_400;

/// What a packet that cannot be understood is told.
pub(super) type Broken = &'static str;

/// A packet of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// The answer to the connection; 0 is success.
    Connected(u8),
    /// The answer to the subscription; below 0x80 is success.
    Subscribed(u8),
    Message(Message<'a>),
    Pong,
    /// The broker ends the connection, and says why.
    Disconnected(u8),
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// To be acknowledged under this number; none: not at all.
    pub(super) id: Option<u16>,
    pub(super) content_type: Option<&'a str>,
    /// Attributes of a CloudEvent, where these properties are there.
    pub(super) version: Option<&'a str>,
    pub(super) subject: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// A client that has to prove who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// Asks for a session that outlasts the connection.
pub(super) fn connect(client_id: &str, credentials: &Credentials, keep_alive_s: u16) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    let user = if credentials.user.is_some() { 0x80 } else { 0 };
    let password = if credentials.password.is_some() { 0x40 } else { 0 };
    body.extend([5, user | password]);
    body.extend(keep_alive_s.to_be_bytes());
    let mut properties = vec![0x11];
    properties.extend(SESSION_S.to_be_bytes());
    properties.push(0x21);
    properties.extend(RECEIVE_MAX.to_be_bytes());
    properties.push(0x27);
    properties.extend(PACKET_BYTES_MAX.to_be_bytes());
    number(&mut body, properties.len());
    body.extend(properties);
    text(&mut body, client_id);
    credentials.user.iter().for_each(|user| text(&mut body, user));
    credentials.password.iter().for_each(|password| text(&mut body, password));
    packet(0x10, &body)
}

/// Subscribes with QoS 1. Retained messages come once, with a subscription that is new.
pub(super) fn subscribe(topic: &str) -> Vec<u8> {
    let mut body = vec![0, 1, 0];
    text(&mut body, topic);
    body.push(0x11);
    packet(0x82, &body)
}

/// Acknowledges a message.
pub(super) fn acknowledge(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

/// Asks whether the broker is there.
pub(super) fn ping() -> Vec<u8> {
    packet(0xC0, &[])
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    number(&mut packet, body.len());
    packet.extend_from_slice(body);
    packet
}

fn text(out: &mut Vec<u8>, text: &str) {
    // A longer text than the format has room for is cut: the broker refuses it.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

fn number(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let more = if value > 0x7F { 0x80 } else { 0 };
        out.push(u8::try_from(value & 0x7F).unwrap_or(0) | more);
        value >>= 7;
        if value == 0 {
            return;
        }
    }
}

/// The length of the packet with which these bytes begin; none: more of it has to come first.
///
/// # Errors
/// It is too long.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let mut reader = Reader(bytes.get(1..).unwrap_or_default());
    let before = reader.0.len();
    let Ok(rest) = reader.number() else {
        return if before >= 4 { Err("a packet without a length") } else { Ok(None) };
    };
    let length = 1 + before - reader.0.len() + rest;
    if length > PACKET_BYTES_MAX as usize {
        return Err("a packet that is longer than it may be");
    }
    Ok(Some(length))
}

/// A whole packet.
///
/// # Errors
/// It is none that a broker sends to a subscriber.
pub(super) fn read(bytes: &[u8]) -> Result<Packet<'_>, Broken> {
    let first = *bytes.first().ok_or(SHORT)?;
    let mut reader = Reader(&bytes[1..]);
    reader.number()?;
    match first {
        0x20 => {
            reader.take(1)?;
            Ok(Packet::Connected(reader.byte()?))
        }
        0x90 => {
            reader.take(2)?;
            let properties = reader.number()?;
            reader.take(properties)?;
            Ok(Packet::Subscribed(reader.byte()?))
        }
        0x30..=0x3F => message(first, reader).map(Packet::Message),
        0xD0 => Ok(Packet::Pong),
        0xE0 => Ok(Packet::Disconnected(reader.byte().unwrap_or(0))),
        _ => Err("a packet that no subscriber gets"),
    }
}

fn message(first: u8, mut reader: Reader<'_>) -> Result<Message<'_>, Broken> {
    let mut message = Message::default();
    reader.bytes()?;
    if first & 0x06 != 0 {
        message.id = Some(reader.short()?);
    }
    let length = reader.number()?;
    let mut properties = Reader(reader.take(length)?);
    while let Ok(kind) = properties.byte() {
        match kind {
            0x01 => drop(properties.take(1)?),
            0x02 => drop(properties.take(4)?),
            0x03 => message.content_type = properties.text()?,
            0x08 | 0x09 => drop(properties.bytes()?),
            0x0B => drop(properties.number()?),
            0x23 => drop(properties.take(2)?),
            0x26 => {
                let (name, value) = (properties.text()?, properties.text()?);
                match name {
                    Some("specversion") => message.version = value,
                    Some("subject") => message.subject = value,
                    _ => {}
                }
            }
            _ => return Err("a property that no message has"),
        }
    }
    message.body = reader.0;
    Ok(message)
}

/// What a packet that ends too early is told.
const SHORT: Broken = "a packet that ends too early";

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn short(&mut self) -> Result<u16, Broken> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Broken> {
        let length = self.short()?;
        self.take(usize::from(length))
    }

    /// A text; none where it is not UTF-8. A message that could not be read would come again for ever.
    fn text(&mut self) -> Result<Option<&'a str>, Broken> {
        Ok(std::str::from_utf8(self.bytes()?).ok())
    }

    /// A number of one to four bytes.
    fn number(&mut self) -> Result<usize, Broken> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number of more than four bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_with_its_properties() {
        let mut properties = vec![0x01, 1, 0x02, 0, 0, 0, 9, 0x0B, 0x80, 0x01, 0x23, 0, 1];
        properties.push(0x03);
        text(&mut properties, "application/json");
        for (name, value) in [("specversion", "1.0"), ("subject", "a%20b.dat"), ("x", "y")] {
            properties.push(0x26);
            text(&mut properties, name);
            text(&mut properties, value);
        }
        let mut body = Vec::new();
        text(&mut body, "a/topic");
        body.extend([1, 2]);
        number(&mut body, properties.len());
        body.extend(&properties);
        body.extend(b"{}");
        let packet = packet(0x32, &body);
        assert_eq!(length(&packet), Ok(Some(packet.len())));
        assert_eq!(
            read(&packet),
            Ok(Packet::Message(Message {
                id: Some(258),
                content_type: Some("application/json"),
                version: Some("1.0"),
                subject: Some("a%20b.dat"),
                body: b"{}",
            }))
        );
        // Whatever is cut off, nothing is read that is not there.
        for end in 0..packet.len() {
            let cut = read(&packet[..end]);
            assert!(matches!(&cut, Err(_) | Ok(Packet::Message(Message { body: b"" | b"{", .. }))));
            assert!(matches!(length(&packet[..end.min(2)]), Ok(None | Some(_))));
        }
    }

    #[test]
    fn a_message_with_texts_that_are_not_utf_8_is_read_without_them() {
        let bytes = [0x30, 13, 0, 1, 0xFF, 8, 0x03, 0, 1, 0xFF, 0x08, 0, 1, 0xFF, b'x'];
        assert_eq!(read(&bytes), Ok(Packet::Message(Message { body: b"x", ..Message::default() })));
    }

    #[test]
    fn answers_are_read_and_what_is_none_is_told() {
        assert_eq!(read(&[0x20, 3, 1, 0, 0]), Ok(Packet::Connected(0)));
        assert_eq!(read(&[0x20, 3, 0, 0x86, 0]), Ok(Packet::Connected(0x86)));
        assert_eq!(read(&[0x90, 4, 0, 1, 0, 1]), Ok(Packet::Subscribed(1)));
        assert_eq!(read(&[0xD0, 0]), Ok(Packet::Pong));
        assert_eq!(read(&[0xE0, 1, 0x8B]), Ok(Packet::Disconnected(0x8B)));
        assert!(read(&[]).is_err() && read(&[0x10, 0]).is_err() && read(&[0x20, 1, 0]).is_err());
        assert_eq!(length(&[0x30]), Ok(None));
        assert!(length(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).is_err());
        assert!(length(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1]).is_err());
    }

    #[test]
    fn what_is_sent_is_as_the_standard_says() {
        assert_eq!(ping(), [0xC0, 0]);
        assert_eq!(acknowledge(258), [0x40, 2, 1, 2]);
        assert_eq!(subscribe("a/#"), [0x82, 9, 0, 1, 0, 0, 3, b'a', b'/', b'#', 0x11]);
        let credentials =
            Credentials { user: Some("u".to_owned()), password: Some("p".to_owned()) };
        let sent = connect("id", &credentials, 30);
        assert_eq!(sent[..12], [0x10, 34, 0, 4, b'M', b'Q', b'T', b'T', 5, 0xC0, 0, 30]);
        assert_eq!(sent[sent.len() - 10..], [0, 2, b'i', b'd', 0, 1, b'u', 0, 1, b'p']);
        assert_eq!(sent.len(), 36);
    }
}
