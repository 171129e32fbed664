//! The keeper of one root's lease: it carries out what the core decides, beside the driver, so that
//! a long batch does not cost the lease.

use std::sync::Arc;
use std::time::Duration;

use focus_catalog::{Catalog, Reach, RootPlace};
use focus_core::answer::{Class, Failure};
use focus_core::lease::{Grant, LastHolder, Lease, LeaseDone, LeaseJob, LeaseNext, LeaseState};
use focus_core::marker_place::MarkerPlace;
use focus_core::reconcile::Right;
use focus_crash::{Point, Step, here};
use focus_index::{Index, RootId, RootMemory};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use focus_common::clock;

/// A call of the lease that keeps failing is told after this, milliseconds: an outage lets a call or two
/// fail before it is noticed, and is told as an outage.
const STANDS_MS: u64 = 2_000;

/// Why the lease cannot be had or kept, though the catalog is there.
#[derive(Clone, Debug)]
struct Trouble {
    failure: Failure,
    /// What could not be done, of what.
    words: String,
    /// Which kind of job fails.
    kind: std::mem::Discriminant<LeaseDone>,
    since_ms: u64,
    /// A call that has not failed again by then is needed no more: the lease is another's.
    until_ms: u64,
    logged: bool,
}

impl Trouble {
    /// It is more than an outage that begins.
    fn stands(&self, now_ms: u64) -> bool {
        let refused = self.failure.class == Class::RefusedClient;
        now_ms < self.until_ms && (refused || now_ms.saturating_sub(self.since_ms) >= STANDS_MS)
    }
}

/// A lease, shared by its keeper, the driver and the status.
#[derive(Debug)]
pub(crate) struct LeaseKeeper {
    lease: Mutex<Lease>,
    trouble: Mutex<Option<Trouble>>,
    length_ms: u64,
    /// Tells the driver of every change.
    news: watch::Sender<u64>,
    /// Tells the keeper that something was asked of it.
    poke: Notify,
}

impl LeaseKeeper {
    /// The lease as the index remembers it.
    pub(crate) fn new(me: &str, memory: &RootMemory, length_ms: u64) -> Arc<LeaseKeeper> {
        Arc::new(LeaseKeeper {
            lease: Mutex::new(Lease::new(me, memory.token, memory.token_seen, length_ms)),
            trouble: Mutex::new(None),
            length_ms,
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

    /// This server has the root there.
    pub(crate) fn set_place(&self, at: MarkerPlace) {
        self.with(|lease| lease.set_place(at));
    }

    /// Where another server has the root of which ours is a copy; none where it is none.
    pub(crate) fn copy_of(&self) -> Option<MarkerPlace> {
        self.with(|lease| lease.copy_of().cloned())
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
            let grant = lease.grant();
            // Ours, and not renewed for so long that it may be anybody's.
            let lapsed = grant.is_some_and(|grant| grant.until_ms <= clock::boot_ms());
            let state = match lease.state() {
                LeaseState::Held if lapsed => LeaseState::Unknown,
                state => state,
            };
            (state, lease.holder().map(str::to_owned), grant, lease.lost())
        })
    }

    /// Another holder was seen to renew it in this connection.
    pub(crate) fn was_renewed(&self) -> bool {
        self.with(|lease| lease.was_renewed())
    }

    /// The token under which it is ours now; none where it is not.
    pub(crate) fn token_held(&self) -> Option<i64> {
        let (state, _, grant, _) = self.view();
        grant.filter(|_| state == LeaseState::Held).map(|grant| grant.token)
    }

    /// Who held it last, as far as this server knows.
    pub(crate) fn last_holder(&self) -> LastHolder {
        self.with(|lease| lease.last_holder())
    }

    /// Why it cannot be had or kept though the catalog is there, and what to do.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        let now_ms = clock::boot_ms();
        trouble.as_ref().filter(|one| one.stands(now_ms)).map(|one| one.words.clone())
    }

    /// What was said on another connection says nothing of this one.
    fn forget_trouble(&self) {
        *self.trouble.lock() = None;
    }

