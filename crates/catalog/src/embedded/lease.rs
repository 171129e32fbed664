//! Lease and token counter, as rows of `focus_meta`.

use focus_core::lease::LeaseDoc;
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Transaction};

use super::calls::put_meta;

const TOKEN: &str = "token";

fn key(root: &str) -> String {
    format!("lease:{root}")
}

/// A row as text, however damaged. A damaged lease belongs to nobody, and is challenged like any
/// other. A damaged counter begins anew, because tokens are drawn above every known one.
fn left(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<Option<String>> {
    tx.prepare_cached("SELECT value FROM focus_meta WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => String::new(),
            })
        })
        .optional()
}

pub(super) fn read(tx: &Transaction<'_>, root: &str) -> rusqlite::Result<Option<LeaseDoc>> {
    Ok(left(tx, &key(root))?.map(|text| parse(&text).unwrap_or_default()))
}

pub(super) fn draw_token(tx: &Transaction<'_>, above: i64) -> rusqlite::Result<i64> {
    let stored = left(tx, TOKEN)?.and_then(|text| text.parse().ok()).unwrap_or(0);
    let token = above.max(stored).saturating_add(1);
    put_meta(tx, TOKEN, &token.to_string())?;
    Ok(token)
}

pub(super) fn put(
    tx: &Transaction<'_>,
    root: &str,
    expected: Option<&LeaseDoc>,
    new: &LeaseDoc,
) -> rusqlite::Result<bool> {
    let as_expected = match (read(tx, root)?, expected) {
        (Some(stored), Some(expected)) => stored.is_same_state(expected),
        (stored, expected) => stored.is_none() && expected.is_none(),
    };
    if as_expected {
        put_meta(tx, &key(root), &text(new))?;
    }
    Ok(as_expected)
}

/// `token counter released length_ms holder`. Where the holder has the root is left out: the catalog is in
/// the state folder of the one server that can use it.
fn text(lease: &LeaseDoc) -> String {
    let LeaseDoc { holder, token, counter, released, length_ms, at: _ } = lease;
    format!("{token} {counter} {released} {length_ms} {holder}")
}

/// The lease in the text; none if the text is not one that this backend writes.
fn parse(text: &str) -> Option<LeaseDoc> {
    let mut parts = text.splitn(5, ' ');
    Some(LeaseDoc {
        token: parts.next()?.parse().ok()?,
        counter: parts.next()?.parse().ok()?,
        released: parts.next()?.parse().ok()?,
        length_ms: parts.next()?.parse().ok()?,
        holder: parts.next()?.to_owned(),
        at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_read_as_it_was_written() {
        let lease = LeaseDoc {
            holder: "a holder".to_owned(),
            token: 3,
            counter: 9,
            released: true,
            length_ms: 10_000,
            at: None,
        };
        assert_eq!(parse(&text(&lease)), Some(lease));
        assert_eq!(parse("nonsense"), None);
    }
}
