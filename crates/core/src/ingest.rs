//! Recordings that are handed over: where they may go, and what a request means beside the files and the recordings
//! that are there.

use crate::exclude::Exclude;
use crate::name;
use crate::recording::Place;
use crate::recording_state::RecordingState;

/// What the name of a part begins with: a file of a recording that is being handed over. No scan, watch or look takes
/// it for anything else.
pub const PART_PREFIX: &str = ".focus-ingest-";

/// Bytes of a file's name at most: no usual file system takes more.
const FILE_NAME_BYTES_MAX: usize = 255;

/// Bytes of a path at most. The system takes 4,096 with that of the root.
const PATH_BYTES_MAX: usize = 2_048;

/// The name of a part. `server` is the identity of the server's state folder, `number` is used once.
pub fn part_name(server: &str, number: &str) -> String {
    format!("{PART_PREFIX}{server}-{number}")
}

/// The file of this name is a part.
pub fn is_part(name: &[u8]) -> bool {
    name.starts_with(PART_PREFIX.as_bytes())
}

/// The file of this name is a part that this server has made.
pub fn is_part_of(name: &[u8], server: &str) -> bool {
    let rest = name.strip_prefix(PART_PREFIX.as_bytes());
    let rest = rest.and_then(|rest| rest.strip_prefix(server.as_bytes()));
    rest.is_some_and(|rest| rest.starts_with(b"-"))
}

/// Where a recording is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its folder and its recording id.
    pub place: Place,
    /// The name of its data file.
    pub data: String,
    /// The name of its sidecar.
    pub sidecar: String,
}

impl Target {
    /// The path without extension.
    pub fn path(&self) -> String {
        self.place.display()
    }

    /// The recording id.
    pub fn recording_id(&self) -> String {
        String::from_utf8_lossy(&self.place.stem).into_owned()
    }
}

/// Why a path is none for a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It begins with `/`.
    #[error("it begins with a slash: give it relative to the root")]
    Absolute,
    /// A part of it is empty.
    #[error(
        "a part of it is empty: give the names of folders and of the recording, with one slash between two"
    )]
    EmptyPart,
    /// A part of it is `.` or `..`.
    #[error("a part of it is `.` or `..`: give the path without these")]
    Dots,
    /// It has control characters.
    #[error("it has control characters: leave them out")]
    Control,
    /// A name is too long.
    #[error(
        "a name in it has more than {FILE_NAME_BYTES_MAX} bytes, with the extension: give a shorter one"
    )]
    LongName,
    /// All of it is too long.
    #[error("it has more than {PATH_BYTES_MAX} bytes: give a shorter one")]
    LongPath,
    /// A name is kept for what is being handed over.
    #[error(
        "names that begin with {PART_PREFIX} are kept for what is being handed over: give another"
    )]
    Reserved,
    /// The root's `exclude` hides it.
    #[error(
        "`exclude` hides it, so that nothing would be catalogued there: give another, or change `exclude`"
    )]
    Excluded,
}

/// The target that a path without extension names, with the extensions of its data file and of its sidecar.
///
/// # Errors
/// It leads out of the root, or nothing would be catalogued there.
pub fn target(
    path: &str,
    (data, sidecar): (&str, &str),
    exclude: &Exclude,
) -> Result<Target, PathFault> {
    if path.starts_with('/') {
        return Err(PathFault::Absolute);
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(PathFault::LongPath);
    }
    if path.chars().any(char::is_control) {
        return Err(PathFault::Control);
    }
    for part in path.split('/') {
        match part {
            "" => return Err(PathFault::EmptyPart),
            "." | ".." => return Err(PathFault::Dots),
            part if part.starts_with(PART_PREFIX) => return Err(PathFault::Reserved),
            part if part.len() > FILE_NAME_BYTES_MAX => return Err(PathFault::LongName),
            _ => {}
        }
    }
    let (folder, stem) = path.rsplit_once('/').unwrap_or(("", path));
    let names = [data, sidecar].map(|extension| format!("{stem}.{extension}"));
    if names.iter().any(|name| name.len() > FILE_NAME_BYTES_MAX) {
        return Err(PathFault::LongName);
    }
    // What remains of the rules for names has been looked at above.
    name::recording_id(stem.as_bytes()).map_err(|_| PathFault::Control)?;
    let hides = |name: &String| exclude.hides_name(folder.as_bytes(), name.as_bytes());
    if exclude.hides_folder(folder.as_bytes()) || names.iter().any(hides) {
        return Err(PathFault::Excluded);
    }
    let [data, sidecar] = names;
    let place = Place { folder: folder.as_bytes().to_vec(), stem: stem.as_bytes().to_vec() };
    Ok(Target { place, data, sidecar })
}

