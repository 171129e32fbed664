//! When a comparison is owed, and what ends it.

use super::*;

#[test]
fn a_comparison_under_an_earlier_token_does_not_count_for_a_new_one() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    world.core.handle(Event::CompareDue);
    while world.core.comparing().is_none_or(|count| count < 8) {
        assert!(world.step(false));
    }
    // What was compared already, another wrote since.
    world.catalog.get_mut("u0000").expect("there").recording.size += 7;
    world.granted(9, false);
    world.converges(1);
    assert!(!world.memory.owed);
}

#[test]
fn a_comparison_that_is_due_asks_anew_who_the_database_is() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    // Dropped and made again, or altered by hand, while connected.
    world.identity = "dropped".to_owned();
    world.catalog.clear();
    world.core.handle(Event::CompareDue);
    world.converges(1);
    assert_eq!(world.memory.identity.as_deref(), Some("dropped"));
    world.catalog.get_mut("u0003").expect("there").recording.size += 7;
    world.core.handle(Event::CompareDue);
    world.converges(1);
    assert!(!world.memory.owed);
}

#[test]
fn documents_unknown_to_the_index_are_missing_only_after_a_scan() {
    let mut world = World::new(1);
    (0..3).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    // The index forgets a recording, and the server starts again.
    world.rows.remove(&1);
    world.memory.owed = true;
    world.crash(2);
    world.runs();
    assert_eq!(world.core.comparisons(), 1);
    assert!(world.missing.is_empty(), "storage has not been scanned");
    assert!(world.memory.owed, "a restart in between compares again");
    world.core.handle(Event::Scanned);
    world.runs();
    assert_eq!(
        (world.core.comparisons(), world.missing.as_slice()),
        (2, &["u0001".to_owned()][..])
    );
    assert!(!world.memory.owed);
    world.core.handle(Event::Scanned);
    world.runs();
    assert_eq!(world.core.comparisons(), 2);
}

#[test]
fn recordings_dropped_while_they_were_compared_owe_another_comparison() {
    let mut world = World::new(1);
    (0..3).for_each(|id| world.land(id));
    world.bring_up(1);
    world.core.handle(Event::Scanned);
    world.converges(1);
    let before = world.core.comparisons();
    world.rows.values_mut().for_each(|row| row.acked = None);
    world.drops = vec![2];
    world.core.handle(Event::CompareDue);
    world.runs();
    assert_eq!(world.core.comparisons(), before + 2);
    assert_eq!(world.missing, ["u0002"]);
    assert!(!world.memory.owed);
}

#[test]
fn after_drops_the_index_keeps_that_a_comparison_is_owed() {
    let mut world = World::new(1);
    world.land(1);
    world.bring_up(1);
    world.core.handle(Event::Scanned);
    world.converges(1);
    world.rows.values_mut().for_each(|row| row.acked = None);
    world.drops = vec![1];
    world.core.handle(Event::CompareDue);
    let job = world.runs_to("finish");
    assert!(matches!(job, Job::Finish { again: true, .. }), "{job:?}");
}
