//! The values that a listing or a lane is about.

use focus_core::meta_filter::{MetaFilter, MetaKey};
use rusqlite::{Connection, params};

use super::keys::{LEAVING, VALUES_MAX, ready};
use crate::RootId;
use crate::scope::Scope;

/// The values, by their numbers, that hold every recording of which these filters are true; none where no filter is by
/// a key that is wholly indexed. Of several filters it is the one with fewest recordings.
pub(crate) fn of_listing(
    connection: &Connection,
    filters: &[MetaFilter],
    root: Option<RootId>,
    scope: &Scope,
) -> rusqlite::Result<Option<Vec<i64>>> {
    let mut least: Option<(i64, Vec<i64>)> = None;
    for filter in filters {
        let Some(texts) = filter.texts() else { continue };
        let Some((key, _)) = ready(connection, filter.key().as_str())? else { continue };
        let (mut entries, mut values) = (0, Vec::new());
        let mut statement = connection.prepare_cached(
            "SELECT id, root, entries FROM metadata_values WHERE key = ?1 AND value = ?2",
        )?;
        for text in texts {
            let mut rows = statement.query(params![key, text])?;
            while let Some(row) = rows.next()? {
                let of: i64 = row.get(1)?;
                if scope.has(of) && root.is_none_or(|root| root.0 == of) {
                    values.push(row.get(0)?);
                    entries += row.get::<_, i64>(2)?;
                }
            }
        }
        if least.as_ref().is_none_or(|(known, _)| entries < *known) {
            least = Some((entries, values));
        }
    }
    Ok(least.map(|(_, values)| values))
}

/// The span classes that occur among the recordings with a value.
pub(crate) fn classes_of(connection: &Connection, value: i64) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection
        .prepare_cached("SELECT min(span) FROM metadata_entries WHERE value = ?1 AND span > ?2")?;
    let mut classes = Vec::new();
    let mut last = -1;
    while let Some(class) =
        statement.query_row([value, last], |row| row.get::<_, Option<i64>>(0))?
    {
        classes.push(class);
        last = class;
    }
    Ok(classes)
}

/// What there is of a key.
pub(crate) enum OfKey {
    /// It is not indexed, or not any more.
    Unknown,
    /// It is not wholly indexed yet, or what its values cover is not.
    Indexing,
    /// It has more than [`VALUES_MAX`] values.
    TooMany,
    /// Each value that recordings have which are not deleted, in the order of their texts, with its numbers: one for
    /// each root.
    Values(Vec<(String, Vec<i64>)>),
}

/// The values of a key.
pub(crate) fn of_key(
    connection: &Connection,
    key: &MetaKey,
    scope: &Scope,
) -> rusqlite::Result<OfKey> {
    let is_known: bool = connection.query_row(
        &format!(
            "SELECT EXISTS(SELECT 1 FROM metadata_keys WHERE key = ?1 AND state <> {LEAVING})"
        ),
        [key.as_str()],
        |row| row.get(0),
    )?;
    if !is_known {
        return Ok(OfKey::Unknown);
    }
    let Some((id, has_lanes)) = ready(connection, key.as_str())? else {
        return Ok(OfKey::Indexing);
    };
    let mut statement = connection.prepare_cached(
        "SELECT value, root, id FROM metadata_values INDEXED BY metadata_values_there
         WHERE key = ?1 AND there > 0 ORDER BY value",
    )?;
    let mut rows = statement.query([id])?;
    let mut values: Vec<(String, Vec<i64>)> = Vec::new();
    while let Some(row) = rows.next()? {
        if !scope.has(row.get(1)?) {
            continue;
        }
        let text = row.get_ref(0)?.as_str()?;
        if let Some((_, numbers)) = values.last_mut().filter(|(last, _)| last == text) {
            numbers.push(row.get(2)?);
        } else if values.len() == VALUES_MAX {
            return Ok(OfKey::TooMany);
        } else {
            values.push((text.to_owned(), vec![row.get(2)?]));
        }
    }
    Ok(if has_lanes { OfKey::Values(values) } else { OfKey::Indexing })
}
