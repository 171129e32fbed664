//! What a drill and the proxy say to each other over the control socket: a line of JSON each.

use serde::{Deserialize, Serialize};

/// Bytes of an order, and of an answer, at most.
pub(crate) const LINE_BYTES_MAX: u64 = 4_096;

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Mode {
    /// Everything goes through.
    Pass,
    /// Nothing listens, and open connections are closed.
    Refuse,
    /// Connections are taken, and nothing goes through.
    BlackHole,
    /// Connections are reset.
    Reset,
    /// Each piece of data is delayed, and the rate is bounded.
    Slow {
        /// Delay of a piece, milliseconds.
        latency_ms: u64,
        /// Bytes per second in each direction of a connection; 0 for no bound.
        bytes_per_s: u64,
    },
}

impl Mode {
    /// What the proxy does, as a verb with its object: "the proxy ...".
    pub fn words(self) -> String {
        match self {
            Mode::Pass => "lets everything through".to_owned(),
            Mode::Refuse => "refuses connections".to_owned(),
            Mode::BlackHole => "swallows everything".to_owned(),
            Mode::Reset => "resets connections".to_owned(),
            Mode::Slow { latency_ms, bytes_per_s: 0 } => format!("delays by {latency_ms} ms"),
            Mode::Slow { latency_ms, bytes_per_s } => {
                format!("delays by {latency_ms} ms, at {bytes_per_s} bytes per second")
            }
        }
    }
}

/// An order to the proxy: a line of JSON on its control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Asks what the proxy does.
    Show,
    /// Tells the proxy what to do.
    Set {
        /// What to do.
        mode: Mode,
        /// After this many milliseconds everything goes through again by itself; 0 for never.
        fallback_ms: u64,
    },
}

/// The proxy's answer: what it does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The address that it listens on.
    pub listen: String,
    /// The address of the database.
    pub upstream: String,
    /// What it does.
    pub mode: Mode,
    /// Connections that go through it.
    pub connections: u64,
}
