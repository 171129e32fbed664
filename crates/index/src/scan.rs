//! What scans ask the index: what is known of a name, what of a folder, what is due.

use std::collections::HashMap;
use std::sync::Arc;

use focus_core::look::{FileIdentity, FileStat};
use focus_core::mount::Mount;
use focus_core::recording::Place;
use focus_core::settle::Sight;
use focus_crash::Write;
use rusqlite::{Connection, OptionalExtension, params};

use crate::folder_places::{KNOWN, known_place};
use crate::place::{SIGHT, place, sight};
use crate::rows::{FolderId, PlaceId, RootId, signed, unsigned};
use crate::{Index, IndexError, Reader, mount};

/// What the index knows of a place, for comparing with names and stats on storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPlace {
    /// Which it is.
    pub id: PlaceId,
    /// The data file as last seen.
    pub data: Option<FileStat>,
    /// Its extension.
    pub extension: Option<Arc<str>>,
    /// The sidecar as last seen.
    pub sidecar: Option<FileStat>,
    /// Which file the sidecar was read from, where that is known.
    pub identity: Option<FileIdentity>,
    /// Its files settled.
    pub settled: bool,
    /// It is going to be looked at.
    pub is_due: bool,
}

/// A place of a folder, as the index has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderPlace {
    /// Which it is.
    pub id: PlaceId,
    /// Its stem.
    pub stem: Vec<u8>,
    /// A data file was seen.
    pub data: bool,
    /// A sidecar was seen.
    pub sidecar: bool,
}

/// A place that has settled, with what is remembered of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SettledPlace {
    /// Which it is.
    pub id: PlaceId,
    /// Where it is.
    pub place: Place,
    /// What is remembered of its files.
    pub sight: Sight,
}

/// A connection of a scan's own: it asks for every name.
#[derive(Debug)]
pub struct ScanView {
    pub(crate) connection: Connection,
    pub(crate) reader: Reader,
    root: RootId,
    folder: Option<(Vec<u8>, Option<i64>)>,
    /// By row.
    mounts: HashMap<i64, Mount>,
    /// The extensions that were met.
    pub(crate) spellings: Vec<Arc<str>>,
}

impl ScanView {
    /// A view on one root.
    ///
    /// # Errors
    /// The index cannot be opened.
    pub fn new(reader: &Reader, root: RootId) -> Result<ScanView, IndexError> {
        let connection = reader.connect()?;
        let mounts = mount::all(&connection, root.0).map_err(|error| reader.error(&error))?;
        Ok(ScanView {
            connection,
            reader: reader.clone(),
            root,
            folder: None,
            mounts,
            spellings: Vec::new(),
        })
    }

    /// What is known of a place.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn known(&mut self, folder: &[u8], stem: &[u8]) -> Result<Option<KnownPlace>, IndexError> {
        let Some(folder) = self.folder_row(folder)? else { return Ok(None) };
        let spellings = &mut self.spellings;
        let known = self
            .connection
            .prepare_cached(&format!("SELECT {KNOWN} FROM files WHERE folder = ?1 AND stem = ?2"))
            .and_then(|mut statement| {
                statement
                    .query_row(params![folder, stem], |row| known_place(row, spellings))
                    .optional()
            });
        known.map_err(|error| self.reader.error(&error))
    }

    /// Places of a folder by stem (bytewise), after the stem `after`.
    ///
    /// # Errors
    /// The index cannot be read, or does not go on from there: it is damaged.
    pub fn places(
        &mut self,
        folder: &[u8],
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<FolderPlace>, IndexError> {
        let Some(folder) = self.folder_row(folder)? else { return Ok(Vec::new()) };
        let places = self
            .connection
            .prepare_cached(
                "SELECT id, stem, data_size IS NOT NULL, side_size IS NOT NULL FROM files
                 WHERE folder = ?1 AND stem > ?2 ORDER BY stem LIMIT ?3",
            )
            .and_then(|mut statement| {
                let rows =
                    statement.query_map(params![folder, after, signed(limit as u64)], |row| {
                        Ok(FolderPlace {
                            id: PlaceId(row.get(0)?),
                            stem: row.get(1)?,
                            data: row.get(2)?,
                            sidecar: row.get(3)?,
                        })
                    })?;
                rows.collect::<rusqlite::Result<Vec<FolderPlace>>>()
            });
        let places = places.map_err(|error| self.reader.error(&error))?;
        if places.last().is_some_and(|last| last.stem.as_slice() <= after) {
            return Err(self.reader.damaged("the places of a folder are out of order"));
        }
        Ok(places)
    }

    /// Folders of the root in the order of their ids, after `after`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn folders(
        &mut self,
        after: Option<FolderId>,
        limit: usize,
    ) -> Result<Vec<(FolderId, Vec<u8>)>, IndexError> {
        let after = after.map_or(0, |after| after.0);
        let folders = self
            .connection
            .prepare_cached(
                "SELECT id, path FROM folders WHERE root = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
            )
            .and_then(|mut statement| {
                let rows = statement
                    .query_map(params![self.root.0, after, signed(limit as u64)], |row| {
                        Ok((FolderId(row.get(0)?), row.get(1)?))
                    })?;
                rows.collect()
            });
        folders.map_err(|error| self.reader.error(&error))
    }

    /// Which folder of the index this is, and the mount it was last found on.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn folder_mount(
        &mut self,
        path: &[u8],
    ) -> Result<Option<(FolderId, Option<&Mount>)>, IndexError> {
        self.connection
            .prepare_cached("SELECT id, mount_now FROM folders WHERE root = ?1 AND path = ?2")
            .and_then(|mut statement| {
                statement
                    .query_row(params![self.root.0, path], |row| {
                        let mount: Option<i64> = row.get(1)?;
                        let mount = mount.and_then(|row| self.mounts.get(&row));
                        Ok((FolderId(row.get(0)?), mount))
                    })
                    .optional()
            })
            .map_err(|error| self.reader.error(&error))
    }

    /// Which folder of the index this is, if it has it.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn folder(&mut self, path: &[u8]) -> Result<Option<FolderId>, IndexError> {
        Ok(self.folder_row(path)?.map(FolderId))
    }

    pub(crate) fn folder_row(&mut self, path: &[u8]) -> Result<Option<i64>, IndexError> {
        if let Some((last, Some(id))) = &self.folder
            && last == path
        {
            return Ok(Some(*id));
        }
        let id = self
            .connection
            .prepare_cached("SELECT id FROM folders WHERE root = ?1 AND path = ?2")
            .and_then(|mut statement| {
                statement.query_row(params![self.root.0, path], |row| row.get(0)).optional()
            })
            .map_err(|error| self.reader.error(&error))?;
        self.folder = Some((path.to_vec(), id));
        Ok(id)
    }

    /// The place that the index learned of last: higher ones it learned of since.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn last_place(&mut self) -> Result<PlaceId, IndexError> {
        self.connection
            .query_row("SELECT coalesce(max(id), 0) FROM files", [], |row| row.get(0).map(PlaceId))
            .map_err(|error| self.reader.error(&error))
    }
}

