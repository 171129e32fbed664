//! The handover of a root: what its holder has told is kept in the catalog, and whoever takes over goes on from
//! there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_catalog::Reach;
use focus_core::alert::{Handed, Rule};
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

/// A standby that sees its storage gone asks so often whether the holder tells of it.
const ASK: Duration = Duration::from_secs(5);

/// What is known of a root between two looks.
#[derive(Debug, Default)]
struct Known {
    /// The token under which it is ours, and since when.
    token: Option<(i64, Instant)>,
    /// What the catalog has of ours.
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
            known.values_mut().for_each(|known| known.written = None);
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
        None => stand_by(board, engine, root, known).await,
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
    if !board.is_taken(&root.id, token) {
        match engine.alerts(root).await {
            Ok(text) => {
                let before: KeptHandover =
                    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                // What this server wrote itself, its state folder knows better.
                let theirs = before.holder != engine.identity() && !before.holder.is_empty();
                board.take(root, token, leads, theirs.then(|| before.handed()));
            }
            Err(_) if since.elapsed() > PATIENCE => board.take(root, token, leads, None),
            Err(_) => return None,
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
    let text = serde_json::to_string(&KeptHandover::of(engine.identity(), handed.clone())).ok()?;
    engine.put_alerts(root, token, text).await.ok()?;
    board.set_handed(&handed);
    board::keep(board).await;
    known.written = Some(handed);
    Some(())
}

/// Asks whether the holder tells that the storage is gone, where this server sees that it is.
async fn stand_by(
    board: &Board,
    engine: &Engine,
    root: &RootHolder,
    known: &mut Known,
) -> Option<()> {
    let now = Instant::now();
    if root.holder == LastHolder::Me || known.ask.is_some_and(|ask| now < ask) {
        return Some(());
    }
    if !board.is_raised(Rule::StorageUnavailable, &root.id) {
        board.set_told_elsewhere(&root.id, false);
        return Some(());
    }
    known.ask = Some(now + ASK);
    let text = engine.alerts(root).await.ok()?;
    let theirs: KeptHandover =
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let told = theirs.holder != engine.identity()
        && theirs
            .handed()
            .iter()
            .any(|(_, key, _)| key.rule == Rule::StorageUnavailable && key.root == root.id);
    board.set_told_elsewhere(&root.id, told);
    Some(())
}
