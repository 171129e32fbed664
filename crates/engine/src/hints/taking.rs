//! Hints from outside come in here, whoever brought them: each is told by its path alone whether it can name a recording
//! or a folder of a root, and waits there to be looked at.

use std::collections::VecDeque;
use std::time::Duration;

use focus_common::metrics::counters;
use focus_core::hint::{Hints, Target};
use tokio::time::{Instant, sleep};

use crate::engine::Engine;
use crate::inbox::Inbox;

/// How long those who bring hints wait for room at most; then a scan finds what they tell of.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries while there is no room.
const ROOM_LOOK: Duration = Duration::from_millis(10);

/// Hints handed over at once, so that a message with very many takes little memory, and others come in between.
const TOGETHER: usize = 512;

/// What was made of the hints of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HintCounts {
    /// They have the form of a name that can be a recording's or a folder's, lie in a root, and are not excluded.
    pub accepted: u64,
    /// All others.
    pub ignored: u64,
}

impl Engine {
    /// Takes the hints of a message from `source`, and returns once all of them are on their way. That takes as long as
    /// there is no room.
    pub async fn take_hints(&self, hints: &Hints, source: &str) -> HintCounts {
        let deadline = Instant::now() + ROOM_PATIENCE;
        let mut counts = HintCounts { accepted: 0, ignored: hints.nameless };
        let mut queues: Vec<VecDeque<Target>> =
            self.hinted.iter().map(|_| VecDeque::new()).collect();
        for (n, (path, name)) in hints.iter().enumerate() {
            let mut is_accepted = false;
            for (root, queue) in self.hinted.iter().zip(&mut queues) {
                if name.is_some_and(|name| !root.is_named(name)) {
                    continue;
                }
                if let Some(target) = root.target(path) {
                    is_accepted = true;
                    queue.push_back(target);
                }
            }
            *if is_accepted { &mut counts.accepted } else { &mut counts.ignored } += 1;
            if (n + 1) % TOGETHER == 0 {
                self.hand_over(&mut queues, deadline).await;
            }
        }
        self.hand_over(&mut queues, deadline).await;
        count(source, counts);
        counts
    }

    /// Counts a message that holds no hint.
    pub fn ignore_message(&self, source: &str) {
        count(source, HintCounts { accepted: 0, ignored: 1 });
    }

    /// Hints were lost on their way: a scan takes their place, one a minute at most.
    pub fn hints_lost(&self) {
        self.hinted.iter().for_each(|root| root.inbox().outside_overflowed());
    }

    async fn hand_over(&self, queues: &mut [VecDeque<Target>], deadline: Instant) {
        for (root, queue) in self.hinted.iter().zip(queues) {
            hand_over(root.inbox(), queue, deadline).await;
        }
        tokio::task::yield_now().await;
    }
}

async fn hand_over(inbox: &Inbox, queue: &mut VecDeque<Target>, deadline: Instant) {
    loop {
        inbox.hint_outside(queue);
        if queue.is_empty() {
            return;
        }
        if Instant::now() >= deadline {
            inbox.outside_overflowed();
            queue.clear();
            return;
        }
        sleep(ROOM_LOOK).await;
    }
}

fn count(source: &str, counts: HintCounts) {
    let hints = |result| counters().hints.with_label_values(&[source, result]);
    hints("accepted").inc_by(counts.accepted);
    hints("ignored").inc_by(counts.ignored);
}
