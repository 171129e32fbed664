//! What one look at a recording's files saw. The crate `focus-storage` makes looks;
//! this crate judges them.

use std::sync::Arc;

use crate::mount::Mount;
use crate::state::Fault;

/// What tells whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStat {
    /// Bytes.
    pub size: i64,
    /// Modification time, nanoseconds since 1970, modulo 2^64: two times within 584 years of one another
    /// never look the same.
    pub mtime_ns: i64,
}

/// Which file of its name it is, and when it was changed last, whatever its modification time says. The
/// device's number is no part of it: a restart of the machine may change that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// The number of the file in its file system.
    pub inode: u64,
    /// The time of the last change of content, name or rights, as `mtime_ns` is told. Nobody can set it.
    pub ctime_ns: i64,
}

/// A sidecar as it was seen: what tells whether its content may be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeenAs {
    /// Its size and time.
    pub stat: FileStat,
    /// Which file it is.
    pub identity: FileIdentity,
}

/// A data file that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSeen {
    /// Its extension, without the dot.
    pub extension: String,
    /// Its size and time.
    pub stat: FileStat,
}

/// A sidecar that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidecarSeen {
    /// Its size and time, the same before and after it was read.
    pub stat: FileStat,
    /// Which file it is, the same before and after it was read.
    pub identity: FileIdentity,
    /// Its bytes; none where the caller already knew the content of this very file.
    pub bytes: Option<Vec<u8>>,
}

/// One look at the files of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The data file, if one is there.
    pub data: Option<DataSeen>,
    /// The sidecar, if one is there.
    pub sidecar: Option<SidecarSeen>,
    /// Where no data file is there: the extension of a file beside the sidecar that may be meant as one.
    pub beside: Option<String>,
    /// A file changed between the stat before and the stat after it was read.
    pub changing: bool,
    /// The mount that its folder is on, where that is there and known.
    pub mount: Option<Arc<Mount>>,
    /// When the look began, on the boot-time clock; none: when it was judged.
    pub began_ms: Option<u64>,
    /// When either file was changed last by any of its times, nanoseconds since 1970; none where one is not there, or
    /// the clock of its file system is not this machine's.
    pub changed_ns: Option<i64>,
    /// When the look began on the wall clock, nanoseconds since 1970; none where that is not known.
    pub began_wall_ns: Option<i64>,
    /// What hindered the look: permission, I/O error, a symbolic link, a size over the bound.
    pub fault: Option<Fault>,
}

impl Look {
    /// How long both files have been as they are by their own times, milliseconds; none where these do not tell, or
    /// lie in the future.
    pub fn aged_ms(&self) -> Option<u64> {
        let aged_ns = self.began_wall_ns?.checked_sub(self.changed_ns?)?;
        u64::try_from(aged_ns).ok().map(|aged_ns| aged_ns / 1_000_000)
    }
}