/// What is under the name of a file that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// A file with the same bytes.
    Equal,
    /// Something else, also a file that counts in its place.
    Other,
}

/// Who has the uuid that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// No recording that the index knows.
    Nobody,
    /// The recording at this very path, whatever its files are now.
    ThisPath,
    /// One at another path.
    Another,
    /// One at another path, whose files are gone for good.
    Deleted,
}

/// Who has a uuid, by what the index knows of its recording: whether it is at this path, its state, and whether its
/// files are gone.
pub fn owner(is_here: bool, state: RecordingState, files_are_gone: bool) -> Owner {
    match state {
        _ if is_here => Owner::ThisPath,
        // Its sidecar may say that it is deleted while its files are there.
        RecordingState::Deleted if files_are_gone => Owner::Deleted,
        // Files that are gone may have moved, or may come back, until that is concluded or approved.
        RecordingState::Deleted
        | RecordingState::Held
        | RecordingState::Vanished
        | RecordingState::Refused
        | RecordingState::Pending
        | RecordingState::Live
        | RecordingState::Catalogued => Owner::Another,
    }
}

/// What is to be done with what was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Put these files in place, the data first.
    Put {
        /// The data file.
        data: bool,
        /// The sidecar.
        sidecar: bool,
    },
    /// Nothing: it was handed over before.
    Repeat,
}

/// Why it cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Another recording, or a part of one, is at its path.
    Path,
    /// Another recording has its uuid.
    Uuid,
}

/// What is to be done, by what is at its path and who has its uuid.
///
/// One equal file without the other is what a crash between the two left, or a client that was answered by nobody: the
/// other file is put beside it.
///
/// # Errors
/// It cannot be taken: nothing that is there is ever replaced.
pub fn decide(data: There, sidecar: There, owner: Owner) -> Result<Order, Conflict> {
    if data == There::Other || sidecar == There::Other {
        return Err(Conflict::Path);
    }
    match owner {
        Owner::Another => Err(Conflict::Uuid),
        Owner::Nobody | Owner::ThisPath | Owner::Deleted => {
            let (data, sidecar) = (data == There::Nothing, sidecar == There::Nothing);
            Ok(if data || sidecar { Order::Put { data, sidecar } } else { Order::Repeat })
        }
    }
}

