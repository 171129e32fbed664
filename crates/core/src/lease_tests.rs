use super::*;
use crate::answer::Failure;
use crate::marker_place::MarkerPlace;

const LENGTH: u64 = 10_000;

/// A catalog's lease and token counter, with answers that may be lost.
#[derive(Default)]
struct World {
    doc: Option<LeaseDoc>,
    counter: i64,
}

impl World {
    fn answer(&mut self, job: &LeaseJob) -> LeaseDone {
        match job {
            LeaseJob::Read => LeaseDone::Read(Ok(self.doc.clone())),
            LeaseJob::Draw { above } => {
                self.counter = self.counter.max(*above) + 1;
                LeaseDone::Drawn(Ok(self.counter))
            }
            LeaseJob::Put { expected, new } => {
                let as_expected = match (&self.doc, expected) {
                    (Some(stored), Some(expected)) => stored.is_same_state(expected),
                    (stored, expected) => stored.is_none() && expected.is_none(),
                };
                if as_expected {
                    self.doc = Some(new.clone());
                }
                LeaseDone::Put(Ok(as_expected))
            }
        }
    }

    /// Runs a server's lease until it waits; returns until when.
    fn run(&mut self, lease: &mut Lease, now_ms: u64) -> Option<u64> {
        for _ in 0..20 {
            match lease.next(now_ms) {
                LeaseNext::Run(job) => {
                    let done = self.answer(&job);
                    lease.done(now_ms, done);
                }
                LeaseNext::Wait { until_ms } => return Some(until_ms),
                LeaseNext::Idle => return None,
            }
        }
        panic!("it never waits");
    }

    /// Runs it over some time.
    fn run_for(&mut self, lease: &mut Lease, from_ms: u64, for_ms: u64) -> u64 {
        let mut now_ms = from_ms;
        while now_ms < from_ms + for_ms {
            now_ms = self.run(lease, now_ms).unwrap_or(from_ms + for_ms).min(from_ms + for_ms);
        }
        self.run(lease, now_ms);
        now_ms
    }
}

fn up(name: &str, held: i64) -> Lease {
    let mut lease = Lease::new(name, held, held, LENGTH);
    lease.up(1);
    lease
}

fn writes(lease: &Lease, now_ms: u64) -> bool {
    lease.grant().is_some_and(|grant| now_ms < grant.until_ms && grant.epoch == 1)
}

#[test]
fn nobodys_lease_is_taken_at_once_and_renewed_in_time() {
    let (mut world, mut a) = (World::default(), up("a", 0));
    world.run(&mut a, 100);
    assert!(writes(&a, 100));
    assert_eq!(a.grant().map(|grant| (grant.token, grant.continuous)), Some((1, false)));
    for now_ms in (100..100_000).step_by(100) {
        world.run(&mut a, now_ms);
        assert!(writes(&a, now_ms));
    }
    assert_eq!(world.doc.as_ref().map(|doc| doc.token), Some(1));
}

#[test]
fn a_challenger_waits_the_whole_length_and_no_longer() {
    let (mut world, mut a, mut b) = (World::default(), up("a", 0), up("b", 0));
    world.run(&mut a, 0);
    world.run_for(&mut b, 100, LENGTH - 100);
    assert_eq!(b.state(), LeaseState::Standby);
    assert!(!writes(&b, LENGTH) && !writes(&a, LENGTH));
    world.run_for(&mut b, LENGTH, 700);
    assert!(writes(&b, LENGTH + 700));
    // The one that slept finds out before it writes.
    world.run(&mut a, LENGTH + 700);
    assert!(a.grant().is_none());
    assert_eq!((a.state(), a.lost(), a.holder()), (LeaseState::Standby, 1, Some("b")));
}

