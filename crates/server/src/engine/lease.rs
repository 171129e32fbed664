//! The keeper of one root's lease: it carries out what the core decides, beside the driver, so that
//! a long batch does not cost the lease.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use focus_catalog::{Catalog, Reach, RootPlace};
use focus_core::lease::{Grant, Lease, LeaseDone, LeaseJob, LeaseNext, LeaseState};
use focus_core::reconcile::Right;
use focus_crash::{Point, Step, here};
use focus_index::{Index, RootId, RootMemory};
use tokio::sync::{Notify, watch};

use super::clock;

/// A lease, shared by its keeper, the driver and the status.
#[derive(Debug)]
pub(crate) struct LeaseSide {
    lease: Mutex<Lease>,
    /// Tells the driver of every change.
    news: watch::Sender<u64>,
    /// Tells the keeper that something was asked of it.
    poke: Notify,
}

impl LeaseSide {
    /// The lease as the index remembers it.
    pub(crate) fn new(me: &str, memory: &RootMemory, length_ms: u64) -> Arc<LeaseSide> {
        Arc::new(LeaseSide {
            lease: Mutex::new(Lease::new(me, memory.token, memory.token_seen, length_ms)),
            news: watch::Sender::new(0),
            poke: Notify::new(),
        })
    }

    /// Whether, and how long, may be written now.
    pub(crate) fn right(&self) -> Right {
        self.with(|lease| match (lease.grant(), lease.state()) {
            (Some(grant), _) => Right::Granted(grant),
            (None, LeaseState::Standby) => Right::Standby,
            (None, _) => Right::Unknown,
        })
    }

    /// Follows the changes.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// A document under this token was met, not below ours.
    pub(crate) fn met(&self, token: i64) {
        self.with(|lease| lease.met(token));
        self.poke.notify_one();
    }

    /// Whose it is, by whom, under which token of ours, and how often it was lost.
    pub(crate) fn view(&self) -> (LeaseState, Option<String>, Option<Grant>, u64) {
        self.with(|lease| {
            (lease.state(), lease.holder().map(str::to_owned), lease.grant(), lease.lost())
        })
    }

    /// Gives it up, and waits for that for a while. The keeper has to run.
    pub(crate) async fn release(&self) {
        let mut news = self.news();
        self.with(Lease::release);
        self.poke.notify_one();
        let over = async {
            while !self.with(|lease| lease.is_over()) {
                if news.changed().await.is_err() {
                    return;
                }
            }
        };
        // Where the catalog does not answer, a standby waits for the lease to lapse.
        let _ = tokio::time::timeout(Duration::from_millis(1_500), over).await;
    }

    fn with<T>(&self, work: impl FnOnce(&mut Lease) -> T) -> T {
        work(&mut self.lease.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps the lease until it is aborted, or has been released.
pub(crate) async fn keep(
    side: Arc<LeaseSide>,
    catalog: Arc<dyn Catalog>,
    index: Index,
    id: RootId,
    place: RootPlace,
) {
    let mut reach = catalog.reach();
    reach.mark_changed();
    let (mut stored, mut shown) = (0, None);
    loop {
        if reach.has_changed().unwrap_or(false) {
            let now = reach.borrow_and_update().clone();
            side.with(|lease| match now {
                Reach::Connecting => {}
                Reach::Up { epoch } => lease.up(epoch),
                Reach::Down { .. } => lease.down(),
            });
        }
        let (next, known, over) =
            side.with(|lease| (lease.next(clock::boot_ms()), lease.known(), lease.is_over()));
        let show = (side.right(), over);
        if shown.replace(show) != Some(show) {
            side.news.send_modify(|count| *count += 1);
        }
        if over {
            return;
        }
        // A token that could not be stored is stored with the next one.
        if known > stored && index.set_token_seen(id, known).await.is_ok() {
            stored = known;
        }
        match next {
            LeaseNext::Run(job) => {
                let done = carry_out(&*catalog, &place, job).await;
                tell(&side, &place, done);
            }
            LeaseNext::Wait { until_ms } => {
                let wait = Duration::from_millis(until_ms.saturating_sub(clock::boot_ms()).max(1));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = side.poke.notified() => {}
                    _ = reach.changed() => reach.mark_changed(),
                }
            }
            LeaseNext::Idle => tokio::select! {
                () = side.poke.notified() => {}
                _ = reach.changed() => reach.mark_changed(),
            },
        }
    }
}

async fn carry_out(catalog: &dyn Catalog, place: &RootPlace, job: LeaseJob) -> LeaseDone {
    match job {
        LeaseJob::Read => LeaseDone::Read(catalog.lease(place).await),
        LeaseJob::Draw { above } => {
            let drawn = catalog.draw_token(above).await;
            here(Point::At(Step::TokenDrawn));
            LeaseDone::Drawn(drawn)
        }
        LeaseJob::Put { expected, new } => {
            let same = expected.as_ref().is_some_and(|old| old.token == new.token);
            let (before, after) = match (new.released, same) {
                (true, _) => (Some(Step::BeforeRelease), Step::AfterRelease),
                (false, true) => (Some(Step::BeforeRenew), Step::AfterRenew),
                (false, false) => (None, Step::LeaseTaken),
            };
            before.map(Point::At).into_iter().for_each(here);
            let put = catalog.put_lease(place, expected.as_ref(), &new).await;
            here(Point::At(after));
            LeaseDone::Put(put)
        }
    }
}

/// Hands in a result, and logs what people want to know of it.
fn tell(side: &LeaseSide, place: &RootPlace, done: LeaseDone) {
    let (before, after, holder, lost) = side.with(|lease| {
        let before = (lease.state(), lease.lost());
        lease.done(clock::boot_ms(), done);
        (before, lease.state(), lease.holder().unwrap_or("nobody").to_owned(), lease.lost())
    });
    if lost > before.1 {
        tracing::warn!(
            "{}: the lease is lost to {holder}: nothing more is written until it is ours again",
            place.path
        );
    } else if after == LeaseState::Standby && before.0 != LeaseState::Standby {
        tracing::info!("{}: {holder} has the lease: standing by", place.path);
    } else if after == LeaseState::Held && before.0 == LeaseState::Standby {
        tracing::info!("{}: the lease is ours", place.path);
    }
}
