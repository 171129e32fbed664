//! Scans: every name on storage against the index. What differs is handed to the observer, which
//! looks for itself; a scan alone decides nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use focus_common::clock;
use focus_common::config::Settings;
use focus_common::memory_budget::MemoryBudget;
use focus_core::mount::Mount;
use focus_core::recording::Place;
use focus_index::{FolderId, FolderPlaces, IndexError, KnownPlace, PlaceId, ScanView};
use focus_storage::folders::{FolderMemory, FolderRead};
use focus_storage::walk::{Before, Chunk, Detail, Entry, FolderEnd, WalkReport, walk};
use focus_storage::{Pair, Part, PartKind, RootProblem};
use parking_lot::Mutex;

use crate::present_root::PresentRoot;

/// Places of a folder, or folders, read from the index at once, so that a large folder takes little
/// memory.
const PAGE: usize = 1_024;

/// Places of a folder that are read at once, so that each name is compared without a query of its own; those of a larger
/// folder are asked for one by one.
const AT_ONCE_MAX: usize = 4_096;

/// Sidecars that may have another content under the same size and time are read at this pace: a change of
/// rights, or a backup by links, concerns all of a root at once.
const REREAD_EVERY_MS: u64 = 2;

/// What a scan came to.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// The walk's own report.
    pub(crate) report: WalkReport,
    /// Places handed to the observer that no hint named.
    pub(crate) unhinted: u64,
    /// Folders found on another mount than before.
    pub(crate) moved: Vec<(FolderId, Arc<Mount>)>,
    /// The mounts that folders were found on.
    pub(crate) mounts: HashSet<Arc<Mount>>,
    /// What is to be remembered of its folders.
    pub(crate) folders: FolderMemory,
    /// Folders that were passed over.
    pub(crate) unchanged: u64,
}

/// Why a scan has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// The root went.
    #[error(transparent)]
    Root(#[from] RootProblem),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The session is over.
    #[error("the scan was ended")]
    Ended,
}

/// Scans a root from `folder` down; the root itself is the empty folder. A folder that is as it is `known` is not read.
///
/// # Errors
/// The root went, the index cannot be read, or the session is over.
pub(crate) fn scan(
    present: PresentRoot<'_>,
    folder: &[u8],
    detail: Detail,
    known: Option<&FolderMemory>,
) -> Result<Scanned, ScanError> {
    let mut view = ScanView::new(&present.index.reader(), present.id)?;
    let last_place = view.last_place()?;
    let scan = Scan {
        present,
        detail,
        known,
        stop: AtomicBool::new(false),
        unhinted: AtomicU64::new(0),
        met: Mutex::new(Met {
            view,
            last_place,
            rows: Rows::default(),
            folders: RowSet::default(),
            moved: Vec::new(),
            mounts: HashSet::new(),
            news_in: HashSet::new(),
            remembered: FolderMemory::within(remembered_bytes(present.settings)),
            unchanged: 0,
            alike: Vec::new(),
            reread: 0,
            error: None,
        }),
    };
    let before = Before { known, now_ns: clock::steady_wall_ns };
    let sink = |chunk| scan.chunk(chunk);
    let report = walk(present.root, folder, detail, before, &scan.stop, &sink)?;
    let moved = std::mem::take(&mut scan.met().moved);
    let mounts = std::mem::take(&mut scan.met().mounts);
    let folders = std::mem::take(&mut scan.met().remembered);
    let unchanged = scan.met().unchanged;
    if let Some(error) = scan.met().error.take() {
        return Err(error.into());
    }
    scan.read_again(1)?;
    if !report.stopped {
        scan.gone_folders(folder)?;
    }
    if scan.stop.load(Ordering::Relaxed) {
        return Err(ScanError::Ended);
    }
    Ok(Scanned { report, unhinted: scan.unhinted.into_inner(), moved, mounts, folders, unchanged })
}

/// A scan under way. The walk calls it from several threads.
struct Scan<'a> {
    present: PresentRoot<'a>,
    detail: Detail,
    known: Option<&'a FolderMemory>,
    stop: AtomicBool,
    unhinted: AtomicU64,
    met: Mutex<Met>,
}

/// What the walk has met, a bit a row: nothing else grows with the number of recordings.
struct Met {
    /// The index as it was when the scan began.
    view: ScanView,
    /// The place that the index learned of last when the scan began.
    last_place: PlaceId,
    rows: Rows,
    /// Rows of folders that were met.
    folders: RowSet,
    /// Folders found on another mount than before.
    moved: Vec<(FolderId, Arc<Mount>)>,
    /// The mounts that folders were found on.
    mounts: HashSet<Arc<Mount>>,
    /// Folders of which a part was read that holds something which the index does not have.
    news_in: HashSet<Vec<u8>>,
    /// What is to be remembered of folders.
    remembered: FolderMemory,
    /// Folders that were passed over.
    unchanged: u64,
    /// Settled places whose sidecar is another file of the same size and time, or was changed without these.
    alike: Vec<PlaceId>,
    /// How many of them are read again by now.
    reread: u64,
    error: Option<IndexError>,
}

