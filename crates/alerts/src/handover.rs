//! The handover of a root: what its holder has told is kept in the catalog, and whoever takes over goes on from
//! there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_catalog::Reach;
use focus_core::alert::{AlertKey, Handed, Holds, Lineage, Record, Rule};
use focus_core::lease::LastHolder;
use focus_engine::{Engine, RootHolder};
use tokio::sync::watch as hand;
use tokio::time::sleep;

use super::board::{self, Board};
use super::kept::KeptHandover;

/// A change is written within this, and a lease that was taken is noticed.
const LOOK: Duration = Duration::from_millis(250);

/// After a call that failed, the next one waits so long.
const RETRY: Duration = Duration::from_secs(2);

/// A root that was taken over is told of after so long in any case: people must hear of what is wrong, twice rather
/// than not at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// A standby reads so often what the holder has told.
const ASK: Duration = Duration::from_secs(5);

/// What is known of a root between two looks.
#[derive(Debug, Default)]
struct Known {
    /// The token under which it is ours, and since when.
    token: Option<(i64, Instant)>,
    /// The record that the catalog has, since its last return: read, or written by this server. The outer one is
    /// none until that is known.
    there: Option<Option<Lineage>>,
    /// What that record says, where this server wrote it.
    written: Option<Handed>,
    /// No call before this.
    next: Option<Instant>,
    /// A standby asks the holder again after this.
    ask: Option<Instant>,
}

/// Hands over until it is aborted.
pub(super) async fn run(board: Arc<Board>, engines: hand::Receiver<Arc<Engine>>) {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let mut epoch = None;
    loop {
        let engine = Arc::clone(&engines.borrow());
        let now = match *engine.reach().borrow() {
            Reach::Up { epoch } => Some(epoch),
            Reach::Connecting | Reach::Down { .. } => None,
        };
        if now.is_some() && std::mem::replace(&mut epoch, now) != now {
            // Another database may have come back: what it has is not known.
            let forget = |known: &mut Known| (known.there, known.written) = (None, None);
            known.values_mut().for_each(forget);
        }
        let roots = engine.holders();
        let first = roots.iter().map(|root| root.id.clone()).min();
        known.retain(|id, _| roots.iter().any(|root| root.id == *id));
        for root in &roots {
            let leads = first.as_ref() == Some(&root.id);
            let known = known.entry(root.id.clone()).or_default();
            look(&board, &engine, root, leads, known).await;
        }
        sleep(LOOK).await;
    }
}

async fn look(
    board: &Arc<Board>,
    engine: &Engine,
    root: &RootHolder,
    leads: bool,
    known: &mut Known,
) {
    let now = Instant::now();
    if known.token.map(|(token, _)| token) != root.token {
        *known = Known { token: root.token.map(|token| (token, now)), ..Known::default() };
    }
    if known.next.is_some_and(|next| now < next) {
        return;
    }
    let done = match known.token {
        Some((token, since)) => hold(board, engine, root, leads, (token, since), known).await,
        None => stand_by(board, engine, root, leads, known).await,
    };
    known.next = done.is_none().then(|| Instant::now() + RETRY);
}

/// Goes on from what another has told, and writes what this server tells. None: a call failed.
async fn hold(
    board: &Arc<Board>,
    engine: &Engine,
    root: &RootHolder,
    leads: bool,
    (token, since): (i64, Instant),
    known: &mut Known,
) -> Option<()> {
    if known.there.is_none() || !board.is_taken(&root.id, token) {
        match read(engine, root).await {
            Some(there) => {
                let lineage = there.as_ref().map(|(_, record)| record.lineage.clone());
                let is_taken = board.is_taken(&root.id, token);
                let holds = if is_taken { Holds::Still } else { Holds::Anew };
                board.met(&root.id, leads, lineage.as_ref(), holds);
                known.there = Some(lineage);
                // What this server wrote itself, its state folder knows better.
                let theirs = there.filter(|(holder, _)| holder != engine.identity());
                if !is_taken || theirs.is_some() {
                    board.take(root, token, leads, theirs.map(|(_, record)| record));
                }
            }
            None if since.elapsed() > PATIENCE && !board.is_taken(&root.id, token) => {
                board.take(root, token, leads, None);
                return None;
            }
            None => return None,
        }
    }
    let handed = board.handed(&root.id, leads);
    let is_known = |written: &Handed| {
        let told = |handed: &Handed| -> Vec<_> {
            handed
                .iter()
                .map(|(channel, key, of)| (channel.clone(), key.clone(), of.told))
                .collect()
        };
        told(written) == told(&handed)
    };
    if known.written.as_ref().is_some_and(is_known) {
        return Some(());
    }
    let there = known.there.take().flatten();
    let lineage = board.next_lineage(&root.id, there.as_ref());
    let record = Record { lineage, handed: handed.clone() };
    let text = serde_json::to_string(&KeptHandover::of(engine.identity(), record.clone())).ok()?;
    // Should this fail, what is there now is read again.
    engine.put_alerts(root, token, text).await.ok()?;
    board.set_handed(&root.id, &record);
    board::keep(board).await;
    known.there = Some(Some(record.lineage));
    known.written = Some(handed);
    Some(())
}

/// The record that the catalog has of a root, and who wrote it. None: a call failed.
async fn read(engine: &Engine, root: &RootHolder) -> Option<Option<(String, Record)>> {
    let text = engine.alerts(root).await.ok()?;
    let kept: Option<KeptHandover> = text.and_then(|text| serde_json::from_str(&text).ok());
    let kept = kept.filter(|kept| !kept.holder.is_empty());
    Some(kept.map(|kept| (kept.holder.clone(), kept.record())))
}

/// Reads what the holder has told now and then: it stands, should both the holder and the catalog be gone. Where this
/// server sees its storage gone, the holder may tell of that.
async fn stand_by(
    board: &Arc<Board>,
    engine: &Engine,
    root: &RootHolder,
    leads: bool,
    known: &mut Known,
) -> Option<()> {
    let now = Instant::now();
    if root.holder == LastHolder::Me || known.ask.is_some_and(|ask| now < ask) {
        return Some(());
    }
    known.ask = Some(now + ASK);
    let Some((holder, record)) = read(engine, root).await? else {
        // A holder that has not written anything yet tells of nothing.
        board.set_told_elsewhere(&root.id, false);
        return Some(());
    };
    if known.there.is_none() {
        board.met(&root.id, leads, Some(&record.lineage), Holds::No);
        known.there = Some(Some(record.lineage.clone()));
    }
    let is_another = holder != engine.identity();
    let is_of = |key: &AlertKey| key.rule == Rule::StorageUnavailable && key.root == root.id;
    let is_told = is_another && record.handed.iter().any(|(_, key, _)| is_of(key));
    let is_raised = board.is_raised(Rule::StorageUnavailable, &root.id);
    board.set_told_elsewhere(&root.id, is_raised && is_told);
    if is_another && board.saw(&root.id, record) {
        board::keep(board).await;
    }
    Some(())
}
