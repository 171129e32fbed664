//! Outages, crashes, lost answers, and databases that are not what they were.

use std::collections::BTreeMap;

use super::*;
use crate::answer::Failure;
use crate::document::OpenedCatalog;

#[test]
fn on_any_schedule_of_outages_crashes_and_lost_answers_the_catalog_becomes_the_index() {
    for seed in 0..3_000 {
        let mut world = World::new(seed);
        let mut epoch = 0;
        let mut copies = vec![(world.catalog.clone(), world.watermark.clone())];
        for _ in 0..120 {
            match world.draw(24) {
                0..=5 => {
                    let id = i64::try_from(world.draw(30)).expect("small");
                    world.land(id);
                }
                6 => {
                    epoch += 1;
                    world.bring_up(epoch);
                }
                7 => world.take_down(),
                8 => {
                    epoch += 1;
                    world.crash(epoch);
                }
                9 => copies.push((world.catalog.clone(), world.watermark.clone())),
                10 => {
                    // Restored from an older copy while away.
                    let at = usize::try_from(world.draw(copies.len() as u64)).expect("small");
                    (world.catalog, world.watermark) = copies[at].clone();
                    epoch += 1;
                    world.take_down();
                    world.bring_up(epoch);
                }
                11 => {
                    world.identity = format!("other {epoch}");
                    world.catalog.clear();
                    world.watermark = None;
                    copies.clear();
                    copies.push((BTreeMap::new(), None));
                    epoch += 1;
                    world.take_down();
                    world.bring_up(epoch);
                }
                12 if world.up => world.another_writes(),
                13 => world.core.handle(Event::Lease(Right::Unknown)),
                14 => {
                    let uuid = format!("u{:04}", world.draw(30));
                    let everything = world.draw(4) == 0;
                    world.told(&[&uuid], everything);
                }
                _ => {
                    world.step(true);
                }
            }
        }
        world.take_down();
        world.bring_up(epoch + 1);
        world.converges(seed);
    }
}

#[test]
fn a_database_as_remembered_gets_the_pending_alone() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    let before = world.writes;
    world.take_down();
    world.land(5);
    world.land(99);
    world.bring_up(2);
    assert!(!world.core.owed());
    world.converges(1);
    assert_eq!(world.writes, before + 2);
    assert!(world.core.comparing().is_none());
}

#[test]
fn an_index_that_was_rebuilt_writes_nothing_where_all_is_there() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    let before = world.writes;
    world.memory = CatalogMemory { owed: true, token: 1, ..CatalogMemory::default() };
    world.rows.values_mut().for_each(|row| {
        row.acked = None;
        row.generation = 1;
    });
    world.crash(2);
    world.converges(1);
    assert_eq!(world.writes, before);
}

#[test]
fn a_recording_changed_in_flight_stays_pending() {
    let mut world = World::new(1);
    world.land(1);
    world.bring_up(1);
    let call = world.runs_to("insert");
    let done = world.carry_out(call, false);
    world.land(1);
    world.core.handle(Event::Done(done));
    world.converges(1);
    assert_eq!(world.catalog["u0001"].recording.size, 2);
}

#[test]
fn a_refused_client_is_tried_again_slowly_and_without_end() {
    let mut world = World::new(1);
    world.bring_up(1);
    let mut last = 0;
    for _ in 0..12 {
        assert_eq!(world.core.next_action(0), Next::Run(Job::Open));
        world.core.handle(Event::Done(Done::Opened(Err(Failure::refused_client("no")))));
        assert_eq!(world.core.phase(), Phase::Down);
        let Next::Wait { within_ms } = world.core.next_action(0) else { panic!("a wait") };
        assert!(within_ms >= last && within_ms <= 30_000);
        last = within_ms;
        world.core.handle(Event::Timer);
    }
    assert_eq!(last, 30_000);
}

#[test]
fn what_a_database_said_before_the_connection_changed_is_not_believed_of_the_next() {
    let mut world = World::new(1);
    world.land(0);
    world.bring_up(1);
    world.converges(1);
    let asked = |world: &mut World| match world.core.next_action(world.now_ms) {
        Next::Run(job @ Job::Open) => world.carry_out(job, false),
        other => panic!("{other:?}"),
    };
    world.bring_up(2);
    let answer = asked(&mut world);
    // An empty copy takes its place before the answer is heard.
    world.catalog.clear();
    world.watermark = None;
    world.bring_up(3);
    world.core.handle(Event::Done(answer));
    let answer = asked(&mut world);
    world.core.handle(Event::Done(answer));
    world.converges(1);
}

#[test]
fn a_database_that_refuses_us_since_it_was_met_gets_nothing_more() {
    let mut world = World::new(1);
    (0..5).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    let before = world.writes;
    world.core.handle(Event::CompareDue);
    assert_eq!(world.core.next_action(0), Next::Run(Job::Open));
    let refused = Failure::refused_client("uuid cannot be unique");
    world.core.handle(Event::Done(Done::Opened(Err(refused))));
    assert_eq!(world.core.phase(), Phase::Down);
    world.land(9);
    world.core.handle(Event::Timer);
    assert_eq!(world.core.next_action(0), Next::Run(Job::Open));
    assert_eq!(world.writes, before);
    let opened =
        OpenedCatalog { identity: world.identity.clone(), watermark: world.watermark.clone() };
    world.core.handle(Event::Done(Done::Opened(Ok(opened))));
    assert!(world.core.owed(), "it was due, and still is");
    world.converges(1);
}

#[test]
fn that_a_comparison_is_owed_is_stored_before_anything_is_written() {
    let mut world = World::new(1);
    world.land(1);
    world.bring_up(1);
    world.converges(1);
    // Another database, and an index that has no room to note it.
    (world.identity, world.watermark) = ("other".to_owned(), None);
    world.take_down();
    world.land(2);
    world.bring_up(2);
    for _ in 0..3 {
        world.runs_to("owe");
        world.core.handle(Event::Done(Done::IndexFailed("no room".to_owned())));
    }
    assert!(!world.memory.owed);
    let writes = world.writes;
    let job = world.runs_to("owe");
    assert_eq!(world.writes, writes, "nothing was written before");
    let done = world.carry_out(job, false);
    world.core.handle(Event::Done(done));
    world.runs_to("note");
    assert!(world.memory.owed);
}
