//! Rules that are broken on purpose: the reconciler stops writing, and its next life compares.

use super::world::BOUNDS;
use super::*;
use crate::answer::Failure;
use crate::batch::{Call, Item, Pick, Picked, Reply};
use crate::compare::SpotCheck;
use crate::entry::EntryId;
use crate::window::Window;

/// A world in step, with one recording that has just landed.
fn landed() -> World {
    let mut world = World::new(1);
    (0..3).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    world.land(9);
    world
}

/// Hands in this result in place of the one that the job of this name waits for.
fn stopped_by(job: &str, done: Done) -> World {
    let mut world = landed();
    world.runs_to(job);
    world.core.handle(Event::Done(done));
    world
}

fn broken(world: &World) -> Invariant {
    world.core.violation().expect("a violation").invariant
}

/// It does nothing but have it stored that a comparison is owed; its next life compares everything and goes on.
fn stays_stopped_until_a_restart(mut world: World) {
    assert_eq!((world.core.phase(), world.core.owed()), (Phase::Down, true));
    let Next::Run(job @ Job::Owe { .. }) = world.core.next_action(0) else {
        panic!("what is owed")
    };
    // The index cannot store it at first.
    world.core.handle(Event::Done(Done::IndexFailed("full".to_owned())));
    assert!(matches!(world.core.next_action(0), Next::Wait { .. }));
    world.core.handle(Event::Timer);
    assert_eq!(world.core.next_action(0), Next::Run(job.clone()));
    let done = world.carry_out(job, false);
    world.core.handle(Event::Done(done));
    let writes = world.writes;
    world.land(10);
    world.take_down();
    world.bring_up(2);
    world.granted(7, false);
    world.core.handle(Event::CompareDue);
    world.told(&["u0001"], true);
    assert_eq!(world.core.next_action(0), Next::Idle { until_ms: None });
    assert_eq!((world.writes, world.memory.owed), (writes, true));
    world.crash(3);
    world.converges(1);
    assert!(!world.memory.owed);
    assert_eq!(world.core.comparisons(), 1);
}

#[test]
fn a_result_that_does_not_fit_the_step_stops_the_root_until_a_restart() {
    let misfits = [
        ("pick", Done::Stored),
        ("note", Done::Picked(Picked::default())),
        ("insert", Done::Marked(Ok(()))),
        ("mark", Done::Replied(Err(Failure::transient("lost")))),
        ("acknowledge", Done::Found { dropped: 0 }),
    ];
    for (job, done) in misfits {
        let world = stopped_by(job, done);
        assert_eq!(broken(&world), Invariant::ResultFitsStep, "{job}");
        stays_stopped_until_a_restart(world);
    }
}

#[test]
fn a_reply_that_does_not_fit_its_call_stops_the_root() {
    let world = stopped_by("insert", Done::Replied(Ok(Reply::Removed)));
    assert_eq!(broken(&world), Invariant::ResultFitsStep);
    stays_stopped_until_a_restart(world);
}

#[test]
fn a_result_without_a_job_stops_the_root() {
    let mut world = landed();
    world.runs();
    world.core.handle(Event::Done(Done::Stored));
    let words = world.core.violation().expect("a violation").to_string();
    assert!(words.starts_with("result_fits_step: ") && words.contains("\"stored\""), "{words}");
    stays_stopped_until_a_restart(world);
}

#[test]
fn more_recordings_than_were_asked_for_stop_the_root() {
    let item = Item {
        id: EntryId(1),
        generation: 1,
        known: false,
        recording: super::world::recording(1, 1),
    };
    let items = vec![item; BOUNDS.batch_max + 1];
    let world = stopped_by("pick", Done::Picked(Picked { items, more: true }));
    assert_eq!(broken(&world), Invariant::QueuesBounded);
    stays_stopped_until_a_restart(world);
}

#[test]
fn a_window_larger_than_its_bound_stops_the_root() {
    let mut world = landed();
    world.core.handle(Event::CompareDue);
    world.runs_to("window");
    let documents = world.catalog.values().map(super::world::stored).cycle();
    let window = Window { documents: documents.take(BOUNDS.page + 1).collect(), through: None };
    world.core.handle(Event::Done(Done::Window(Ok(window))));
    assert_eq!(broken(&world), Invariant::QueuesBounded);
    stays_stopped_until_a_restart(world);
}

#[test]
fn more_rows_than_a_spot_check_asked_for_stop_the_root() {
    let mut world = landed();
    world.runs();
    world.told(&["u0001"], false);
    world.runs_to("spot check");
    let rows = world.range(None, None, 2).items;
    let answer = SpotCheck { rows, documents: Vec::new() };
    world.core.handle(Event::Done(Done::SpotChecked(Ok(answer))));
    assert_eq!(broken(&world), Invariant::QueuesBounded);
    stays_stopped_until_a_restart(world);
}

#[test]
fn a_job_that_would_break_a_rule_is_not_handed_out() {
    let good = JobFacts { is_known: true, may_write: true, noted: Some("w1"), bounds: BOUNDS };
    let mark = Job::Mark { watermark: "w1".to_owned() };
    let insert = Job::Call(Call::Insert(std::sync::Arc::default()));
    let pick = |limit| Job::Pick(Pick::newest(limit));
    let uuids = (0..=NAMED_MAX).map(|n| n.to_string()).collect();
    let cases = [
        (mark.clone(), good, None),
        (
            mark.clone(),
            JobFacts { noted: Some("w2"), ..good },
            Some(Invariant::WatermarkNotedFirst),
        ),
        (mark.clone(), JobFacts { noted: None, ..good }, Some(Invariant::WatermarkNotedFirst)),
        (mark, JobFacts { may_write: false, ..good }, Some(Invariant::NoWriteWithoutLease)),
        (insert.clone(), good, None),
        (insert, JobFacts { may_write: false, ..good }, Some(Invariant::NoWriteWithoutLease)),
        (
            Job::Report,
            JobFacts { is_known: false, ..good },
            Some(Invariant::NoWriteToAnUnknownDatabase),
        ),
        (
            Job::Sweep { after: None },
            JobFacts { may_write: false, ..good },
            Some(Invariant::NoWriteWithoutLease),
        ),
        (Job::Call(Call::Read(Vec::new())), JobFacts { may_write: false, ..good }, None),
        (pick(BOUNDS.batch_max), good, None),
        (pick(BOUNDS.batch_max + 1), good, Some(Invariant::QueuesBounded)),
        (Job::SpotCheck { uuids }, good, Some(Invariant::QueuesBounded)),
    ];
    for (job, facts, expected) in cases {
        let broken = invariant::check_job(&job, facts).err().map(|violation| violation.invariant);
        assert_eq!(broken, expected, "{job:?}");
    }
}

#[test]
fn a_job_that_would_break_a_rule_stops_the_root() {
    let mut world = landed();
    world.runs_to("mark");
    // As a mistake in this program would leave it.
    world.core.running = false;
    world.core.memory.noted = Some("another".to_owned());
    assert!(matches!(world.core.next_action(0), Next::Run(Job::Owe { .. })));
    assert_eq!(broken(&world), Invariant::WatermarkNotedFirst);
    world.core.running = false;
    stays_stopped_until_a_restart(world);
}
