//! What of a root is not there: names and paths that globs hide.
//!
//! One matcher for scans, watches, looks and proofs. It works on bytes, because names need not be UTF-8,
//! and in a time that is bounded by the length of the pattern times that of the name.

use std::fmt;

mod glob;

pub use glob::{Glob, GlobProblem};

/// What is hidden where no setting says otherwise: snapshots, trash, and what other programs put beside
/// the files of people.
pub const DEFAULT: [&str; 12] = [
    ".snapshot*",
    ".zfs",
    ".Trash-*",
    ".Trashes",
    "#recycle",
    "@eaDir",
    "lost+found",
    ".rsync-partial",
    ".~tmp~",
    ".nfs*",
    "._*",
    "~$*",
];

/// The globs of one root.
#[derive(Clone, Default)]
pub struct Exclude {
    /// Globs of names that begin with a letter of their own.
    literal: Vec<Glob>,
    /// The first bytes of these: most names begin with none of them, and are told apart by this alone.
    first: FirstBytes,
    /// Globs of names that may begin with anything.
    wild: Vec<Glob>,
    /// Globs of paths.
    paths: Vec<Glob>,
}

impl Exclude {
    /// Hides what any of these globs matches.
    pub fn new(globs: impl IntoIterator<Item = Glob>) -> Exclude {
        let mut exclude = Exclude::default();
        for glob in globs {
            if glob.is_of_paths() {
                exclude.paths.push(glob);
                continue;
            }
            match glob.first_bytes() {
                Some(bytes) => {
                    bytes.into_iter().for_each(|byte| exclude.first.insert(byte));
                    exclude.literal.push(glob);
                }
                None => exclude.wild.push(glob),
            }
        }
        exclude
    }

    /// A name in a folder is hidden. The folder itself is not, as the caller knows.
    pub fn hides_name(&self, folder: &[u8], name: &[u8]) -> bool {
        let Some(first) = name.first() else { return false };
        if self.first.contains(*first) && self.literal.iter().any(|glob| glob.matches_name(name)) {
            return true;
        }
        if self.wild.iter().any(|glob| glob.matches_name(name)) {
            return true;
        }
        if self.paths.is_empty() {
            return false;
        }
        let path = if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() };
        self.paths.iter().any(|glob| glob.matches_path(&path))
    }

    /// A folder is hidden, or one on the way to it. The root itself, the empty path, never is.
    pub fn hides_folder(&self, folder: &[u8]) -> bool {
        let mut begins = 0;
        while begins < folder.len() {
            let length = folder[begins..].iter().position(|byte| *byte == b'/');
            let ends = length.map_or(folder.len(), |length| begins + length);
            let parent = &folder[..begins.saturating_sub(1)];
            if self.hides_name(parent, &folder[begins..ends]) {
                return true;
            }
            begins = ends + 1;
        }
        false
    }

    /// The file of this path is hidden, or a folder on the way to it.
    pub fn hides_path(&self, path: &[u8]) -> bool {
        // The name of the file is a part like any other.
        self.hides_folder(path)
    }
}

impl fmt::Debug for Exclude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.literal.iter().chain(&self.wild).chain(&self.paths)).finish()
    }
}

/// A set of bytes.
#[derive(Clone, Copy, Default)]
struct FirstBytes([u64; 4]);

impl FirstBytes {
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exclude(globs: &[&str]) -> Exclude {
        Exclude::new(globs.iter().map(|glob| Glob::new(glob).expect("a glob")))
    }

    #[test]
    fn the_default_hides_snapshots_and_trash_at_any_depth_and_no_recording() {
        let exclude = exclude(&DEFAULT);
        for hidden in [
            ".snapshot",
            ".snapshots/1/a",
            "2024/.snapshot/daily.0/2024/05",
            "a/.zfs/snapshot",
            ".Trash-1000/files",
            "x/.Trashes",
            "#recycle/a",
            "@eaDir",
            "lost+found",
            "a/.rsync-partial",
            ".~tmp~",
            "a/.nfs0001",
            "a/._r.dat",
            "~$r.json",
        ] {
            assert!(exclude.hides_path(hidden.as_bytes()), "{hidden}");
        }
        for there in [
            "", "2024/05", "a/r.dat", "snapshot", "x.zfs", ".zfs2", "lost", "Trash-1", "a~$b", ".x",
        ] {
            assert!(!exclude.hides_path(there.as_bytes()), "{there}");
        }
    }

    #[test]
    fn a_glob_with_a_slash_is_of_the_path_from_the_root_and_hides_what_is_below() {
        let exclude = exclude(&["raw/*/tmp", "/old", "**/scratch/x", "a/**/b", "z/**"]);
        for hidden in [
            "raw/1/tmp",
            "raw/1/tmp/r.dat",
            "old",
            "old/2023/r.dat",
            "scratch/x",
            "1/2/scratch/x/r.dat",
            "a/b",
            "a/1/2/b/r.dat",
            "z/r.dat",
        ] {
            assert!(exclude.hides_path(hidden.as_bytes()), "{hidden}");
        }
        for there in ["raw/tmp", "raw/1/2/tmp", "x/raw/1/tmp", "a/old", "scratch", "a/1", "z", "b"]
        {
            assert!(!exclude.hides_path(there.as_bytes()), "{there}");
        }
    }

    #[test]
    fn without_globs_nothing_is_hidden() {
        assert!(!Exclude::default().hides_path(b".snapshot/a"));
        assert!(!Exclude::default().hides_folder(b""));
    }

    #[test]
    fn names_need_not_be_utf8() {
        let exclude = exclude(&["*.t?p", "\u{e4}*"]);
        assert!(exclude.hides_path(b"a\xff/b\xfe.t\xfdp"));
        assert!(exclude.hides_path("a/\u{e4}\u{f6}".as_bytes()));
        assert!(!exclude.hides_path(b"a\xff/\xc3"));
    }
}
