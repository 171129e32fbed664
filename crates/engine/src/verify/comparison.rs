//! A comparison of catalog and index that somebody asks for: the reconciler makes it, as it does by its period, and
//! what it finds is pending.

use focus_core::reconcile::Phase;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::engine::Engine;
use crate::verify::result::VerifyError;
use crate::verify::verified_root::{LOOK, VerifiedRoot};

/// The result of a comparison. Field names are an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// How long it took.
    pub elapsed_ms: u64,
    /// Each root.
    pub roots: Vec<ComparedRoot>,
}

/// The result of a comparison of one root. Field names are an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedRoot {
    /// The marker's id.
    pub root: String,
    /// The configured path.
    pub path: String,
    /// Recordings of the index that were compared.
    pub recordings: u64,
    /// Documents of the root that the index does not know.
    pub missing: u64,
    /// Recordings that are pending now.
    pub pending: u64,
}

impl Engine {
    /// Compares catalog and index of the root with this marker; none: of all of them.
    ///
    /// # Errors
    /// A root or the catalog is not there, or another server has the lease.
    pub async fn compare(&self, only: Option<&str>) -> Result<Compared, VerifyError> {
        let began = Instant::now();
        let mut out = Compared::default();
        for (at, served) in self.roots.iter().enumerate() {
            if served.is_chosen(only) {
                let root = VerifiedRoot::reach(self, served).await?;
                out.roots.push(root.compare(at).await?);
            }
        }
        out.elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(out)
    }

    /// How many recordings the comparisons under way have compared, and how many there are; none where none goes
    /// on.
    pub fn comparing(&self) -> Option<(u64, u64)> {
        let compared: Vec<u64> =
            self.views.iter().filter_map(|view| view.lock().comparing).collect();
        let totals = (!compared.is_empty()).then(|| self.reader.totals().unwrap_or_default())?;
        Some((compared.iter().sum(), totals.recordings))
    }
}

impl VerifiedRoot<'_> {
    /// Asks for a comparison of this root, which is the engine's `at`-th, and waits for it.
    async fn compare(&self, at: usize) -> Result<ComparedRoot, VerifyError> {
        let number = self.served.comparisons.ask();
        loop {
            self.check_present()?;
            let Some(view) = self.engine.views.get(at).map(|view| view.lock().clone()) else {
                return Err(VerifyError::could_not_tell("the root is not served"));
            };
            if view.compared_for >= number {
                let totals = self.read_index(|reader, id| reader.root_totals(id)).await?;
                return Ok(ComparedRoot {
                    root: self.place.id.clone(),
                    path: self.place.path.clone(),
                    recordings: totals.recordings,
                    missing: view.missing.unwrap_or(0),
                    pending: totals.pending,
                });
            }
            match view.phase {
                Phase::Standby => {
                    return Err(VerifyError::Refused(format!(
                        "another server has the lease of the root {}: compare there",
                        self.place.path
                    )));
                }
                Phase::Down => {
                    let why = view.reason().unwrap_or_else(|| "it is away".to_owned());
                    return Err(VerifyError::could_not_tell(format!(
                        "the catalog cannot be reached: {why}"
                    )));
                }
                _ => sleep(LOOK).await,
            }
        }
    }
}
