//! Paths that are one root: the same folder by two ways, a folder and its copy, or a folder in another. A root
//! is its marker, so only one of them can be served.

use std::path::PathBuf;

use crate::mount::Territory;

/// A folder of the file system, whatever paths lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FolderId {
    /// The number of its device.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
}

/// A configured root, as a look at its path shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenRoot {
    /// Its path.
    pub path: String,
    /// The folder there; none where there is none.
    pub folder: Option<FolderId>,
    /// The path of that folder without symbolic links; none where there is none.
    pub resolved: Option<PathBuf>,
    /// The id in its marker; none where it has none that can be read.
    pub marker: Option<String>,
    /// The folders of file systems that it has in it: its own, and those of mounts below it.
    pub territories: Vec<Territory>,
}

/// Why two paths are one root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sameness {
    /// They lead to one folder: a link, or a bind mount.
    Folder,
    /// Two folders have one marker: one was copied from the other.
    Marker,
    /// One folder is in the other, which a symbolic link or a mount hides.
    Inside,
}

/// Two configured roots that are one, by their places among the configured ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneRoot {
    /// The first of them.
    pub first: usize,
    /// The second.
    pub second: usize,
    /// Why.
    pub by: Sameness,
}

/// The pairs of configured roots that are one.
pub fn that_are_one(roots: &[SeenRoot]) -> Vec<OneRoot> {
    let mut found = Vec::new();
    for (second, root) in roots.iter().enumerate() {
        let pairs = roots[..second].iter().enumerate();
        found.extend(pairs.filter_map(|(first, other)| {
            sameness(other, root).map(|by| OneRoot { first, second, by })
        }));
    }
    found
}

/// Why these two are one root, if they are.
fn sameness(one: &SeenRoot, other: &SeenRoot) -> Option<Sameness> {
    if one.folder.is_some() && one.folder == other.folder {
        return Some(Sameness::Folder);
    }
    if one.marker.is_some() && one.marker == other.marker {
        return Some(Sameness::Marker);
    }
    let (path, other_path) = (one.resolved.as_ref()?, other.resolved.as_ref()?);
    let by_path = path.starts_with(other_path) || other_path.starts_with(path);
    let by_mount = one.territories.iter().any(|at| other.territories.iter().any(|to| at.meets(to)));
    (by_path || by_mount).then_some(Sameness::Inside)
}

/// What a server knows of another configured root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherRoot {
    /// As it was seen last; none where nobody has looked yet.
    pub seen: Option<SeenRoot>,
    /// Its path.
    pub path: String,
    /// The marker under which this server took it up; none where it has not.
    pub taken: Option<String>,
}

/// Whether a root may be served under the marker that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Its,
    /// The marker is that of the root at this path, which goes on. What is here counts neither as present
    /// nor as absent.
    Of {
        /// The path of the root that has the marker.
        path: String,
        /// Why the two are one.
        by: Sameness,
    },
}

