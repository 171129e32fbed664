//! What answers are about: the configured roots. A root that is not configured any more stays in the index,
//! and is in no answer.

use focus_core::configured::{ConfiguredRoot, KnownRoot, are_configured};
use rusqlite::Connection;

use crate::rows::{RootId, unsigned};
use crate::{IndexError, Reader};

/// A root that the index knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedRoot {
    /// Which it is.
    pub id: RootId,
    /// The id in its marker.
    pub marker: String,
    /// The path where it was seen last.
    pub path: String,
    /// Its recordings, those marked as deleted included.
    pub recordings: u64,
    /// It is in answers.
    pub is_configured: bool,
}

/// Which rows answers are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every row: all roots are configured, which is the rule, and a condition would cost something.
    All,
    /// Those of these roots.
    Only(Vec<i64>),
}

impl Scope {
    /// Whether answers are about this root.
    pub(crate) fn has(&self, root: i64) -> bool {
        match self {
            Scope::All => true,
            Scope::Only(roots) => roots.contains(&root),
        }
    }

    /// The condition on a column that holds a root, to follow other conditions. The plus keeps SQLite from
    /// choosing another index because of it.
    pub(crate) fn and(&self, column: &str) -> String {
        match self {
            Scope::All => String::new(),
            Scope::Only(roots) => {
                let roots: Vec<String> = roots.iter().map(i64::to_string).collect();
                format!(" AND +{column} IN ({})", roots.join(", "))
            }
        }
    }
}

impl Reader {
    /// From now on answers are about these roots alone, through each clone of this reader.
    pub fn answer_for(&self, roots: Vec<ConfiguredRoot>) {
        *self.configured().lock() = Some(roots);
    }

    /// The configured root at this path was there, with this marker.
    pub fn was_there(&self, path: &str, marker: &str) {
        if let Some(roots) = self.configured().lock().as_mut() {
            for root in roots.iter_mut().filter(|root| root.path == path) {
                root.marker = Some(marker.to_owned());
            }
        }
    }

    /// The roots that the index knows.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn indexed_roots(&self) -> Result<Vec<IndexedRoot>, IndexError> {
        self.read(|connection| self.indexed(connection))
    }

    /// What answers are about now.
    pub(crate) fn scope(&self, connection: &Connection) -> rusqlite::Result<Scope> {
        if self.configured().lock().is_none() {
            return Ok(Scope::All);
        }
        let roots = self.indexed(connection)?;
        if roots.iter().all(|root| root.is_configured) {
            return Ok(Scope::All);
        }
        let configured = roots.iter().filter(|root| root.is_configured);
        Ok(Scope::Only(configured.map(|root| root.id.0).collect()))
    }

    pub(crate) fn indexed(&self, connection: &Connection) -> rusqlite::Result<Vec<IndexedRoot>> {
        let mut statement = connection
            .prepare_cached("SELECT id, marker, path, recordings FROM roots ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            Ok(IndexedRoot {
                id: RootId(row.get(0)?),
                marker: row.get(1)?,
                path: row.get(2)?,
                recordings: unsigned(row.get(3)?),
                is_configured: true,
            })
        })?;
        let mut roots = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let configured = self.configured().lock();
        if let Some(configured) = configured.as_ref() {
            let known: Vec<KnownRoot> = roots
                .iter()
                .map(|root| KnownRoot { marker: root.marker.clone(), path: root.path.clone() })
                .collect();
            for (root, is_configured) in roots.iter_mut().zip(are_configured(&known, configured)) {
                root.is_configured = is_configured;
            }
        }
        Ok(roots)
    }
}
