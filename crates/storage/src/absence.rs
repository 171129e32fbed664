//! Proving that files are gone: a folder, or its nearest existing parent, read to its end.

use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use focus_core::recording::show_bytes;
use rustix::fs::RawDir;
use rustix::io::Errno;

use crate::look::open_folder;
use crate::{Pair, Root, RootProblem};

/// What reading a folder to its end showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It, or its nearest existing parent, was read to its end.
    Read {
        /// The device that it is on.
        device: u64,
        /// Of the stems asked for, in order: a file of it is there.
        there: Vec<bool>,
    },
    /// It could not be read to its end: nothing is proved.
    Unproved {
        /// Why.
        words: String,
    },
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
        match open_folder(root, at) {
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
    let device = rustix::fs::fstat(&fd)?.st_dev;
    let wanted: HashSet<&[u8]> =
        if below.is_none() { stems.iter().copied().collect() } else { HashSet::new() };
    let mut met: HashSet<Vec<u8>> = HashSet::new();
    names(&fd, &mut |name, is_folder| {
        if is_folder && below == Some(name) {
            // Made again meanwhile.
            return Err(Errno::AGAIN);
        }
        if let Some(part) = pair.part(name)
            && wanted.contains(part.stem)
        {
            met.insert(part.stem.to_vec());
        }
        Ok(())
    })?;
    Ok(Proof::Read { device, there: stems.iter().map(|stem| met.contains(*stem)).collect() })
}

/// Told of every name, and whether it is a folder's; an error ends the reading.
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
