//! Mounts below a root, and which of them files were seen on.

/// A mount as it is told from others, also after a restart of the machine: numbers of devices and of mounts
/// mean nothing then.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mount {
    /// Its mount point, relative to the root; empty where the root itself is on it.
    pub point: Vec<u8>,
    /// The type of its file system.
    pub kind: String,
    /// The folder of the file system that is mounted: of a bind mount, the one that was bound.
    pub within: Vec<u8>,
    /// Which file system it is: its own id, or where it has none the source that it is mounted from.
    pub file_system: String,
}

/// File systems that take the times of files from the clock of this machine, and set them at every change.
const OF_THIS_MACHINE: [&str; 8] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs"];

impl Mount {
    /// The times of its files are of this machine's clock.
    pub fn has_our_clock(&self) -> bool {
        OF_THIS_MACHINE.contains(&self.kind.as_str())
    }
}

/// A folder within a file system, whatever paths lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Territory {
    /// The device of the file system, as long as the machine runs.
    pub device: String,
    /// The folder, from the top of the file system.
    pub folder: Vec<u8>,
}

impl Territory {
    /// One of the two is the other, or is in it.
    pub fn meets(&self, other: &Territory) -> bool {
        self.device == other.device
            && (is_at_or_below(&self.folder, &other.folder)
                || is_at_or_below(&other.folder, &self.folder))
    }
}

/// Whether a folder is `top` or in it. Both are absolute.
fn is_at_or_below(folder: &[u8], top: &[u8]) -> bool {
    let top = top.strip_suffix(b"/").unwrap_or(top);
    folder.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_one_file_system_meet_where_one_is_in_the_other() {
        let at = |device: &str, folder: &str| Territory {
            device: device.to_owned(),
            folder: folder.as_bytes().to_vec(),
        };
        assert!(at("8:1", "/a").meets(&at("8:1", "/a")));
        assert!(at("8:1", "/a/b").meets(&at("8:1", "/a")));
        assert!(at("8:1", "/").meets(&at("8:1", "/a")));
        assert!(!at("8:1", "/a").meets(&at("8:1", "/ab")));
        assert!(!at("8:1", "/a").meets(&at("8:2", "/a")));
    }
}
