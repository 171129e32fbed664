//! A place's row in `files`: what it was seen as, what is reported of it, and when it is forgotten.
//!
//! What a file was seen as is in this module alone: a column more is added to [`SIGHT`], [`sight`] and
//! [`store_sight`].

use focus_core::entry::EntryId;
use focus_core::look::{FileIdentity, FileStat};
use focus_core::recording::Place;
use focus_core::settle::{Content, FileSight, Sight};
use focus_core::state::{Fault, State};
use rusqlite::{OptionalExtension, Row, Statement, ToSql, Transaction, params};

use crate::rows::{signed, unsigned};

/// Columns of `files` (as `f`) that make a [`Sight`], in the order [`sight`] reads them.
pub(crate) const SIGHT: &str = "f.data_size, f.data_mtime_ns, f.data_since_ms, f.data_closed, f.extension, f.side_size, f.side_mtime_ns, f.side_since_ms, f.side_closed, f.settled, f.uuid, f.live, f.changed_ms, f.side_inode, f.side_ctime_ns, f.side_sum, f.side_counts_ms";

/// Reads a sight from the columns of [`SIGHT`], beginning at `at`.
pub(crate) fn sight(row: &Row<'_>, at: usize) -> rusqlite::Result<Sight> {
    Ok(Sight {
        data: file_sight(row, at)?,
        extension: row.get(at + 4)?,
        sidecar: file_sight(row, at + 5)?,
        content: content(row, at + 13)?,
        settled: row.get(at + 9)?,
        uuid: row.get(at + 10)?,
        live: row.get(at + 11)?,
        changed_ms: unsigned(row.get(at + 12)?),
    })
}