    /// Keeps what a call failed with until one of its kind succeeds, and logs it once.
    fn hear(&self, place: &RootPlace, done: &LeaseDone) {
        let mut trouble = self.trouble.lock();
        let kind = std::mem::discriminant(done);
        let Some((failure, words)) = told(place, done) else {
            // A lease that can be read may still not be written.
            let over = matches!(done, LeaseDone::Put(_));
            if over || trouble.as_ref().is_some_and(|trouble| trouble.kind == kind) {
                *trouble = None;
            }
            return;
        };
        let now_ms = clock::boot_ms();
        let before = trouble.take().filter(|before| now_ms < before.until_ms);
        let since_ms = before.as_ref().map_or(now_ms, |before| before.since_ms);
        let until_ms = now_ms.saturating_add(self.length_ms.saturating_mul(2));
        // Two that differ in their words alone are no news.
        let logged = before.is_some_and(|before| {
            let same = (before.failure.class, before.failure.code) == (failure.class, failure.code);
            same && before.logged
        });
        let failure = failure.clone();
        let mut trouble_now = Trouble { failure, words, kind, since_ms, until_ms, logged };
        if !trouble_now.logged && trouble_now.stands(now_ms) {
            tracing::warn!("{}", trouble_now.words);
            trouble_now.logged = true;
        }
        *trouble = Some(trouble_now);
    }

    /// Gives the lease up, for as long as this process lives.
    pub(crate) fn give_up(&self) {
        self.with(Lease::release);
        self.poke.notify_one();
    }

    /// Gives the lease up, and waits for that for a while. The keeper has to run.
    pub(crate) async fn release(&self) {
        let mut news = self.news();
        self.give_up();
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
        work(&mut self.lease.lock())
    }
}

/// Keeps the lease until it is aborted, or has been released.
pub(crate) async fn keep(
    side: Arc<LeaseKeeper>,
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
            side.forget_trouble();
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

/// Why a server on a copy of the root stands by, and what to do.
pub(crate) fn told_of_copy(place: &RootPlace, of: &MarkerPlace) -> String {
    let (path, id) = (&place.path, &place.id);
    let there = format!("{} on {}", of.path, of.host);
    format!(
        "the root {path} has the marker of the root {there}, and is another folder: a copy of it. This server stands by, and nothing here counts as present or absent in the catalog. If both are to stay, make this one a root of its own with `focus init --root {path} --new`, and restart. If this one is to take the place of {there}, which is gone for good: remove the lease (db.focus_meta.deleteOne({{_id: \"lease:{id}\"}})), and restart"
    )
}

/// What a call failed with, in words that say what could not be done, of what, and what follows.
fn told<'a>(place: &RootPlace, done: &'a LeaseDone) -> Option<(&'a Failure, String)> {
    let lease = format!("the lease of {} (lease:{} in focus_meta)", place.path, place.id);
    let (failure, what) = match done {
        LeaseDone::Read(Err(failure)) => (failure, format!("{lease} cannot be read")),
        LeaseDone::Put(Err(failure)) => (failure, format!("{lease} cannot be written")),
        LeaseDone::Drawn(Err(failure)) => (
            failure,
            format!("{lease} cannot be had: its next token (token in focus_meta) cannot be drawn"),
        ),
        _ => return None,
    };
    let words = format!("{what}, and nothing is written to the catalog until it can be: {failure}");
    Some((failure, words))
}

/// Hands in a result, and logs what people want to know of it.
fn tell(side: &LeaseKeeper, place: &RootPlace, done: LeaseDone) {
    side.hear(place, &done);
    let (before, after, holder, lost) = side.with(|lease| {
        let before = (lease.state(), lease.lost(), lease.copy_of().is_some());
        lease.done(clock::boot_ms(), done);
        (before, lease.state(), lease.holder().unwrap_or("nobody").to_owned(), lease.lost())
    });
    if let Some(of) = side.copy_of().filter(|_| !before.2) {
        tracing::warn!("{}", told_of_copy(place, &of));
    }
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
