//! A sample of the recordings in a folder that need not be marked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use focus_core::look::Look;
use focus_core::name::recording_id;
use focus_core::recognise::{SAMPLE_MAX, Sampled};
use focus_core::recording::Place;
use focus_core::sidecar::{self, Of};
use parking_lot::Mutex;

use crate::look::look;
use crate::walk::{Before, Chunk, Detail, walk};
use crate::{Pair, PartKind, Root, RootProblem};

/// Sidecars that are looked at for a data file beside them, at most.
const SIDECARS_MAX: usize = 4 * SAMPLE_MAX;

/// Names are read for so long: what was read by then is sampled.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// Up to 1,000 recordings of a folder, chosen by the hash of their paths, so that each has the same chance
/// and the same folder gives the same sample.
///
/// # Errors
/// The folder is not there or cannot be read.
pub fn sample(root: &Root, pair: &Pair) -> Result<Vec<Sampled>, RootProblem> {
    let is_sidecar = |kind: PartKind| matches!(kind, PartKind::Sidecar(_));
    let mut sample = Vec::new();
    for place in places(root, pair, is_sidecar, SIDECARS_MAX, READ_LIMIT)? {
        if sample.len() == SAMPLE_MAX {
            break;
        }
        let seen = look(root, pair, &place, None)?;
        sample.extend(sampled(pair, &place, &seen));
    }
    Ok(sample)
}

/// Up to `most` places at which a file of a wanted kind is, those whose paths have the smallest hashes first.
/// Names are read for so long at most.
///
/// # Errors
/// The folder is not there or cannot be read.
pub fn places(
    root: &Root,
    pair: &Pair,
    is_wanted: impl Fn(PartKind) -> bool + Sync,
    most: usize,
    limit: Duration,
) -> Result<Vec<Place>, RootProblem> {
    let chosen: Mutex<BTreeSet<(u64, Place)>> = Mutex::default();
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    walk(
        root,
        b"",
        Detail::Names,
        Before::NOTHING,
        &stop,
        &|Chunk { folder, entries, .. }: Chunk| {
            for entry in entries {
                let Some(part) = pair.part(&entry.name).filter(|part| is_wanted(part.kind)) else {
                    continue;
                };
                let place = Place { folder: folder.clone(), stem: part.stem.to_vec() };
                let mut chosen = chosen.lock();
                chosen.insert((hash(&place), place));
                if chosen.len() > most {
                    // The largest hash goes first.
                    chosen.pop_last();
                }
            }
            if began.elapsed() > limit {
                stop.store(true, Ordering::Relaxed);
            }
        },
    )?;
    Ok(chosen.into_inner().into_iter().map(|(_, place)| place).collect())
}

/// The recording at a place, where both files are there and the sidecar can be read.
fn sampled(pair: &Pair, place: &Place, look: &Look) -> Option<Sampled> {
    let (data, bytes) = (look.data.as_ref()?, look.sidecar.as_ref()?.bytes.as_ref()?);
    let of = Of {
        root: "",
        folder: &place.folder,
        recording_id: recording_id(&place.stem).ok()?,
        data_size: data.stat.size,
        form: pair.form(),
    };
    let uuid = sidecar::uuid(bytes, &of)?;
    Some(Sampled { uuid, path: format!("{}.{}", place.display(), data.extension) })
}

/// FNV-1a over the path, with its bits spread: any even distribution does.
fn hash(place: &Place) -> u64 {
    let bytes = place.folder.iter().chain(b"/").chain(&place.stem);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    let spread = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    spread ^ (spread >> 33)
}
