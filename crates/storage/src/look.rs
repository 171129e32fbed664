//! Looks at the files of recordings.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use focus_core::look::{DataSeen, FileIdentity, FileStat, Look, SeenAs, SidecarSeen};
use focus_core::mount::Mount;
use focus_core::recording::{Place, show_bytes};
use focus_core::sidecar::SIDECAR_BYTES_MAX;
use focus_core::state::{Fault, State};
use rayon::prelude::*;
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::{Pair, PartKind, Root, RootProblem};

/// Bytes of sidecars that one call reads at most, so that very large sidecars are never all in
/// memory.
const READ_MAX: u64 = 4 << 20;

/// Looks at many places at once. `known` is a sidecar whose content is known already: it is not read as
/// long as it is seen as that.
/// If sidecars are very large, some stay unread: look at these again, one by one.
///
/// # Errors
/// The root is gone or replaced, or the machine has no file handle or memory left. None of the
/// looks counts then.
pub fn look_all(
    root: &Root,
    pair: &Pair,
    places: &[(Place, Option<SeenAs>)],
) -> Result<Vec<Look>, RootProblem> {
    let read = AtomicU64::new(0);
    let looks: Vec<Vec<Look>> = places
        .par_chunks(TOGETHER)
        .map(|places| look_together(root, pair, places, &read))
        .collect::<Result<_, Errno>>()
        .map_err(|error| root.exhausted(error))?;
    let looks: Vec<Look> = looks.into_iter().flatten().collect();
    // Absence counts only while the root is there, so it is checked after the looks.
    if looks.iter().any(|look| look.data.is_none() || look.sidecar.is_none()) {
        root.still_there()?;
    }
    Ok(looks)
}

/// Looks at one place.
///
/// # Errors
/// As [`look_all`].
pub fn look(
    root: &Root,
    pair: &Pair,
    place: &Place,
    known: Option<SeenAs>,
) -> Result<Look, RootProblem> {
    let mut looks = look_all(root, pair, &[(place.clone(), known)])?;
    Ok(looks.pop().unwrap_or_default())
}

