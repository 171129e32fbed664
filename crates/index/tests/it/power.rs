//! What is left after a power loss: whole transactions, from the first one on, and no damage.

use std::collections::BTreeSet;

use focus_index::{Index, Listing};
use focus_testkit::power::Moment;

use crate::fixture::{Fixture, place_of, sidecar};

const START: i64 = 1_700_000_000_000;

/// Recordings in one transaction.
const BATCH: usize = 3;

/// Ways to lose power at each moment.
const WAYS: u64 = 30;

/// A transaction of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// This batch was observed.
    Put(usize),
    /// All that was pending is acknowledged.
    Acknowledged,
}

/// What an index has to hold after these transactions: batches, and how many recordings are pending.
fn wanted(history: &[Done]) -> (BTreeSet<usize>, usize) {
    let (mut batches, mut pending) = (BTreeSet::new(), 0);
    for done in history {
        match done {
            Done::Put(batch) => {
                batches.insert(*batch);
                pending += BATCH;
            }
            Done::Acknowledged => pending = 0,
        }
    }
    (batches, pending)
}

/// The batches that are there, each of them whole.
fn batches(index: &Index, what: &str) -> BTreeSet<usize> {
    let listing = Listing { limit: 100_000, ..Listing::default() };
    let listed = index.reader().recordings(&listing).expect("a listing").rows;
    let mut found: Vec<usize> = listed
        .iter()
        .map(|one| one.uuid.split('-').nth(1).and_then(|n| n.parse().ok()).expect("a batch"))
        .collect();
    found.sort_unstable();
    for batch in found.chunk_by(|a, b| a == b) {
        assert_eq!(batch.len(), BATCH, "{what}: half of batch {}", batch[0]);
    }
    found.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_loss_takes_the_last_transactions_whole_and_damages_nothing() {
    let mut fixture = Fixture::new().await;
    let mut history = Vec::new();
    let (mut tried, mut shortened, mut checkpointed) = (0, 0, 0);
    for batch in 0..420 {
        let names: Vec<String> =
            (0..BATCH).map(|n| format!("f{}/r-{batch}-{n}", batch % 7)).collect();
        for name in &names {
            let uuid = name.split('/').nth(1).expect("a name");
            fixture.write(name, &sidecar(uuid, START));
        }
        let places: Vec<_> = names.iter().map(|name| place_of(name)).collect();
        fixture.look(&places).await;
        history.push(Done::Put(batch));
        if batch % 10 == 9 {
            fixture.acknowledge_all().await;
            history.push(Done::Acknowledged);
        }
        if batch % 41 == 3 {
            // As SQLite makes one by itself where its log is long.
            let beside = rusqlite::Connection::open(fixture.path()).expect("opened");
            let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
            beside.query_row(checkpoint, [], |_| Ok(())).expect("a checkpoint");
        }
        if batch % 41 != 17 {
            continue;
        }
        let moment = Moment::read(&fixture.path());
        checkpointed += usize::from(moment.unsynced() < history.len());
        for way in 0..WAYS {
            let lost = moment.lose(batch as u64 * 1_000 + way);
            let what = format!("after batch {batch}, way {way}: {}", lost.what);
            let dir = tempfile::tempdir().expect("a folder");
            let path = dir.path().join("index.db");
            lost.write(&path);
            let opened = Index::open(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(opened.rebuilt, None, "{what}");
            let left = history.len().saturating_sub(lost.transactions);
            let (wanted_batches, pending) = wanted(&history[..left]);
            assert_eq!(batches(&opened.index, &what), wanted_batches, "{what}");
            let totals = opened.index.reader().totals().expect("totals");
            assert_eq!(totals.pending, pending as u64, "{what}");
            let broken = opened.index.reader().broken_invariants().expect("checks");
            assert_eq!(broken, Vec::<String>::new(), "{what}");
            opened.index.close();
            tried += 1;
            shortened += usize::from(lost.transactions > 0);
        }
    }
    println!(
        "{tried} power losses, {shortened} of which took transactions; {checkpointed} moments after a checkpoint"
    );
    assert!(tried >= 300 && shortened * 2 >= tried && checkpointed > 0, "the losses are real ones");
}
