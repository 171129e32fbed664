//! Landing recordings that are handed over: their parts under names of their own, and then in place, where nothing is
//! ever replaced.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use focus_core::ingest::{Target, There};
use focus_core::look::FileStat;
use rustix::fs::{Advice, AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::look::stat_of;
use crate::{Pair, Root};

/// What was written is put on its way to the disk each time that so many bytes have come, so that little is left for the
/// sync at the end.
const SYNC_EVERY: u64 = 4 << 20;

/// Bytes that are compared at once.
const PIECE: usize = 256 * 1024;

/// Why a recording cannot be landed.
#[derive(Debug, thiserror::Error)]
pub enum LandingError {
    /// A folder on the way is none, or is a link: its path leads out of the root, or may do so.
    #[error("{0} is no folder, or a symbolic link, which is not followed: give another path")]
    NotAFolder(String),
    /// Something is there by now.
    #[error("a file was put there at the same time")]
    Taken,
    /// The file system cannot put a file in place without replacing what may be there.
    #[error(
        "the file system can neither link files nor rename them without replacing others: put recordings there as files"
    )]
    NoSafeRename,
    /// The disk is full, or what this server may use of it.
    #[error("the disk is full")]
    Full,
    /// The server may not write there.
    #[error("the server may not write there: {0}. Mend the permissions of the folder")]
    Denied(io::Error),
    /// Anything else.
    #[error("{0}")]
    Failed(io::Error),
}

impl From<Errno> for LandingError {
    fn from(error: Errno) -> LandingError {
        match error {
            Errno::NOSPC | Errno::DQUOT => LandingError::Full,
            Errno::EXIST => LandingError::Taken,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => LandingError::Denied(error.into()),
            _ => LandingError::Failed(error.into()),
        }
    }
}

impl From<io::Error> for LandingError {
    fn from(error: io::Error) -> LandingError {
        match Errno::from_io_error(&error) {
            Some(error) => error.into(),
            None => LandingError::Failed(error),
        }
    }
}

/// Room on a file system, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// What this server may still write.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// The place where a recording is to go, opened.
#[derive(Debug)]
pub struct Landing {
    target: Target,
    /// The folder, or the nearest one above it that is there.
    folder: Arc<OwnedFd>,
    /// Names of the folders below that are missing.
    missing: Vec<Vec<u8>>,
}