/// Judges a root that shows a marker which this server has not taken it up under. `known_at` is the path
/// at which the index saw the marker last.
///
/// The root that the server took up under the marker keeps it. Before one was taken up, the marker belongs
/// to the configured root at `known_at`, also while that one is away. Where that one shows another marker,
/// the two have changed their places.
pub fn judge(root: &SeenRoot, known_at: Option<&str>, others: &[OtherRoot]) -> Verdict {
    let of = |other: &OtherRoot| {
        let by = other.seen.as_ref().and_then(|seen| sameness(seen, root));
        Verdict::Of { path: other.path.clone(), by: by.unwrap_or(Sameness::Marker) }
    };
    let taken = |other: &&OtherRoot| other.taken.is_some() && other.taken == root.marker;
    if let Some(other) = others.iter().find(taken) {
        return of(other);
    }
    let has_moved_on = |other: &OtherRoot| {
        let shown = other.seen.as_ref().and_then(|seen| seen.marker.as_ref());
        shown.is_some() && shown != root.marker.as_ref()
    };
    let rightful = |other: &&OtherRoot| Some(other.path.as_str()) == known_at;
    match others.iter().find(rightful) {
        Some(other) if root.path != other.path && !has_moved_on(other) => of(other),
        _ => Verdict::Its,
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn seen(path: &str, inode: u64, marker: Option<&str>) -> SeenRoot {
        SeenRoot {
            path: path.to_owned(),
            folder: Some(FolderId { device: 1, inode }),
            resolved: None,
            marker: marker.map(str::to_owned),
            territories: Vec::new(),
        }
    }

    fn other(seen: SeenRoot, taken: Option<&str>) -> OtherRoot {
        let path = seen.path.clone();
        OtherRoot { seen: Some(seen), path, taken: taken.map(str::to_owned) }
    }

    fn of(path: &str, by: Sameness) -> Verdict {
        Verdict::Of { path: path.to_owned(), by }
    }

    #[test]
    fn one_folder_by_two_ways_and_two_folders_with_one_marker_are_one_root() {
        let roots = [
            seen("/a", 1, Some("m1")),
            seen("/link", 1, Some("m1")),
            seen("/copy", 2, Some("m1")),
            seen("/b", 3, Some("m2")),
        ];
        let one = |first, second, by| OneRoot { first, second, by };
        let wanted =
            [one(0, 1, Sameness::Folder), one(0, 2, Sameness::Marker), one(1, 2, Sameness::Marker)];
        assert_eq!(that_are_one(&roots), wanted);
        // Without a marker too; and what is not there is not the same as something else that is not there.
        let unmarked = [seen("/a", 1, None), seen("/link", 1, None), seen("/b", 2, None)];
        assert_eq!(that_are_one(&unmarked), [one(0, 1, Sameness::Folder)]);
        let away = SeenRoot { path: "/c".to_owned(), ..SeenRoot::default() };
        assert_eq!(that_are_one(&[away.clone(), away]), []);
    }

    #[test]
    fn a_folder_in_another_is_told_by_the_paths_without_links() {
        let at = |path: &str, inode, resolved: &str| SeenRoot {
            resolved: Some(resolved.into()),
            ..seen(path, inode, None)
        };
        let roots = [at("/a", 1, "/a"), at("/link", 2, "/a/below"), at("/ab", 3, "/ab")];
        let wanted = [OneRoot { first: 0, second: 1, by: Sameness::Inside }];
        assert_eq!(that_are_one(&roots), wanted);
    }

    #[test]
    fn a_folder_in_another_is_told_by_what_is_mounted_in_it() {
        let at = |path: &str, inode, territories: &[(&str, &str)]| SeenRoot {
            resolved: Some(path.into()),
            territories: territories
                .iter()
                .map(|(device, folder)| Territory {
                    device: (*device).to_owned(),
                    folder: folder.as_bytes().to_vec(),
                })
                .collect(),
            ..seen(path, inode, None)
        };
        // `/a` has a folder of the second disk mounted in it, and `/b` is in that folder.
        let roots = [
            at("/a", 1, &[("8:1", "/a"), ("8:2", "/shared")]),
            at("/b", 2, &[("8:2", "/shared/b")]),
            at("/c", 3, &[("8:2", "/other"), ("8:1", "/c")]),
        ];
        let wanted = [OneRoot { first: 0, second: 1, by: Sameness::Inside }];
        assert_eq!(that_are_one(&roots), wanted);
    }

    #[test]
    fn the_root_that_was_taken_up_keeps_its_marker() {
        let a = other(seen("/a", 1, Some("m1")), Some("m1"));
        let b = seen("/b", 2, Some("m1"));
        assert_eq!(judge(&b, Some("/a"), slice::from_ref(&a)), of("/a", Sameness::Marker));
        // Wherever the index saw it last, and also while its folder is away.
        assert_eq!(judge(&b, Some("/b"), slice::from_ref(&a)), of("/a", Sameness::Marker));
        let away = OtherRoot { seen: None, ..a.clone() };
        assert_eq!(judge(&b, None, &[away]), of("/a", Sameness::Marker));
        let link = seen("/link", 1, Some("m1"));
        assert_eq!(judge(&link, Some("/a"), slice::from_ref(&a)), of("/a", Sameness::Folder));
        assert_eq!(judge(&seen("/b", 2, Some("m2")), None, &[a]), Verdict::Its);
    }

    #[test]
    fn before_one_is_taken_up_the_marker_belongs_to_the_path_that_the_index_knows() {
        let b = seen("/b", 2, Some("m1"));
        let away = OtherRoot { seen: None, path: "/a".to_owned(), taken: None };
        assert_eq!(judge(&b, Some("/a"), slice::from_ref(&away)), of("/a", Sameness::Marker));
        let unmarked = other(seen("/a", 1, None), None);
        assert_eq!(judge(&b, Some("/a"), &[unmarked]), of("/a", Sameness::Marker));
        // Known nowhere, at its own path, or at one that is not configured any more.
        for known_at in [None, Some("/b"), Some("/old")] {
            assert_eq!(judge(&b, known_at, slice::from_ref(&away)), Verdict::Its, "{known_at:?}");
        }
    }

    #[test]
    fn two_roots_that_have_changed_their_places_are_themselves() {
        let a = other(seen("/a", 2, Some("m2")), None);
        assert_eq!(judge(&seen("/b", 1, Some("m1")), Some("/a"), &[a]), Verdict::Its);
    }
}
