//! Where the marker of a root is, as a lease tells it: so that a copy of the root on another machine is told
//! from another way to the same root.

/// Where the holder of a lease has the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarkerPlace {
    /// The name of its machine, for people.
    pub host: String,
    /// The path of the root there, for people.
    pub path: String,
    /// The inode of the marker.
    pub inode: u64,
    /// When the inode of the marker was changed last, nanoseconds since 1970.
    pub ctime_ns: i64,
}

impl MarkerPlace {
    /// Both are one file, as far as can be told.
    ///
    /// Every client of a file server sees the same ctime, to the microsecond at least, and nobody can set
    /// it: a copy has its own. The inode tells only on one machine, because some network file systems give
    /// each client numbers of its own.
    pub fn is_same_marker(&self, other: &MarkerPlace) -> bool {
        let same_time = self.ctime_ns.div_euclid(1_000) == other.ctime_ns.div_euclid(1_000);
        same_time && (self.inode == other.inode || self.host != other.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, inode: u64, ctime_ns: i64) -> MarkerPlace {
        MarkerPlace { host: host.to_owned(), path: "/r".to_owned(), inode, ctime_ns }
    }

    #[test]
    fn a_marker_is_told_by_its_ctime_and_on_one_machine_by_its_inode_too() {
        let here = at("a", 7, 1_700_000_000_123_456_789);
        // Another client of the same file server, which may cut digits off, or number anew.
        assert!(here.is_same_marker(&at("b", 7, 1_700_000_000_123_456_789)));
        assert!(here.is_same_marker(&at("b", 7, 1_700_000_000_123_456_700)));
        assert!(here.is_same_marker(&at("b", 8, 1_700_000_000_123_456_789)));
        // A copy, whose inode may be the same by chance.
        assert!(!here.is_same_marker(&at("b", 7, 1_700_000_000_123_999_789)));
        assert!(!here.is_same_marker(&at("a", 7, 1_700_000_001_123_456_789)));
        assert!(!here.is_same_marker(&at("a", 8, 1_700_000_000_123_456_789)));
    }
}
