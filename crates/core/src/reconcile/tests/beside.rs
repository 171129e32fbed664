//! A long backlog: the index does its part beside the documents that are being written.

use super::world::BOUNDS;
use super::*;
use crate::answer::Failure;
use crate::batch::{Call, Picked};

/// A world in which a batch is being written, with more than it holds; nothing has to be reported.
fn writing() -> (World, Job) {
    let mut world = World::new(1);
    world.bring_up(1);
    world.converges(1);
    (0..40).for_each(|id| world.land(id));
    let report = world.runs_to("report");
    done(&mut world, report);
    let call = world.runs_to("insert");
    (world, call)
}

/// The same, with the next batch ready.
fn ready() -> (World, Job) {
    let (mut world, call) = writing();
    while world.step_beside() {}
    (world, call)
}

fn done(world: &mut World, job: Job) {
    let done = world.carry_out(job, false);
    world.core.handle(Event::Done(done));
}

/// The next job, which there has to be.
fn next(world: &mut World) -> Job {
    match world.core.next_action(world.now_ms) {
        Next::Run(job) => job,
        other => panic!("a job, not {other:?}"),
    }
}

/// The next batch is being written, and the one before is to be acknowledged beside it.
fn second() -> (World, Job, Job) {
    let (mut world, first) = ready();
    done(&mut world, first);
    let mark = next(&mut world);
    assert_eq!(mark.name(), "mark");
    done(&mut world, mark);
    let call = next(&mut world);
    let acknowledge = world.core.next_beside(0).expect("the first is acknowledged");
    assert_eq!(acknowledge.name(), "acknowledge");
    (world, call, acknowledge)
}

fn written(job: &Job) -> Vec<String> {
    let Job::Call(Call::Insert(batch)) = job else { panic!("an insert, not {job:?}") };
    batch.iter().map(|one| one.recording.uuid.clone()).collect()
}

#[test]
fn the_next_batch_is_made_ready_while_documents_are_written_and_shares_none_of_them() {
    let (mut world, first) = writing();
    let Some(Job::Pick(pick)) = world.core.next_beside(0) else { panic!("it is picked") };
    assert_eq!(pick.but.len(), written(&first).len());
    let picked = world.carry_out(Job::Pick(pick), false);
    world.core.handle(Event::DoneBeside(picked));
    let note = world.core.next_beside(0).expect("it is noted");
    assert!(matches!(note, Job::Note { ahead: true, .. }));
    let noted = world.memory.noted.clone();
    let done_note = world.carry_out(note, false);
    world.core.handle(Event::DoneBeside(done_note));
    assert_eq!(world.memory.noted, noted, "one watermark at a time is in doubt");
    assert_eq!(world.core.next_beside(0), None, "one batch ahead, not two");
    done(&mut world, first.clone());
    let mark = next(&mut world);
    done(&mut world, mark);
    let second = next(&mut world);
    assert!(written(&second).iter().all(|uuid| !written(&first).contains(uuid)));
    done(&mut world, second);
    world.converges(1);
}

#[test]
fn a_watermark_is_sent_only_once_the_batch_before_is_acknowledged_in_the_index() {
    let (mut world, second, acknowledge) = second();
    done(&mut world, second);
    assert!(matches!(world.core.next_action(0), Next::Idle { .. }), "its watermark waits");
    let stored = world.carry_out(acknowledge, false);
    world.core.handle(Event::DoneBeside(stored));
    let Job::Mark { watermark } = next(&mut world) else { panic!("it is marked") };
    assert_eq!(world.memory.noted, Some(watermark.clone()));
    done(&mut world, Job::Mark { watermark });
    world.converges(1);
}

#[test]
fn a_server_killed_between_two_batches_finds_the_database_as_it_remembers_it() {
    // Before and after the first batch is acknowledged in the index.
    for is_stored in [false, true] {
        let (mut world, second, acknowledge) = second();
        if is_stored {
            world.carry_out(acknowledge, false);
        }
        world.carry_out(second, false);
        world.crash(2);
        world.runs_to("pick");
        assert!(!world.core.owed(), "nothing has to be compared");
        world.crash(3);
        world.converges(1);
    }
}

#[test]
fn where_the_index_cannot_store_a_batch_the_next_one_stays_pending_too() {
    let (mut world, second, _) = second();
    let acked = |world: &World| world.rows.values().filter(|row| row.acked.is_some()).count();
    let before = acked(&world);
    let failed = Done::IndexFailed("full".to_owned());
    world.core.handle(Event::DoneBeside(failed));
    done(&mut world, second);
    assert!(matches!(world.core.next_action(0), Next::Wait { .. }));
    assert!(world.core.failure().expect("a failure").words.contains("full"));
    assert_eq!(acked(&world), before);
    world.converges(1);
}

