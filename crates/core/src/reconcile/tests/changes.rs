//! What others do to the catalog, as far as the database tells.

use std::collections::BTreeSet;

use super::*;
use crate::compare::SpotCheck;

/// A world in step, whose database tells of others' changes.
fn followed() -> World {
    let mut world = World::new(1);
    (0..20).for_each(|id| world.land(id));
    world.bring_up(1);
    world.core.handle(Event::Scanned);
    world.converges(1);
    world
}

/// Makes a document what it is not on storage.
fn alter(world: &mut World, uuid: &str) {
    world.catalog.get_mut(uuid).expect("there").recording.size += 7;
}

#[test]
fn a_document_that_is_named_is_put_right_without_a_comparison() {
    let mut world = followed();
    let (writes, comparisons) = (world.writes, world.core.comparisons());
    alter(&mut world, "u0003");
    world.told(&["u0003"], false);
    world.converges(1);
    assert_eq!((world.writes, world.core.comparisons()), (writes + 1, comparisons));
}

#[test]
fn a_document_that_is_named_and_unknown_to_the_index_leads_to_a_comparison() {
    let mut world = followed();
    let comparisons = world.core.comparisons();
    world.rows.remove(&3);
    world.told(&["u0003"], false);
    world.runs();
    assert_eq!(world.core.comparisons(), comparisons + 1);
    assert_eq!(world.missing, ["u0003"]);
}

#[test]
fn documents_are_looked_into_after_what_was_pending_at_the_return() {
    let mut world = followed();
    world.take_down();
    world.told(&["u0003"], false);
    alter(&mut world, "u0003");
    world.land(30);
    world.bring_up(2);
    world.runs_to("insert");
    assert_eq!(world.core.phase(), Phase::Recovering);
}

#[test]
fn what_one_database_says_of_a_document_is_not_believed_of_the_next() {
    let mut world = followed();
    world.told(&["u0003"], false);
    let job = world.runs_to("spot check");
    let done = world.carry_out(job, false);
    // The database goes back to an older copy of itself before the answer is heard.
    alter(&mut world, "u0003");
    world.bring_up(2);
    world.core.handle(Event::Done(done));
    world.converges(1);
}

#[test]
fn a_spot_check_that_fails_leads_to_a_comparison() {
    for done in
        [Done::SpotChecked(Err(Failure::transient("lost"))), Done::IndexFailed("full".into())]
    {
        let mut world = followed();
        let comparisons = world.core.comparisons();
        alter(&mut world, "u0003");
        world.told(&["u0003"], false);
        world.runs_to("spot check");
        world.core.handle(Event::Done(done));
        world.converges(1);
        assert_eq!(world.core.comparisons(), comparisons + 1);
    }
}

#[test]
fn more_documents_than_a_spot_check_may_have_lead_to_a_comparison() {
    let mut world = followed();
    let comparisons = world.core.comparisons();
    world.told(&["u0003"], false);
    world.runs_to("spot check");
    let mut document = super::world::stored(&world.catalog["u0003"]);
    document.root = Some("another".to_owned());
    let documents = vec![document; NAMED_MAX + 1];
    let answer = SpotCheck { rows: Vec::new(), documents };
    world.core.handle(Event::Done(Done::SpotChecked(Ok(answer))));
    world.converges(1);
    assert_eq!(world.core.comparisons(), comparisons + 1);
}

#[test]
fn no_more_than_a_third_of_the_time_goes_into_comparisons_that_changes_ask_for() {
    let mut world = followed();
    let comparisons = world.core.comparisons();
    world.now_ms = 100_000;
    world.told(&[], true);
    // The comparison takes ten seconds.
    world.runs_to("finish");
    world.now_ms = 110_000;
    let identity = world.identity.clone();
    let watermark = world.watermark.clone().expect("marked");
    let finish = Job::Finish { identity, watermark, again: false };
    let done = world.carry_out(finish, false);
    world.core.handle(Event::Done(done));
    world.told(&[], true);
    world.runs();
    assert_eq!(world.core.comparisons(), comparisons + 1);
    assert_eq!(world.core.next_action(110_001), Next::Idle { until_ms: Some(130_000) });
    world.now_ms = 130_000;
    world.runs();
    assert_eq!(world.core.comparisons(), comparisons + 2);
    assert_eq!(world.core.comparisons_for_changes(), 2);
    assert_eq!(world.core.next_action(130_001), Next::Idle { until_ms: None });
}

#[test]
fn more_documents_than_are_kept_put_everything_in_doubt() {
    let mut world = followed();
    let comparisons = world.core.comparisons();
    let uuids: BTreeSet<String> = (0..=NAMED_MAX).map(|n| format!("u{n:04}")).collect();
    world.core.handle(Event::ChangedByOthers { uuids, everything: false });
    world.converges(1);
    assert_eq!(world.core.comparisons(), comparisons + 1);
}
