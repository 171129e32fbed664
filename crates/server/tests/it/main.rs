//! The shipped binary, against real files, sockets, signals and a real database.

mod answers;
mod changes;
mod cli;
mod clock;
mod crash;
mod damage;
mod deletions;
mod different;
mod drill_documents;
mod drill_reports;
mod embedded;
mod golden;
mod hardship;
mod lease;
mod ledger;
mod mounts;
mod outage;
mod power;
mod recovery;
mod roots;
mod scarcity;
mod scene;
mod security;
mod site;
mod unrecognised;
mod verify;