impl Landing {
    /// Opens the folder of a target, or the nearest one above it that is there. Nothing is made yet.
    ///
    /// # Errors
    /// The path leads out of the root, or a folder cannot be opened.
    pub fn open(root: &Root, target: Target) -> Result<Landing, LandingError> {
        let mut folder = target.place.folder.clone();
        let mut missing = Vec::new();
        loop {
            match root.open_folder(&folder) {
                Ok(opened) => {
                    missing.reverse();
                    return Ok(Landing { target, folder: Arc::new(opened), missing });
                }
                Err(Errno::NOENT) if !folder.is_empty() => {
                    let at = folder.iter().rposition(|byte| *byte == b'/');
                    let name = folder.split_off(at.map_or(0, |at| at + 1));
                    folder.truncate(at.unwrap_or(0));
                    missing.push(name);
                }
                Err(Errno::LOOP | Errno::NOTDIR | Errno::XDEV) => {
                    let shown = focus_core::recording::quoted(&target.place.folder);
                    return Err(LandingError::NotAFolder(shown));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Where it goes.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The room on its file system; none where that does not tell.
    pub fn room(&self) -> Option<Room> {
        let stat = rustix::fs::fstatvfs(&*self.folder).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Some(Room { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
    }

    /// Makes a part, an empty file under a name that nothing else takes for a recording.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn part(&self, name: String) -> Result<LandingPart, LandingError> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let file = rustix::fs::openat(&*self.folder, &name, flags, mode)?;
        let (file, folder) = (File::from(file), Arc::clone(&self.folder));
        Ok(LandingPart { file, folder, name, is_placed: false, length: 0, begun: 0 })
    }

    /// What is under the names of the data file and of the sidecar, beside the data of a part and these bytes of a
    /// sidecar. Without the part, any single data file counts as equal.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn there(
        &mut self,
        pair: &Pair,
        data: Option<&LandingPart>,
        sidecar: &[u8],
    ) -> Result<(There, There), LandingError> {
        // Somebody else may have made them meanwhile.
        self.descend(false)?;
        if !self.missing.is_empty() {
            return Ok((There::Nothing, There::Nothing));
        }
        let data = self.one(&self.target.data, pair.data(), |file, size| match data {
            None => Ok(true),
            Some(part) => is_same(&file, size, &part.file),
        })?;
        let sidecar = self.one(&self.target.sidecar, pair.sidecar(), |file, size| {
            let mut found = vec![0; sidecar.len()];
            Ok(size == sidecar.len() as u64
                && file.read_exact_at(&mut found, 0).is_ok()
                && found == sidecar)
        })?;
        Ok((data, sidecar))
    }

    /// What is under a name, and under the other names that the same file of the recording might have.
    fn one(
        &self,
        name: &str,
        extensions: &[String],
        is_equal: impl FnOnce(File, u64) -> io::Result<bool>,
    ) -> Result<There, LandingError> {
        let stem = String::from_utf8_lossy(&self.target.place.stem).into_owned();
        let own = self.stat(name)?;
        for extension in extensions {
            let other = format!("{stem}.{extension}");
            if other == name {
                continue;
            }
            // Where names are taken in any case, this may be the very same file.
            let is_own = |stat: &rustix::fs::Stat| {
                own.as_ref()
                    .is_some_and(|own| (own.st_dev, own.st_ino) == (stat.st_dev, stat.st_ino))
            };
            if self.stat(&other)?.is_some_and(|stat| !is_own(&stat)) {
                return Ok(There::Other);
            }
        }
        let Some(own) = own else { return Ok(There::Nothing) };
        if FileType::from_raw_mode(own.st_mode) != FileType::RegularFile {
            return Ok(There::Other);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&*self.folder, name, flags, Mode::empty())?;
        let is_equal = is_equal(File::from(file), own.st_size.unsigned_abs())?;
        Ok(if is_equal { There::Equal } else { There::Other })
    }

    fn stat(&self, name: &str) -> Result<Option<rustix::fs::Stat>, LandingError> {
        match rustix::fs::statat(&*self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Size and time of the data file that is in place.
    ///
    /// # Errors
    /// It is not there, or cannot be looked at.
    pub fn data_stat(&self) -> Result<FileStat, LandingError> {
        let stat = self.stat(&self.target.data)?;
        stat.map(|stat| stat_of(&stat)).ok_or_else(|| Errno::NOENT.into())
    }

    /// Makes the folders that are missing, each synced into the one above it.
    ///
    /// # Errors
    /// One cannot be made, or a link or file has taken its place.
    pub fn make_folders(&mut self) -> Result<(), LandingError> {
        self.descend(true)
    }

    /// Opens the folders that were missing, as far as they are there by now, or makes them.
    fn descend(&mut self, makes: bool) -> Result<(), LandingError> {
        while let Some(name) = self.missing.first() {
            if makes {
                match rustix::fs::mkdirat(&*self.folder, &**name, Mode::from_raw_mode(0o777)) {
                    Ok(()) => rustix::fs::fsync(&*self.folder)?,
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(&*self.folder, &**name, flags, Mode::empty()) {
                Ok(opened) => self.folder = Arc::new(opened),
                Err(Errno::NOENT) if !makes => return Ok(()),
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    return Err(LandingError::NotAFolder(focus_core::recording::quoted(name)));
                }
                Err(error) => return Err(error.into()),
            }
            self.missing.remove(0);
        }
        Ok(())
    }

    /// Puts a part in place as the data file.
    ///
    /// # Errors
    /// Something is there, or it cannot be put there.
    pub fn put_data(&self, part: &mut LandingPart) -> Result<(), LandingError> {
        self.put(part, &self.target.data)
    }

    /// Puts a part in place as the sidecar.
    ///
    /// # Errors
    /// As [`Landing::put_data`].
    pub fn put_sidecar(&self, part: &mut LandingPart) -> Result<(), LandingError> {
        self.put(part, &self.target.sidecar)
    }

    fn put(&self, part: &mut LandingPart, name: &str) -> Result<(), LandingError> {
        let (from, to) = (&*part.folder, &*self.folder);
        match rustix::fs::renameat_with(from, &part.name, to, name, RenameFlags::NOREPLACE) {
            Ok(()) => {
                part.is_placed = true;
                return Ok(());
            }
            // Some network file systems, and old kernels.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
        match rustix::fs::linkat(from, &part.name, to, name, AtFlags::empty()) {
            // The part goes when it is dropped; the file has its other name.
            Ok(()) => Ok(()),
            Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::MLINK) => {
                Err(LandingError::NoSafeRename)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the data file that this part was put in place as, where it is still that one: its sidecar could not be
    /// put beside it.
    pub fn take_back(&self, part: &LandingPart) {
        let stats = (self.stat(&self.target.data), rustix::fs::fstat(&part.file));
        if let (Ok(Some(there)), Ok(ours)) = stats
            && (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
        {
            // What stays is data without a sidecar: it is told of, and a repeat goes on with it.
            let _ = rustix::fs::unlinkat(&*self.folder, &self.target.data, AtFlags::empty());
        }
    }

    /// Syncs the folder: what was put there stays there over a loss of power.
    ///
    /// # Errors
    /// The system cannot.
    pub fn sync(&self) -> Result<(), LandingError> {
        Ok(rustix::fs::fsync(&*self.folder)?)
    }

    /// Syncs a file that was there already: whoever has put it there may not have done so.
    ///
    /// # Errors
    /// It has gone, or the system cannot.
    pub fn sync_file(&self, name: &str) -> Result<(), LandingError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&*self.folder, name, flags, Mode::empty())?;
        Ok(rustix::fs::fsync(&file)?)
    }

    /// Which folder on which device the target's folder is, as long as it is there.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn folder_id(&self) -> Result<FolderId, LandingError> {
        let stat = rustix::fs::fstat(&*self.folder)?;
        Ok(FolderId { device: stat.st_dev, inode: stat.st_ino })
    }

    /// Syncs all folders above the target's: that one stays where it is over a loss of power.
    ///
    /// # Errors
    /// One has gone, or the system cannot.
    pub fn sync_above(&self, root: &Root) -> Result<(), LandingError> {
        let folder = &self.target.place.folder;
        if folder.is_empty() {
            return Ok(());
        }
        let slashes = folder.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for end in std::iter::once(0).chain(slashes.map(|(at, _)| at)) {
            rustix::fs::fsync(&root.open_folder(&folder[..end])?)?;
        }
        Ok(())
    }
}

/// Tells a folder from others that are there at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderId {
    device: u64,
    inode: u64,
}

/// A file of a recording that is being handed over. It is removed where it was not put in place.
#[derive(Debug)]
pub struct LandingPart {
    file: File,
    folder: Arc<OwnedFd>,
    name: String,
    is_placed: bool,
    /// Bytes that were added, and how many of them are on their way to the disk.
    length: u64,
    begun: u64,
}

impl LandingPart {
    /// Adds bytes to it.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), LandingError> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        if self.length - self.begun >= SYNC_EVERY {
            self.begin_sync();
        }
        Ok(())
    }

    /// Has what was added since the last time written to the disk, and does not wait for it.
    pub fn begin_sync(&mut self) {
        let length = self.length - self.begun;
        // The pages are on their way then, and not dropped as this advice says. Where it is not taken, the sync waits longer.
        let length = NonZeroU64::new(length);
        if length.is_some() {
            let _ = rustix::fs::fadvise(&self.file, self.begun, length, Advice::DontNeed);
        }
        self.begun = self.length;
    }

    /// Syncs its content.
    ///
    /// # Errors
    /// The system cannot.
    pub fn sync(&self) -> Result<(), LandingError> {
        Ok(self.file.sync_all()?)
    }
}

impl Drop for LandingPart {
    fn drop(&mut self) {
        if !self.is_placed {
            // What cannot be removed now, because storage is away, is removed by the next start.
            let _ = rustix::fs::unlinkat(&*self.folder, &self.name, AtFlags::empty());
        }
    }
}

/// The file has as many bytes as the other one, and the same.
fn is_same(file: &File, size: u64, other: &File) -> io::Result<bool> {
    if other.metadata()?.len() != size {
        return Ok(false);
    }
    let (mut one, mut two) = (vec![0; PIECE], vec![0; PIECE]);
    let mut at = 0;
    while at < size {
        let length = PIECE.min(usize::try_from(size - at).unwrap_or(PIECE));
        let read = file.read_exact_at(&mut one[..length], at);
        match read.and_then(|()| other.read_exact_at(&mut two[..length], at)) {
            Ok(()) if one[..length] == two[..length] => at += length as u64,
            Ok(()) => return Ok(false),
            // It has become shorter meanwhile.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Removes parts from a folder of the root: files that were being handed over when a server ended.
///
/// # Errors
/// One cannot be removed.
pub fn remove_parts(root: &Root, folder: &[u8], names: &[&[u8]]) -> Result<(), LandingError> {
    let folder = root.open_folder(folder)?;
    for name in names {
        match rustix::fs::unlinkat(&folder, *name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
