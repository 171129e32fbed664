//! Mounts: which of them an open folder is on, and what tells it from others.
//!
//! The kernel numbers mounts, and gives the number of one that has gone to a later one. A number says which
//! mount it is only as long as the table of mounts has not changed, which the kernel tells on asking
//! (`man 5 proc_pid_mountinfo`). The fields of the table are described there too.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use focus_core::mount::{Mount, Territory};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, StatxFlags};

use crate::beneath;

const TABLE: &str = "/proc/self/mountinfo";

/// Mounts that are kept; what is met besides is read again each time.
const KEPT_MAX: usize = 1_024;

/// Territories of one root at most.
const TERRITORIES_MAX: usize = 1_024;

/// The mounts that folders of a root were found on.
#[derive(Debug, Default)]
pub(crate) struct Mounts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The table, opened once: the kernel tells of each opened one that it has changed.
    table: Option<File>,
    by_number: HashMap<u64, Option<Arc<Mount>>>,
}

impl Mounts {
    /// The mount that an open folder of the root is on; none where the kernel does not tell.
    /// `top` is the root, and `resolved` its path without links.
    pub(crate) fn of(
        &self,
        top: &OwnedFd,
        resolved: &Path,
        folder: &OwnedFd,
    ) -> Option<Arc<Mount>> {
        let number = number(folder)?;
        let mut known = self.0.lock();
        if known.has_changed() || known.by_number.len() >= KEPT_MAX {
            known.by_number.clear();
        }
        if let Some(mount) = known.by_number.get(&number) {
            return mount.clone();
        }
        let mount = read(top, resolved, folder, number).map(Arc::new);
        known.by_number.insert(number, mount.clone());
        mount
    }
}

impl Known {
    /// The table has changed since this was asked last, or nobody can tell.
    fn has_changed(&mut self) -> bool {
        if self.table.is_none() {
            self.table = File::open(TABLE).ok();
            return true;
        }
        let Some(table) = &self.table else { return true };
        let mut asked = [PollFd::new(table, PollFlags::PRI | PollFlags::ERR)];
        poll(&mut asked, Some(&Timespec::default())).map_or(true, |changed| changed > 0)
    }
}

/// The kernel's number of the mount that a folder is on.
fn number(folder: &OwnedFd) -> Option<u64> {
    let asked = rustix::fs::statx(folder, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
    if let Ok(stat) = asked
        && stat.stx_mask & StatxFlags::MNT_ID.bits() != 0
    {
        return Some(stat.stx_mnt_id);
    }
    // Before Linux 5.8.
    let path = format!("/proc/self/fdinfo/{}", folder.as_fd().as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

/// Reads what is known of the mount with this number, on which `folder` is.
fn read(top: &OwnedFd, resolved: &Path, folder: &OwnedFd, number: u64) -> Option<Mount> {
    let text = table()?;
    let line = lines(&text).find(|line| line.number == number)?;
    let point = line.point();
    let point = below(&point, resolved).unwrap_or_default();
    // A file system may have several ids, as one with subvolumes has: that of the mount point counts.
    let at_point = beneath::open(top, &point).ok().filter(|at| self::number(at) == Some(number));
    let id =
        rustix::fs::fstatvfs(at_point.as_ref().unwrap_or(folder)).map_or(0, |stat| stat.f_fsid);
    let file_system = if id == 0 { shown(&unescaped(line.source)) } else { format!("{id:016x}") };
    Some(Mount { point, kind: shown(line.kind), within: unescaped(line.within), file_system })
}

/// The folders of file systems that are in a root: its own, and those that are mounted below it. None where
/// nothing tells.
pub(crate) fn territories(resolved: &Path) -> Vec<Territory> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let opened = rustix::fs::open(resolved, flags, rustix::fs::Mode::empty());
    let (Some(number), Some(text)) = (opened.ok().as_ref().and_then(number), table()) else {
        return Vec::new();
    };
    let own = lines(&text).find(|line| line.number == number).and_then(|line| {
        let rest = below(resolved.as_os_str().as_bytes(), Path::new(&os(&line.point())))?;
        Some(Territory {
            device: shown(line.device),
            folder: joined(&unescaped(line.within), &rest),
        })
    });
    let mounted =
        lines(&text).filter(|line| below(&line.point(), resolved).is_some_and(|at| !at.is_empty()));
    let mounted = mounted
        .map(|line| Territory { device: shown(line.device), folder: unescaped(line.within) });
    own.into_iter().chain(mounted).take(TERRITORIES_MAX).collect()
}

fn table() -> Option<Vec<u8>> {
    let mut text = Vec::new();
    File::open(TABLE).ok()?.read_to_end(&mut text).ok()?;
    Some(text)
}

/// A line of the table.
struct Line<'a> {
    number: u64,
    device: &'a [u8],
    within: &'a [u8],
    point: &'a [u8],
    kind: &'a [u8],
    source: &'a [u8],
}

impl Line<'_> {
    fn point(&self) -> Vec<u8> {
        unescaped(self.point)
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    text.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let number = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let (device, within, point) = (fields.nth(1)?, fields.next()?, fields.next()?);
        // Options, and any number of optional fields up to a dash.
        fields.by_ref().find(|field| *field == b"-")?;
        Some(Line { number, device, within, point, kind: fields.next()?, source: fields.next()? })
    })
}

