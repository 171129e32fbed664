//! The form of the pairs by which a root was read. Under another one, sidecars mean something else: they are
//! read again. Files of an extension that the form does not have any more are hidden, and not gone.

use focus_crash::Write;
use rusqlite::params;

use crate::rows::RootId;
use crate::{Index, IndexError, Reader};

/// Places that one transaction has read again.
const PART: i64 = 4_096;

/// The form by which a root was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownForm {
    /// What its sidecars meant; none where an earlier version of the index, or none, has read them.
    pub meaning: Option<String>,
    /// Every extension that its files have had.
    pub extensions: Vec<String>,
}

impl Reader {
    /// The form by which a root was read.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn form(&self, root: RootId) -> Result<KnownForm, IndexError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT meaning, extensions FROM roots WHERE id = ?1")?
                .query_row([root.0], |row| {
                    let extensions: Option<String> = row.get(1)?;
                    let extensions = extensions.unwrap_or_default();
                    Ok(KnownForm {
                        meaning: row.get(0)?,
                        extensions: extensions.lines().map(str::to_owned).collect(),
                    })
                })
        })
    }
}

impl Index {
    /// Has a part of a root read again: the places after this one, in the order of their numbers. The last
    /// place of that part; none where there is no more.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn read_again_blocking(&self, root: RootId, after: i64) -> Result<Option<i64>, IndexError> {
        self.write_blocking(Write::ReadAgain, move |tx| {
            let last: Option<i64> = tx.query_row(
                "SELECT max(id) FROM
                   (SELECT id FROM files WHERE root = ?1 AND id > ?2 ORDER BY id LIMIT ?3)",
                params![root.0, after, PART],
                |row| row.get(0),
            )?;
            let Some(last) = last else { return Ok(None) };
            // What has not settled is read and understood once more. Places that are not looked at anyway have
            // been unchanged for long enough, by a clock that may be another now.
            tx.execute(
                "UPDATE files SET settled = 0, changed_ms = 0,
                   data_since_ms = CASE WHEN data_size IS NULL OR due_ms IS NOT NULL THEN data_since_ms ELSE 0 END,
                   side_since_ms = CASE WHEN side_size IS NULL OR due_ms IS NOT NULL THEN side_since_ms ELSE 0 END,
                   due_ms = 0
                 WHERE root = ?1 AND id > ?2 AND id <= ?3
                   AND (data_size IS NOT NULL OR side_size IS NOT NULL)",
                params![root.0, after, last],
            )?;
            Ok(Some(last))
        })
    }

    /// Stores the form by which a root is read from now on.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn set_form_blocking(&self, root: RootId, form: KnownForm) -> Result<(), IndexError> {
        self.write_blocking(Write::Form, move |tx| {
            let KnownForm { meaning, extensions } = form;
            tx.execute(
                "UPDATE roots SET meaning = ?2, extensions = ?3 WHERE id = ?1",
                params![root.0, meaning, extensions.join("\n")],
            )?;
            Ok(())
        })
    }
}
