//! What brokers send, read without a connection: for checks that hold for any bytes.

use crate::wire::Length;

/// What was read of bytes that a broker might send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skimmed {
    /// Packets that were read.
    pub packets: usize,
    /// Bytes of these.
    pub bytes: usize,
    /// Bytes of the body of each message among them.
    pub bodies: Vec<usize>,
    /// Why no more was read; none: the rest is no whole packet.
    pub problem: Option<String>,
}

/// Reads all packets with which bytes begin; `read` returns the bytes of a message's body where one is whole.
pub(crate) fn skim_all(
    bytes: &[u8],
    length: Length,
    mut read: impl FnMut(&[u8]) -> Result<Option<usize>, String>,
) -> Skimmed {
    let mut skimmed = Skimmed::default();
    loop {
        let rest = &bytes[skimmed.bytes..];
        let packet = match length(rest) {
            Ok(Some(length)) if length <= rest.len() => &rest[..length],
            Ok(_) => return skimmed,
            Err(words) => return Skimmed { problem: Some(words.to_owned()), ..skimmed },
        };
        match read(packet) {
            Ok(body) => skimmed.bodies.extend(body),
            Err(words) => return Skimmed { problem: Some(words), ..skimmed },
        }
        skimmed.packets += 1;
        skimmed.bytes += packet.len();
    }
}
