//! What waits to be written, how much of it goes into one batch, and who has the next turn.

use super::protocol::Bounds;
use crate::entry::EntryId;

/// Of a long backlog every so manieth turn is the comparison's.
const COMPARISON_TURN: u32 = 8;

/// Where the backlog turns out to be in the catalog already, every so manieth turn is the backlog's.
const BACKLOG_TURN: u32 = 4;

/// The backlog of one root, as far as the reconciler knows it.
#[derive(Clone, Debug)]
pub(super) struct Backlog {
    /// The index may have something pending.
    waits: bool,
    /// The index may have something to tell the unrecognised collection.
    unreported: bool,
    /// Everything that was pending at the database's return is acknowledged.
    caught_up: bool,
    /// Recordings in the next batch at most.
    limit: usize,
    /// The next batch holds only entries below this one, because the one above failed all alone.
    before: Option<EntryId>,
    /// What was picked last was ended by a bound: more waits.
    more: bool,
    /// Most of the last batch was in the catalog already: comparing is faster than inserting.
    mostly_there: bool,
    /// Counts the choices between writing, reporting and comparing.
    turn: u32,
}

/// What a reconciler that may write turns to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextTurn {
    /// Write what is pending.
    Backlog,
    /// Bring the unrecognised collection in step.
    Report,
    /// Go on with the comparison.
    Comparison,
    /// Nothing waits.
    Nobody,
}

impl Backlog {
    /// Nothing is known yet: everything may wait.
    pub(super) fn new(bounds: Bounds) -> Backlog {
        Backlog {
            waits: true,
            unreported: true,
            caught_up: false,
            limit: bounds.batch_first,
            before: None,
            more: false,
            mostly_there: false,
            turn: 0,
        }
    }

    /// What holds for one connection alone begins anew.
    pub(super) fn reconnected(&mut self, bounds: Bounds) {
        self.caught_up = false;
        self.before = None;
        self.limit = bounds.batch_first;
    }

    /// The index may have something pending.
    pub(super) fn look(&mut self) {
        self.waits = true;
    }

    /// The index may have something pending, or something to report.
    pub(super) fn look_at_all(&mut self) {
        self.waits = true;
        self.unreported = true;
    }

    /// A report was sent, and there may be more to report.
    pub(super) fn more_to_report(&mut self) {
        self.unreported = true;
    }

    /// Everything that was pending at the database's return is acknowledged.
    pub(super) fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// Nothing is pending any more, or that is not known any more.
    pub(super) fn set_caught_up(&mut self, caught_up: bool) {
        self.caught_up = caught_up;
    }

    /// Whose turn it is; the one who has it is taken to have nothing left.
    pub(super) fn take_turn(&mut self, compares: bool) -> NextTurn {
        let next = self.next_turn(compares);
        self.turn = self.turn.wrapping_add(1);
        match next {
            NextTurn::Report => self.unreported = false,
            NextTurn::Backlog => self.waits = false,
            NextTurn::Comparison | NextTurn::Nobody => {}
        }
        next
    }

    /// Whose turn comes.
    ///
    /// Every second turn may be a report's. Of a long backlog some turns are the comparison's, so that
    /// neither starves.
    pub(super) fn next_turn(&self, compares: bool) -> NextTurn {
        let turn = self.turn.wrapping_add(1);
        let alone = !self.waits && !compares;
        if self.unreported && (alone || turn.is_multiple_of(2)) {
            return NextTurn::Report;
        }
        let comparison_first = if self.mostly_there {
            !turn.is_multiple_of(BACKLOG_TURN)
        } else {
            turn % COMPARISON_TURN == 1
        };
        if compares && (!self.waits || comparison_first) {
            return NextTurn::Comparison;
        }
        if self.waits { NextTurn::Backlog } else { NextTurn::Nobody }
    }

    /// Recordings in the next batch at most.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The entry below which the next batch begins.
    pub(super) fn before(&self) -> Option<EntryId> {
        self.before
    }

    /// Recordings were picked, and perhaps there are `more`.
    pub(super) fn picked(&mut self, more: bool) {
        self.more = more;
    }

    /// More waits than what was picked last, and nothing of it is to be passed over.
    pub(super) fn has_more(&self) -> bool {
        self.more && self.before.is_none()
    }

    /// Nothing was picked. True: that ended a round past a recording that fails all alone, and the next
    /// round begins with the newest.
    pub(super) fn ended_round(&mut self) -> bool {
        self.before.take().is_some()
    }

    /// A batch failed as a whole: the next one is smaller, and goes past a recording that fails all alone.
    pub(super) fn batch_failed(&mut self, len: usize, lowest_id: Option<EntryId>) {
        if len == 1 {
            self.before = lowest_id;
        }
        self.limit = (len / 4).max(1);
    }

    /// A batch has ended: full ones let the next one grow.
    pub(super) fn batch_ended(
        &mut self,
        len: usize,
        written: usize,
        acknowledged: usize,
        max: usize,
    ) {
        self.mostly_there = acknowledged > 0 && written * 2 < acknowledged;
        if len >= self.limit {
            self.limit = (self.limit * 2).min(max);
        }
    }
}
