//! Storage against real folders: roots that come and go, trees of every kind, watches and looks.

mod excluding;
mod landing;
mod looking;
mod marking;
mod skipping;
mod walking;
mod watching;

use std::path::Path;

use focus_storage::{Root, marker};

/// A marked, empty root.
fn marked() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().expect("a folder");
    marker::init(dir.path(), None).expect("a marker");
    let root = Root::open(dir.path()).expect("a root");
    (dir, root)
}

fn write(path: &Path, bytes: &[u8]) {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    std::fs::write(path, bytes).expect("a file");
}
