//! Ctrl-C and its relatives: a drill that is interrupted ends its outage and cleans up.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::early_end::EarlyEnd;

/// The signals that interrupt a drill. While it exists, they do not end the process.
pub(super) struct Interrupt {
    seen: watch::Receiver<Option<&'static str>>,
}

impl Interrupt {
    /// Begins to listen for SIGINT, SIGTERM and SIGHUP.
    ///
    /// # Errors
    /// The process cannot handle signals.
    pub(super) fn listen() -> anyhow::Result<Interrupt> {
        let (mut terminate, mut interrupt, mut hangup) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        );
        let (sender, seen) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "Ctrl-C",
                    _ = hangup.recv() => "SIGHUP",
                };
                sender.send_replace(Some(name));
            }
        });
        Ok(Interrupt { seen })
    }

    /// Waits for a signal; at once where one has come already.
    pub(super) async fn wait(&mut self) -> EarlyEnd {
        match self.seen.wait_for(Option::is_some).await {
            Ok(name) => EarlyEnd::inconclusive(format!(
                "interrupted by {}: the outage was ended and everything was cleaned up",
                name.unwrap_or("a signal")
            )),
            Err(_) => std::future::pending().await,
        }
    }
}
