//! Claims on paths and uuids: of two requests for one of them, the second waits until the index has what the first one
//! handed over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How long a claim is waited for. The one before has to wait for storage and index.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is claimed now.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    taken: Mutex<HashSet<String>>,
    freed: Notify,
}

/// A path and a uuid, claimed until this is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Claims>,
    keys: [String; 2],
}

impl Claims {
    /// Claims a path and a uuid. None: others have one of them for longer than is waited.
    pub(crate) async fn take(self: &Arc<Self>, path: String, uuid: &str) -> Option<Claim> {
        let keys = [format!("path {path}"), format!("uuid {uuid}")];
        let taking = async {
            loop {
                let mut freed = std::pin::pin!(self.freed.notified());
                // Listening begins before the look, so that nothing is missed in between.
                freed.as_mut().enable();
                if self.try_take(&keys) {
                    return;
                }
                freed.await;
            }
        };
        tokio::time::timeout(PATIENCE, taking).await.ok()?;
        Some(Claim { claims: Arc::clone(self), keys })
    }

    fn try_take(&self, keys: &[String; 2]) -> bool {
        let mut taken = self.taken.lock();
        if keys.iter().any(|key| taken.contains(key)) {
            return false;
        }
        taken.extend(keys.iter().cloned());
        true
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut taken = self.claims.taken.lock();
        for key in &self.keys {
            taken.remove(key);
        }
        drop(taken);
        self.claims.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_or_a_uuid_is_claimed_by_one_at_a_time() {
        let claims = Arc::new(Claims::default());
        let first = claims.take("a".to_owned(), "u").await.expect("free");
        let other = claims.take("b".to_owned(), "v").await.expect("free");
        for (path, uuid) in [("a", "w"), ("c", "u")] {
            let second = claims.take(path.to_owned(), uuid);
            let waits = tokio::time::timeout(Duration::from_millis(20), second).await;
            assert!(waits.is_err(), "{path} {uuid}");
        }
        let waiting = Arc::clone(&claims);
        let waiting =
            tokio::spawn(async move { waiting.take("a".to_owned(), "u").await.is_some() });
        drop(first);
        assert!(waiting.await.expect("it ends"));
        drop(other);
        assert!(claims.taken.lock().is_empty());
    }
}
