//! The task of a queue: it connects, takes messages, and begins anew when the connection ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use focus_common::config::{Broker, HintQueue, SERVER};
use focus_common::status::{HintQueueState, HintQueueStatus};
use focus_core::hint::Envelope;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::{MESSAGE_BYTES_MAX, Taken, Taker, amqp, mqtt, nats};

/// Between two tries to connect, at first and at last. A broker that comes back is found within the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// How long a broker may take to answer a call.
pub(crate) const CALL: Duration = Duration::from_secs(5);

/// A connection that has lasted for so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// All queues of a server.
#[derive(Debug)]
pub struct HintQueues {
    links: Vec<Arc<Link>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl HintQueues {
    /// Begins to listen to all queues. `identity` is that of the state folder.
    pub fn begin(queues: &[HintQueue], identity: &str, taker: Arc<dyn Taker>) -> HintQueues {
        let links: Vec<Arc<Link>> = queues
            .iter()
            .map(|queue| Arc::new(Link::new(queue, identity, Arc::clone(&taker))))
            .collect();
        let tasks = links.iter().map(|link| tokio::spawn(listen(Arc::clone(link)))).collect();
        HintQueues { links, tasks: Mutex::new(tasks) }
    }

    /// How each queue is.
    pub fn status(&self) -> Vec<HintQueueStatus> {
        self.links.iter().map(|link| link.status.lock().clone()).collect()
    }

    /// Ends all connections.
    pub fn stop(&self) {
        std::mem::take(&mut *self.tasks.lock()).iter().for_each(JoinHandle::abort);
    }
}

/// A queue, for the one who speaks with its broker.
pub(crate) struct Link {
    /// The address, with credentials.
    pub(crate) url: String,
    pub(crate) ca_file: Option<PathBuf>,
    broker: Broker,
    identity: String,
    taker: Arc<dyn Taker>,
    status: Mutex<HintQueueStatus>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("status", &*self.status.lock()).finish_non_exhaustive()
    }
}

impl Link {
    fn new(queue: &HintQueue, identity: &str, taker: Arc<dyn Taker>) -> Link {
        let status = HintQueueStatus {
            name: queue.name.clone(),
            kind: queue.broker.kind().to_owned(),
            ..HintQueueStatus::default()
        };
        Link {
            url: queue.url.expose().unwrap_or_default().to_owned(),
            ca_file: queue.ca_file.clone(),
            broker: queue.broker.clone(),
            identity: identity.to_owned(),
            taker,
            status: Mutex::new(status),
        }
    }

    /// A name of the settings, in which `{server}` stands for this server.
    pub(crate) fn named(&self, name: &str) -> String {
        name.replace(SERVER, &self.identity)
    }

    /// The name by which a broker knows this server's session: it stays while the state folder does.
    pub(crate) fn client_id(&self) -> String {
        format!("focus-{}-{}", self.identity, self.status.lock().name)
    }

    /// Messages come in from now on.
    pub(crate) fn connected(&self) {
        let mut status = self.status.lock();
        tracing::info!("the queue {:?} is connected", status.name);
        (status.state, status.reason) = (HintQueueState::Connected, None);
    }

    /// Takes a message. It can be acknowledged afterwards.
    pub(crate) async fn take(&self, body: &[u8], envelope: Envelope<'_>) {
        if body.len() > MESSAGE_BYTES_MAX {
            return self.refuse();
        }
        let taken = self.taker.take(self.broker.kind(), body, envelope).await;
        self.count(taken);
    }

    /// Counts a message that is too large.
    pub(crate) fn refuse(&self) {
        self.taker.refuse(self.broker.kind());
        self.count(Taken { accepted: 0, ignored: 1 });
    }

    fn count(&self, taken: Taken) {
        let mut status = self.status.lock();
        status.received += taken.accepted + taken.ignored;
        status.accepted += taken.accepted;
    }

    /// Messages were lost on their way.
    pub(crate) fn lost(&self) {
        self.taker.lost();
    }

    fn failing(&self, reason: &str) {
        let reason = self.without_secrets(reason);
        let mut status = self.status.lock();
        if status.reason.as_ref() != Some(&reason) {
            tracing::warn!("the queue {:?}: {reason}; it is tried again", status.name);
        }
        (status.state, status.reason) = (HintQueueState::Failing, Some(reason));
    }

    /// The words of a library may hold the address that it was given.
    fn without_secrets(&self, reason: &str) -> String {
        let mut reason = reason.replace(&self.url, "the broker");
        let after_scheme = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        if let Some((credentials, _)) = after_scheme.rsplit_once('@') {
            let parts = credentials.split(':').chain([credentials]).filter(|part| part.len() > 2);
            parts.for_each(|part| reason = reason.replace(part, "***"));
        }
        reason
    }
}

/// Listens to a queue for ever.
async fn listen(link: Arc<Link>) {
    let mut wait = RETRY.0;
    loop {
        let began = Instant::now();
        let reason = match &link.broker {
            Broker::Nats { subject, durable } => {
                nats::session(&link, subject, durable.as_ref()).await
            }
            Broker::Amqp { queue, binding } => {
                let binding = binding.as_ref().map(|(exchange, key)| (&**exchange, &**key));
                amqp::session(&link, amqp::Wanted { queue, binding }).await
            }
            Broker::Mqtt { topic } => mqtt::session(&link, topic).await,
        };
        link.failing(&reason);
        if began.elapsed() > GOOD {
            wait = RETRY.0;
        }
        sleep(wait.mul_f64(jitter())).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

/// Servers whose broker went do not all come back at the same time.
fn jitter() -> f64 {
    0.5 + fastrand::f64() / 2.0
}
