//! One verification of all roots.

use focus_catalog::RootPlace;
use focus_common::clock;
use focus_common::status::Verifying;
use focus_index::IndexError;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::verify::result::{Verification, VerifyError};
use crate::verify::sidecars::Sidecars;
use crate::verify::verified_root::VerifiedRoot;

impl Engine {
    /// Verifies all roots, reads these sidecars, and with `repair` mends what can be mended.
    ///
    /// # Errors
    /// A root or the catalog is not there, or a repair is another server's to make.
    pub async fn verify(
        &self,
        repair: bool,
        sidecars: Sidecars,
    ) -> Result<Verification, VerifyError> {
        self.verify_root(None, repair, sidecars).await
    }

    /// As [`Engine::verify`], the root with this marker alone; none: all of them.
    ///
    /// # Errors
    /// As [`Engine::verify`].
    pub async fn verify_root(
        &self,
        only: Option<&str>,
        repair: bool,
        sidecars: Sidecars,
    ) -> Result<Verification, VerifyError> {
        let _running = self.verifications.begin().await;
        let (began, began_ms) = (Instant::now(), clock::wall_ms());
        let mut out = Verification::begun(clock::rfc3339(began_ms));
        let roots = self.verify_roots(only, repair, sidecars, &mut out);
        let places = if repair {
            // Nothing is mended by an index that may be damaged.
            self.check_index().await?;
            roots.await?
        } else {
            tokio::try_join!(self.check_index(), roots)?.1
        };
        out.foreign = self.catalog.foreign(&places).await.ok();
        out.finish(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        if !out.in_order {
            tracing::warn!(
                "the catalog is not true to storage: {:?}. `focus verify --repair` mends what can be mended",
                out.counts
            );
        }
        match only {
            None => self.verifications.keep(&out),
            Some(_) => self.verifications.keep(&self.with_other_roots(&out)),
        }
        Ok(out)
    }

    /// Verifies these roots, one after the other; where each is.
    async fn verify_roots(
        &self,
        only: Option<&str>,
        repair: bool,
        sidecars: Sidecars,
        out: &mut Verification,
    ) -> Result<Vec<RootPlace>, VerifyError> {
        let mut places = Vec::new();
        for served in self.roots.iter().filter(|served| served.is_chosen(only)) {
            let root = VerifiedRoot::reach(self, served).await?;
            root.verify(repair, sidecars, out).await?;
            places.push(root.place);
        }
        Ok(places)
    }

    /// The result for one root, and what is known of the others from before.
    fn with_other_roots(&self, out: &Verification) -> Verification {
        let configured = self.roots.iter().filter_map(|served| served.memory.borrow().clone());
        let configured: Vec<String> = configured.map(|(marker, _)| marker).collect();
        out.with_others(self.last_verification(), &configured)
    }

    /// Checks the index: one that contradicts itself is damaged, and would compare wrongly.
    async fn check_index(&self) -> Result<(), VerifyError> {
        let reader = self.reader.clone();
        let check = move || reader.check().and_then(|_| reader.broken_invariants());
        let error = match tokio::task::spawn_blocking(check).await? {
            Ok(broken) if broken.is_empty() => return Ok(()),
            Ok(broken) => IndexError::Damaged {
                path: self.index.path().display().to_string(),
                words: format!("it contradicts itself ({})", broken.join("; ")),
            },
            Err(error) => error,
        };
        self.index_fault.tell(&error);
        Err(VerifyError::could_not_tell(format!(
            "{error}. It is made anew from storage: run the verification again"
        )))
    }

    /// The last verification, of this run or an earlier one.
    pub fn last_verification(&self) -> Option<Verification> {
        self.verifications.last()
    }

    /// How far the verification that goes on has come; none where none goes on.
    pub fn verifying(&self) -> Option<Verifying> {
        self.verifications.running()
    }
}
