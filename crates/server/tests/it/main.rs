//! The shipped binary, against real files, sockets, signals and a real database.

mod answers;
mod cli;
mod crash;
mod deletions;
mod drill_documents;
mod drill_reports;
mod embedded;
mod hardship;
mod lease;
mod ledger;
mod outage;
mod recovery;
mod site;
mod unrecognised;
mod verify;
