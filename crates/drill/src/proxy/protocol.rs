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
    /// Each piece of data is delayed, and there are few of them per second.
    Slow {
        /// Delay of a piece.
        latency_ms: u64,
        /// Bytes per second and direction of a connection; 0: no bound.
        bytes_per_s: u64,
    },
}

impl Mode {
    /// What the proxy does, as the end of a sentence.
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
    /// Tell what you do.
    Show,
    /// Do this.
    Set {
        /// What to do.
        mode: Mode,
        /// After so long everything goes through again by itself; 0: never.
        fallback_ms: u64,
    },
}

/// The proxy's answer: what it does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Where it listens.
    pub listen: String,
    /// Where it leads.
    pub upstream: String,
    /// What it does.
    pub mode: Mode,
    /// Connections that go through it.
    pub connections: u64,
}
