//! Scans: every name on storage against the index. What differs is handed to the observer, which
//! looks for itself; a scan alone decides nothing.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use focus_core::recording::Place;
use focus_index::{IndexError, Reader, RootId, ScanView};
use focus_storage::walk::{Chunk, Detail, Entry, FolderEnd, WalkReport, walk};
use focus_storage::{Pair, PartKind, Root, RootProblem};

use super::inbox::Inbox;

/// Places of a folder asked from the index at once.
const PAGE: usize = 1_024;

/// What a scan came to.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// The walk's own report.
    pub(crate) report: WalkReport,
    /// Places handed to the observer that no hint named.
    pub(crate) unhinted: u64,
    /// Folders found on another device than before.
    pub(crate) devices: Vec<(i64, u64)>,
}

/// Why a scan has no result.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The root went.
    Root(RootProblem),
    /// The index cannot be read.
    Index(IndexError),
    /// It was ended.
    Ended,
}

/// Scans a root from `folder` down; the root itself is the empty folder.
pub(crate) fn scan(
    root: &Root,
    id: RootId,
    reader: &Reader,
    pair: &Pair,
    inbox: &Inbox,
    folder: &[u8],
    detail: Detail,
) -> Result<Scanned, ScanError> {
    let mut view = ScanView::new(reader, id).map_err(ScanError::Index)?;
    let last_file = view.last_file().map_err(ScanError::Index)?;
    let scan = Scan {
        pair,
        inbox,
        detail,
        stop: AtomicBool::new(false),
        unhinted: AtomicU64::new(0),
        seen: Mutex::new(Seen {
            view,
            last_file,
            data: Bits::default(),
            sidecars: Bits::default(),
            folders: Bits::default(),
            devices: Vec::new(),
            error: None,
        }),
    };
    let report = walk(root, folder, detail, &scan.stop, &|chunk| scan.chunk(chunk))
        .map_err(ScanError::Root)?;
    let devices = std::mem::take(&mut scan.seen().devices);
    if !report.stopped {
        scan.gone_folders(folder);
    }
    if let Some(error) = scan.seen().error.take() {
        return Err(ScanError::Index(error));
    }
    if scan.stop.load(Ordering::Relaxed) {
        return Err(ScanError::Ended);
    }
    Ok(Scanned { report, unhinted: scan.unhinted.into_inner(), devices })
}

struct Scan<'a> {
    pair: &'a Pair,
    inbox: &'a Inbox,
    detail: Detail,
    stop: AtomicBool,
    unhinted: AtomicU64,
    seen: Mutex<Seen>,
}

/// What was met, a bit a row: nothing else grows with the number of recordings.
struct Seen {
    view: ScanView,
    last_file: i64,
    data: Bits,
    sidecars: Bits,
    folders: Bits,
    /// Folders found on another device than before.
    devices: Vec<(i64, u64)>,
    error: Option<IndexError>,
}

