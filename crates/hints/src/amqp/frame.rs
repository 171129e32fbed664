//! The frames and methods of AMQP 0-9-1 that a consumer needs (AMQP 0-9-1, chapters 2 and 4).
//!
//! A codec of our own: a consumer needs a dozen methods, and the common library brings the formats of certificates and key
//! stores of thirty more crates with it.

use std::borrow::Cow;

/// Bytes of a frame at most, as it is agreed with the broker.
pub(super) const FRAME_BYTES_MAX: u32 = 128 << 10;

/// Bytes around the payload of a frame.
const AROUND: usize = 8;

/// Kinds of frames.
const METHOD: u8 = 1;
const HEAD: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

/// What ends a frame.
const END: u8 = 0xCE;

/// What a frame that cannot be understood is told.
pub(super) type Broken = &'static str;

/// What a client says first.
pub(super) const GREETING: &[u8; 8] = b"AMQP\0\0\x09\x01";

/// A frame of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A method, by class and number.
    Method((u16, u16), Fields<'a>),
    /// The head of a message.
    Head(Head),
    /// A part of its body.
    Body(&'a [u8]),
    Heartbeat,
}

/// The head of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) size: u64,
    pub(super) content_type: Option<String>,
    /// The body is compressed, or the like: it would be taken for the name of a folder.
    pub(super) is_encoded: bool,
}

/// The length of the frame with which these bytes begin; none: more of it has to come first.
///
/// # Errors
/// It is too long, or no frame.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let Some(size) = bytes.get(3..7) else { return Ok(None) };
    if is_other_version(bytes) {
        return Ok(Some(GREETING.len()));
    }
    if !matches!(bytes[0], METHOD | HEAD | BODY | HEARTBEAT) {
        return Err("what answers speaks no AMQP: does the address need TLS, or another port?");
    }
    let size = u32::from_be_bytes([size[0], size[1], size[2], size[3]]);
    if size > FRAME_BYTES_MAX {
        return Err("a frame that is longer than it may be");
    }
    Ok(Some(size as usize + AROUND))
}

/// A whole frame.
///
/// # Errors
/// It is none that a broker sends to a consumer.
pub(super) fn read(bytes: &[u8]) -> Result<Frame<'_>, Broken> {
    if is_other_version(bytes) {
        return Err("the broker speaks another version of AMQP");
    }
    let payload = bytes.get(7..bytes.len().saturating_sub(1));
    let (Some(payload), Some(&END)) = (payload, bytes.last()) else {
        return Err("a frame without its end");
    };
    let mut fields = Fields(payload);
    match bytes[0] {
        METHOD => {
            let method = (fields.short()?, fields.short()?);
            Ok(Frame::Method(method, fields))
        }
        HEAD => head(fields).map(Frame::Head),
        BODY => Ok(Frame::Body(payload)),
        HEARTBEAT => Ok(Frame::Heartbeat),
        _ => Err("a frame of a kind that is none"),
    }
}

/// A broker that does not take the greeting answers with its own.
fn is_other_version(bytes: &[u8]) -> bool {
    bytes.starts_with(b"AMQP")
}

fn head(mut fields: Fields<'_>) -> Result<Head, Broken> {
    fields.take(4)?;
    let size = fields.long_long()?;
    let flags = fields.short()?;
    // These two come first of all properties.
    let content_type = if flags & 0x8000 == 0 { None } else { Some(fields.text()?.into_owned()) };
    let encoding = if flags & 0x4000 == 0 { None } else { Some(fields.text()?) };
    let is_plain = |encoding: &str| matches!(encoding, "" | "identity" | "utf-8" | "UTF-8");
    let is_encoded = encoding.is_some_and(|encoding| !is_plain(&encoding));
    Ok(Head { size, content_type, is_encoded })
}

/// What is left of the fields of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("a frame that ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn short(&mut self) -> Result<u16, Broken> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn long(&mut self) -> Result<u32, Broken> {
        self.take(4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn long_long(&mut self) -> Result<u64, Broken> {
        Ok(u64::from(self.long()?) << 32 | u64::from(self.long()?))
    }

    /// A short text. The broker hands on what senders wrote, and that need not be UTF-8: a message that could not be read
    /// would come again for ever.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, Broken> {
        let length = self.take(1)?[0];
        Ok(String::from_utf8_lossy(self.take(usize::from(length))?))
    }

    /// Those that are left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// What is written is far shorter than the format has room for.