impl Index {
    /// Has these places looked at at these times of the boot-time clock, unless they are looked at anyway.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn look_later_blocking(&self, places: Vec<(PlaceId, u64)>) -> Result<(), IndexError> {
        self.write_blocking(Write::Observe, move |tx| {
            let mut statement = tx.prepare_cached(
                "UPDATE files SET due_ms = ?2 WHERE id = ?1 AND settled AND due_ms IS NULL",
            )?;
            for (place, at_ms) in places {
                statement.execute(params![place.0, signed(at_ms)])?;
            }
            Ok(())
        })
    }
}

impl Reader {
    /// Places that have settled, by number after `after`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn settled_places(
        &self,
        root: RootId,
        after: Option<PlaceId>,
        limit: usize,
    ) -> Result<Vec<SettledPlace>, IndexError> {
        let after = after.map_or(0, |after| after.0);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT f.id, d.path, f.stem, {SIGHT} FROM files f JOIN folders d ON d.id = f.folder
                 WHERE f.id > ?2 AND f.root = ?1 AND f.settled ORDER BY f.id LIMIT ?3"
            ))?;
            let rows =
                statement.query_map(params![root.0, after, signed(limit as u64)], |row| {
                    Ok(SettledPlace {
                        id: PlaceId(row.get(0)?),
                        place: place(row, 1)?,
                        sight: sight(row, 3)?,
                    })
                })?;
            rows.collect()
        })
    }

    /// What is remembered of these places; the default where nothing is.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn sights(&self, root: RootId, places: &[Place]) -> Result<Vec<Sight>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {SIGHT} FROM files f JOIN folders d ON d.id = f.folder
                 WHERE d.root = ?1 AND d.path = ?2 AND f.stem = ?3"
            ))?;
            places
                .iter()
                .map(|place| {
                    let found = statement
                        .query_row(params![root.0, place.folder, place.stem], |row| sight(row, 0))
                        .optional()?;
                    Ok(found.unwrap_or_default())
                })
                .collect()
        })
    }

    /// Places that are to be looked at by now.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn due(
        &self,
        root: RootId,
        now_boot_ms: u64,
        limit: usize,
    ) -> Result<Vec<Place>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT d.path, f.stem FROM files f JOIN folders d ON d.id = f.folder
                 WHERE f.root = ?1 AND f.due_ms <= ?2 ORDER BY f.due_ms LIMIT ?3",
            )?;
            let rows = statement
                .query_map(params![root.0, signed(now_boot_ms), signed(limit as u64)], |row| {
                    place(row, 0)
                })?;
            rows.collect()
        })
    }

    /// When the next place is due, on the boot-time clock.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn next_due(&self, root: RootId) -> Result<Option<u64>, IndexError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT due_ms FROM files WHERE root = ?1 AND due_ms IS NOT NULL ORDER BY due_ms LIMIT 1",
                )?
                .query_row([root.0], |row| row.get::<_, i64>(0).map(unsigned))
                .optional()
        })
    }
}

impl Index {
    /// A scan of the root has finished, and everything it found is stored.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn scan_finished_blocking(
        &self,
        root: RootId,
        began_wall_ms: i64,
    ) -> Result<(), IndexError> {
        self.write_blocking(Write::ScanFinished, move |tx| {
            tx.execute(
                "UPDATE roots SET complete_through_ms = ?2 WHERE id = ?1",
                params![root.0, began_wall_ms],
            )?;
            Ok(())
        })
    }
}
