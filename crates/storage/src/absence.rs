//! The proof that files are gone: a reading of their folder, or of its nearest existing parent, to
//! its end.

use std::collections::{HashMap, HashSet};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use focus_core::mount::Mount;
use focus_core::recording::show_bytes;
use rustix::fs::RawDir;
use rustix::io::Errno;

use crate::{Pair, Root, RootProblem};

/// The result of reading a folder to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The folder, or its nearest existing parent, was read to its end.
    Read {
        /// The mount that the folder which was read is on; none where that is not known.
        mount: Option<Arc<Mount>>,
        /// For each stem asked for, in order: what is there of it.
        found: Vec<Found>,
    },
    /// The root's exclude hides the folder. It was not read.
    Hidden,
    /// The folder could not be read to its end, so nothing is proved.
    Unproved {
        /// The reason, for a person.
        words: String,
    },
}

/// What a reading of a folder found of a stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No file.
    Nothing,
    /// Only files that the root's exclude hides, or that the form of its pairs does not take any more.
    Hidden,
    /// A file.
    File,
}

/// Looks for files of these stems in a folder, while the root is there before and after.
///
/// # Errors
/// The root is gone or replaced: nothing is proved.
pub fn prove(
    root: &Root,
    pair: &Pair,
    folder: &[u8],
    stems: &[&[u8]],
) -> Result<Proof, RootProblem> {
    root.still_there()?;
    if root.exclude().hides_folder(folder) {
        return Ok(Proof::Hidden);
    }
    let proof = read(root, pair, folder, stems).unwrap_or_else(|error| Proof::Unproved {
        words: format!("{}: {error}", show_bytes(folder)),
    });
    root.still_there()?;
    Ok(proof)
}

fn read(root: &Root, pair: &Pair, folder: &[u8], stems: &[&[u8]]) -> Result<Proof, Errno> {
    let mut at = folder;
    // The folder below `at` that has to be missing from it.
    let mut below: Option<&[u8]> = None;
    let fd = loop {
        match root.open_folder(at) {
            Ok(fd) => break fd,
            // Gone, or no folder of ours any more.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) if !at.is_empty() => {
                let cut = at.iter().rposition(|byte| *byte == b'/');
                below = Some(&at[cut.map_or(0, |cut| cut + 1)..]);
                at = &at[..cut.unwrap_or(0)];
            }
            Err(error) => return Err(error),
        }
    };
    let mount = root.mount_of(&fd);
    let wanted: HashSet<&[u8]> =
        if below.is_none() { stems.iter().copied().collect() } else { HashSet::new() };
    let mut met: HashMap<Vec<u8>, Found> = HashMap::new();
    names(&fd, &mut |name, is_folder| {
        if is_folder && below == Some(name) {
            // Made again meanwhile.
            return Err(Errno::AGAIN);
        }
        if let Some(part) = pair.part(name)
            && wanted.contains(part.stem)
        {
            let hidden = root.exclude().hides_name(folder, name);
            let known = met.entry(part.stem.to_vec()).or_insert(Found::Hidden);
            if !hidden {
                *known = Found::File;
            }
        } else if let Some(stem) = pair.former_stem(name)
            && wanted.contains(stem)
        {
            met.entry(stem.to_vec()).or_insert(Found::Hidden);
        }
        Ok(())
    })?;
    let found = |stem: &&[u8]| met.get(*stem).copied().unwrap_or(Found::Nothing);
    Ok(Proof::Read { mount, found: stems.iter().map(found).collect() })
}

/// Takes every name, and whether a folder has it. An error ends the reading.
type Sink<'a> = dyn FnMut(&[u8], bool) -> Result<(), Errno> + 'a;

fn names(fd: &OwnedFd, sink: &mut Sink<'_>) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 32 * 1024];
    let mut dir = RawDir::new(fd, &mut buffer);
    while let Some(entry) = dir.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            sink(name, entry.file_type() == rustix::fs::FileType::Directory)?;
        }
    }
    Ok(())
}
