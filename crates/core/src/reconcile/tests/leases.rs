//! What the lease allows.

use super::world::{RowState, recording};
use super::*;
use crate::document::Versioned;
use crate::lease::Grant;
use crate::recording::Recording;

#[test]
fn without_the_lease_nothing_is_written() {
    let mut world = World::new(1);
    world.land(1);
    world.up = true;
    world.core.handle(Event::Up { epoch: 1 });
    while world.step(false) {}
    assert_eq!((world.writes, world.core.phase()), (0, Phase::Recovering));
    world.core.handle(Event::Lease(Right::Standby));
    while world.step(false) {}
    assert_eq!((world.writes, world.core.phase()), (0, Phase::Standby));
    // A grant of another connection, or one that has lapsed, is none.
    for (epoch, until_ms) in [(2, 1), (1, 0)] {
        let grant = Grant { epoch, token: 2, until_ms, continuous: false, disputed_until_ms: 0 };
        world.core.handle(Event::Lease(Right::Granted(grant)));
        while world.step(false) {}
        assert_eq!(world.writes, 0);
    }
    world.epoch = 1;
    world.granted(2, false);
    world.converges(1);
    assert_eq!(world.memory.token, 2);
}

#[test]
fn a_standby_compares_read_only_and_a_new_holder_compares_once_more() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    world.memory.owed = true;
    for row in world.rows.values_mut() {
        row.acked = None;
    }
    world.crash(2);
    world.core.handle(Event::Lease(Right::Standby));
    let before = world.writes;
    while world.step(false) {}
    assert!(world.rows.values().all(|row| row.acked == Some(row.generation)));
    assert!(world.memory.owed, "what a standby compares does not count");
    world.granted(9, false);
    world.converges(1);
    assert_eq!((world.writes, world.memory.owed), (before, false));
}

#[test]
fn a_standby_looks_up_what_is_pending_and_finds_what_the_holder_has_written() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    world.core.handle(Event::Lease(Right::Standby));
    while world.step(false) {}
    // Ten land. The holder writes nine of them, and the tenth under another path.
    (20..30).for_each(|id| world.land(id));
    for id in 20..30 {
        let path = if id == 25 { "other/25.dat".to_owned() } else { format!("{id}.dat") };
        let recording = Recording { path, ..recording(id, 1) };
        let written = Versioned { version: crate::document::version(9, 1), recording };
        world.catalog.insert(format!("u{id:04}"), written);
    }
    let before = (world.writes, world.watermark.clone());
    // Each page and each round has its pause.
    for _ in 0..100 {
        world.step(false);
        world.now_ms += 200;
    }
    let pending = |world: &World| -> Vec<i64> {
        let is_pending = |(_, row): &(&i64, &RowState)| row.acked != Some(row.generation);
        world.rows.iter().filter(is_pending).map(|(id, _)| *id).collect()
    };
    assert_eq!(pending(&world), [25]);
    let claims = world.claims.first().expect("claims");
    assert_eq!(claims.elsewhere, [("u0025".to_owned(), "other/25.dat".to_owned())]);
    assert_eq!((world.writes, world.watermark.clone()), before);
}

#[test]
fn what_a_standby_has_compared_is_compared_once_more_where_its_own_lease_goes_on() {
    let mut world = World::new(1);
    world.land(0);
    world.bring_up(1);
    world.converges(1);
    // Sent, and not marked: the watermark tells nothing of it.
    let (before, watermark) = (world.catalog.clone(), world.watermark.clone());
    world.land(1);
    while world.catalog.len() < 2 {
        assert!(world.step(false));
    }
    world.crash(2);
    world.core.handle(Event::Lease(Right::Standby));
    while world.step(false) {}
    assert!(world.rows.values().all(|row| row.acked == Some(row.generation)));
    assert_eq!(world.watermark, watermark);
    world.catalog = before;
    world.crash(3);
    world.converges(1);
}

#[test]
fn what_the_other_writes_under_a_lease_taken_back_is_found_by_a_comparison_after_it() {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.converges(1);
    world.disputed(9, false, 1_000);
    world.now_ms = 999;
    world.converges(1);
    assert!(world.memory.owed, "the other may still write");
    assert!(!world.step(false), "what can be compared meanwhile is compared once");
    // And does, after all was compared.
    world.catalog.get_mut("u0003").expect("there").recording.size += 7;
    world.now_ms = 1_000;
    world.converges(1);
    assert!(!world.memory.owed);
}

#[test]
fn what_a_new_token_owes_is_stored_before_the_token() {
    let mut world = World::new(1);
    world.bring_up(1);
    world.converges(1);
    assert!(!world.memory.owed);
    world.granted(7, false);
    world.step(false);
    assert_eq!((world.memory.owed, world.memory.token), (true, 1));
    world.step(false);
    assert_eq!((world.memory.owed, world.memory.token), (true, 7));
}