fn file_sight(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<FileSight>> {
    let Some(stat) = stat(row, at)? else { return Ok(None) };
    let since_ms = unsigned(row.get(at + 2)?);
    Ok(Some(FileSight { stat, since_ms, closed: row.get(at + 3)? }))
}

fn content(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Content>> {
    let Some(sum) = row.get(at + 2)? else { return Ok(None) };
    let counts_from_ms = Some(unsigned(row.get(at + 3)?)).filter(|from_ms| *from_ms > 0);
    Ok(Some(Content { identity: identity(row, at)?, sum, counts_from_ms }))
}

/// Reads which file it is from two columns, beginning at `at`; none where that is not known.
pub(crate) fn identity(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<FileIdentity>> {
    let Some(inode) = row.get::<_, Option<i64>>(at)? else { return Ok(None) };
    Ok(Some(FileIdentity { inode: inode.cast_unsigned(), ctime_ns: row.get(at + 1)? }))
}

/// Reads a file's size and time from two columns, beginning at `at`; none where it is not there.
pub(crate) fn stat(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<FileStat>> {
    let Some(size) = row.get(at)? else { return Ok(None) };
    Ok(Some(FileStat { size, mtime_ns: row.get(at + 1)? }))
}

/// Binds what a place was seen as, and when it is looked at again, from the parameter `first` on.
fn bind_sight(
    statement: &mut Statement<'_>,
    first: usize,
    sight: &Sight,
    due_ms: Option<u64>,
) -> rusqlite::Result<()> {
    let (data, side) = (sight.data, sight.sidecar);
    let identity = sight.content.and_then(|content| content.identity);
    let values: [&dyn ToSql; 18] = [
        &data.map(|f| f.stat.size),
        &data.map(|f| f.stat.mtime_ns),
        &data.map(|f| signed(f.since_ms)),
        &data.map(|f| f.closed),
        &sight.extension,
        &side.map(|f| f.stat.size),
        &side.map(|f| f.stat.mtime_ns),
        &side.map(|f| signed(f.since_ms)),
        &side.map(|f| f.closed),
        &sight.settled,
        &sight.uuid,
        &sight.live,
        &signed(sight.changed_ms),
        &due_ms.map(signed),
        &identity.map(|identity| identity.inode.cast_signed()),
        &identity.map(|identity| identity.ctime_ns),
        &sight.content.map(|content| content.sum),
        &sight.content.map(|content| signed(content.counts_from_ms.unwrap_or(0))),
    ];
    values
        .iter()
        .enumerate()
        .try_for_each(|(at, value)| statement.raw_bind_parameter(first + at, value))
}

/// Stores what a place was seen as, and when it is looked at again.
pub(crate) fn store_sight(
    tx: &Transaction<'_>,
    file: i64,
    sight: &Sight,
    due_ms: Option<u64>,
) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "UPDATE OR ROLLBACK files SET data_size = ?2, data_mtime_ns = ?3, data_since_ms = ?4, data_closed = ?5,
           extension = ?6, side_size = ?7, side_mtime_ns = ?8, side_since_ms = ?9,
           side_closed = ?10, settled = ?11, uuid = ?12, live = ?13, changed_ms = ?14, due_ms = ?15,
           side_inode = ?16, side_ctime_ns = ?17, side_sum = ?18, side_counts_ms = ?19,
           holds = CASE WHEN uuid IS ?12 THEN holds
             ELSE EXISTS(SELECT 1 FROM recordings WHERE file = ?1 AND uuid = ?12) END
         WHERE id = ?1",
    )?;
    statement.raw_bind_parameter(1, file)?;
    bind_sight(&mut statement, 2, sight, due_ms)?;
    statement.raw_execute().map(drop)
}

/// Makes the row of a place that has none, by its root, folder and stem, with what it was seen as. `will_hold`: the
/// recording that its sidecar names is about to be made, and held by it.
pub(crate) fn make_seen(
    tx: &Transaction<'_>,
    (root, folder, stem): (i64, i64, &[u8]),
    sight: &Sight,
    due_ms: Option<u64>,
    will_hold: bool,
) -> rusqlite::Result<i64> {
    let mut statement = tx.prepare_cached(
        "INSERT OR ROLLBACK INTO files(root, folder, stem, data_size, data_mtime_ns, data_since_ms, data_closed,
           extension, side_size, side_mtime_ns, side_since_ms, side_closed, settled, uuid, live,
           changed_ms, due_ms, side_inode, side_ctime_ns, side_sum, side_counts_ms, holds)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
           ?20, ?21, ?22)",
    )?;
    statement.raw_bind_parameter(1, root)?;
    statement.raw_bind_parameter(2, folder)?;
    statement.raw_bind_parameter(3, stem)?;
    bind_sight(&mut statement, 4, sight, due_ms)?;
    statement.raw_bind_parameter(22, will_hold)?;
    statement.raw_execute()?;
    Ok(tx.last_insert_rowid())
}

/// The place of a row.
pub(crate) fn place_of(tx: &Transaction<'_>, file: i64) -> rusqlite::Result<Place> {
    tx.prepare_cached(
        "SELECT d.path, f.stem FROM files f JOIN folders d ON d.id = f.folder WHERE f.id = ?1",
    )?
    .query_row([file], |row| place(row, 0))
}

/// Reads a place from its folder's path and its stem, beginning at `at`.
pub(crate) fn place(row: &Row<'_>, at: usize) -> rusqlite::Result<Place> {
    Ok(Place { folder: row.get(at)?, stem: row.get(at + 1)? })
}

/// The row of a place, made where it is missing.
pub(crate) fn row_for(tx: &Transaction<'_>, root: i64, place: &Place) -> rusqlite::Result<i64> {
    let folder = match folder(tx, root, &place.folder)? {
        Some(folder) => folder,
        None => make_folder(tx, root, &place.folder)?,
    };
    let row = tx
        .prepare_cached("SELECT id FROM files WHERE folder = ?1 AND stem = ?2")?
        .query_row(params![folder, place.stem], |row| row.get(0))
        .optional()?;
    match row {
        Some(row) => Ok(row),
        None => make(tx, root, folder, &place.stem),
    }
}

/// The row of a folder.
pub(crate) fn folder(
    tx: &Transaction<'_>,
    root: i64,
    path: &[u8],
) -> rusqlite::Result<Option<i64>> {
    tx.prepare_cached("SELECT id FROM folders WHERE root = ?1 AND path = ?2")?
        .query_row(params![root, path], |row| row.get(0))
        .optional()
}

