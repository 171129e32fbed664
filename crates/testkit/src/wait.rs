//! Waiting for a state, with a bound. A test never sleeps for an edge.

use std::future::Future;
use std::time::{Duration, Instant};

/// Asks until the answer is `Ok`.
///
/// # Panics
/// The state is not reached within `limit`. The message has the last answer.
pub async fn until<T, F: Future<Output = Result<T, String>>>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        match ask().await {
            Ok(value) => return value,
            Err(last) if began.elapsed() > limit => {
                panic!("{what}: not within {} ms; last: {last}", limit.as_millis())
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
