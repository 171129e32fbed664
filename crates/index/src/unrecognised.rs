//! What the unrecognised collection in the catalog is to be told.

use focus_crash::Write;
use rusqlite::params;

use crate::place;
use crate::rows::{PlaceId, RootId, signed};
use crate::{Index, IndexError, Reader};

/// A place whose state changed since the unrecognised collection was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnrecognisedChange {
    /// Which it is.
    pub id: PlaceId,
    /// Counts the changes: told only where it has not changed again meanwhile.
    pub seq: i64,
    /// Relative path without extension, as people see it.
    pub folder_name: String,
    /// What to put; none: to be removed.
    pub doc: Option<UnrecognisedFiles>,
}

/// An unrecognised place as it is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnrecognisedFiles {
    /// The state's fixed spelling.
    pub state: String,
    /// What is wrong and what to do.
    pub reason: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// How many of its files are there.
    pub file_count: i64,
}

impl Reader {
    /// Places whose state the unrecognised collection has not been told, at most `limit`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn unreported(
        &self,
        root: RootId,
        limit: usize,
    ) -> Result<Vec<UnrecognisedChange>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT f.id, f.report_seq, d.path, f.stem, f.state, f.reason, f.faulty_since_ms,
                   (f.data_size IS NOT NULL) + (f.side_size IS NOT NULL)
                 FROM files f JOIN folders d ON d.id = f.folder
                 WHERE f.root = ?1 AND f.report_seq <> f.reported_seq ORDER BY f.id LIMIT ?2",
            )?;
            let rows = statement.query_map(params![root.0, signed(limit as u64)], |row| {
                let place = place::place(row, 2)?;
                let state: Option<String> = row.get(4)?;
                let doc = match state {
                    None => None,
                    Some(state) => Some(UnrecognisedFiles {
                        state,
                        reason: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
                        since_ms: row.get::<_, Option<i64>>(6)?.unwrap_or_default(),
                        file_count: row.get(7)?,
                    }),
                };
                Ok(UnrecognisedChange {
                    id: PlaceId(row.get(0)?),
                    seq: row.get(1)?,
                    folder_name: place.display(),
                    doc,
                })
            })?;
            rows.collect()
        })
    }

    /// Which of these places are unrecognised now. Places whose names are not UTF-8 are told by the
    /// way they are shown, so these count as unrecognised.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn still_unrecognised(
        &self,
        root: RootId,
        folder_names: &[String],
    ) -> Result<Vec<bool>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT 1 FROM files f JOIN folders d ON d.id = f.folder
                 WHERE d.root = ?1 AND d.path = ?2 AND f.stem = ?3 AND f.state IS NOT NULL",
            )?;
            folder_names
                .iter()
                .map(|name| {
                    let (folder, stem) = name.rsplit_once('/').unwrap_or(("", name));
                    Ok(name.contains("\\x")
                        || statement.exists(params![root.0, folder.as_bytes(), stem.as_bytes()])?)
                })
                .collect()
        })
    }
}

impl Index {
    /// The unrecognised collection has been told these: which, and `seq` as it was told.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn reported(&self, told: Vec<(PlaceId, i64)>) -> Result<(), IndexError> {
        self.write(Write::Reported, move |tx| {
            for (PlaceId(file), seq) in told {
                tx.prepare_cached(
                    "UPDATE files SET reported_seq = ?2 WHERE id = ?1 AND report_seq = ?2",
                )?
                .execute(params![file, seq])?;
                place::tidy(tx, file)?;
            }
            Ok(())
        })
        .await
    }
}
