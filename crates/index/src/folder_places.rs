//! The places of one folder, read at once: a scan asks for each of them.

use std::sync::Arc;

use rusqlite::{Row, params};

use crate::IndexError;
use crate::place::{identity, stat};
use crate::rows::{PlaceId, signed};
use crate::scan::{KnownPlace, ScanView};

/// Columns of a place, as [`known_place`] reads them.
pub(crate) const KNOWN: &str = "id, data_size, data_mtime_ns, extension, side_size, side_mtime_ns,
                   side_inode, side_ctime_ns, settled, due_ms IS NOT NULL";

/// Columns of [`KNOWN`].
const COLUMNS: usize = 10;

/// Spellings of extensions that are shared by the places of a scan; of more each place has its own.
const SPELLINGS_MAX: usize = 64;

/// The places of a folder, by stem.
#[derive(Debug, Default)]
pub struct FolderPlaces {
    /// All stems, one after another.
    stems: Vec<u8>,
    /// Where the stem of each begins and ends, and what is known of it; in ascending order.
    places: Vec<(usize, usize, KnownPlace)>,
}

impl FolderPlaces {
    /// What is known of the place with this stem.
    pub fn get(&self, stem: &[u8]) -> Option<&KnownPlace> {
        let at = self.places.binary_search_by(|(from, to, _)| self.stems[*from..*to].cmp(stem));
        at.ok().map(|at| &self.places[at].2)
    }

    /// Each with its stem, in ascending order of these.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &KnownPlace)> {
        self.places.iter().map(|(from, to, known)| (&self.stems[*from..*to], known))
    }
}

impl ScanView {
    /// All places of a folder, if they are `limit` at most.
    ///
    /// # Errors
    /// The index cannot be read, or its places are out of order: it is damaged.
    pub fn folder_places(
        &mut self,
        folder: &[u8],
        limit: usize,
    ) -> Result<Option<FolderPlaces>, IndexError> {
        let Some(folder) = self.folder_row(folder)? else {
            return Ok(Some(FolderPlaces::default()));
        };
        let (connection, spellings) = (&self.connection, &mut self.spellings);
        let mut all = FolderPlaces::default();
        let mut is_ordered = true;
        let read = connection
            .prepare_cached(&format!(
                "SELECT {KNOWN}, stem FROM files WHERE folder = ?1 ORDER BY stem LIMIT ?2"
            ))
            .and_then(|mut statement| {
                let mut rows = statement.query(params![folder, signed(limit as u64 + 1)])?;
                while let Some(row) = rows.next()? {
                    let stem = row.get_ref(COLUMNS)?.as_bytes()?;
                    let last = all.places.last().map(|(from, to, _)| &all.stems[*from..*to]);
                    is_ordered &= last.is_none_or(|last| last < stem);
                    let from = all.stems.len();
                    all.stems.extend_from_slice(stem);
                    all.places.push((from, all.stems.len(), known_place(row, spellings)?));
                }
                Ok(())
            });
        read.map_err(|error| self.reader.error(&error))?;
        if !is_ordered {
            return Err(self.reader.damaged("the places of a folder are out of order"));
        }
        Ok((all.places.len() <= limit).then_some(all))
    }
}

/// Reads a place from the columns of [`KNOWN`].
pub(crate) fn known_place(
    row: &Row<'_>,
    spellings: &mut Vec<Arc<str>>,
) -> rusqlite::Result<KnownPlace> {
    let extension = row.get_ref(3)?.as_str_or_null()?.map(|extension| {
        if let Some(known) = spellings.iter().find(|known| &***known == extension) {
            return Arc::clone(known);
        }
        let known: Arc<str> = extension.into();
        if spellings.len() < SPELLINGS_MAX {
            spellings.push(Arc::clone(&known));
        }
        known
    });
    Ok(KnownPlace {
        id: PlaceId(row.get(0)?),
        data: stat(row, 1)?,
        extension,
        sidecar: stat(row, 4)?,
        identity: identity(row, 6)?,
        settled: row.get(8)?,
        is_due: row.get(9)?,
    })
}
