//! Opening a folder below another one, with no way out of it.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Opens a folder below `top`, following no symbolic link on the way. The empty folder is `top` itself.
pub(crate) fn open(top: &OwnedFd, folder: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if folder.is_empty() {
        return rustix::fs::openat(top, c".", flags, Mode::empty());
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(top, folder, flags, Mode::empty(), resolve) {
        // A kernel or sandbox without openat2: one part after the other.
        Err(Errno::NOSYS | Errno::PERM) => {
            let mut parts = folder.split(|byte| *byte == b'/');
            let first = parts.next().unwrap_or_default();
            let step = |at: &OwnedFd, part: &[u8]| {
                if part.is_empty() || part == b".." || part == b"." {
                    return Err(Errno::XDEV);
                }
                rustix::fs::openat(at, part, flags, Mode::empty())
            };
            let mut at = step(top, first)?;
            for part in parts {
                at = step(&at, part)?;
            }
            Ok(at)
        }
        opened => opened,
    }
}
