//! A sample of the recordings in a folder that need not be marked.

use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use focus_core::look::Look;
use focus_core::name::recording_id;
use focus_core::recognise::{SAMPLE_MAX, Sampled};
use focus_core::recording::Place;
use focus_core::sidecar;
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
    // The largest hash is on top: it goes first.
    let chosen: Mutex<BinaryHeap<(u64, Place)>> = Mutex::default();
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    walk(
        root,
        b"",
        Detail::Names,
        Before::NOTHING,
        &stop,
        &|Chunk { folder, entries, .. }: Chunk| {
            for entry in entries {
                let Some(part) =
                    pair.part(&entry.name).filter(|part| matches!(part.kind, PartKind::Sidecar(_)))
                else {
                    continue;
                };
                let place = Place { folder: folder.clone(), stem: part.stem.to_vec() };
                let mut chosen = chosen.lock();
                chosen.push((hash(&place), place));
                if chosen.len() > SIDECARS_MAX {
                    chosen.pop();
                }
            }
            if began.elapsed() > READ_LIMIT {
                stop.store(true, Ordering::Relaxed);
            }
        },
    )?;
    let mut sample = Vec::new();
    for (_, place) in chosen.into_inner().into_sorted_vec() {
        if sample.len() == SAMPLE_MAX {
            break;
        }
        let seen = look(root, pair, &place, None)?;
        sample.extend(sampled(&place, &seen));
    }
    Ok(sample)
}

/// The recording at a place, where both files are there and the sidecar can be read.
fn sampled(place: &Place, look: &Look) -> Option<Sampled> {
    let (data, bytes) = (look.data.as_ref()?, look.sidecar.as_ref()?.bytes.as_ref()?);
    let uuid = sidecar::uuid(bytes, recording_id(&place.stem).ok()?)?;
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
