//! Storage: a handful of places, with the truth of when each last changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use focus_core::exclude::{Exclude, Glob};
use focus_core::folder::FolderStamp;
use focus_core::look::{DataSeen, FileIdentity, FileStat, Look, SeenAs, SidecarSeen};
use focus_core::mount::Mount;
use focus_core::pair::PairForm;
use focus_core::recognise::Sampled;
use focus_core::recording::Place;
use focus_core::sidecar::Of;

/// Folders and stems: few, so that they meet.
pub(crate) const FOLDERS: [&str; 2] = ["a", "b"];
const STEMS: [&str; 6] = ["r0", "r1", "r2", "r3", "r4", "r5"];

/// What lies at a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) data: Option<FileStat>,
    pub(crate) sidecar: Option<(SeenAs, Vec<u8>)>,
    /// True time of the last change.
    pub(crate) changed_ms: u64,
    /// The same as the file system's clock told it then, nanoseconds.
    stamped_ns: i64,
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

/// How a sidecar changes without a change of its size and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alike {
    /// Another file takes its place.
    Replaced,
    /// It is written in place.
    InPlace,
    /// Its rights change, and nothing else.
    Touched,
}

/// The clock of the file system ticks once in so long.
const TICK_MS: u64 = 2_000;

/// The time of a change, as the file system has it.
fn ctime_ns(now_ms: u64) -> i64 {
    i64::try_from(now_ms / TICK_MS * TICK_MS * 1_000_000).unwrap_or(0)
}

/// Turns a digit of the times in a sidecar into another one. False: there is none.
fn another(bytes: &mut [u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).into_owned();
    // The same digit of both times, so that the end stays where the start is.
    let at = |key: &str| {
        let (before, _) = text.split_once(key)?;
        let from = before.len() + key.len();
        let digits = text[from..].bytes().take_while(u8::is_ascii_digit).count();
        (digits > 0).then(|| from + digits - 1)
    };
    let (Some(start), Some(end)) = (at("\"start_time\": "), at("\"end_time\": ")) else {
        return false;
    };
    let digit = if bytes[start] == b'9' { b'0' } else { bytes[start] + 1 };
    (bytes[start], bytes[end]) = (digit, digit);
    true
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

/// A file system that may be mounted over the first folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Over {
    /// It is mounted.
    is_mounted: bool,
    /// It was, at some time.
    was_mounted: bool,
    /// Which file system it is.
    file_system: u64,
    /// What is not seen: that which lies below it, or on it while it is not mounted.
    hidden: BTreeMap<Place, Files>,
}

/// All of storage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    pub(crate) places: BTreeMap<Place, Files>,
    pub(crate) root: RootIs,
    /// Which file system it is.
    pub(crate) file_system: u64,
    /// The mount over the first folder.
    pub(crate) over: Over,
    pub(crate) clock: i64,
    /// What its clock is ahead of true time, milliseconds: it is that of the machine.
    pub(crate) ahead_ms: i64,
    /// That clock is the servers' own.
    pub(crate) is_local: bool,
    /// When a name came or went in a folder last, as the file system's clock told it then, nanoseconds; by the folder, and
    /// whether it is of the file system over it.
    pub(crate) touched_ns: BTreeMap<(Vec<u8>, bool), i64>,
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
    FOLDERS.iter().flat_map(|folder| places_of(folder))
}

/// Every place that there can be in a folder.
pub(crate) fn places_of(folder: &str) -> impl Iterator<Item = Place> {
    STEMS.iter().map(move |stem| Place { folder: folder.into(), stem: (*stem).into() })
}

/// Whose sidecar it is at places of this stem: where it is, is nothing to the simulated pairs.
pub(crate) fn sidecar_of(stem: &str) -> Of<'_> {
    Of { root: "", folder: b"", recording_id: stem, data_size: 0, form: PairForm::focus() }
}

