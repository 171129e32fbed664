//! What the catalog's answers make of the index, and what it remembers across a restart.

use focus_core::batch::Pick;
use focus_core::compare::{Compared, ComparedEntry};
use focus_index::{Ack, Answer, Watermarks};

use crate::fixture::{Fixture, sidecar};

const START: i64 = 1_700_000_000_000;

#[tokio::test]
async fn a_recording_changed_in_flight_stays_pending() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    let sent = fixture.pending().remove(0);
    fixture.put("r", &sidecar("u", START + 1)).await;
    let ack = Ack { id: sent.id, generation: sent.generation, answer: Answer::Acknowledged };
    fixture.index.acknowledge(fixture.root, None, vec![ack], 6_000).await.expect("stored");
    let pending = fixture.pending();
    assert_eq!((pending.len(), pending[0].generation), (1, 2));
    assert!(pending[0].known, "an older generation is there");
    fixture.is_in_order();
}

#[tokio::test]
async fn an_answer_for_a_recording_gone_meanwhile_is_passed_over() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    let sent = fixture.pending().remove(0);
    fixture.remove("r").await;
    let ack = Ack { id: sent.id, generation: sent.generation, answer: Answer::Acknowledged };
    fixture.index.acknowledge(fixture.root, watermarks("w", None), vec![ack], 0).await.expect("ok");
    assert_eq!(fixture.listed(), []);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_raised_generation_never_falls() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    let id = fixture.pending()[0].id;
    for (raise, after) in [(7, 7), (3, 7)] {
        let answer = Answer::Raise { generation: raise };
        let ack = Ack { id, generation: 1, answer };
        fixture.index.acknowledge(fixture.root, None, vec![ack], 0).await.expect("stored");
        assert_eq!(fixture.pending()[0].generation, after);
    }
    fixture.is_in_order();
}

fn watermarks(remembered: &str, noted: Option<&str>) -> Option<Watermarks> {
    let remembered = remembered.to_owned();
    Some(Watermarks { remembered, noted: noted.map(str::to_owned) })
}

#[tokio::test]
async fn the_next_batch_has_none_of_the_one_being_written_and_takes_its_place_as_the_noted_one() {
    let mut fixture = Fixture::new().await;
    for name in ["r1", "r2", "r3", "r4", "r5"] {
        fixture.put(name, &sidecar(name, START)).await;
    }
    let (reader, root) = (fixture.index.reader(), fixture.root);
    let first = reader.pick(root, &Pick::newest(2)).expect("picked");
    let ids: Vec<_> = first.items.iter().map(|item| item.id).collect();
    assert_eq!((ids.len(), first.more), (2, true));
    fixture.index.note(root, Some("w1".to_owned()), ids.clone()).await.expect("noted");
    let pick = Pick { but: ids, ..Pick::newest(4) };
    let next = reader.pick(root, &pick).expect("picked");
    let uuids: Vec<_> = next.items.iter().map(|item| item.recording.uuid.as_str()).collect();
    assert_eq!((uuids, next.more), (vec!["r3", "r2", "r1"], false));
    let ids = next.items.iter().map(|item| item.id).collect();
    fixture.index.note(root, None, ids).await.expect("noted");
    let memory = async |fixture: &Fixture| {
        let memory = fixture.index.root("root-1".to_owned(), "/data".to_owned(), 1).await;
        memory.map(|memory| (memory.remembered, memory.noted)).expect("a root")
    };
    assert_eq!(memory(&fixture).await, (None, Some("w1".to_owned())));
    let acks = first.items.iter().map(|item| Ack {
        id: item.id,
        generation: item.generation,
        answer: Answer::Acknowledged,
    });
    let both = watermarks("w1", Some("w2"));
    fixture.index.acknowledge(root, both, acks.collect(), 0).await.expect("stored");
    assert_eq!(memory(&fixture).await, (Some("w1".to_owned()), Some("w2".to_owned())));
    assert_eq!(fixture.pending().len(), 3);
    // Until it is acknowledged the catalog may have any of it.
    fixture.remove("r1").await;
    assert!(fixture.listed().iter().any(|row| row.vanished));
    fixture.is_in_order();
}

#[tokio::test]
async fn watermarks_identity_owed_comparison_and_token_outlive_the_process() {
    let mut fixture = Fixture::new().await;
    let index = fixture.index.clone();
    let first = index.root("root-1".to_owned(), "/data".to_owned(), 1).await.expect("a root");
    assert!(first.owed, "a new root has never been compared");
    index
        .finish_comparison(fixture.root, "db-1".to_owned(), "w1".to_owned(), false)
        .await
        .expect("ok");
    index.note(fixture.root, Some("w2".to_owned()), Vec::new()).await.expect("noted");
    index.set_token(fixture.root, 9).await.expect("stored");
    drop(index);
    fixture.reopen().await;
    let memory =
        fixture.index.root("root-1".to_owned(), "/data".to_owned(), 1).await.expect("a root");
    assert_eq!(memory.identity.as_deref(), Some("db-1"));
    assert_eq!(memory.remembered.as_deref(), Some("w1"));
    assert_eq!(memory.noted.as_deref(), Some("w2"));
    assert_eq!((memory.owed, memory.token), (false, 9));

    fixture.index.owe(fixture.root, "db-2".to_owned()).await.expect("owed");
    fixture.reopen().await;
    let memory =
        fixture.index.root("root-1".to_owned(), "/data".to_owned(), 1).await.expect("a root");
    assert_eq!((memory.owed, memory.identity.as_deref()), (true, Some("db-2")));
}