impl Scan<'_> {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chunk(&self, chunk: Chunk) {
        let compared = self.compare(&chunk);
        match compared {
            Ok(places) => self.hand_over(places),
            Err(error) => {
                self.seen().error.get_or_insert(error);
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    fn hand_over(&self, places: Vec<Place>) {
        for place in places {
            let hinted = self.inbox.is_hinted(&place);
            if !self.inbox.found(place) {
                self.stop.store(true, Ordering::Relaxed);
                return;
            }
            if !hinted {
                self.unhinted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn compare(&self, chunk: &Chunk) -> Result<Vec<Place>, IndexError> {
        let mut seen = self.seen();
        let mut stems: HashSet<&[u8]> = HashSet::new();
        for entry in &chunk.entries {
            let Some(part) = self.pair.part(&entry.name) else { continue };
            if self.is_news(&mut seen, &chunk.folder, part.stem, part.kind, entry)? {
                stems.insert(part.stem);
            }
        }
        let place = |stem: &[u8]| Place { folder: chunk.folder.clone(), stem: stem.to_vec() };
        let mut places: Vec<Place> = stems.into_iter().map(place).collect();
        if chunk.end == Some(FolderEnd::Complete) {
            if let Some(device) = chunk.device
                && let Some((id, before)) = seen.view.folder_device(&chunk.folder)?
                && before != Some(device)
            {
                seen.devices.push((id, device));
            }
            seen.gone_from(&chunk.folder, &mut |stem| places.push(place(stem)))?;
        }
        Ok(places)
    }

    /// Whether a name, or its stat, is not what the index has.
    fn is_news(
        &self,
        seen: &mut Seen,
        folder: &[u8],
        stem: &[u8],
        kind: PartKind,
        entry: &Entry,
    ) -> Result<bool, IndexError> {
        let Some(known) = seen.view.known(folder, stem)? else { return Ok(true) };
        let (before, bits) = match kind {
            PartKind::Data(at) => {
                let extension = self.pair.extensions().get(at);
                // Of several data files the first extension counts.
                let same = known.extension.as_ref() == extension;
                if !same && known.data.is_some() {
                    let rank = |name: Option<&String>| {
                        self.pair.extensions().iter().position(|known| Some(known) == name)
                    };
                    return Ok(rank(extension) < rank(known.extension.as_ref()));
                }
                (known.data, &mut seen.data)
            }
            PartKind::Sidecar => (known.sidecar, &mut seen.sidecars),
        };
        bits.set(known.file);
        Ok(match (before, entry.stat) {
            (None, _) => true,
            (Some(before), Some(now)) => self.detail == Detail::Stat && before != now,
            (Some(_), None) => false,
        })
    }

    /// Folders of the index at or below `top` that the walk did not meet: all in them is looked at.
    fn gone_folders(&self, top: &[u8]) {
        let mut after = 0;
        loop {
            let folders = match self.seen().view.folders(after, PAGE) {
                Ok(folders) => folders,
                Err(error) => {
                    self.seen().error.get_or_insert(error);
                    return;
                }
            };
            let Some((last, _)) = folders.last() else { return };
            after = *last;
            for (id, path) in folders {
                let below = top.is_empty()
                    || path
                        .strip_prefix(top)
                        .is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
                if !below || self.seen().folders.get(id) {
                    continue;
                }
                let mut places = Vec::new();
                let walked = self.seen().gone_from(&path, &mut |stem| {
                    places.push(Place { folder: path.clone(), stem: stem.to_vec() });
                });
                if let Err(error) = walked {
                    self.seen().error.get_or_insert(error);
                    return;
                }
                self.hand_over(places);
            }
        }
    }
}

impl Seen {
    /// Places of a folder that was read to its end, or is gone, of which a file was not met.
    fn gone_from(&mut self, folder: &[u8], gone: &mut dyn FnMut(&[u8])) -> Result<(), IndexError> {
        if let Some(id) = self.view.folder(folder)? {
            self.folders.set(id);
        }
        let mut after = Vec::new();
        loop {
            let places = self.view.places(folder, &after, PAGE)?;
            let Some(last) = places.last() else { return Ok(()) };
            after.clone_from(&last.stem);
            for place in &places {
                let missed = place.data && !self.data.get(place.file)
                    || place.sidecar && !self.sidecars.get(place.file);
                // Rows made since the scan began are the observer's own news.
                if missed && place.file <= self.last_file {
                    gone(&place.stem);
                }
            }
        }
    }
}

/// A set of row numbers.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, row: i64) {
        let Ok(row) = usize::try_from(row) else { return };
        if row / 64 >= self.0.len() {
            self.0.resize(row / 64 + 1, 0);
        }
        self.0[row / 64] |= 1 << (row % 64);
    }

    fn get(&self, row: i64) -> bool {
        usize::try_from(row)
            .ok()
            .and_then(|row| self.0.get(row / 64).map(|word| word >> (row % 64) & 1 == 1))
            .unwrap_or(false)
    }
}
