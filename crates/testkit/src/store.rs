//! Another database behind the same address. A test copies, restores, empties or swaps the store of
//! a server that is down.

use std::fs;
use std::path::{Path, PathBuf};

use crate::mongo::MongoServer;

impl MongoServer {
    /// The folder that holds its data, and nothing else.
    fn store(&self) -> PathBuf {
        assert!(!self.is_running(), "the store of a server that runs is not touched");
        self.data_dir().join("store")
    }

    /// Copies its data to a folder, which is made anew.
    ///
    /// # Panics
    /// The server runs, or the disk does not take it.
    pub fn save_store(&self, to: &Path) {
        remove(to);
        copy(&self.store(), to);
    }

    /// Puts data that was saved in the place of what is there.
    ///
    /// # Panics
    /// The server runs, or the disk does not take it.
    pub fn restore_store(&self, from: &Path) {
        self.empty_store();
        copy(from, &self.store());
    }

    /// Removes all of its data.
    ///
    /// # Panics
    /// The server runs, or the disk refuses it.
    pub fn empty_store(&self) {
        remove(&self.store());
    }

    /// Swaps its data for that of another server.
    ///
    /// # Panics
    /// One of them runs, or the disk refuses it.
    pub fn swap_store(&self, other: &MongoServer) {
        let (mine, theirs) = (self.store(), other.store());
        let aside = self.data_dir().join("aside");
        fs::rename(&mine, &aside).expect("moved aside");
        // Two data folders may lie on two file systems.
        copy(&theirs, &mine);
        remove(&theirs);
        copy(&aside, &theirs);
        remove(&aside);
    }
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{folder:?}: {error}"),
        _ => {}
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