/// Rows of places of which a file was met.
#[derive(Default)]
struct Rows {
    /// Their data file.
    data: RowSet,
    /// Their sidecar.
    sidecars: RowSet,
}

impl Rows {
    fn of(&mut self, kind: PartKind) -> &mut RowSet {
        match kind {
            PartKind::Data(_) => &mut self.data,
            PartKind::Sidecar(_) => &mut self.sidecars,
        }
    }
}

impl Scan<'_> {
    fn met(&self) -> parking_lot::MutexGuard<'_, Met> {
        self.met.lock()
    }

    fn chunk(&self, chunk: Chunk) {
        let compared =
            self.compare(&chunk).and_then(|places| self.read_again(PAGE).map(|()| places));
        match compared {
            Ok(places) => self.hand_over(places),
            Err(error) => {
                self.met().error.get_or_insert(error);
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Has the sidecars read again that may have another content, where there are `least` of them.
    fn read_again(&self, least: usize) -> Result<(), IndexError> {
        let places = {
            let mut met = self.met();
            if met.alike.len() < least {
                return Ok(());
            }
            let now_ms = clock::boot_ms();
            let first = met.reread;
            let alike = std::mem::take(&mut met.alike);
            met.reread += alike.len() as u64;
            let at = |(n, place)| (place, now_ms + (first + n) * REREAD_EVERY_MS);
            (0_u64..).zip(alike).map(at).collect()
        };
        self.present.index.look_later_blocking(places)
    }

    fn hand_over(&self, places: Vec<Place>) {
        for place in places {
            let hinted = self.present.inbox().is_hinted(&place);
            if !self.present.inbox().hand_over(place) {
                self.stop.store(true, Ordering::Relaxed);
                return;
            }
            if !hinted {
                self.unhinted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn compare(&self, chunk: &Chunk) -> Result<Vec<Place>, IndexError> {
        let mut met = self.met();
        if chunk.end == Some(FolderEnd::Unchanged) {
            met.unchanged(chunk, self.known)?;
            return Ok(Vec::new());
        }
        let mut stems: HashSet<&[u8]> = HashSet::new();
        let pair = self.present.pair;
        let parts: Vec<(&Entry, Part<'_>)> = chunk
            .entries
            .iter()
            .filter_map(|entry| Some((entry, pair.part(&entry.name)?)))
            .collect();
        let spellings = Spellings::of(pair, &parts);
        let folder = met.view.folder_places(&chunk.folder, AT_ONCE_MAX)?;
        for (entry, part) in &parts {
            let compared = if spellings.is_surplus(pair, &entry.name, part) {
                Compared::Surplus
            } else {
                match &folder {
                    Some(folder) => self.compare_one(&mut met, folder.get(part.stem), part, entry),
                    None => {
                        let known = met.view.known(&chunk.folder, part.stem)?;
                        self.compare_one(&mut met, known.as_ref(), part, entry)
                    }
                }
            };
            match compared {
                Compared::Same => {}
                Compared::News => {
                    stems.insert(part.stem);
                }
                Compared::Surplus if met.is_known_surplus(&chunk.folder, &entry.name, part)? => {}
                Compared::Surplus => {
                    stems.insert(&entry.name);
                }
            }
        }
        let place = |stem: &[u8]| Place { folder: chunk.folder.clone(), stem: stem.to_vec() };
        let mut places: Vec<Place> = stems.into_iter().map(place).collect();
        if let Some(FolderEnd::Complete(_)) = chunk.end {
            met.found_on(&chunk.folder, chunk.mount.as_ref())?;
            let gone = &mut |stem: &[u8]| places.push(place(stem));
            match &folder {
                Some(folder) => met.gone_of(&chunk.folder, folder, gone)?,
                None => met.gone_from(&chunk.folder, gone)?,
            }
        }
        met.remember(chunk, !places.is_empty());
        Ok(places)
    }

    /// Compares a name, and its stat, with what the index has.
    fn compare_one(
        &self,
        met: &mut Met,
        known: Option<&KnownPlace>,
        part: &Part<'_>,
        entry: &Entry,
    ) -> Compared {
        let Some(known) = known else { return Compared::News };
        let before = match part.kind {
            PartKind::Data(at) => {
                if let (Some(extension), true) = (&known.extension, known.data.is_some())
                    && let Some(compared) = self.compare_extension(extension, at)
                {
                    return compared;
                }
                known.data
            }
            PartKind::Sidecar(_) => known.sidecar,
        };
        let is_first = met.rows.of(part.kind).insert(known.id.number());
        if !is_first && !self.present.pair.is_exact(part.kind) {
            return Compared::Surplus;
        }
        let is_news = match (before, entry.stat) {
            (None, _) => true,
            (Some(before), Some(now)) => self.detail == Detail::Stat && before != now,
            (Some(_), None) => false,
        };
        if is_news {
            return Compared::News;
        }
        let is_another = self.detail == Detail::Stat
            && matches!(part.kind, PartKind::Sidecar(_))
            && entry.identity.is_some()
            && entry.identity != known.identity
            && !known.is_due;
        match is_another {
            true if known.settled => met.alike.push(known.id),
            true => return Compared::News,
            false => {}
        }
        Compared::Same
    }

    /// Compares the extension of a data file with the one that the index has; none where they are the same.
    /// Of several data files the first extension counts.
    fn compare_extension(&self, known: &str, at: usize) -> Option<Compared> {
        let extensions = self.present.pair.data();
        let extension = extensions.get(at)?;
        let is_spelling = extension.eq_ignore_ascii_case(known);
        if extension == known || is_spelling && self.present.root.ignores_case() {
            return None;
        }
        let before = extensions.iter().position(|one| one == known);
        Some(match before {
            Some(before) if before < at && is_spelling => Compared::Surplus,
            Some(before) if before < at => Compared::Same,
            _ => Compared::News,
        })
    }

    /// Hands over all places of the folders at or below `top` that the walk did not meet.
    fn gone_folders(&self, top: &[u8]) -> Result<(), IndexError> {
        let mut after = None;
        loop {
            let folders = self.met().view.folders(after, PAGE)?;
            let Some((last, _)) = folders.last() else { return Ok(()) };
            after = Some(*last);
            for (id, path) in folders {
                if !is_at_or_below(&path, top) || self.met().folders.contains(id.number()) {
                    continue;
                }
                let mut places = Vec::new();
                self.met().gone_from(&path, &mut |stem| {
                    places.push(Place { folder: path.clone(), stem: stem.to_vec() });
                })?;
                self.hand_over(places);
            }
        }
    }
}

/// Whether a folder is `top` or in it; the root itself is the empty folder.
fn is_at_or_below(folder: &[u8], top: &[u8]) -> bool {
    top.is_empty()
        || folder.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

impl Met {
    /// A folder is as it is known: all that the index has of it is met.
    fn unchanged(&mut self, chunk: &Chunk, known: Option<&FolderMemory>) -> Result<(), IndexError> {
        self.unchanged += 1;
        self.found_on(&chunk.folder, chunk.mount.as_ref())?;
        if let Some(id) = self.view.folder(&chunk.folder)? {
            self.folders.insert(id.number());
        }
        if let Some(read) = known.and_then(|known| known.get(&chunk.folder)) {
            self.remembered.keep(chunk.folder.clone(), read.clone());
        }
        Ok(())
    }

    /// Remembers a folder that was read to its end. One with news is read again: only then is it known whether the
    /// index has taken them.
    fn remember(&mut self, chunk: &Chunk, has_news: bool) {
        let Some(end) = &chunk.end else {
            if has_news {
                self.news_in.insert(chunk.folder.clone());
            }
            return;
        };
        let has_news = self.news_in.remove(&chunk.folder) || has_news;
        if let FolderEnd::Complete(Some(read)) = end {
            let is_settled = read.is_settled && !has_news;
            self.remembered.keep(chunk.folder.clone(), FolderRead { is_settled, ..read.clone() });
        }
    }

    /// A folder was read on this mount.
    fn found_on(&mut self, folder: &[u8], mount: Option<&Arc<Mount>>) -> Result<(), IndexError> {
        let Some(mount) = mount else { return Ok(()) };
        if !self.mounts.contains(mount) {
            self.mounts.insert(mount.clone());
        }
        if let Some((id, before)) = self.view.folder_mount(folder)?
            && before != Some(&**mount)
        {
            self.moved.push((id, mount.clone()));
        }
        Ok(())
    }

    /// The index has a file that is beside the one that counts; it is met.
    fn is_known_surplus(
        &mut self,
        folder: &[u8],
        name: &[u8],
        part: &Part<'_>,
    ) -> Result<bool, IndexError> {
        let Some(known) = self.view.known(folder, name)? else { return Ok(false) };
        let seen = match part.kind {
            PartKind::Data(_) => known.data,
            PartKind::Sidecar(_) => known.sidecar,
        };
        self.rows.of(part.kind).insert(known.id.number());
        Ok(seen.is_some())
    }

    /// Places of a folder that was read to its end of which a file was not met, where all of them are at hand.
    fn gone_of(
        &mut self,
        path: &[u8],
        folder: &FolderPlaces,
        gone: &mut dyn FnMut(&[u8]),
    ) -> Result<(), IndexError> {
        if let Some(id) = self.view.folder(path)? {
            self.folders.insert(id.number());
        }
        for (stem, known) in folder.iter() {
            if self.is_gone(known.id, known.data.is_some(), known.sidecar.is_some()) {
                gone(stem);
            }
        }
        Ok(())
    }

    /// A file of this place was not met. Rows made since the scan began are the observer's own news.
    fn is_gone(&self, id: PlaceId, data: bool, sidecar: bool) -> bool {
        let row = id.number();
        id <= self.last_place
            && (data && !self.rows.data.contains(row)
                || sidecar && !self.rows.sidecars.contains(row))
    }

    /// Places of a folder that was read to its end, or is gone, of which a file was not met.
    fn gone_from(&mut self, folder: &[u8], gone: &mut dyn FnMut(&[u8])) -> Result<(), IndexError> {
        if let Some(id) = self.view.folder(folder)? {
            self.folders.insert(id.number());
        }
        let mut after = Vec::new();
        loop {
            let places = self.view.places(folder, &after, PAGE)?;
            let Some(last) = places.last() else { return Ok(()) };
            after.clone_from(&last.stem);
            for place in &places {
                if self.is_gone(place.id, place.data, place.sidecar) {
                    gone(&place.stem);
                }
            }
        }
    }
}

/// What a name is, compared with the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    /// What the index has.
    Same,
    /// Something else: its place is looked at.
    News,
    /// A file beside one that counts in its place, by the spelling of their extension: it is looked at by
    /// itself.
    Surplus,
}

/// The spellings of extensions in a chunk, where one is not as it is configured.
#[derive(Default)]
struct Spellings(HashMap<Vec<u8>, usize>);

impl Spellings {
    fn of(pair: &Pair, parts: &[(&Entry, Part<'_>)]) -> Spellings {
        if parts.iter().all(|(_, part)| pair.is_exact(part.kind)) {
            return Spellings::default();
        }
        let mut first = HashMap::new();
        for (entry, part) in parts {
            let (_, at) = pair.spellings(part.kind);
            let known = first.entry(in_one_case(&entry.name, part)).or_insert(at);
            *known = at.min(*known);
        }
        Spellings(first)
    }

    /// A file of this name is beside one whose spelling counts before its own.
    fn is_surplus(&self, pair: &Pair, name: &[u8], part: &Part<'_>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let (_, at) = pair.spellings(part.kind);
        self.0.get(&in_one_case(name, part)).is_some_and(|first| *first < at)
    }
}

/// A name with its extension in small letters.
fn in_one_case(name: &[u8], part: &Part<'_>) -> Vec<u8> {
    let mut name = name.to_vec();
    name[part.stem.len()..].make_ascii_lowercase();
    name
}

/// A set of row numbers, a bit each.
#[derive(Default)]
struct RowSet(Vec<u64>);

impl RowSet {
    /// True: it was not in.
    fn insert(&mut self, row: usize) -> bool {
        if row / 64 >= self.0.len() {
            self.0.resize(row / 64 + 1, 0);
        }
        let (word, bit) = (&mut self.0[row / 64], 1 << (row % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn contains(&self, row: usize) -> bool {
        self.0.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

/// What is remembered of the folders of one root, bytes at most.
fn remembered_bytes(settings: &Settings) -> usize {
    MemoryBudget::of_mib(settings.memory_budget_mib).folders_bytes(settings.roots.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_rows_holds_what_was_put_in_and_nothing_else() {
        let mut rows = RowSet::default();
        assert!([1, 64, 200].into_iter().all(|row| rows.insert(row)));
        assert!(!rows.insert(64));
        let held: Vec<usize> = (0..300).filter(|row| rows.contains(*row)).collect();
        assert_eq!(held, [1, 64, 200]);
    }

    #[test]
    fn a_folder_with_a_longer_name_is_not_below() {
        assert!(is_at_or_below(b"a/b", b"a"));
        assert!(is_at_or_below(b"a", b"a"));
        assert!(is_at_or_below(b"any", b""));
        assert!(!is_at_or_below(b"ab", b"a"));
    }
}
