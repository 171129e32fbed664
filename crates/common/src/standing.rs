//! Whether a server is in order, from its status alone.

use crate::status::{CatalogState, IndexState, RootState, Status};

/// How a server stands. The worst of its parts counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// In order, which includes work in progress: pending, unsettled, unrecognised, standby.
    InOrder,
    /// Somebody has to act: deletions are held, documents drift, the catalog refuses, the index fails.
    NotInOrder,
    /// A root or the catalog is not there, or nothing is known of it.
    NotThere,
}

impl Status {
    /// How the server stands that says this of itself. Unrecognised recordings are in order, except those
    /// whose document the catalog refused.
    pub fn standing(&self) -> Standing {
        let roots = self.roots.iter().map(|root| match root.state {
            RootState::Present => Standing::InOrder,
            RootState::Unknown
            | RootState::Absent
            | RootState::NoMarker
            | RootState::Replaced
            | RootState::DuplicateMarker
            | RootState::Unreadable => Standing::NotThere,
        });
        let catalog = match self.catalog_state {
            CatalogState::Recovering | CatalogState::InStep | CatalogState::Standby => {
                Standing::InOrder
            }
            CatalogState::Down if self.catalog_refuses => Standing::NotInOrder,
            CatalogState::Unknown | CatalogState::Connecting | CatalogState::Down => {
                Standing::NotThere
            }
        };
        let index = match self.index_state {
            IndexState::Ok | IndexState::Rebuilt => Standing::InOrder,
            IndexState::DiskFull | IndexState::Damaged | IndexState::Failed => Standing::NotInOrder,
        };
        let refused = self.unrecognised_by_state.get("catalog_refused").copied().unwrap_or(0);
        let to_do = self.held > 0 || self.drift.unwrap_or(0) > 0 || refused > 0;
        let work = if to_do { Standing::NotInOrder } else { Standing::InOrder };
        roots.chain([catalog, index, work]).max().unwrap_or(Standing::InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::RootStatus;

    fn good() -> Status {
        Status {
            catalog_state: CatalogState::InStep,
            roots: vec![RootStatus { state: RootState::Present, ..RootStatus::default() }],
            ..Status::default()
        }
    }

    fn stands(change: impl FnOnce(&mut Status)) -> Standing {
        let mut status = good();
        change(&mut status);
        status.standing()
    }

    #[test]
    fn work_in_progress_is_in_order() {
        assert_eq!(good().standing(), Standing::InOrder);
        assert_eq!(stands(|s| (s.pending, s.unsettled) = (9, 9)), Standing::InOrder);
        assert_eq!(stands(|s| s.catalog_state = CatalogState::Standby), Standing::InOrder);
        assert_eq!(stands(|s| s.catalog_state = CatalogState::Recovering), Standing::InOrder);
        assert_eq!(stands(|s| s.index_state = IndexState::Rebuilt), Standing::InOrder);
        let unrecognised = [("time_invalid".to_owned(), 3)];
        let stood = stands(|s| s.unrecognised_by_state = unrecognised.into());
        assert_eq!(stood, Standing::InOrder);
    }

    #[test]
    fn what_somebody_has_to_act_on_is_not_in_order() {
        assert_eq!(stands(|s| s.held = 1), Standing::NotInOrder);
        assert_eq!(stands(|s| s.drift = Some(1)), Standing::NotInOrder);
        assert_eq!(stands(|s| s.drift = Some(0)), Standing::InOrder);
        for state in [IndexState::DiskFull, IndexState::Damaged, IndexState::Failed] {
            assert_eq!(stands(|s| s.index_state = state), Standing::NotInOrder, "{state}");
        }
        let refused = [("catalog_refused".to_owned(), 1)];
        let stood = stands(|s| s.unrecognised_by_state = refused.into());
        assert_eq!(stood, Standing::NotInOrder);
        let stood = stands(|s| (s.catalog_state, s.catalog_refuses) = (CatalogState::Down, true));
        assert_eq!(stood, Standing::NotInOrder);
    }

    #[test]
    fn what_is_not_there_is_worse_than_what_is_not_in_order() {
        for state in RootState::ALL {
            let stood = stands(|s| (s.roots[0].state, s.held) = (*state, 1));
            let there = *state == RootState::Present;
            let wanted = if there { Standing::NotInOrder } else { Standing::NotThere };
            assert_eq!(stood, wanted, "{state}");
        }
        for state in [CatalogState::Down, CatalogState::Connecting, CatalogState::Unknown] {
            assert_eq!(stands(|s| s.catalog_state = state), Standing::NotThere, "{state}");
        }
    }
}
