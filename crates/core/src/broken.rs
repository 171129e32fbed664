//! Deliberate mistakes, compiled only for the simulation (`--cfg focus_sim`), which has to catch each.
//!
//! Elsewhere [`is`] is a constant `false`, and nothing of this is left in the program.

/// A mistake that somebody could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Broken {
    /// A document whose write failed counts as written.
    PendingClearedOnSend,
    /// A duplicate key counts as "there already", and is not read.
    DuplicateNotRead,
    /// A refused document counts as written.
    RefusalIgnored,
    /// Versions leave the token out.
    TokenNotInVersion,
    /// A comparison looks at uuids alone.
    ComparedByUuid,
    /// The watermark is not compared with the remembered one.
    WatermarkIgnored,
    /// A watermark is written before the index has stored what the batch before came to.
    MarkedBeforeAcknowledged,
    /// The next batch may hold recordings of the one that is being written.
    BatchesInFlightShare,
    /// That a comparison is owed is kept in memory alone.
    OwedComparisonNotStored,
    /// A new holder does not compare: what it compared as a standby has to do.
    NewHolderDoesNotCompare,
    /// The lease is checked once, and not before each write.
    LeaseCheckedOnce,
    /// A grant of an earlier connection is good.
    GrantOutlivesConnection,
    /// The lease's length counts from the acknowledgement, not from the sending.
    LeaseFromAcknowledgement,
    /// A challenger counts over its own pauses and failed reads.
    ChallengeOverGaps,
    /// A released lease, or one of nobody, is taken without a new token.
    TokenReused,
    /// A token met in a document is not taken into account.
    MetTokenIgnored,
    /// Whatever is gone is marked, however much.
    DeletionNeverHeld,
    /// Files count as settled at the first look.
    SettledAtOnce,
    /// A uuid at a new path is a duplicate, also where the old path is empty.
    MoveIsDuplicate,
    /// An acknowledgement counts for whatever the recording is by now.
    AnyGenerationAcknowledged,
    /// What is gone from an archive is marked.
    ArchiveMarked,
    /// Absence counts as proved on whatever is mounted.
    MountIgnored,
    /// A folder's mount stands for all of its recordings.
    FolderMountTrusted,
    /// A folder that has lost its marker is a new root, whatever is known of it.
    KnownRootMarkedAnew,
    /// A server on a copy of the root takes the lease like any other.
    CopyTakesLease,
    /// What an exclude newly hides is deleted.
    ExcludedDeleted,
    /// A look trusts size and mtime: a sidecar of the same ones is the same.
    SizeAndTimeTrusted,
    /// Content counts though it was read within the tick in which it was first seen.
    ReadWithinTickCounts,
    /// Files that were changed just now count as old.
    YoungFilesCountAsAged,
    /// A folder that was read within the tick in which it changed is not read again.
    FoldersSkippedWithinTick,
    /// A message that a channel did not take counts as told.
    AlertFailureIsTold,
    /// A restart forgets what channels were told.
    AlertForgottenAtRestart,
    /// What a dead holder may have told is left to it by whoever takes over.
    AlertOfDeadHolderStands,
    /// Whoever takes a root over does not read what was told of it.
    AlertHandoverUnread,
    /// What was handed over to one catalog counts as known to another.
    AlertHandedToNobody,
}

impl Broken {
    /// All of them.
    pub const ALL: [Broken; 35] = [
        Broken::PendingClearedOnSend,
        Broken::DuplicateNotRead,
        Broken::RefusalIgnored,
        Broken::TokenNotInVersion,
        Broken::ComparedByUuid,
        Broken::WatermarkIgnored,
        Broken::MarkedBeforeAcknowledged,
        Broken::BatchesInFlightShare,
        Broken::OwedComparisonNotStored,
        Broken::NewHolderDoesNotCompare,
        Broken::LeaseCheckedOnce,
        Broken::GrantOutlivesConnection,
        Broken::LeaseFromAcknowledgement,
        Broken::ChallengeOverGaps,
        Broken::TokenReused,
        Broken::MetTokenIgnored,
        Broken::DeletionNeverHeld,
        Broken::SettledAtOnce,
        Broken::MoveIsDuplicate,
        Broken::AnyGenerationAcknowledged,
        Broken::ArchiveMarked,
        Broken::MountIgnored,
        Broken::FolderMountTrusted,
        Broken::KnownRootMarkedAnew,
        Broken::CopyTakesLease,
        Broken::ExcludedDeleted,
        Broken::SizeAndTimeTrusted,
        Broken::ReadWithinTickCounts,
        Broken::YoungFilesCountAsAged,
        Broken::FoldersSkippedWithinTick,
        Broken::AlertFailureIsTold,
        Broken::AlertForgottenAtRestart,
        Broken::AlertOfDeadHolderStands,
        Broken::AlertHandoverUnread,
        Broken::AlertHandedToNobody,
    ];
}

#[cfg(focus_sim)]
thread_local! {
    static NOW: std::cell::Cell<Option<Broken>> = const { std::cell::Cell::new(None) };
}

/// Makes this mistake from now on, on this thread.
#[cfg(focus_sim)]
pub fn set(broken: Option<Broken>) {
    NOW.set(broken);
}

/// This mistake is to be made.
#[cfg(focus_sim)]
pub(crate) fn is(broken: Broken) -> bool {
    NOW.get() == Some(broken)
}

/// This mistake is to be made: never, in the product.
#[cfg(not(focus_sim))]
pub(crate) const fn is(_: Broken) -> bool {
    false
}
