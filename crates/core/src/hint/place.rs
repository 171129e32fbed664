//! Which place below a root a hint names, told by its path alone. Nothing is looked at, so nothing outside the root can
//! be.

use crate::recording::Place;

/// Bytes of a path at most: the system takes no longer one.
pub const PATH_BYTES_MAX: usize = 4_096;

/// Bytes of one part of a path at most.
const PART_BYTES_MAX: usize = 255;

/// What a hint names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// The place of a recording.
    Place(Place),
    /// A folder, relative to the root; empty for the root itself.
    Folder(Vec<u8>),
}

/// The path below a root that a hint names, without empty parts and `.`, and whether it can only be a folder. A path is
/// absolute, or relative to the root. None: it leads out of the root, or can be no path.
pub fn below(path: &[u8], root: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut parts = parts(path)?;
    if path.starts_with(b"/") {
        let top = self::parts(root)?;
        if !parts.starts_with(&top) {
            return None;
        }
        parts.drain(..top.len());
    }
    let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let is_folder = parts.is_empty() || last.is_empty() || last == b".";
    Some((parts.join(&b'/'), is_folder))
}

fn parts(path: &[u8]) -> Option<Vec<&[u8]>> {
    if path.len() > PATH_BYTES_MAX || path.contains(&0) {
        return None;
    }
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    let parts: Vec<&[u8]> = parts.collect();
    let is_bad = |part: &&[u8]| *part == b".." || part.len() > PART_BYTES_MAX;
    if parts.iter().any(is_bad) { None } else { Some(parts) }
}

/// What a path below a root names: the place of a recording where the name is that of one of its files, else a folder,
/// where it can be one. `stem` tells the stem of the name of a recording's file. None: neither.
pub fn target(
    path: &[u8],
    is_folder: bool,
    stem: impl FnOnce(&[u8]) -> Option<usize>,
) -> Option<Target> {
    if is_folder {
        return Some(Target::Folder(path.to_vec()));
    }
    let slash = path.iter().rposition(|byte| *byte == b'/');
    let (folder, name) = match slash {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&path[..0], path),
    };
    if let Some(stem) = stem(name) {
        let stem = name.get(..stem)?.to_vec();
        return Some(Target::Place(Place { folder: folder.to_vec(), stem }));
    }
    // A name with an extension is taken for that of a file; a `/` at its end makes it a folder's.
    let has_extension = name.get(1..).unwrap_or_default().contains(&b'.');
    (!has_extension).then(|| Target::Folder(path.to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(path: &str) -> Option<(String, bool)> {
        let (path, is_folder) = below(path.as_bytes(), b"/data/in")?;
        Some((String::from_utf8(path).expect("text"), is_folder))
    }

    #[test]
    fn a_path_is_relative_to_the_root_or_absolute_below_it() {
        for (path, wanted) in [
            ("a/b.dat", ("a/b.dat", false)),
            ("./a//b.dat", ("a/b.dat", false)),
            ("/data/in/a/b.dat", ("a/b.dat", false)),
            ("/data//in/./a/", ("a", true)),
            ("/data/in", ("", true)),
            ("a/", ("a", true)),
            ("a/.", ("a", true)),
            (".", ("", true)),
        ] {
            assert_eq!(shown(path), Some((wanted.0.to_owned(), wanted.1)), "{path}");
        }
        let long = "a".repeat(256);
        let deep = "a/".repeat(2_049);
        for outside in
            ["../a", "a/../../b", "a/..", "/data/inner/a", "/data", "/etc/passwd", "a\0b"]
                .into_iter()
                .chain([long.as_str(), deep.as_str()])
        {
            assert_eq!(shown(outside), None, "{outside}");
        }
    }

    #[test]
    fn the_name_tells_a_recording_from_a_folder() {
        let of = |path: &str, is_folder| {
            target(path.as_bytes(), is_folder, |name| name.strip_suffix(b".dat").map(<[u8]>::len))
        };
        let place = |folder: &str, stem: &str| {
            let (folder, stem) = (folder.as_bytes().to_vec(), stem.as_bytes().to_vec());
            Some(Target::Place(Place { folder, stem }))
        };
        let folder = |path: &str| Some(Target::Folder(path.as_bytes().to_vec()));
        assert_eq!(of("a/b.c.dat", false), place("a", "b.c"));
        assert_eq!(of("b.dat", false), place("", "b"));
        assert_eq!(of("a/b.dat", true), folder("a/b.dat"));
        assert_eq!(of("2024/05", false), folder("2024/05"));
        assert_eq!(of("a.b/.c", false), folder("a.b/.c"));
        assert_eq!(of("", true), folder(""));
        assert_eq!(of("a/b.txt", false), None);
    }

    proptest! {
        #[test]
        fn no_path_leads_out_of_its_root(path in "[a./]{0,20}") {
            if let Some((below, _)) = below(path.as_bytes(), b"/data/in") {
                let below = String::from_utf8(below).expect("text");
                prop_assert!(!below.starts_with('/') && !below.ends_with('/'), "{}", below);
                prop_assert!(below.split('/').all(|part| part != ".." && part != "."), "{}", below);
                prop_assert!(!below.contains("//"), "{}", below);
            }
        }
    }
}
