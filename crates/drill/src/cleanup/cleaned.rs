//! The result of cleaning up.

/// What cleaning up found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Documents that the drill had to remove itself.
    pub removed: u64,
    /// Documents of planted recordings that stay, because they do not name the drill.
    pub left: u64,
}