/// A field without its escapes: blanks and backslashes are octal numbers in it.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|digits| digits.iter().all(|one| (b'0'..=b'7').contains(one)));
        match digits {
            Some(digits) if *first == b'\\' => {
                let value =
                    digits.iter().fold(0_u32, |sum, digit| sum * 8 + u32::from(digit - b'0'));
                out.push(u8::try_from(value).unwrap_or(b'?'));
                rest = &after[3..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

fn shown(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

fn os(bytes: &[u8]) -> std::ffi::OsString {
    std::ffi::OsStr::from_bytes(bytes).to_owned()
}

/// A path relative to `top`; empty for `top` itself, none where it is not below it.
fn below(path: &[u8], top: &Path) -> Option<Vec<u8>> {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    path.strip_prefix(top).ok().map(|rest| rest.as_os_str().as_bytes().to_vec())
}

/// A folder of a file system and a path below it.
fn joined(within: &[u8], rest: &[u8]) -> Vec<u8> {
    if rest.is_empty() {
        return within.to_vec();
    }
    [within.strip_suffix(b"/").unwrap_or(within), b"/", rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;

    const TEXT: &[u8] = b"22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
        77 22 0:55 /deep\\040in/it /data/n\\134as rw,noatime shared:2 master:1 - nfs4 server:/x rw\n\
        nonsense\n\
        78 22 0:56 / /data rw - tmpfs none rw\n";

    #[test]
    fn a_line_of_the_table_is_read_whatever_optional_fields_it_has() {
        let read: Vec<_> = lines(TEXT).collect();
        assert_eq!(read.iter().map(|line| line.number).collect::<Vec<_>>(), [22, 77, 78]);
        let nas = &read[1];
        assert_eq!(nas.point(), b"/data/n\\as");
        assert_eq!(unescaped(nas.within), b"/deep in/it");
        assert_eq!(
            (nas.device, nas.kind, nas.source),
            (&b"0:55"[..], &b"nfs4"[..], &b"server:/x"[..])
        );
    }

    #[test]
    fn a_path_is_below_another_by_whole_names() {
        assert_eq!(below(b"/data/nas", Path::new("/data")), Some(b"nas".to_vec()));
        assert_eq!(below(b"/data", Path::new("/data")), Some(Vec::new()));
        assert_eq!(below(b"/data2", Path::new("/data")), None);
        assert_eq!(joined(b"/", b"a"), b"/a");
        assert_eq!(joined(b"/x", b""), b"/x");
    }

    #[test]
    fn a_folder_is_on_the_mount_of_the_root_that_it_is_in() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(dir.path().join("a/b")).expect("folders");
        let root = Root::open_unmarked(dir.path()).expect("a root");
        let at = |folder: &[u8]| {
            let opened = root.open_folder(folder).expect("a folder");
            root.mount_of(&opened).expect("known")
        };
        let own = at(b"");
        assert_eq!((own.point.as_slice(), at(b"a/b")), (&b""[..], own.clone()));
        assert!(!own.kind.is_empty() && !own.file_system.is_empty());
    }
}
