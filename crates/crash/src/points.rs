//! The list of all crash points.

/// An enum with the list of its values and their names.
macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $value,)* }

        impl $name {
            /// Every value.
            pub const ALL: &[$name] = &[$($name::$value,)*];

            /// The name of this value.
            pub const fn name(self) -> &'static str {
                match self { $($name::$value => $text,)* }
            }
        }
    };
}

named! {
    /// A transaction of the index.
    Write {
        /// The row of a root, made or found again.
        Root = "root",
        /// The form by which the pairs of a root are read.
        Form = "form",
        /// A part of a root is to be read again, by another form.
        ReadAgain = "read_again",
        /// Looks at storage.
        Observe = "observe",
        /// A finished scan.
        ScanFinished = "scan_finished",
        /// The mounts that folders were found on.
        MountsFound = "mounts_found",
        /// A mount that takes the place of another one.
        SettleMounts = "settle_mounts",
        /// The watermark and the rows of a batch about to be sent.
        Note = "note",
        /// The rows of the next batch, while one is being written.
        NoteBeside = "note_beside",
        /// The outcome of a batch.
        Acknowledge = "acknowledge",
        /// The outcome of a batch and the watermark of the next one, which is being written.
        AcknowledgeBeside = "acknowledge_beside",
        /// Refused recordings are pending again.
        RetryDue = "retry_due",
        /// A uuid given to the path that the catalog has for it.
        Prefer = "prefer",
        /// The lease's token.
        Token = "token",
        /// The highest token seen of any server.
        TokenSeen = "token_seen",
        /// A comparison is owed.
        Owe = "owe",
        /// What a comparison or a verification found.
        Found = "found",
        /// A comparison has finished.
        Finish = "finish",
        /// Documents whose recording the index does not know.
        AddMissing = "add_missing",
        /// First proofs of absence.
        Proved = "proved",
        /// First proofs that do not count any more.
        Doubted = "doubted",
        /// Vanished recordings marked or held.
        Concluded = "concluded",
        /// Held deletions approved.
        Approve = "approve",
        /// A part of a root that is forgotten.
        Forget = "forget",
        /// What was written to the unrecognised collection.
        Reported = "reported",
        /// Which keys of the metadata are indexed.
        MetadataKeys = "metadata_keys",
        /// A part of what is to be done for indexed keys.
        MetadataStep = "metadata_step",
        /// A part of the text index is made, or all of it is dropped.
        TextStep = "text_step",
        /// The tables of a new version.
        Migrate = "migrate",
    }
}

named! {
    /// A step outside of the index's transactions.
    Step {
        /// A damaged index has been renamed; its log has not.
        AsideDatabase = "aside/database",
        /// A damaged index has been kept aside; there is no new one yet.
        AsideLogs = "aside/logs",
        /// Everything is written; the index is not yet marked as closed in order.
        CloseBefore = "close/before",
        /// The index is marked as closed in order; its log is still beside it.
        CloseAfter = "close/after",
        /// Documents are about to be inserted.
        BeforeInsert = "insert/before",
        /// Documents have been inserted; the index does not know.
        AfterInsert = "insert/after",
        /// Documents are about to be updated; inserts have been made.
        BeforeUpsert = "upsert/before",
        /// Documents have been updated; the index does not know.
        AfterUpsert = "upsert/after",
        /// Duplicates are about to be read.
        BeforeRead = "read/before",
        /// Duplicates have been read; nothing has followed.
        AfterRead = "read/after",
        /// A document without root is about to be adopted.
        BeforeAdopt = "adopt/before",
        /// A document has been adopted; the index does not know.
        AfterAdopt = "adopt/after",
        /// A deleted document of another root is about to be taken over.
        BeforeTakeOver = "take_over/before",
        /// A document has been taken over; the index does not know.
        AfterTakeOver = "take_over/after",
        /// Documents of planted recordings that are gone are about to be removed.
        BeforeRemove = "remove/before",
        /// Documents have been removed; the index does not know.
        AfterRemove = "remove/after",
        /// A batch is written; its watermark is not.
        BeforeMark = "mark/before",
        /// A batch and its watermark are written; the index does not know.
        AfterMark = "mark/after",
        /// Unrecognised recordings are about to be written to their collection.
        BeforeReport = "report/before",
        /// Unrecognised recordings are written; the index does not know.
        AfterReport = "report/after",
        /// Places that are no longer unrecognised are about to be removed from the collection.
        BeforeSweep = "sweep/before",
        /// These places have been removed.
        AfterSweep = "sweep/after",
        /// A token has been drawn; no lease has been taken under it.
        TokenDrawn = "lease/drawn",
        /// A lease has been taken; its token is not stored.
        LeaseTaken = "lease/taken",
        /// The lease is about to be renewed.
        BeforeRenew = "renew/before",
        /// The lease has been renewed; the server does not know.
        AfterRenew = "renew/after",
        /// The lease is about to be released.
        BeforeRelease = "release/before",
        /// The lease has been released; the index is not closed.
        AfterRelease = "release/after",
        /// The rows of a repair are pending; its unknown documents are not stored yet.
        RepairStored = "repair/stored",
        /// A repair is stored; the reconciler has not been woken.
        RepairAdded = "repair/added",
        /// The result of a verification is written, under a temporary name.
        VerificationPart = "verification/part",
        /// The identity of a state folder is written, under a temporary name.
        IdentityPart = "identity/part",
        /// The server's address is written, under a temporary name.
        ServerPart = "server/part",
        /// The sidecar of a recording that is handed over is in a part; its data has not come.
        IngestSidecarPart = "ingest/sidecar_part",
        /// Both parts are synced; neither is in place.
        IngestParts = "ingest/parts",
        /// The data file is in place; its sidecar is not.
        IngestData = "ingest/data",
        /// Both files are in place; their folder is not synced.
        IngestSidecar = "ingest/sidecar",
        /// All is synced; nobody was told to look.
        IngestSynced = "ingest/synced",
        /// The index has the recording; the caller was not answered.
        IngestIndexed = "ingest/indexed",
    }
}

/// A crash point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// A transaction has done everything and is not committed.
    Uncommitted(Write),
    /// A transaction is committed; its caller does not know.
    Committed(Write),
    /// A step outside of a transaction.
    At(Step),
}

impl Point {
    /// Every point.
    pub fn all() -> impl Iterator<Item = Point> {
        let writes = Write::ALL
            .iter()
            .flat_map(|write| [Point::Uncommitted(*write), Point::Committed(*write)]);
        writes.chain(Step::ALL.iter().map(|step| Point::At(*step)))
    }

    /// The name of the point, as the environment spells it.
    pub fn name(self) -> String {
        match self {
            Point::Uncommitted(write) => format!("{}/uncommitted", write.name()),
            Point::Committed(write) => format!("{}/committed", write.name()),
            Point::At(step) => step.name().to_owned(),
        }
    }

    /// The point of this name.
    pub fn from_name(name: &str) -> Option<Point> {
        Point::all().find(|point| point.name() == name)
    }
}
