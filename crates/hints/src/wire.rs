//! A connection on which packets come that each say how long they are.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::address::Stream;
use crate::queue::CALL;

/// Room for what was read that stays while nothing comes, bytes: that of a large message is given back.
const KEPT_BYTES: usize = 64 << 10;

/// The length of the packet with which bytes begin; none: more of it has to come first. Fails where it is too long.
pub(crate) type Length = fn(&[u8]) -> Result<Option<usize>, &'static str>;

/// A connection, and what of it was read and not taken yet.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    length: Length,
    bytes: Vec<u8>,
    /// The packet that was taken last begins at 0 and ends here.
    taken: usize,
}

impl Wire {
    /// A connection on which nothing was read yet.
    pub(crate) fn new(stream: Box<dyn Stream>, length: Length) -> Wire {
        Wire { stream, length, bytes: Vec::new(), taken: 0 }
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// The connection ended, or the broker takes nothing: words for people.
    pub(crate) async fn send(&mut self, packet: &[u8]) -> Result<(), String> {
        let sent = timeout(CALL, async {
            self.stream.write_all(packet).await?;
            self.stream.flush().await
        });
        match sent.await {
            Ok(sent) => sent.map_err(|error| format!("the connection ended: {error}")),
            Err(_) => Err(format!("the broker takes nothing for {} s", CALL.as_secs())),
        }
    }

    /// The next packet. What was read of one stays where the wait for the rest is given up.
    ///
    /// # Errors
    /// The connection ended, or the packet is too long: words for people.
    pub(crate) async fn next(&mut self) -> Result<&[u8], String> {
        self.bytes.drain(..std::mem::take(&mut self.taken));
        loop {
            let length = (self.length)(&self.bytes)?;
            if let Some(length) = length.filter(|length| *length <= self.bytes.len()) {
                self.taken = length;
                return Ok(&self.bytes[..length]);
            }
            if self.bytes.is_empty() {
                self.bytes.shrink_to(KEPT_BYTES);
            }
            let read = self.stream.read_buf(&mut self.bytes).await;
            if read.map_err(|error| format!("the connection ended: {error}"))? == 0 {
                return Err("the broker ended the connection".to_owned());
            }
        }
    }
}
