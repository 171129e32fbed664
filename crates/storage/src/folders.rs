//! What is remembered of folders that a scan has read, so that the next one need not read them again.

use std::collections::HashMap;
use std::sync::Arc;

use focus_core::folder::FolderStamp;
use focus_core::mount::Mount;

/// Bytes of names and numbers that are remembered at most, unless another number was asked for.
const BYTES_MAX: usize = 8 << 20;

/// What a folder takes besides its names.
const FOLDER_BYTES: usize = 128;

/// A folder that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderRead {
    /// Which folder it is, and its times before it was read.
    pub stamp: FolderStamp,
    /// It need not be read while it shows this stamp: what it held is in the index, and every change of it shows.
    pub is_settled: bool,
    /// The mount that it is on.
    pub mount: Arc<Mount>,
    /// The folders in it, each name with a `/` after it.
    pub below: Vec<u8>,
}

impl FolderRead {
    /// The names of the folders in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.below.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
    }
}

/// Folders by their path, in bounded memory.
#[derive(Clone, Debug)]
pub struct FolderMemory {
    folders: HashMap<Vec<u8>, FolderRead>,
    bytes: usize,
    bytes_max: usize,
}

impl Default for FolderMemory {
    fn default() -> FolderMemory {
        FolderMemory::within(BYTES_MAX)
    }
}

impl FolderMemory {
    /// Remembers so many bytes of names and numbers at most. What does not fit is read at every scan.
    pub fn within(bytes_max: usize) -> FolderMemory {
        FolderMemory { folders: HashMap::new(), bytes: 0, bytes_max }
    }

    /// Remembers a folder. Without room it does not.
    pub fn keep(&mut self, path: Vec<u8>, read: FolderRead) {
        let bytes = size(&path, &read);
        if self.bytes + bytes > self.bytes_max {
            return;
        }
        self.bytes += bytes;
        if let Some(before) = self.folders.insert(path.clone(), read) {
            self.bytes -= size(&path, &before);
        }
    }

    /// Has a folder read again.
    pub fn doubt(&mut self, path: &[u8]) {
        if let Some(read) = self.folders.get_mut(path) {
            read.is_settled = false;
        }
    }

    /// What is remembered of a folder.
    pub fn get(&self, path: &[u8]) -> Option<&FolderRead> {
        self.folders.get(path)
    }

    /// How many folders are remembered.
    pub fn len(&self) -> usize {
        self.folders.len()
    }

    /// No folder is remembered.
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    /// Every folder is read again.
    pub fn doubt_all(&mut self) {
        self.folders.values_mut().for_each(|read| read.is_settled = false);
    }
}

fn size(path: &[u8], read: &FolderRead) -> usize {
    path.len() + read.below.len() + FOLDER_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(below: &str) -> FolderRead {
        let mount = Mount {
            point: Vec::new(),
            kind: "ext4".to_owned(),
            within: b"/".to_vec(),
            file_system: "f".to_owned(),
        };
        let stamp = FolderStamp { device: 1, inode: 2, mtime_ns: 3, ctime_ns: 4 };
        FolderRead { stamp, is_settled: true, mount: Arc::new(mount), below: below.into() }
    }

    #[test]
    fn folders_are_remembered_in_bounded_memory_and_doubted_one_by_one() {
        let mut memory = FolderMemory::default();
        memory.keep(b"a".to_vec(), read("b/c/"));
        memory.keep(b"a".to_vec(), read("b/"));
        let names: Vec<&[u8]> = memory.get(b"a").expect("kept").names().collect();
        assert_eq!((names, memory.len()), (vec![&b"b"[..]], 1));
        memory.keep(b"b".to_vec(), read(""));
        memory.doubt(b"a");
        let is_settled = |memory: &FolderMemory, path| memory.get(path).map(|read| read.is_settled);
        assert_eq!(
            (is_settled(&memory, b"a"), is_settled(&memory, b"b")),
            (Some(false), Some(true))
        );
        memory.doubt_all();
        assert_eq!(is_settled(&memory, b"b"), Some(false));
        for at in 0..100_000 {
            memory.keep(format!("{at:01000}").into_bytes(), read(""));
        }
        assert!(memory.len() > 1_000 && memory.bytes <= BYTES_MAX, "{}", memory.len());
    }
}