#[test]
fn where_the_index_cannot_make_the_next_batch_ready_the_present_one_goes_on() {
    let (mut world, first) = writing();
    world.core.next_beside(0).expect("it is picked");
    world.core.handle(Event::DoneBeside(Done::IndexFailed("full".to_owned())));
    assert_eq!(world.core.next_beside(0), None, "not again beside this batch");
    done(&mut world, first);
    let mark = next(&mut world);
    done(&mut world, mark);
    let job = next(&mut world);
    assert!(matches!(job, Job::Acknowledge { next: None, .. }));
    done(&mut world, job);
    world.converges(1);
}

#[test]
fn what_was_made_ready_is_not_sent_where_the_batch_before_fails_or_the_lease_goes() {
    for lost in [false, true] {
        let (mut world, first) = ready();
        if lost {
            done(&mut world, first);
            world.core.handle(Event::Lease(Right::Unknown));
        } else {
            world.core.handle(Event::Done(Done::Replied(Err(Failure::transient("lost")))));
        }
        let writes = world.writes;
        assert!(!matches!(world.core.next_action(0), Next::Run(_)));
        assert_eq!(world.core.next_beside(0), None);
        world.granted(1, true);
        world.runs_to("pick");
        assert_eq!(world.writes, writes);
        world.crash(2);
        world.converges(1);
    }
}

#[test]
fn what_the_index_does_beside_is_heard_before_anything_else_begins() {
    let (mut world, _) = writing();
    let pick = world.core.next_beside(0).expect("it is picked");
    world.core.handle(Event::Done(Done::Replied(Err(Failure::transient("lost")))));
    world.core.handle(Event::Timer);
    assert!(matches!(world.core.next_action(0), Next::Idle { .. }));
    let picked = world.carry_out(pick, false);
    world.core.handle(Event::DoneBeside(picked));
    assert_eq!(next(&mut world).name(), "pick");
    world.crash(2);
    world.converges(1);
}

#[test]
fn a_comparison_and_a_report_get_their_turns_between_two_batches() {
    let (mut world, first) = ready();
    world.core.handle(Event::CompareDue);
    done(&mut world, first);
    let mark = next(&mut world);
    done(&mut world, mark);
    let job = next(&mut world);
    assert!(matches!(job, Job::Acknowledge { next: None, .. }), "the next batch waits: {job:?}");
    done(&mut world, job);
    assert_eq!(next(&mut world), Job::Open);
    world.crash(2);
    world.converges(1);
}

#[test]
fn a_recording_that_is_picked_while_it_is_written_stops_the_root() {
    let (mut world, first) = writing();
    let Some(Job::Pick(mut pick)) = world.core.next_beside(0) else { panic!("it is picked") };
    pick.but.clear();
    let picked = world.carry_out(Job::Pick(pick), false);
    world.core.handle(Event::DoneBeside(picked));
    let violation = world.core.violation().expect("a violation");
    assert_eq!(violation.invariant, Invariant::BatchesShareNothing);
    assert!(!written(&first).is_empty());
}

#[test]
fn a_result_beside_that_does_not_fit_stops_the_root() {
    let misfit = |result: Done, is_asked: bool| {
        let (mut world, _) = writing();
        if is_asked {
            world.core.next_beside(0).expect("it is picked");
        }
        world.core.handle(Event::DoneBeside(result));
        world.core.violation().expect("a violation").invariant
    };
    assert_eq!(misfit(Done::Stored, true), Invariant::ResultFitsStep);
    assert_eq!(misfit(Done::Picked(Picked::default()), false), Invariant::ResultFitsStep);
}

#[test]
fn more_than_were_asked_for_beside_stop_the_root() {
    let (mut world, _) = writing();
    let Some(Job::Pick(pick)) = world.core.next_beside(0) else { panic!("it is picked") };
    let all = crate::batch::Pick { limit: BOUNDS.batch_max + 1, but: Vec::new(), ..pick };
    let picked = world.carry_out(Job::Pick(all), false);
    world.core.handle(Event::DoneBeside(picked));
    assert_eq!(world.core.violation().expect("one").invariant, Invariant::QueuesBounded);
}

#[test]
fn a_watermark_of_an_earlier_batch_that_arrives_late_leads_to_a_comparison() {
    let mut world = World::new(1);
    world.bring_up(1);
    world.converges(1);
    let earlier = world.watermark.clone();
    (0..40).for_each(|id| world.land(id));
    world.converges(1);
    assert!(earlier.is_some() && earlier != world.watermark);
    world.watermark = earlier;
    let compared = world.core.comparisons();
    world.take_down();
    world.bring_up(2);
    world.runs();
    assert_eq!(world.core.comparisons(), compared + 1);
}
