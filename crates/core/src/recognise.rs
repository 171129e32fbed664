//! Which root a folder is that has lost its marker: the recordings in it tell.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::broken::{self, Broken};

/// Recordings of a folder that are looked at, at most.
pub const SAMPLE_MAX: usize = 1_000;

/// A recording of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// Its uuid.
    pub uuid: String,
    /// The path of its data file, relative to the folder.
    pub path: String,
}

/// What the index or the catalog knows of a uuid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The uuid.
    pub uuid: String,
    /// The id of its root.
    pub root: String,
    /// The path of its data file, relative to that root.
    pub path: String,
    /// It is marked as deleted there, so another root can have it.
    pub deleted: bool,
}

/// A root that the recordings of a folder are known under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Familiar {
    /// The root's id.
    pub root: String,
    /// How many of the sample are known under it, by path and uuid.
    pub known: usize,
}

/// The root that a folder without a marker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// This one.
    Again(Familiar),
    /// A copy of this one, which is present elsewhere.
    Copy {
        /// The root.
        of: Familiar,
        /// Where it is.
        at: String,
    },
    /// None that is known.
    New {
        /// How many of the sample are known under other roots and not deleted there: a new root does not
        /// get them.
        taken: usize,
    },
}

/// The roots under which at least half of the sample is known by path and uuid, the one that knows most
/// first. There are two at most.
pub fn familiar(sample: &[Sampled], known: &[Known]) -> Vec<Familiar> {
    let paths: HashMap<&str, &str> =
        sample.iter().map(|one| (one.uuid.as_str(), one.path.as_str())).collect();
    // The index and the catalog may both know one.
    let mut counts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in known {
        if paths.get(one.uuid.as_str()) == Some(&one.path.as_str()) {
            counts.entry(&one.root).or_default().insert(&one.uuid);
        }
    }
    let mut familiar: Vec<Familiar> = counts
        .into_iter()
        .map(|(root, uuids)| Familiar { root: root.to_owned(), known: uuids.len() })
        .filter(|one| one.known * 2 >= sample.len())
        .collect();
    familiar.sort_by_key(|one| std::cmp::Reverse(one.known));
    familiar
}

/// Which root the folder of this sample is. `present_at` says where a root is present, if it is elsewhere.
///
/// A root that is present is not given twice: the folder is its copy, or one of both is to go.
pub fn recognise(
    sample: &[Sampled],
    known: &[Known],
    present_at: &dyn Fn(&str) -> Option<String>,
) -> Recognition {
    let mut copy = None;
    for root in familiar(sample, known) {
        if broken::is(Broken::KnownRootMarkedAnew) {
            break;
        }
        match present_at(&root.root) {
            None => return Recognition::Again(root),
            Some(at) => copy = copy.or(Some(Recognition::Copy { of: root, at })),
        }
    }
    let taken = |one: &&Sampled| known.iter().any(|row| row.uuid == one.uuid && !row.deleted);
    copy.unwrap_or_else(|| Recognition::New { taken: sample.iter().filter(taken).count() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recordings `u0`, `u1` … at `r0.dat`, `r1.dat` …
    fn sample(count: usize) -> Vec<Sampled> {
        (0..count).map(|n| Sampled { uuid: format!("u{n}"), path: format!("r{n}.dat") }).collect()
    }

    fn known(root: &str, numbers: std::ops::Range<usize>) -> Vec<Known> {
        let one = |n| Known {
            uuid: format!("u{n}"),
            root: root.to_owned(),
            path: format!("r{n}.dat"),
            deleted: false,
        };
        numbers.map(one).collect()
    }

    fn again(root: &str, known: usize) -> Recognition {
        Recognition::Again(Familiar { root: root.to_owned(), known })
    }

    const NOWHERE: &dyn Fn(&str) -> Option<String> = &|_| None;

    #[test]
    fn half_of_the_sample_known_under_one_root_is_that_root_and_less_is_none() {
        for (count, enough) in [(1, 1), (2, 1), (9, 5), (10, 5)] {
            let recognised = |n| recognise(&sample(count), &known("a", 0..n), NOWHERE);
            assert_eq!(recognised(enough), again("a", enough), "{enough} of {count}");
            let less = Recognition::New { taken: enough - 1 };
            assert_eq!(recognised(enough - 1), less, "{} of {count}", enough - 1);
        }
    }

    #[test]
    fn a_folder_without_recordings_is_a_new_root() {
        assert_eq!(recognise(&[], &[], NOWHERE), Recognition::New { taken: 0 });
    }

    #[test]
    fn a_recording_at_another_path_tells_of_no_root_and_is_taken_all_the_same() {
        let mut moved = known("a", 0..4);
        moved.iter_mut().for_each(|one| one.path = format!("below/{}", one.path));
        assert_eq!(recognise(&sample(4), &moved, NOWHERE), Recognition::New { taken: 4 });
        moved.iter_mut().for_each(|one| one.deleted = true);
        assert_eq!(recognise(&sample(4), &moved, NOWHERE), Recognition::New { taken: 0 });
    }

    #[test]
    fn what_is_marked_as_deleted_tells_of_its_root_too() {
        let mut rows = known("a", 0..4);
        rows.iter_mut().for_each(|one| one.deleted = true);
        assert_eq!(recognise(&sample(4), &rows, NOWHERE), again("a", 4));
    }

    #[test]
    fn a_root_that_is_present_elsewhere_is_not_given_twice() {
        let present = |root: &str| (root == "a").then(|| "/a".to_owned());
        let of = Familiar { root: "a".to_owned(), known: 4 };
        let copy = Recognition::Copy { of, at: "/a".to_owned() };
        assert_eq!(recognise(&sample(4), &known("a", 0..4), &present), copy);
        // Half of it is known under each of two: the one that is not present is meant.
        let both = [known("a", 0..2), known("b", 2..4)].concat();
        assert_eq!(recognise(&sample(4), &both, &present), again("b", 2));
    }

    #[test]
    fn the_root_that_knows_more_is_meant() {
        let both = [known("a", 0..5), known("b", 4..10)].concat();
        assert_eq!(recognise(&sample(10), &both, NOWHERE), again("b", 6));
    }
}
