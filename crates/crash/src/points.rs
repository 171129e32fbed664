//! The points, enumerated.

/// An enum with all of its values and their names.
macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $value,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$value,)*];

            /// The name of this one.
            pub const fn name(self) -> &'static str {
                match self { $($name::$value => $text,)* }
            }
        }
    };
}

named! {
    /// A transaction of the index.
    Write {
        /// A root's row, made or met again.
        Root = "root",
        /// Looks at storage.
        Observe = "observe",
        /// A finished scan.
        ScanFinished = "scan_finished",
        /// The devices that folders were found on.
        Devices = "devices",
        /// A device that takes the place of another one.
        SettleDevices = "settle_devices",
        /// The watermark and the rows of a batch about to be sent.
        Note = "note",
        /// The outcome of a batch.
        Acknowledge = "acknowledge",
        /// Refused recordings are pending again.
        RetryDue = "retry_due",
        /// The path that the catalog has of a uuid holds it.
        Prefer = "prefer",
        /// The lease's token.
        Token = "token",
        /// The highest token of anybody.
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
        /// What was written to the unrecognised collection.
        Reported = "reported",
        /// The tables of a new version.
        Migrate = "migrate",
    }
}

named! {
    /// A step outside of the index's transactions.
    Step {
        /// A damaged index is renamed, and its log not yet.
        AsideDatabase = "aside/database",
        /// A damaged index is kept aside, and there is no new one.
        AsideLogs = "aside/logs",
        /// All is written, and the index is not marked as closed in order.
        CloseBefore = "close/before",
        /// The index is marked as closed in order, and its log is still beside it.
        CloseAfter = "close/after",
        /// Documents are about to be inserted.
        BeforeInsert = "insert/before",
        /// They are, and nobody was told.
        AfterInsert = "insert/after",
        /// Documents are about to be updated; those to be inserted are there.
        BeforeUpsert = "upsert/before",
        /// They are, and nobody was told.
        AfterUpsert = "upsert/after",
        /// Duplicates are about to be read.
        BeforeRead = "read/before",
        /// They were read, and nothing has followed.
        AfterRead = "read/after",
        /// A document without root is about to be adopted.
        BeforeAdopt = "adopt/before",
        /// It is, and nobody was told.
        AfterAdopt = "adopt/after",
        /// A deleted document of another root is about to be taken over.
        BeforeTakeOver = "take_over/before",
        /// It is, and nobody was told.
        AfterTakeOver = "take_over/after",
        /// Documents of a drill's recordings that are gone are about to be removed.
        BeforeRemove = "remove/before",
        /// They are, and nobody was told.
        AfterRemove = "remove/after",
        /// A batch is written, and its watermark is not.
        BeforeMark = "mark/before",
        /// A batch and its watermark are written, and nobody was told.
        AfterMark = "mark/after",
        /// Unrecognised recordings are about to be told.
        BeforeReport = "report/before",
        /// They are told, and the index does not know.
        AfterReport = "report/after",
        /// What is unrecognised no more is about to be removed.
        BeforeSweep = "sweep/before",
        /// It is.
        AfterSweep = "sweep/after",
        /// A token is drawn, and no lease taken under it.
        TokenDrawn = "lease/drawn",
        /// A lease is taken, and its token not stored.
        LeaseTaken = "lease/taken",
        /// The lease is about to be renewed.
        BeforeRenew = "renew/before",
        /// It is, and nobody was told.
        AfterRenew = "renew/after",
        /// The lease is about to be given up.
        BeforeRelease = "release/before",
        /// It is, and the index is not closed.
        AfterRelease = "release/after",
        /// A repair's rows are pending, and unknown documents are not yet known.
        RepairStored = "repair/stored",
        /// A repair is stored, and the reconciler not woken.
        RepairAdded = "repair/added",
        /// A verification's result is written, and not yet under its name.
        VerificationPart = "verification/part",
        /// A state folder's identity is written, and not yet under its name.
        IdentityPart = "identity/part",
        /// The server's address is written, and not yet under its name.
        ServerPart = "server/part",
    }
}

/// A crash point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// All of a transaction is done, and it is not committed.
    Uncommitted(Write),
    /// It is committed, and nobody was told.
    Committed(Write),
    /// Anywhere else.
    At(Step),
}

impl Point {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Point> {
        let writes = Write::ALL
            .iter()
            .flat_map(|write| [Point::Uncommitted(*write), Point::Committed(*write)]);
        writes.chain(Step::ALL.iter().map(|step| Point::At(*step)))
    }

    /// Its name, as the environment spells it.
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
