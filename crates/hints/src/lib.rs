//! Queues of brokers as sources of hints.
//!
//! Each queue has a task that connects, takes messages, and begins anew for ever when the connection ends. A message is
//! acknowledged once its hints are on their way, whatever it holds: losing hints costs the time to the next scan, so
//! nothing is kept for them. A sender is never stopped.
//!
//! | module | |
//! |---|---|
//! | `queue` | the task of a queue, and what the status shows of it |
//! | `nats` | NATS, with JetStream and without |
//! | `mqtt` | MQTT 5 |
//! | `amqp` | AMQP 0-9-1 |
//! | `wire` | packets of a connection, for `mqtt` and `amqp` |
//! | `skim` | the same without a connection, for checks |
//! | `address` | the address of a broker, and a connection to it |
//! | `tls` | whom to trust, and what to tell where TLS does not come about |

mod address;
mod amqp;
mod mqtt;
mod nats;
mod queue;
mod skim;
mod tls;
mod wire;

use async_trait::async_trait;
use focus_core::hint::Envelope;

pub use queue::HintQueues;
pub use skim::Skimmed;

/// Bytes of a message at most; a larger one is ignored.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What was made of the hints of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// They will be looked at.
    pub accepted: u64,
    /// All others.
    pub ignored: u64,
}

/// Takes the messages of all queues.
#[async_trait]
pub trait Taker: Send + Sync + 'static {
    /// Takes a message; returns once its hints are on their way.
    async fn take(&self, kind: &'static str, body: &[u8], envelope: Envelope<'_>) -> Taken;

    /// Counts a message that is too large.
    fn refuse(&self, kind: &'static str);

    /// Messages were lost on their way.
    fn lost(&self);
}

/// Reads what a broker of AMQP might send to the server.
pub fn skim_amqp(bytes: &[u8]) -> Skimmed {
    amqp::skim(bytes)
}

/// Reads what a broker of MQTT might send to the server.
pub fn skim_mqtt(bytes: &[u8]) -> Skimmed {
    mqtt::skim(bytes)
}
