//! Which entries the catalog may have without having acknowledged them.

use super::EntryId;

/// The entries of one root that were sent since everything was last acknowledged, as the span of their
/// ids: it may hold others too, which are then forgotten later than they could be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent(pub Option<(EntryId, EntryId)>);

impl Sent {
    /// These are about to be sent.
    pub fn note(self, ids: impl IntoIterator<Item = EntryId>) -> Sent {
        let span = ids.into_iter().fold(self.0, |span, id| {
            Some(span.map_or((id, id), |(low, high)| (low.min(id), high.max(id))))
        });
        Sent(span)
    }

    /// The catalog may have this one.
    pub fn holds(self, id: EntryId) -> bool {
        self.0.is_some_and(|(low, high)| (low..=high).contains(&id))
    }

    /// After answers were stored: where none of the root's entries is pending or refused, all that was sent
    /// is acknowledged. What was refused may have been written before.
    pub fn after_answers(self, pending: bool, refused: bool) -> Sent {
        if pending || refused { self } else { Sent(None) }
    }
}