/// Whether so many bytes more would leave less free than is to be left: `keep_percent` of `total`. A file system that
/// does not tell its size has room.
pub fn is_too_full(free: u64, total: u64, more: u64, keep_percent: u64) -> bool {
    let keep = u128::from(total) * u128::from(keep_percent) / 100;
    total > 0 && u128::from(free.saturating_sub(more)) < keep.max(u128::from(more > free))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::Glob;

    fn to(path: &str) -> Result<Target, PathFault> {
        let globs = [".snapshot*", "raw/old", "*.tmp.dat"];
        let globs = globs.iter().map(|glob| Glob::new(glob).expect("a glob"));
        target(path, ("dat", "json"), &Exclude::new(globs))
    }

    #[test]
    fn a_path_names_two_files_in_a_folder_of_the_root() {
        let target = to("2026/a.b").expect("good");
        assert_eq!(target.place.folder, b"2026");
        assert_eq!((target.data.as_str(), target.sidecar.as_str()), ("a.b.dat", "a.b.json"));
        assert_eq!((target.path().as_str(), target.recording_id().as_str()), ("2026/a.b", "a.b"));
        let at_the_top = to("ü").expect("good");
        assert!(at_the_top.place.folder.is_empty());
        assert!(to(&"x".repeat(250)).is_ok());
    }

    #[test]
    fn a_path_that_leads_elsewhere_or_where_nothing_is_catalogued_is_refused() {
        for (path, fault) in [
            ("/etc/x", PathFault::Absolute),
            ("", PathFault::EmptyPart),
            ("a//b", PathFault::EmptyPart),
            ("a/", PathFault::EmptyPart),
            ("..", PathFault::Dots),
            ("a/../b", PathFault::Dots),
            ("./a", PathFault::Dots),
            ("a\nb", PathFault::Control),
            ("a\0", PathFault::Control),
            ("\u{85}", PathFault::Control),
            (&"x".repeat(251), PathFault::LongName),
            (&format!("{}/a", "x".repeat(256)), PathFault::LongName),
            (&"x/".repeat(1_025), PathFault::LongPath),
            (".focus-ingest-a/b", PathFault::Reserved),
            ("a/.focus-ingest-b", PathFault::Reserved),
            (".snapshots/a", PathFault::Excluded),
            ("raw/old/a", PathFault::Excluded),
            ("a/b.tmp", PathFault::Excluded),
        ] {
            assert_eq!(to(path), Err(fault), "{path:?}");
        }
    }

    #[test]
    fn a_part_is_told_by_its_name_and_so_is_whose_it_is() {
        let name = part_name("5f0c", "17");
        assert!(is_part(name.as_bytes()) && is_part_of(name.as_bytes(), "5f0c"));
        for other in ["5f0", "5f0c-17", "6f0c", ""] {
            assert!(!is_part_of(name.as_bytes(), other), "{other}");
        }
        assert!(!is_part(b".focus-root") && !is_part(b"a.dat"));
        // With no dot but its first, no extension makes it a file of a recording.
        assert_eq!(name.rfind('.'), Some(0));
    }

    #[test]
    fn nothing_that_is_there_is_replaced_and_a_repeat_is_safe() {
        use There::{Equal, Nothing, Other};
        let all = [Nothing, Equal, Other];
        let owners = [Owner::Nobody, Owner::ThisPath, Owner::Another, Owner::Deleted];
        for (data, sidecar, owner) in all.into_iter().flat_map(|data| {
            all.into_iter().flat_map(move |sidecar| owners.map(|owner| (data, sidecar, owner)))
        }) {
            let wanted = match (data, sidecar, owner) {
                (Other, ..) | (_, Other, _) => Err(Conflict::Path),
                (.., Owner::Another) => Err(Conflict::Uuid),
                (Equal, Equal, _) => Ok(Order::Repeat),
                (data, sidecar, _) => {
                    Ok(Order::Put { data: data == Nothing, sidecar: sidecar == Nothing })
                }
            };
            assert_eq!(decide(data, sidecar, owner), wanted, "{data:?} {sidecar:?} {owner:?}");
        }
    }

    #[test]
    fn a_uuid_is_free_once_the_files_of_its_recording_are_gone_for_good() {
        assert_eq!(owner(true, RecordingState::Held, true), Owner::ThisPath);
        assert_eq!(owner(false, RecordingState::Deleted, true), Owner::Deleted);
        assert_eq!(owner(false, RecordingState::Deleted, false), Owner::Another);
        for state in RecordingState::ALL {
            if state != RecordingState::Deleted {
                assert_eq!(owner(false, state, true), Owner::Another, "{state:?}");
            }
        }
    }

    #[test]
    fn so_much_of_a_disk_is_left_free() {
        assert!(!is_too_full(500, 1_000, 0, 50));
        assert!(is_too_full(499, 1_000, 0, 50));
        assert!(!is_too_full(600, 1_000, 100, 50));
        assert!(is_too_full(600, 1_000, 101, 50));
        assert!(!is_too_full(100, 1_000, 100, 0));
        assert!(is_too_full(100, 1_000, 101, 0));
        assert!(!is_too_full(0, 0, 5, 50), "it does not tell");
        assert!(!is_too_full(u64::MAX, u64::MAX, 0, 99));
    }
}
