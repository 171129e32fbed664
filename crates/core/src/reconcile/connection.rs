//! The database as it is connected now, and what the lease allows there.

use super::protocol::Right;
use crate::broken::{self, Broken};
use crate::lease::Grant;

/// The present connection to the database.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// Counts the returns of the database; none while it is away.
    epoch: Option<u64>,
    /// The database has shown on this connection who it is.
    known: bool,
    /// Something was heard of the database since the start: it is there, or it is not.
    heard: bool,
    right: Right,
}

impl Connection {
    /// None yet.
    pub(super) fn new() -> Connection {
        Connection { epoch: None, known: false, heard: false, right: Right::Unknown }
    }

    /// The database takes writes. True where that is a new connection.
    pub(super) fn up(&mut self, epoch: u64) -> bool {
        self.heard = true;
        let new = self.epoch != Some(epoch);
        if new {
            self.epoch = Some(epoch);
            self.known = false;
        }
        new
    }

    /// The database takes no writes.
    pub(super) fn down(&mut self) {
        self.heard = true;
        self.epoch = None;
        self.known = false;
    }

    /// Which connection this is; none while the database is away.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// The database is known to be there or not to be.
    pub(super) fn is_heard_of(&self) -> bool {
        self.heard
    }

    /// The database has shown who it is.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// The database has shown who it is.
    pub(super) fn meet(&mut self) {
        self.known = true;
    }

    /// The database refuses to show who it is: nothing more is written until it does.
    pub(super) fn forget_who(&mut self) {
        self.known = false;
    }

    /// What the lease allows from now on; gives what it allowed before.
    pub(super) fn allow(&mut self, right: Right) -> Right {
        std::mem::replace(&mut self.right, right)
    }

    /// Another server has the lease.
    pub(super) fn is_standby(&self) -> bool {
        self.right == Right::Standby
    }

    /// The grant of this connection, while it lasts.
    pub(super) fn grant(&self, now_ms: u64) -> Option<Grant> {
        let Right::Granted(grant) = self.right else { return None };
        let of_this =
            Some(grant.epoch) == self.epoch || broken::is(Broken::GrantOutlivesConnection);
        let lasts = now_ms < grant.until_ms || broken::is(Broken::LeaseCheckedOnce);
        (of_this && lasts).then_some(grant)
    }

    /// Writes may start: the lease is ours under the token that is stored, and the database is known.
    pub(super) fn may_write(&self, now_ms: u64, stored_token: i64) -> bool {
        self.known && self.grant(now_ms).is_some_and(|grant| grant.token == stored_token)
    }
}