#[test]
fn who_held_the_lease_last_is_known_in_an_outage_and_whether_it_lives_only_by_its_renewals() {
    let (mut world, mut a, mut b) = (World::default(), up("a", 0), up("b", 0));
    assert_eq!(b.last_holder(), LastHolder::Me, "nobody is known");
    world.run(&mut a, 0);
    world.run_for(&mut b, 0, 1_000);
    assert_eq!((a.last_holder(), b.last_holder()), (LastHolder::Me, LastHolder::Other));
    let now_ms = world.run_for(&mut a, 1_000, LENGTH / 2);
    world.run_for(&mut b, now_ms, 1_000);
    assert_eq!(b.last_holder(), LastHolder::OtherRenews);
    let now_ms = world.run_for(&mut b, now_ms + 1_000, LENGTH * 2 / 3);
    assert_eq!((b.last_holder(), b.was_renewed()), (LastHolder::Other, true), "overdue");
    // An outage: the holder may die in it.
    for lease in [&mut a, &mut b] {
        lease.down();
    }
    assert_eq!((a.last_holder(), b.last_holder()), (LastHolder::Me, LastHolder::Other));
    b.up(2);
    let now_ms = world.run_for(&mut b, now_ms + 1_000, LENGTH - 1_000);
    assert_eq!(b.last_holder(), LastHolder::Other);
    world.run_for(&mut b, now_ms, LENGTH);
    assert_eq!((b.last_holder(), b.was_renewed()), (LastHolder::Me, false));
}

#[test]
fn the_length_counts_from_the_sending_of_a_renewal() {
    let (mut world, mut a) = (World::default(), up("a", 0));
    world.run(&mut a, 0);
    let due = world.run(&mut a, 0).expect("it waits");
    let LeaseNext::Run(job) = a.next(due) else { panic!("a renewal is due") };
    let done = world.answer(&job);
    a.done(due + 5_000, done);
    assert_eq!(a.grant().map(|grant| grant.until_ms), Some(due + LENGTH - LENGTH / 5));
}

#[test]
fn a_pause_a_failed_read_and_a_reconnect_start_the_challenge_again() {
    for hindrance in 0..3 {
        let (mut world, mut a, mut b) = (World::default(), up("a", 0), up("b", 0));
        world.run(&mut a, 0);
        let now_ms = world.run_for(&mut b, 0, LENGTH - 400);
        let after_ms = match hindrance {
            0 => now_ms + 2_500,
            1 => {
                let at = world.run(&mut b, now_ms).expect("it waits");
                let LeaseNext::Run(LeaseJob::Read) = b.next(at) else { panic!("a read is due") };
                b.done(at, LeaseDone::Read(Err(Failure::transient("lost"))));
                at
            }
            _ => {
                b.up(2);
                now_ms
            }
        };
        world.run_for(&mut b, after_ms, LENGTH - 1_000);
        assert_eq!(b.state(), LeaseState::Standby, "hindrance {hindrance}");
        world.run_for(&mut b, after_ms + LENGTH - 1_000, 2_500);
        assert_eq!(b.state(), LeaseState::Held, "hindrance {hindrance}");
    }
}

#[test]
fn after_an_outage_the_last_holder_goes_first() {
    let (mut world, mut a, mut b) = (World::default(), up("a", 0), up("b", 0));
    world.run(&mut a, 0);
    world.run_for(&mut b, 0, 3_000);
    a.down();
    b.down();
    a.up(2);
    b.up(2);
    world.run(&mut b, 60_000);
    assert!(a.grant().is_some_and(|grant| grant.epoch == 1), "nothing of this connection yet");
    world.run(&mut a, 60_000);
    assert_eq!(a.grant().map(|grant| (grant.epoch, grant.token)), Some((2, 1)));
    assert_eq!(b.state(), LeaseState::Standby);
}

#[test]
fn a_restart_with_the_same_state_folder_resumes_at_once_under_a_new_token() {
    let (mut world, mut a) = (World::default(), up("a", 0));
    world.run(&mut a, 0);
    let mut again = up("a", 1);
    world.run(&mut again, 10);
    assert_eq!(again.grant().map(|grant| (grant.token, grant.continuous)), Some((2, true)));
    // The process before, should it wake, is out: it does not take it back.
    world.run_for(&mut a, 3_000, 100);
    assert!(a.grant().is_none());
    assert_eq!(world.doc.as_ref().map(|doc| doc.token), Some(2));
}

#[test]
fn a_token_that_the_index_did_not_store_is_no_continuation() {
    let (mut world, mut a) = (World::default(), up("a", 0));
    world.run(&mut a, 0);
    let mut again = up("a", 0);
    world.run(&mut again, 10);
    assert_eq!(again.grant().map(|grant| (grant.token, grant.continuous)), Some((2, false)));
}

