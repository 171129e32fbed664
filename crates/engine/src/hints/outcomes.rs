//! What comes of hints from outside: folders are looked for and listed, and places wait for their files.

use focus_core::hint::{Outcome, Target};
use focus_core::settle::{Conclusion, Sight};
use focus_index::{IndexError, Observation, ScanView};
use focus_storage::FolderThere;

use crate::inbox::ScanAsked;
use crate::present_root::PresentRoot;

/// What observations came to for the hints that wait for them.
pub(crate) fn of_looks(
    present: PresentRoot<'_>,
    before: &[Sight],
    observations: &[Observation],
) -> Vec<(Target, Outcome)> {
    if !present.inbox().has_outside() {
        return Vec::new();
    }
    let outcome = |(before, now): (&Sight, &Observation)| {
        let has_both = now.sight.data.is_some() && now.sight.sidecar.is_some();
        let outcome = match &now.conclusion {
            Conclusion::Settled(_) | Conclusion::Same => Outcome::Done,
            // The hint was at its removal.
            Conclusion::Absent if before.data.is_some() || before.sidecar.is_some() => {
                Outcome::Done
            }
            // The index has it looked at when it may have settled.
            Conclusion::Unsettled if has_both => Outcome::NotYet(now.due_ms),
            Conclusion::Absent | Conclusion::Unsettled | Conclusion::Unrecognised(_) => {
                Outcome::NotYet(None)
            }
        };
        (Target::Place(now.place.clone()), outcome)
    };
    before.iter().zip(observations).map(outcome).collect()
}

/// Looks for folders that hints name, and has those listed that are there.
///
/// # Errors
/// The index cannot be read.
pub(crate) fn folders(present: PresentRoot<'_>, folders: &[Target]) -> Result<(), IndexError> {
    let (inbox, mut known) = (present.inbox(), None);
    let mut outcomes = Vec::with_capacity(folders.len());
    for target in folders {
        let Target::Folder(folder) = target else { continue };
        let has_waited = inbox.has_waited(target);
        let outcome = match present.root.look_for_folder(folder) {
            FolderThere::Yes if folder.is_empty() => {
                inbox.ask_scan(ScanAsked::Names);
                Outcome::Done
            }
            FolderThere::Yes => {
                inbox.hint_folder(folder.clone());
                if has_waited { Outcome::Growing } else { Outcome::Done }
            }
            FolderThere::No if !has_waited && is_known(present, &mut known, folder)? => {
                inbox.hint_folder(folder.clone());
                Outcome::Done
            }
            FolderThere::No => Outcome::NotYet(None),
            FolderThere::Never => Outcome::Done,
        };
        outcomes.push((target.clone(), outcome));
    }
    inbox.looked(outcomes);
    Ok(())
}

/// The index has recordings in this folder.
fn is_known(
    present: PresentRoot<'_>,
    view: &mut Option<ScanView>,
    folder: &[u8],
) -> Result<bool, IndexError> {
    let view = match view {
        Some(view) => view,
        None => view.insert(ScanView::new(&present.index.reader(), present.id)?),
    };
    Ok(view.folder(folder)?.is_some())
}