/// Makes the row of a folder that has none.
pub(crate) fn make_folder(tx: &Transaction<'_>, root: i64, path: &[u8]) -> rusqlite::Result<i64> {
    tx.prepare_cached("INSERT INTO folders(root, path) VALUES(?1, ?2)")?
        .execute(params![root, path])?;
    Ok(tx.last_insert_rowid())
}

/// Makes the row of a place that has none.
pub(crate) fn make(
    tx: &Transaction<'_>,
    root: i64,
    folder: i64,
    stem: &[u8],
) -> rusqlite::Result<i64> {
    tx.prepare_cached("INSERT INTO files(root, folder, stem) VALUES(?1, ?2, ?3)")?
        .execute(params![root, folder, stem])?;
    Ok(tx.last_insert_rowid())
}

/// The place had a file at its last look.
pub(crate) fn has_files(tx: &Transaction<'_>, file: i64) -> rusqlite::Result<bool> {
    let found = tx
        .prepare_cached(
            "SELECT data_size IS NOT NULL OR side_size IS NOT NULL FROM files WHERE id = ?1",
        )?
        .query_row([file], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(false))
}

/// Reports a fault of a place, or that it has none; true where that changed anything.
pub(crate) fn report(
    tx: &Transaction<'_>,
    file: i64,
    fault: Option<&Fault>,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let changed = match fault {
        Some(fault) => tx
            .prepare_cached(
                "UPDATE files SET faulty_since_ms = CASE WHEN state IS ?2 THEN faulty_since_ms ELSE ?4 END,
                   state = ?2, reason = ?3, report_seq = report_seq + 1
                 WHERE id = ?1 AND (state IS NOT ?2 OR reason IS NOT ?3)",
            )?
            .execute(params![file, fault.state.name(), fault.reason, now_ms])?,
        None => tx
            .prepare_cached(
                "UPDATE files SET state = NULL, reason = NULL, faulty_since_ms = NULL,
                   report_seq = report_seq + 1 WHERE id = ?1 AND state IS NOT NULL",
            )?
            .execute([file])?,
    };
    Ok(changed > 0)
}

/// The catalog took the recording of this place: a refusal, or a uuid that it shared, is over.
pub(crate) fn taken(tx: &Transaction<'_>, file: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE files SET state = NULL, reason = NULL, faulty_since_ms = NULL,
           report_seq = report_seq + 1 WHERE id = ?1 AND state IN (?2, ?3)",
    )?
    .execute(params![file, State::CatalogRefused.name(), State::DuplicateId.name()])?;
    Ok(())
}

/// Looks at a place again at once.
pub(crate) fn look_again(tx: &Transaction<'_>, file: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE files SET due_ms = 0 WHERE id = ?1")?.execute([file])?;
    Ok(())
}

/// Reads again, at once, every place but `file` whose sidecar named the uuid of this entry.
pub(crate) fn read_claimants_again(
    tx: &Transaction<'_>,
    file: i64,
    id: EntryId,
) -> rusqlite::Result<()> {
    // A place that holds the entry is its own: that of the row, which may be another one than `file`.
    tx.prepare_cached(
        "UPDATE files SET due_ms = 0, settled = 0 WHERE id <> ?1 AND id IN (
           SELECT m.id FROM recordings r JOIN files m ON m.uuid = r.uuid AND m.holds = 0 WHERE r.id = ?2
           UNION ALL
           SELECT m.id FROM recordings r JOIN files m ON m.id = r.file AND m.uuid = r.uuid WHERE r.id = ?2)",
    )?
    .execute(params![file, id.0])?;
    Ok(())
}

/// Removes the row of a place that has no files, holds nothing and is reported nowhere.
pub(crate) fn tidy(tx: &Transaction<'_>, file: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "DELETE FROM files WHERE id = ?1 AND data_size IS NULL AND side_size IS NULL
           AND state IS NULL AND report_seq = reported_seq
           AND NOT EXISTS(SELECT 1 FROM recordings WHERE file = ?1)",
    )?
    .execute([file])?;
    Ok(())
}