fn short_length(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

fn long_length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A method that is being written.
#[derive(Debug)]
pub(super) struct Method(Vec<u8>);

impl Method {
    pub(super) fn new(channel: u16, (class, method): (u16, u16)) -> Method {
        let mut bytes = vec![1];
        bytes.extend(channel.to_be_bytes());
        // The length follows once it is known.
        bytes.extend([0; 4]);
        bytes.extend(class.to_be_bytes());
        bytes.extend(method.to_be_bytes());
        Method(bytes)
    }

    pub(super) fn byte(mut self, value: u8) -> Method {
        self.0.push(value);
        self
    }

    pub(super) fn short(mut self, value: u16) -> Method {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn long(mut self, value: u32) -> Method {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn long_long(mut self, value: u64) -> Method {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A short text; of a longer one than the format has room for, the begin: the broker refuses it.
    pub(super) fn text(mut self, text: &str) -> Method {
        let text = &text.as_bytes()[..text.len().min(255)];
        self.0.push(short_length(text.len()));
        self.0.extend(text);
        self
    }

    /// A long text, or a table that is written already.
    pub(super) fn long_text(mut self, text: &[u8]) -> Method {
        self.0.extend(long_length(text.len()).to_be_bytes());
        self.0.extend(text);
        self
    }

    pub(super) fn bytes(mut self) -> Vec<u8> {
        let length = long_length(self.0.len() - 7);
        self.0[3..7].copy_from_slice(&length.to_be_bytes());
        self.0.push(END);
        self.0
    }
}

/// A sign that the client is there.
pub(super) fn heartbeat() -> [u8; 8] {
    [8, 0, 0, 0, 0, 0, 0, END]
}

/// What the client can do: it wants to be told that its queue has gone.
pub(super) fn client_properties() -> Vec<u8> {
    let entry = |name: &str, kind: u8, value: &[u8]| {
        let mut entry = vec![short_length(name.len())];
        entry.extend(name.as_bytes());
        entry.push(kind);
        entry.extend(value);
        entry
    };
    let with_length = |bytes: &[u8]| [&long_length(bytes.len()).to_be_bytes(), bytes].concat();
    let able = entry("consumer_cancel_notify", b't', &[1]);
    let mut table = entry("product", b'S', &with_length(b"focus-server"));
    table.extend(entry("capabilities", b'F', &with_length(&able)));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_was_written_is_read_again() {
        let bytes = Method::new(1, (60, 60))
            .text("tag")
            .long_long(1 << 40)
            .byte(0)
            .short(7)
            .long(9)
            .long_text(b"long")
            .bytes();
        assert_eq!(length(&bytes), Ok(Some(bytes.len())));
        let Ok(Frame::Method((60, 60), mut fields)) = read(&bytes) else { panic!("{bytes:?}") };
        assert_eq!((fields.text(), fields.long_long()), (Ok("tag".into()), Ok(1 << 40)));
        assert_eq!((fields.take(1).map(|byte| byte[0]), fields.short()), (Ok(0), Ok(7)));
        assert_eq!((fields.long(), fields.long()), (Ok(9), Ok(4)));
        assert!(fields.long_long().is_err());
    }

    #[test]
    fn a_media_type_that_is_not_utf_8_is_that_of_a_message_all_the_same() {
        let head = [2, 0, 1, 0, 0, 0, 17, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x80, 0];
        let bytes = [&head[..], &[2, 0xFF, b'x', END]].concat();
        let content_type = Some("\u{FFFD}x".to_owned());
        let is_encoded = false;
        assert_eq!(read(&bytes), Ok(Frame::Head(Head { size: 5, content_type, is_encoded })));
    }

    #[test]
    fn a_body_that_is_compressed_is_told_by_its_head() {
        let encoded = |name: &[u8]| {
            let head = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x40, 0];
            let payload = [&head[..], &[short_length(name.len())], name].concat();
            let begin = [2, 0, 1, 0, 0, 0, short_length(payload.len())];
            let bytes = [&begin[..], &payload, &[END]].concat();
            let Ok(Frame::Head(head)) = read(&bytes) else { panic!("{bytes:?}") };
            head.is_encoded
        };
        assert!(encoded(b"gzip") && !encoded(b"utf-8") && !encoded(b""));
    }

    #[test]
    fn the_head_of_a_message_is_read_and_what_is_no_frame_is_told() {
        let mut head = vec![2, 0, 1, 0, 0, 0, 0, 0, 60, 0, 0];
        head.extend(5_u64.to_be_bytes());
        head.extend([0xA0, 0, 10]);
        head.extend(b"text/plain\0\0\0\0");
        head[6] = short_length(head.len() - 7);
        head.push(END);
        let content_type = Some("text/plain".to_owned());
        let is_encoded = false;
        assert_eq!(read(&head), Ok(Frame::Head(Head { size: 5, content_type, is_encoded })));
        assert_eq!(read(&heartbeat()), Ok(Frame::Heartbeat));
        assert_eq!(read(&[3, 0, 1, 0, 0, 0, 1, b'x', END]), Ok(Frame::Body(b"x")));
        for bad in [&b"AMQP\0\x01\0\0"[..], &[9, 0, 0, 0, 0, 0, 0, END], &[8, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        for end in 8..head.len() {
            // It ends too early, or without its end.
            let mut cut = head[..end].to_vec();
            assert!(read(&cut).is_err());
            cut.push(END);
            assert!(end > 30 || read(&cut).is_err(), "{end}");
        }
        assert_eq!(super::length(b"AMQP\0\0\x09\x01"), Ok(Some(8)));
        assert!(super::length(b"HTTP/1.1 400").is_err_and(|words| words.contains("no AMQP")));
        assert_eq!(super::length(&[1, 0, 0, 0]), Ok(None));
        assert!(super::length(&[1, 0, 0, 0xFF, 0, 0, 0]).is_err());
    }
}
