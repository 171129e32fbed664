//! The text index follows the recordings, behind what writes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_common::status::TextIndexStatus;
use focus_index::{Index, IndexError, Reader, TextDue, TextIndexed};
use parking_lot::Mutex;

use crate::index_fault::IndexFault;

/// Between two looks at whether something is to be done.
const LOOK: Duration = Duration::from_secs(5);

/// What is too little to be indexed at once is indexed when it has not changed for so long: with every single recording a
/// whole chunk would be made anew.
const QUIET: Duration = Duration::from_secs(60);

/// Indexes what is due.
pub(crate) struct TextIndexing {
    pub(crate) index: Index,
    pub(crate) reader: Reader,
    pub(crate) fault: Arc<IndexFault>,
    /// What the status shows.
    pub(crate) view: Arc<Mutex<TextIndexed>>,
}

impl TextIndexing {
    /// Goes on for as long as the server runs.
    pub(crate) async fn run(self) {
        let mut due = TextDue::All;
        let mut seen = (TextIndexed::default(), Instant::now());
        loop {
            match self.catch_up(due).await {
                Ok(indexed) if indexed != seen.0 => seen = (indexed, Instant::now()),
                Ok(_) => {}
                Err(error) => {
                    self.fault.tell(&error);
                    tokio::time::sleep(LOOK).await;
                    self.fault.clear();
                }
            }
            tokio::time::sleep(LOOK).await;
            due = if seen.1.elapsed() < QUIET { TextDue::Much } else { TextDue::All };
        }
    }

    /// Does everything that is due. The writer serves others for at least as long in between.
    async fn catch_up(&self, due: TextDue) -> Result<TextIndexed, IndexError> {
        loop {
            let indexed = self.look().await?;
            let step = Instant::now();
            if !self.index.text_step(due).await? {
                return Ok(indexed);
            }
            tokio::time::sleep(step.elapsed()).await;
        }
    }

    /// How far it is.
    async fn look(&self) -> Result<TextIndexed, IndexError> {
        let reader = self.reader.clone();
        let indexed = tokio::task::spawn_blocking(move || reader.text_indexed()).await;
        let indexed = indexed.map_err(|_| IndexError::Closed)??;
        *self.view.lock() = indexed;
        Ok(indexed)
    }
}

/// How far the text index is, as the status shows it.
pub fn text_index(indexed: TextIndexed) -> TextIndexStatus {
    TextIndexStatus { done: indexed.done, of: indexed.of }
}
