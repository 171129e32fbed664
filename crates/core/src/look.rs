//! What one look at a recording's files saw. The crate `focus-storage` makes looks;
//! this crate judges them.

use crate::state::Fault;

/// What tells whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStat {
    /// Bytes.
    pub size: i64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
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
    /// Its bytes; none where the caller already knew the content of this very stat.
    pub bytes: Option<Vec<u8>>,
}

/// One look at the files of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The data file, if one is there.
    pub data: Option<DataSeen>,
    /// The sidecar, if one is there.
    pub sidecar: Option<SidecarSeen>,
    /// A file changed between the stat before and the stat after it was read.
    pub changing: bool,
    /// The device of its folder, where that is there.
    pub device: Option<u64>,
    /// What hindered the look: permission, I/O error, a symbolic link, a size over the bound.
    pub fault: Option<Fault>,
}