#[test]
fn a_released_lease_is_taken_at_once() {
    let (mut world, mut a, mut b) = (World::default(), up("a", 0), up("b", 0));
    world.run(&mut a, 0);
    let poll = world.run(&mut b, 100).expect("it waits");
    a.release();
    world.run(&mut a, 200);
    assert!(a.is_over() && a.grant().is_none());
    world.run(&mut b, poll);
    assert!(poll <= 600 && writes(&b, poll));
}

#[test]
fn a_lost_acknowledgement_of_a_renewal_or_a_taking_heals_itself() {
    let (mut world, mut a) = (World::default(), up("a", 0));
    for now_ms in 0..60_000_u64 {
        while let LeaseNext::Run(job) = a.next(now_ms) {
            let done = world.answer(&job);
            let lost = matches!(done, LeaseDone::Put(_)) && now_ms % 3 != 2;
            let done = if lost { LeaseDone::Put(Err(Failure::transient("lost"))) } else { done };
            a.done(now_ms, done);
        }
    }
    assert!(writes(&a, 60_000));
    assert_eq!(a.lost(), 0);
}

#[test]
fn a_document_under_a_newer_token_makes_the_holder_take_a_higher_one() {
    let (mut world, mut a) = (World::default(), up("a", 0));
    world.run(&mut a, 0);
    a.met(40);
    assert!(a.grant().is_none(), "not before the lease has been read");
    world.run(&mut a, 10);
    assert_eq!(a.grant().map(|grant| (grant.token, grant.continuous)), Some((41, true)));
}

#[test]
fn a_restored_database_with_an_older_holder_is_taken_back_by_the_highest_token() {
    let (mut world, mut a, mut b) = (World::default(), up("a", 0), up("b", 0));
    world.run(&mut a, 0);
    let old = (world.doc.clone(), world.counter);
    world.run_for(&mut b, 0, LENGTH + 1_000);
    assert_eq!(b.grant().map(|grant| grant.token), Some(2));
    world.run(&mut a, 12_000);
    assert_eq!(a.state(), LeaseState::Standby);
    // The copy names a, which knows of a higher token: it challenges like anybody.
    (world.doc, world.counter) = old;
    a.up(2);
    b.up(2);
    world.run(&mut a, 13_000);
    assert_eq!(a.state(), LeaseState::Standby);
    world.run(&mut b, 13_000);
    assert_eq!(b.grant().map(|grant| (grant.epoch, grant.token)), Some((2, 3)));
}

#[test]
fn a_lease_that_is_taken_back_is_disputed_until_the_other_writes_no_more() {
    let (mut world, mut a, mut b) = (World::default(), up("a", 0), up("b", 0));
    world.run(&mut a, 0);
    let old = (world.doc.clone(), world.counter);
    world.run_for(&mut b, 0, LENGTH + 1_000);
    assert_eq!(b.grant().map(|grant| grant.disputed_until_ms), Some(0), "it was waited for");
    // The copy names a, which renews before b has noticed it.
    (world.doc, world.counter) = old;
    a.up(2);
    b.up(2);
    world.run(&mut a, 13_000);
    assert_eq!(a.grant().map(|grant| (grant.epoch, grant.token)), Some((2, 1)));
    world.run(&mut b, 13_100);
    let (mine, theirs) = (b.grant().expect("b's"), a.grant().expect("a does not know yet"));
    assert_eq!((mine.epoch, mine.token), (2, 3));
    assert!(mine.disputed_until_ms > theirs.until_ms && mine.disputed_until_ms <= 13_100 + LENGTH);
}

#[test]
fn a_copy_of_a_state_folder_does_not_take_turns_with_its_original() {
    let (mut world, mut a, mut b) = (World::default(), up("a", 0), up("a", 0));
    world.run(&mut a, 0);
    world.run(&mut b, 10);
    for now_ms in (100..30_000).step_by(100) {
        world.run(&mut a, now_ms);
        world.run(&mut b, now_ms);
        assert!(!(writes(&a, now_ms) && writes(&b, now_ms) && now_ms > 3_000));
    }
    assert_eq!(world.doc.as_ref().map(|doc| doc.token), Some(2));
}

