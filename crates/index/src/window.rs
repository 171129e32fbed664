//! What overlaps a window of time, each with its metadata: for answers that go by what a sidecar says.

use std::ops::ControlFlow;

use rusqlite::params;

use crate::overlap::{classes, earliest};
use crate::schema::LIVE_END_MS;
use crate::scope::Scope;
use crate::{IndexError, Reader};

/// A recording that overlaps a window.
#[derive(Clone, Copy, Debug)]
pub struct InWindow<'a> {
    /// When it begins, milliseconds since 1970.
    pub start_ms: i64,
    /// When it ends; none of a live one.
    pub end_ms: Option<i64>,
    /// Its metadata, as JSON.
    pub metadata: &'a str,
    /// When the index saw it first, milliseconds since 1970; none where an earlier version did.
    pub first_seen_ms: Option<i64>,
}

impl Reader {
    /// Every recognised, not deleted recording that overlaps `from_ms..to_ms`, in no order, to `sink`, which ends it
    /// early by breaking.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn in_window(
        &self,
        (from_ms, to_ms): (i64, i64),
        sink: &mut dyn FnMut(InWindow<'_>) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        self.read(|connection| {
            let scope: Scope = self.scope(connection)?;
            let of_roots = scope.and("root");
            let snapshot = connection.unchecked_transaction()?;
            let mut statement = snapshot.prepare(&format!(
                "SELECT start_ms, end_ms, metadata, first_seen_ms FROM recordings
                 WHERE span = ?1 AND start_ms BETWEEN ?2 AND ?3 AND end_ms >= ?4 AND deleted = 0{of_roots}"
            ))?;
            for class in classes(&snapshot)? {
                let first = earliest(class, from_ms);
                let mut rows =
                    statement.query(params![class, first, to_ms.saturating_sub(1), from_ms])?;
                while let Some(row) = rows.next()? {
                    let end_ms: i64 = row.get(1)?;
                    let told = sink(InWindow {
                        start_ms: row.get(0)?,
                        end_ms: (end_ms != LIVE_END_MS).then_some(end_ms),
                        metadata: row.get_ref(2)?.as_str().unwrap_or("{}"),
                        first_seen_ms: row.get(3)?,
                    });
                    if told.is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }
}