#[tokio::test]
async fn a_batch_and_its_watermark_are_stored_together() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    fixture.index.note(fixture.root, Some("w".to_owned()), Vec::new()).await.expect("noted");
    let sent = fixture.pending().remove(0);
    let ack = Ack { id: sent.id, generation: sent.generation, answer: Answer::Acknowledged };
    let both = watermarks("w", None);
    fixture.index.acknowledge(fixture.root, both, vec![ack], 0).await.expect("stored");
    fixture.reopen().await;
    let memory =
        fixture.index.root("root-1".to_owned(), "/data".to_owned(), 1).await.expect("a root");
    assert_eq!((memory.remembered.as_deref(), memory.noted), (Some("w"), None));
    assert_eq!(fixture.pending().len(), 0);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_comparison_settles_what_is_pending_and_passes_over_what_changed() {
    let mut fixture = Fixture::new().await;
    for name in ["same", "differs", "absent", "changed"] {
        fixture.put(name, &sidecar(name, START)).await;
    }
    fixture.acknowledge_all().await;
    let rows = fixture.index.reader().range(fixture.root, None, None, 10).expect("rows").items;
    fixture.put("changed", &sidecar("changed", START + 1)).await;
    let findings = rows
        .iter()
        .map(|row| {
            let found = match &*row.recording.uuid {
                "differs" => Compared::Differs,
                "absent" => Compared::NotThere,
                _ => Compared::Same,
            };
            ComparedEntry { id: row.id, generation: row.generation, found }
        })
        .collect();
    fixture.index.found(findings, 0).await.expect("stored");
    let mut pending: Vec<_> =
        fixture.pending().into_iter().map(|one| (one.recording.uuid, one.known)).collect();
    pending.sort();
    let expected = [("absent", false), ("changed", true), ("differs", true)];
    assert_eq!(pending, expected.map(|(uuid, known)| (uuid.to_owned(), known)));
    fixture.is_in_order();
}

#[tokio::test]
async fn what_was_refused_is_pending_again_in_its_time_and_after_a_restart() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    let aside = async |fixture: &Fixture| {
        let one = fixture.pending().remove(0);
        let state = focus_core::state::State::CatalogRefused;
        let fault = focus_core::state::Fault::new(state, "no");
        let answer = Answer::Refused { fault, retry_ms: 50_000 };
        let ack = Ack { id: one.id, generation: one.generation, answer };
        fixture.index.acknowledge(fixture.root, None, vec![ack], 0).await.expect("stored");
        assert_eq!(fixture.pending().len(), 0);
    };
    aside(&fixture).await;
    assert_eq!(fixture.index.retry_due(fixture.root, 49_999).await.expect("none"), 0);
    assert_eq!(fixture.index.retry_due(fixture.root, 50_000).await.expect("one"), 1);
    aside(&fixture).await;
    // The clock of another boot may be far behind: it is not waited for.
    fixture.reopen().await;
    assert_eq!(fixture.pending().len(), 1);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_recording_in_doubt_that_went_came_back_and_went_again_is_not_forgotten() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    let rows = vec![fixture.pending()[0].id];
    fixture.index.note(fixture.root, Some("w1".to_owned()), rows).await.expect("noted");
    // Its answer is lost, its files go, and nothing else is pending: the batch is over.
    fixture.remove("r").await;
    fixture.index.acknowledge(fixture.root, None, Vec::new(), 0).await.expect("stored");
    fixture.put("r", &sidecar("u", START + 1)).await;
    fixture.remove("r").await;
    assert!(fixture.listed()[0].vanished, "the catalog may have it: it has to be told");
    fixture.is_in_order();
}

#[tokio::test]
async fn what_a_comparison_saw_is_known_also_of_a_recording_that_changed_meanwhile() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    let (id, generation) = (fixture.pending()[0].id, fixture.pending()[0].generation);
    fixture.put("r", &sidecar("u", START + 1)).await;
    let found = vec![ComparedEntry { id, generation, found: Compared::Same }];
    fixture.index.found(found, 6_000).await.expect("stored");
    fixture.remove("r").await;
    assert!(fixture.listed()[0].vanished, "its document has to be told of");
    fixture.is_in_order();
}