/// Whether the error says that the machine has run out of something. Such an error says nothing
/// about the place.
pub(crate) fn is_exhaustion(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

/// Places of one thread, one after the other: a folder is opened once for those that follow one another in it.
const TOGETHER: usize = 32;

/// A folder that was opened, with its mount.
type Opened = (OwnedFd, Option<Arc<Mount>>);

fn look_together(
    root: &Root,
    pair: &Pair,
    places: &[(Place, Option<SeenAs>)],
    read: &AtomicU64,
) -> Result<Vec<Look>, Errno> {
    let mut looks = Vec::with_capacity(places.len());
    for in_folder in places.chunk_by(|(one, _), (next, _)| one.folder == next.folder) {
        let folder = &in_folder[0].0.folder;
        if root.exclude().hides_folder(folder) {
            looks.extend(in_folder.iter().map(|_| Look::default()));
            continue;
        }
        let opened: Result<Opened, Errno> = root.open_folder(folder).map(|folder| {
            let mount = root.mount_of(&folder);
            (folder, mount)
        });
        for (place, known) in in_folder {
            looks.push(match &opened {
                Ok(folder) => look_at(root, pair, place, *known, folder, read)?,
                // No such folder any more, or a link or file in its place: nothing of ours is there.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Look::default(),
                Err(error) => unreadable(Look::default(), place, "the folder", *error)?,
            });
        }
    }
    Ok(looks)
}

fn look_at(
    root: &Root,
    pair: &Pair,
    place: &Place,
    known: Option<SeenAs>,
    (folder, mount): &Opened,
    read: &AtomicU64,
) -> Result<Look, Errno> {
    let mut look = Look { mount: mount.clone(), ..Look::default() };
    let mut data_changed_ns = None;
    for extension in pair.data() {
        let name = file_name(place, extension);
        if is_hidden(root, place, &name) {
            continue;
        }
        match stat(folder, &name) {
            Ok(found) if is_file(&found) => {
                look.data = Some(DataSeen { extension: extension.clone(), stat: stat_of(&found) });
                data_changed_ns = changed_ns(&look, &found);
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                if let Err(error) = rustix::fs::accessat(folder, &*name, Access::READ_OK, flags)
                    && error != Errno::NOENT
                {
                    look = unreadable(look, place, &format!(".{extension}"), error)?;
                }
                break;
            }
            Ok(found) => {
                let state = State::SidecarWithoutData;
                look.fault = Some(not_a_file(place, extension, &found, state));
            }
            Err(Errno::NOENT) => {}
            Err(error) => look = unreadable(look, place, &format!(".{extension}"), error)?,
        }
    }
    for extension in pair.sidecar() {
        let name = file_name(place, extension);
        if is_hidden(root, place, &name) {
            continue;
        }
        match stat(folder, &name) {
            Ok(found) if is_file(&found) => {
                if look.data.is_none() && look.fault.is_none() {
                    look.beside = beside(root, folder, place);
                }
                let both_ns = data_changed_ns.zip(changed_ns(&look, &found));
                look.changed_ns = both_ns.map(|(one, other)| one.max(other));
                let sidecar = Sidecar { place, extension, found: &found };
                return read_sidecar(look, folder, sidecar, known, read);
            }
            Ok(found) => {
                let state = State::DataWithoutSidecar;
                look.fault.get_or_insert_with(|| not_a_file(place, extension, &found, state));
                return Ok(look);
            }
            Err(Errno::NOENT) => {}
            Err(error) => return unreadable(look, place, &format!(".{extension}"), error),
        }
    }
    Ok(surplus(look, root, pair, folder, place))
}

/// A place whose name is that of a file: the file is there, and one with a spelling of its extension that
/// counts before this one is beside it. It is no part of that recording, and is told by itself.
fn surplus(mut look: Look, root: &Root, pair: &Pair, folder: &OwnedFd, place: &Place) -> Look {
    let name = &place.stem;
    let Some(part) = pair.part(name).filter(|part| !pair.is_exact(part.kind)) else { return look };
    if look.data.is_some() || look.fault.is_some() || is_hidden(root, place, name) {
        return look;
    }
    let (spellings, own) = pair.spellings(part.kind);
    let beside = |extension: &&String| {
        let name = [part.stem, &b"."[..], extension.as_bytes()].concat();
        !is_hidden(root, place, &name)
            && extension.as_bytes().eq_ignore_ascii_case(spellings[own].as_bytes())
            && stat(folder, &name).is_ok_and(|found| is_file(&found))
    };
    let Some(found) = stat(folder, name).ok().filter(is_file) else { return look };
    let Some(counts) = spellings[..own].iter().find(beside) else { return look };
    let stat = stat_of(&found);
    let extension = spellings[own].clone();
    let state = match part.kind {
        PartKind::Data(_) => {
            look.data = Some(DataSeen { extension, stat });
            State::DataWithoutSidecar
        }
        PartKind::Sidecar(_) => {
            look.sidecar = Some(SidecarSeen { stat, identity: identity_of(&found), bytes: None });
            State::SidecarWithoutData
        }
    };
    look.fault = Some(Fault::new(
        state,
        format!(
            "{} is not read, because {}.{counts} is beside it. Rename one of the two, or remove it",
            place.display(),
            show_bytes(part.stem)
        ),
    ));
    look
}

/// Extensions under which instruments write data. They are tried where a sidecar stands alone, to tell what is
/// not configured.
const DATA_EXTENSIONS: [&str; 24] = [
    "dat",
    "bin",
    "raw",
    "wav",
    "flac",
    "mp3",
    "m4a",
    "ogg",
    "mp4",
    "mkv",
    "avi",
    "mov",
    "h5",
    "hdf5",
    "nc",
    "tif",
    "tiff",
    "fits",
    "mseed",
    "edf",
    "bdf",
    "sigmf-data",
    "csv",
    "npy",
];

/// The extension of a file beside a sidecar that has no data file, where it is one of data.
fn beside(root: &Root, folder: &OwnedFd, place: &Place) -> Option<String> {
    let spellings = DATA_EXTENSIONS.iter().flat_map(|one| [(*one).to_owned(), one.to_uppercase()]);
    spellings.into_iter().find(|extension| {
        let name = file_name(place, extension);
        !is_hidden(root, place, &name) && stat(folder, &name).is_ok_and(|found| is_file(&found))
    })
}

/// The root's exclude hides a file of this name in the folder of the place, which it does not hide.
fn is_hidden(root: &Root, place: &Place, name: &[u8]) -> bool {
    root.exclude().hides_name(&place.folder, name)
}

/// A sidecar that is there.
struct Sidecar<'a> {
    place: &'a Place,
    /// Its extension, as it is spelt on storage.
    extension: &'a str,
    found: &'a Stat,
}

