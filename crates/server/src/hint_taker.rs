//! What comes in by queues goes to the engine, whichever engine there is.

use std::sync::Arc;

use async_trait::async_trait;
use focus_core::hint::{Envelope, parse};
use focus_engine::Engine;
use focus_hints::{Taken, Taker};
use tokio::sync::watch;

/// Takes the messages of all queues.
#[derive(Debug)]
pub(crate) struct HintTaker {
    engines: watch::Receiver<Arc<Engine>>,
}

impl HintTaker {
    pub(crate) fn new(engines: watch::Receiver<Arc<Engine>>) -> HintTaker {
        HintTaker { engines }
    }

    fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engines.borrow())
    }
}

#[async_trait]
impl Taker for HintTaker {
    async fn take(&self, kind: &'static str, body: &[u8], envelope: Envelope<'_>) -> Taken {
        let engine = self.engine();
        match parse(body, envelope) {
            Ok(hints) => {
                let counts = engine.take_hints(&hints, kind).await;
                Taken { accepted: counts.accepted, ignored: counts.ignored }
            }
            Err(problem) => {
                tracing::debug!("a message by {kind} holds no hint: {problem}");
                engine.ignore_message(kind);
                Taken { accepted: 0, ignored: 1 }
            }
        }
    }

    fn refuse(&self, kind: &'static str) {
        self.engine().ignore_message(kind);
    }

    fn lost(&self) {
        self.engine().hints_lost();
    }
}