impl Storage {
    fn stat(&mut self, size: usize) -> FileStat {
        self.clock += 1;
        // Whole seconds, as a coarse clock has them, and none of them twice.
        FileStat { size: i64::try_from(size).unwrap_or(0), mtime_ns: self.clock * 1_000_000_000 }
    }

    /// A name comes or goes in a folder.
    pub(crate) fn touch(&mut self, folder: &[u8], now_ms: u64) {
        let stamped_ns = self.stamp_ns(now_ms);
        self.touched_ns.insert((folder.to_vec(), self.is_over(folder)), stamped_ns);
    }

    /// A file system is mounted over the folder.
    fn is_over(&self, folder: &[u8]) -> bool {
        self.over.is_mounted && folder == FOLDERS[0].as_bytes()
    }

    /// Which folder it is, and its times.
    pub(crate) fn folder_stamp(&self, folder: &[u8]) -> FolderStamp {
        let is_over = self.is_over(folder);
        let number = if is_over { self.over.file_system } else { self.file_system };
        let touched_ns = self.touched_ns.get(&(folder.to_vec(), is_over)).copied().unwrap_or(0);
        FolderStamp {
            device: number * 2 + u64::from(is_over),
            inode: 1,
            mtime_ns: touched_ns,
            ctime_ns: touched_ns,
        }
    }

    /// Which files lie at a place: a data file, a sidecar.
    pub(crate) fn names(&self, at: &Place) -> (bool, bool) {
        let files = self.places.get(at);
        files.map_or((false, false), |files| (files.data.is_some(), files.sidecar.is_some()))
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
        let (identity, stamped_ns) = (self.identity(now_ms), self.stamp_ns(now_ms));
        // Another file takes the place of one that is there.
        self.touch(&at.folder, now_ms);
        let files = self.places.entry(at.clone()).or_default();
        files.sidecar = Some((SeenAs { stat, identity }, text.into_bytes()));
        (files.changed_ms, files.stamped_ns) = (now_ms, stamped_ns);
    }

    /// The time of a change as the file system's clock tells it, which may have been set.
    fn stamp_ns(&self, now_ms: u64) -> i64 {
        ctime_ns(now_ms).saturating_add(self.ahead_ms * 1_000_000)
    }

    /// A new file, made now.
    fn identity(&mut self, now_ms: u64) -> FileIdentity {
        FileIdentity { inode: self.clock.unsigned_abs(), ctime_ns: ctime_ns(now_ms) }
    }

    /// Changes the sidecar of a recording without a change of its size and time. True: there was one.
    pub(crate) fn change_alike(&mut self, at: &Place, is: Alike, now_ms: u64) -> bool {
        self.clock += 1;
        let (inode, stamped_ns) = (self.clock.unsigned_abs(), self.stamp_ns(now_ms));
        if is == Alike::Replaced && self.places.contains_key(at) {
            self.touch(&at.folder, now_ms);
        }
        let Some(files) = self.places.get_mut(at) else { return false };
        files.stamped_ns = stamped_ns;
        let Some((seen, bytes)) = &mut files.sidecar else { return false };
        let ctime_ns = ctime_ns(now_ms);
        match is {
            Alike::Replaced => {
                seen.identity = FileIdentity { inode, ctime_ns };
                if !another(bytes) {
                    return false;
                }
            }
            // Where that is another tick, somebody has put the modification time back.
            Alike::InPlace => {
                seen.identity.ctime_ns = ctime_ns;
                if !another(bytes) {
                    return false;
                }
            }
            Alike::Touched => seen.identity.ctime_ns = ctime_ns,
        }
        if is != Alike::Touched {
            files.changed_ms = now_ms;
        }
        true
    }

    /// Writes, or appends to, the data file.
    pub(crate) fn data(&mut self, at: &Place, now_ms: u64) {
        let size = self.places.get(at).and_then(|files| files.data).map_or(1, |stat| stat.size + 1);
        let stat = self.stat(usize::try_from(size).unwrap_or(1));
        let stamped_ns = self.stamp_ns(now_ms);
        if !self.names(at).0 {
            self.touch(&at.folder, now_ms);
        }
        let files = self.places.entry(at.clone()).or_default();
        files.data = Some(stat);
        (files.changed_ms, files.stamped_ns) = (now_ms, stamped_ns);
    }