fn read_sidecar(
    mut look: Look,
    folder: &OwnedFd,
    Sidecar { place, extension, found }: Sidecar<'_>,
    known: Option<SeenAs>,
    read: &AtomicU64,
) -> Result<Look, Errno> {
    let before = SeenAs { stat: stat_of(found), identity: identity_of(found) };
    look.sidecar = Some(SidecarSeen { stat: before.stat, identity: before.identity, bytes: None });
    if known == Some(before) {
        return Ok(look);
    }
    if found.st_size.unsigned_abs() > SIDECAR_BYTES_MAX as u64 {
        look.fault.get_or_insert_with(|| {
            Fault::new(
                State::SidecarInvalid,
                format!(
                    "{}.{extension} has {} bytes; a sidecar has {SIDECAR_BYTES_MAX} at most. Keep large data in the data file",
                    place.display(),
                    found.st_size
                ),
            )
        });
        return Ok(look);
    }
    let size = found.st_size.unsigned_abs();
    if read.fetch_add(size, Ordering::Relaxed).saturating_add(size) > READ_MAX {
        return Ok(look);
    }
    let name = file_name(place, extension);
    let dotted = format!(".{extension}");
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, &*name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => {
            look.changing = true;
            return Ok(look);
        }
        Err(error) => return unreadable(look, place, &dotted, error),
    };
    // One byte of room more than it has: a read that leaves it free has come to the end.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    let mut all = (&file).take(SIDECAR_BYTES_MAX as u64 + 1);
    if let Err(error) = read_all(&mut all, &mut bytes) {
        let error = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        return unreadable(look, place, &dotted, error);
    }
    let seen_as = |stat: Stat| SeenAs { stat: stat_of(&stat), identity: identity_of(&stat) };
    let after = rustix::fs::fstat(&file).map(seen_as);
    look.changing |= after != Ok(before) || bytes.len() as i64 != before.stat.size;
    if let Some(sidecar) = &mut look.sidecar {
        sidecar.bytes = Some(bytes);
    }
    Ok(look)
}

/// Reads to the end. A file that gives less than there is room for has come to it.
fn read_all(from: &mut impl Read, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let room = bytes.capacity();
    bytes.resize(room, 0);
    let mut len = 0;
    while len < room {
        match from.read(&mut bytes[len..]) {
            Ok(read) => {
                len += read;
                if len < room {
                    bytes.truncate(len);
                    return Ok(());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // It has grown since it was looked at.
    from.read_to_end(bytes).map(drop)
}

fn stat(folder: &OwnedFd, name: &[u8]) -> Result<Stat, Errno> {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Size and time of a file.
pub(crate) fn stat_of(stat: &Stat) -> FileStat {
    FileStat { size: stat.st_size, mtime_ns: nanos(stat.st_mtime, stat.st_mtime_nsec) }
}

/// Which file it is.
pub(crate) fn identity_of(stat: &Stat) -> FileIdentity {
    FileIdentity { inode: stat.st_ino, ctime_ns: nanos(stat.st_ctime, stat.st_ctime_nsec) }
}

/// When a file was changed last by any of its times, where the clock of its file system is this machine's.
fn changed_ns(look: &Look, stat: &Stat) -> Option<i64> {
    let ours = look.mount.as_ref().is_some_and(|mount| mount.has_our_clock());
    let at = |seconds: i64, nanos: i64| seconds.checked_mul(1_000_000_000)?.checked_add(nanos);
    let (mtime, ctime) = (stat.st_mtime_nsec.try_into().ok()?, stat.st_ctime_nsec.try_into().ok()?);
    ours.then_some(at(stat.st_mtime, mtime)?.max(at(stat.st_ctime, ctime)?))
}

/// Nanoseconds since 1970, modulo 2^64. Times at the bound of a type would all look the same.
fn nanos(seconds: i64, nanos: impl TryInto<i64>) -> i64 {
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos.try_into().unwrap_or(0))
}

fn file_name(place: &Place, extension: &str) -> Vec<u8> {
    [&place.stem, &b"."[..], extension.as_bytes()].concat()
}

fn not_a_file(place: &Place, extension: &str, found: &Stat, state: State) -> Fault {
    let what = if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
        "is a symbolic link, which is not followed. Put the file itself there"
    } else {
        "is not a regular file. Put a file there"
    };
    Fault::new(state, format!("{}.{extension} {what}", place.display()))
}

fn unreadable(mut look: Look, place: &Place, what: &str, error: Errno) -> Result<Look, Errno> {
    if is_exhaustion(error) {
        return Err(error);
    }
    let path = if what.starts_with('.') {
        format!("{}{what}", place.display())
    } else {
        format!("{what} {}", show_bytes(&place.folder))
    };
    look.fault.get_or_insert_with(|| {
        Fault::new(
            State::Unreadable,
            format!("{path} cannot be read: {error}. Mend its permissions or its disk"),
        )
    });
    Ok(look)
}
