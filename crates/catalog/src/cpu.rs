//! Processor time of calls on catalogs, and of whoever works on their answers: it runs on many threads, beside other
//! work.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of all that was counted in this process.
static COUNTED_NS: AtomicU64 = AtomicU64::new(0);

/// Processor time that was counted so far, of the whole process.
pub fn total() -> Duration {
    Duration::from_nanos(COUNTED_NS.load(Ordering::Relaxed))
}

/// Counts the processor time of some work.
pub fn counted<T>(work: impl FnOnce() -> T) -> T {
    let before = of_thread();
    let done = work();
    let took = of_thread().saturating_sub(before);
    COUNTED_NS.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(0), Ordering::Relaxed);
    done
}

/// Counts the processor time of a future, whatever threads it runs on.
pub async fn counted_future<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| counted(|| future.as_mut().poll(context))).await
}

/// Processor time that this thread has taken so far.
fn of_thread() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_counted_and_waiting_is_not() {
        let before = total();
        counted_future(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let began = of_thread();
            while of_thread() < began + Duration::from_millis(20) {}
        })
        .await;
        let took = total() - before;
        assert!(took >= Duration::from_millis(20), "{took:?}");
    }
}