    /// Removes what lies at a place.
    pub(crate) fn remove(&mut self, at: &Place, now_ms: u64) {
        if self.places.remove(at).is_some() {
            self.touch(&at.folder, now_ms);
        }
    }

    /// Moves what lies at a place, as whole as it is, to one where nothing is. True: it did.
    pub(crate) fn rename(&mut self, from: &Place, to: &Place, now_ms: u64) -> bool {
        if self.places.contains_key(to) {
            return false;
        }
        let Some(files) = self.places.remove(from) else { return false };
        self.touch(&from.folder, now_ms);
        self.touch(&to.folder, now_ms);
        self.places.insert(to.clone(), files);
        true
    }

    /// The mount that a folder is on.
    pub(crate) fn mount(&self, folder: &[u8]) -> Arc<Mount> {
        let is_over = self.over.is_mounted && folder == FOLDERS[0].as_bytes();
        let (point, number) =
            if is_over { (folder, self.over.file_system) } else { (&b""[..], self.file_system) };
        Arc::new(Mount {
            point: point.to_vec(),
            kind: "simulated".to_owned(),
            within: b"/".to_vec(),
            file_system: number.to_string(),
        })
    }

    /// Mounts a file system over the first folder, or unmounts it. False: it is so already.
    pub(crate) fn mount_over(&mut self, is_mounted: bool) -> bool {
        if self.over.is_mounted == is_mounted {
            return false;
        }
        self.over.is_mounted = is_mounted;
        self.over.was_mounted = true;
        let of_folder = |at: &Place, _: &mut Files| at.folder == FOLDERS[0].as_bytes();
        let seen: BTreeMap<Place, Files> = self.places.extract_if(.., of_folder).collect();
        self.places.append(&mut self.over.hidden);
        self.over.hidden = seen;
        true
    }

    /// Whatever was ever mounted is mounted.
    pub(crate) fn mount_all(&mut self) {
        if self.over.was_mounted {
            self.mount_over(true);
        }
    }

    /// The file systems show other ids, as after a restart of the machine.
    pub(crate) fn renumber(&mut self, over_too: bool) {
        self.file_system += 1;
        self.over.file_system += u64::from(over_too);
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
            let uuid = focus_core::sidecar::uuid(bytes, &sidecar_of(&stem))?;
            Some(Sampled { uuid, path: format!("{}.dat", at.display()) })
        });
        sampled.collect()
    }

    /// One look; none: the root is not there, which its marker tells. `known` is not read again.
    pub(crate) fn look(&self, at: &Place, known: Option<SeenAs>) -> Option<Look> {
        if self.root != RootIs::There {
            return None;
        }
        let files = self.places.get(at).filter(|files| !files.is_empty());
        Some(Look {
            data: files
                .and_then(|files| files.data)
                .map(|stat| DataSeen { extension: "dat".to_owned(), stat }),
            sidecar: files.and_then(|files| files.sidecar.clone()).map(|(seen, bytes)| {
                SidecarSeen {
                    stat: seen.stat,
                    identity: seen.identity,
                    bytes: (known != Some(seen)).then_some(bytes),
                }
            }),
            changing: false,
            beside: None,
            mount: Some(self.mount(&at.folder)),
            began_ms: None,
            changed_ns: files
                .filter(|files| self.is_local && files.data.is_some() && files.sidecar.is_some())
                .map(|files| files.stamped_ns),
            began_wall_ns: None,
            fault: None,
        })
    }

    /// Whether both files of a place are gone; none: nobody can tell.
    pub(crate) fn is_absent(&self, at: &Place) -> Option<bool> {
        (self.root == RootIs::There).then(|| !self.places.contains_key(at))
    }
}
