//! How the memory that a server may take is shared among its parts.

/// The memory that a server may take, of which each part gets a share.
///
/// About half of it has no owner here: the program itself, what is under way of requests and batches, which have bounds
/// of their own, and what the allocator keeps. `cargo xtask bench memory` measures the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    mib: u64,
}

impl MemoryBudget {
    /// A budget of so many MiB.
    pub const fn of_mib(mib: u64) -> MemoryBudget {
        MemoryBudget { mib }
    }

    /// Pages that the writer of the index keeps, KiB.
    pub const fn index_writer_kib(self) -> u64 {
        self.mib * 1_024 / 8
    }

    /// Pages that each reader of the index keeps, KiB. There are eight of them at rest.
    pub const fn index_reader_kib(self) -> u64 {
        self.mib * 1_024 / 64
    }

    /// The log of the index is written to its file from this size on, bytes. It is on disk; the longer it is, the more of
    /// its pages are written once for many changes, and the more of it the operating system has to keep.
    pub const fn index_log_bytes(self) -> u64 {
        (self.mib << 20) / 2
    }

    /// What scans remember of the folders of each of so many roots, bytes.
    pub const fn folders_bytes(self, roots: usize) -> usize {
        let all = (self.mib << 20) / 8;
        (all / if roots == 0 { 1 } else { roots as u64 }) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_at_most_half_of_the_budget_however_many_roots_there_are() {
        for mib in [32, 64, 128, 4_096] {
            let budget = MemoryBudget::of_mib(mib);
            for roots in [0, 1, 3, 100] {
                let caches = (budget.index_writer_kib() + 8 * budget.index_reader_kib()) << 10;
                let folders = budget.folders_bytes(roots) as u64 * roots as u64;
                assert!((caches + folders) * 2 <= mib << 20, "{mib} MiB, {roots} roots");
            }
        }
    }
}
