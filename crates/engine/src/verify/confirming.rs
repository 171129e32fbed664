//! The look at each finding by itself: in the catalog, in the index, and on storage.

use std::collections::HashSet;

use focus_core::entry::observed::place_of;
use focus_core::recording::Place;
use focus_core::verify::{Finding, IndexedRecording, compare};
use focus_index::{Reader, RootId};
use focus_storage::absence::{Found, Proof, prove};
use focus_storage::{Pair, Root, RootProblem};

use crate::verify::reading::young_after_ms;
use crate::verify::result::VerifyError;
use crate::verify::verified_root::VerifiedRoot;

/// Findings looked at at once: their documents may be of any size.
const CHUNK: usize = 64;

impl VerifiedRoot<'_> {
    /// The findings that are found once more.
    pub(super) async fn confirmed(
        &self,
        suspects: Vec<Finding>,
    ) -> Result<Vec<Finding>, VerifyError> {
        let mut confirmed = Vec::new();
        for chunk in suspects.chunks(CHUNK) {
            let mut again = self.compared_again(chunk).await?;
            again.retain(|found| chunk.iter().any(|before| before.key() == found.key()));
            confirmed.extend(self.proved_absent(again).await?);
        }
        Ok(confirmed)
    }

    /// Compares the recordings of these findings once more, each by itself.
    async fn compared_again(&self, suspects: &[Finding]) -> Result<Vec<Finding>, VerifyError> {
        let uuids: Vec<String> = suspects.iter().map(|one| one.uuid.clone()).collect();
        let mut documents = self.engine.catalog.read(&self.place, &uuids).await?;
        documents.retain(|stored| stored.root.as_ref() == Some(&self.place.id));
        let mut found = Vec::new();
        let mut compared = HashSet::new();
        for uuid in uuids.into_iter().filter(|uuid| compared.insert(uuid.clone())) {
            let own: Vec<_> =
                documents.iter().filter(|stored| stored.uuid == uuid).cloned().collect();
            let cutoff_ms = young_after_ms();
            let row = self.read_index(move |reader, id| reader.verified_one(id, &uuid, cutoff_ms));
            let rows: Vec<IndexedRecording> = row.await?.into_iter().collect();
            found.extend(compare(&rows, &own));
        }
        Ok(found)
    }

    /// Of documents that the index has no row for, keeps those whose files are proved not to be there,
    /// or are another recording's. Other findings need no proof.
    async fn proved_absent(&self, findings: Vec<Finding>) -> Result<Vec<Finding>, VerifyError> {
        if !findings.iter().any(Finding::wants_proof_of_absence) {
            return Ok(findings);
        }
        let path = self.served.settings.path.clone();
        let pair = Pair::of(self.engine.settings.form_of(&self.served.settings));
        let exclude = self.engine.settings.exclude_of(&self.served.settings);
        let (reader, id) = (self.engine.reader.clone(), self.id);
        let prove_all = move || {
            let root = Root::open(&path)?.excluding(exclude);
            let mut kept = Vec::new();
            for finding in findings {
                if !finding.wants_proof_of_absence()
                    || is_proved_absent(&root, &pair, &reader, id, &finding)?
                {
                    kept.push(finding);
                }
            }
            Ok::<_, RootProblem>(kept)
        };
        Ok(tokio::task::spawn_blocking(prove_all).await??)
    }
}

/// Whether the files that a document names are not on storage, or are another recording's. False also
/// where that cannot be told.
fn is_proved_absent(
    root: &Root,
    pair: &Pair,
    reader: &Reader,
    id: RootId,
    finding: &Finding,
) -> Result<bool, RootProblem> {
    // A path that names no place is on no storage.
    let Some(place) = place_of(&finding.path) else { return Ok(true) };
    let proof = prove(root, pair, &place.folder, &[&place.stem])?;
    let there = match proof {
        Proof::Read { found, .. } => found.first() == Some(&Found::File),
        // It is not there as far as anybody looks.
        Proof::Hidden => false,
        Proof::Unproved { .. } => return Ok(false),
    };
    Ok(!there || is_anothers(reader, id, place, &finding.uuid))
}

/// Whether the files at this place are settled as a recording with another uuid.
fn is_anothers(reader: &Reader, id: RootId, place: Place, uuid: &str) -> bool {
    let sights = reader.sights(id, &[place]).unwrap_or_default();
    sights.iter().any(|sight| sight.settled && sight.uuid.as_deref().is_some_and(|own| own != uuid))
}