fn at(ctime_ms: i64) -> MarkerPlace {
    let ctime_ns = ctime_ms * 1_000_000;
    MarkerPlace { host: "h".to_owned(), path: "/r".to_owned(), inode: 7, ctime_ns }
}

fn up_at(name: &str, held: i64, ctime_ms: i64) -> Lease {
    let mut lease = up(name, held);
    lease.set_place(at(ctime_ms));
    lease
}

#[test]
fn a_server_on_a_copy_of_the_root_never_takes_the_lease_whatever_happens_to_its_holder() {
    let mut world = World::default();
    let mut holder = up_at("a", 0, 1);
    world.run(&mut holder, 0);
    let mut copy = up_at("c", 0, 2);
    let mut now_ms = world.run_for(&mut copy, 10, 5 * LENGTH);
    assert_eq!((copy.state(), copy.copy_of()), (LeaseState::Standby, Some(&at(1))));
    // The holder fell silent long ago; then it gives the lease up; then somebody removes it.
    holder.release();
    world.run(&mut holder, now_ms);
    assert!(world.doc.as_ref().is_some_and(|doc| doc.released));
    now_ms = world.run_for(&mut copy, now_ms, 3 * LENGTH);
    assert_eq!((copy.grant(), copy.state()), (None, LeaseState::Standby));
    world.doc = None;
    now_ms = world.run_for(&mut copy, now_ms, 3 * LENGTH);
    assert_eq!(copy.grant(), None);
    // It is started anew after the lease was removed: a person has decided.
    let mut again = Lease::new("c", 0, copy.known(), LENGTH);
    again.set_place(at(2));
    again.up(1);
    world.run(&mut again, now_ms);
    assert_eq!(again.state(), LeaseState::Held);
    // A restart alone decides nothing.
    let mut first = up_at("a", 1, 1);
    world.run_for(&mut first, now_ms, 3 * LENGTH);
    assert_eq!((first.state(), first.copy_of()), (LeaseState::Standby, Some(&at(2))));
    again.release();
    world.run(&mut again, now_ms);
    let mut first = up_at("a", 1, 1);
    world.run_for(&mut first, now_ms, 3 * LENGTH);
    assert_eq!((first.grant(), first.state()), (None, LeaseState::Standby));
}

#[test]
fn a_standby_on_the_same_marker_takes_over_as_ever() {
    let mut world = World::default();
    world.run(&mut up_at("a", 0, 1), 0);
    let mut standby = up_at("b", 0, 1);
    world.run_for(&mut standby, 10, 2 * LENGTH);
    assert_eq!((standby.state(), standby.copy_of()), (LeaseState::Held, None));
}

#[test]
fn a_root_that_was_moved_is_taken_by_its_own_state_folder_and_by_a_new_one_once_it_is_released() {
    let mut world = World::default();
    let mut holder = up_at("a", 0, 1);
    world.run(&mut holder, 0);
    // The holder died, and its root was restored elsewhere: the same state folder goes on at once.
    let mut restored = up_at("a", 1, 2);
    world.run(&mut restored, 10);
    assert_eq!(restored.state(), LeaseState::Held);
    assert_eq!(world.doc.as_ref().and_then(|doc| doc.at.clone()), Some(Box::new(at(2))));
    restored.release();
    world.run(&mut restored, 20);
    let mut moved = up_at("n", 0, 3);
    world.run(&mut moved, 30);
    assert_eq!((moved.state(), moved.copy_of()), (LeaseState::Held, None));
}

#[test]
fn a_marker_that_was_made_anew_is_told_with_the_next_renewal_and_its_standby_is_none_of_a_copy() {
    let mut world = World::default();
    let mut holder = up_at("a", 0, 1);
    world.run(&mut holder, 0);
    let mut standby = up_at("b", 0, 2);
    world.run(&mut standby, 10);
    assert!(standby.copy_of().is_some());
    holder.set_place(at(2));
    world.run_for(&mut holder, 10, LENGTH / 2);
    world.run(&mut standby, LENGTH);
    assert_eq!((standby.state(), standby.copy_of()), (LeaseState::Standby, None));
}
