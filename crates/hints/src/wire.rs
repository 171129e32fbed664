//! A connection on which packets come that each say how long they are.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use crate::address::Stream;
use crate::queue::CALL;

/// Room for what was read that stays while nothing comes, bytes: that of a large message is given back.
const KEPT_BYTES: usize = 64 << 10;

/// The length of the packet with which bytes begin; none: more of it has to come first. Fails where it is too long.
pub(crate) type Length = fn(&[u8]) -> Result<Option<usize>, &'static str>;

/// How both sides know that the other one is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive<'a> {
    /// What is sent in place of a packet.
    pub(crate) beat: &'a [u8],
    /// It is sent so often.
    pub(crate) every: Duration,
    /// A broker that says nothing for so long is not there.
    pub(crate) silence: Duration,
}

/// A connection, and what of it was read and not taken yet.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    length: Length,
    bytes: Vec<u8>,
    /// The packet that was taken last begins at 0 and ends here.
    taken: usize,
    /// When the last beat was sent.
    beaten: Instant,
    /// When something came last.
    heard: Instant,
}

impl Wire {
    /// A connection on which nothing was read yet.
    pub(crate) fn new(stream: Box<dyn Stream>, length: Length) -> Wire {
        let now = Instant::now();
        Wire { stream, length, bytes: Vec::new(), taken: 0, beaten: now, heard: now }
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

    /// The next packet, while both sides tell that they are there. The time in which nobody asks for one is no silence,
    /// nor is that in which a large one comes in slowly: it would come as slowly the next time.
    ///
    /// # Errors
    /// As [`Wire::next`], or the broker is silent.
    pub(crate) async fn next_alive(&mut self, alive: KeepAlive<'_>) -> Result<&[u8], String> {
        let asked = Instant::now();
        let length = loop {
            let due = self.beaten + alive.every;
            tokio::select! {
                length = self.read() => break length?,
                () = sleep_until(due) => {}
            }
            if asked.max(self.heard).elapsed() > alive.silence {
                return Err(format!("the broker is silent for {} s", alive.silence.as_secs()));
            }
            self.send(alive.beat).await?;
            self.beaten = Instant::now();
        };
        Ok(&self.bytes[..length])
    }

    /// The next packet.
    ///
    /// # Errors
    /// The connection ended, or the packet is too long: words for people.
    pub(crate) async fn next(&mut self) -> Result<&[u8], String> {
        let length = self.read().await?;
        Ok(&self.bytes[..length])
    }

    /// The length of the next packet, with which `bytes` begins. What was read of one stays where the wait for the rest is
    /// given up.
    async fn read(&mut self) -> Result<usize, String> {
        self.bytes.drain(..std::mem::take(&mut self.taken));
        loop {
            let length = (self.length)(&self.bytes)?;
            if let Some(length) = length.filter(|length| *length <= self.bytes.len()) {
                self.taken = length;
                return Ok(length);
            }
            if self.bytes.is_empty() {
                self.bytes.shrink_to(KEPT_BYTES);
            }
            let read = self.stream.read_buf(&mut self.bytes).await;
            if read.map_err(|error| format!("the connection ended: {error}"))? == 0 {
                return Err("the broker ended the connection".to_owned());
            }
            self.heard = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// Packets whose first byte is their length.
    fn length(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
        match bytes.first() {
            Some(0) => Err("a packet without a length"),
            first => Ok(first.map(|length| usize::from(*length))),
        }
    }

    const ALIVE: KeepAlive<'_> =
        KeepAlive { beat: b"!", every: Duration::from_millis(5), silence: Duration::from_secs(60) };

    #[tokio::test]
    async fn a_packet_that_comes_in_parts_stays_whole_over_beats_and_the_next_one_follows_it() {
        let (near, mut far) = duplex(1_000);
        let mut wire = Wire::new(Box::new(near), length);
        let sender = async {
            far.write_all(b"\x03a").await.expect("sent");
            // Until beats have broken the wait off.
            let mut beats = [0; 3];
            far.read_exact(&mut beats).await.expect("beats");
            assert_eq!(&beats, b"!!!");
            far.write_all(b"b\x02c").await.expect("sent");
        };
        let (packet, ()) =
            tokio::join!(async { wire.next_alive(ALIVE).await.map(<[u8]>::to_vec) }, sender);
        assert_eq!(packet, Ok(b"\x03ab".to_vec()));
        assert_eq!(wire.next().await, Ok(&b"\x02c"[..]));
        drop(far);
        assert!(wire.next().await.is_err_and(|words| words.contains("ended")));
    }

    #[tokio::test]
    async fn a_packet_that_takes_longer_than_the_silence_comes_in_whole() {
        let (near, mut far) = duplex(1_000);
        let mut wire = Wire::new(Box::new(near), length);
        let patient = KeepAlive { silence: Duration::from_secs(1), ..ALIVE };
        let sender = async {
            far.write_all(b"\x08").await.expect("sent");
            for _ in 0..7 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                far.write_all(b"x").await.expect("sent");
            }
        };
        let (packet, ()) =
            tokio::join!(async { wire.next_alive(patient).await.map(<[u8]>::to_vec) }, sender);
        assert_eq!(packet, Ok(b"\x08xxxxxxx".to_vec()));
    }

    #[tokio::test]
    async fn a_broker_that_says_nothing_is_given_up_and_a_wrong_length_too() {
        let (near, mut far) = duplex(1_000);
        let mut wire = Wire::new(Box::new(near), length);
        let impatient = KeepAlive { silence: Duration::from_millis(50), ..ALIVE };
        let given_up = wire.next_alive(impatient).await.map(<[u8]>::to_vec);
        assert!(given_up.is_err_and(|words| words.contains("silent")));
        far.write_all(b"\0").await.expect("sent");
        assert_eq!(wire.next().await, Err("a packet without a length".to_owned()));
    }
}
