//! Storage: a handful of places, with the truth of when each last changed.

use std::collections::BTreeMap;

use focus_core::exclude::{Exclude, Glob};
use focus_core::look::{DataSeen, FileStat, Look, SidecarSeen};
use focus_core::recognise::Sampled;
use focus_core::recording::Place;

/// Folders and stems: few, so that they meet.
const FOLDERS: [&str; 2] = ["a", "b"];
const STEMS: [&str; 6] = ["r0", "r1", "r2", "r3", "r4", "r5"];

/// What lies at a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) data: Option<FileStat>,
    pub(crate) sidecar: Option<(FileStat, Vec<u8>)>,
    /// True time of the last change.
    pub(crate) changed_ms: u64,
}

impl Files {
    fn is_empty(&self) -> bool {
        self.data.is_none() && self.sidecar.is_none()
    }
}

/// What kind of sidecar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sidecar {
    /// A recording's.
    Whole,
    /// One of a drill's recordings.
    Drilled,
    /// Half of one.
    Half,
}

/// What a look at the root's folder shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RootIs {
    /// The root, with its marker.
    #[default]
    There,
    /// Nothing: its file system is not mounted.
    Unmounted,
    /// A folder without anything in it, the marker included.
    Empty,
    /// Another file system, with another marker.
    Another,
    /// All that was there, without the marker.
    Unmarked,
}

/// All of storage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    pub(crate) places: BTreeMap<Place, Files>,
    pub(crate) root: RootIs,
    /// Its file system's device number.
    pub(crate) device: u64,
    pub(crate) clock: i64,
}

/// The exclude that hides the second folder, or nothing.
pub(crate) fn exclude(hides: bool) -> Exclude {
    Exclude::new(hides.then(|| Glob::new(FOLDERS[1]).expect("a glob")))
}

/// A place by its numbers.
pub(crate) fn place(random: &mut fastrand::Rng) -> Place {
    let folder = FOLDERS[random.usize(..FOLDERS.len())];
    let stem = STEMS[random.usize(..STEMS.len())];
    Place { folder: folder.into(), stem: stem.into() }
}

/// Every place there can be.
pub(crate) fn all_places() -> impl Iterator<Item = Place> {
    FOLDERS.iter().flat_map(|folder| {
        STEMS.iter().map(|stem| Place { folder: (*folder).into(), stem: (*stem).into() })
    })
}

impl Storage {
    fn stat(&mut self, size: usize) -> FileStat {
        self.clock += 1;
        FileStat { size: i64::try_from(size).unwrap_or(0), mtime_ns: self.clock }
    }

    /// Writes a sidecar for this uuid.
    pub(crate) fn sidecar(&mut self, at: &Place, uuid: &str, start: u64, is: Sidecar, now_ms: u64) {
        let drill = if is == Sidecar::Drilled { r#", "focus_drill": "d""# } else { "" };
        let mut text =
            format!(r#"{{"uuid": "{uuid}", "start_time": {start}, "end_time": {start}{drill}}}"#);
        if is == Sidecar::Half {
            text.truncate(text.len() / 2);
        }
        let stat = self.stat(text.len());
        let files = self.places.entry(at.clone()).or_default();
        files.sidecar = Some((stat, text.into_bytes()));
        files.changed_ms = now_ms;
    }

    /// Writes, or appends to, the data file.
    pub(crate) fn data(&mut self, at: &Place, now_ms: u64) {
        let size = self.places.get(at).and_then(|files| files.data).map_or(1, |stat| stat.size + 1);
        let stat = self.stat(usize::try_from(size).unwrap_or(1));
        let files = self.places.entry(at.clone()).or_default();
        files.data = Some(stat);
        files.changed_ms = now_ms;
    }

    /// Removes what lies at a place.
    pub(crate) fn remove(&mut self, at: &Place) {
        self.places.remove(at);
    }

    /// Moves what lies at a place, as whole as it is, to one where nothing is. True: it did.
    pub(crate) fn rename(&mut self, from: &Place, to: &Place) -> bool {
        if self.places.contains_key(to) {
            return false;
        }
        let Some(files) = self.places.remove(from) else { return false };
        self.places.insert(to.clone(), files);
        true
    }

    /// The root becomes this; false where it is not there already.
    pub(crate) fn becomes(&mut self, root: RootIs) -> bool {
        if self.root != RootIs::There {
            return false;
        }
        self.root = root;
        true
    }

    /// The recordings that there are, whatever marks the root.
    pub(crate) fn sample(&self) -> Vec<Sampled> {
        let sampled = self.places.iter().filter_map(|(at, files)| {
            files.data?;
            let (_, bytes) = files.sidecar.as_ref()?;
            let stem = String::from_utf8_lossy(&at.stem);
            let uuid = focus_core::sidecar::uuid(bytes, &stem)?;
            Some(Sampled { uuid, path: format!("{}.dat", at.display()) })
        });
        sampled.collect()
    }

    /// One look; none: the root is not there, which its marker tells.
    pub(crate) fn look(&self, at: &Place) -> Option<Look> {
        if self.root != RootIs::There {
            return None;
        }
        let files = self.places.get(at).filter(|files| !files.is_empty());
        Some(Look {
            data: files
                .and_then(|files| files.data)
                .map(|stat| DataSeen { extension: "dat".to_owned(), stat }),
            sidecar: files
                .and_then(|files| files.sidecar.clone())
                .map(|(stat, bytes)| SidecarSeen { stat, bytes: Some(bytes) }),
            changing: false,
            device: Some(self.device),
            fault: None,
        })
    }

    /// Whether both files of a place are gone; none: nobody can tell.
    pub(crate) fn is_absent(&self, at: &Place) -> Option<bool> {
        (self.root == RootIs::There).then(|| !self.places.contains_key(at))
    }
}
