//! Cursors that hold where a page goes on and a sum of that and of what was asked: one that is cut, changed or of another
//! query is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest;

use super::Problem;

/// Bytes of the sum. It tells mistakes and is no secret.
const SUM: usize = 8;

/// A cursor of the query that asks for `asked`, at this position.
pub(crate) fn seal(position: &str, asked: &str) -> String {
    let mut bytes = sum(position, asked).to_vec();
    bytes.extend_from_slice(position.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position of a cursor.
///
/// # Errors
/// The cursor is none of this query.
pub(super) fn unseal(cursor: &str, asked: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Problem::bad_cursor())?;
    let (known, position) = bytes.split_at_checked(SUM).ok_or_else(Problem::bad_cursor)?;
    let position = std::str::from_utf8(position).map_err(|_| Problem::bad_cursor())?;
    if known != sum(position, asked) {
        return Err(Problem::bad_cursor());
    }
    Ok(position.to_owned())
}

fn sum(position: &str, asked: &str) -> [u8; SUM] {
    let mut hash = sha2::Sha256::new();
    hash.update((asked.len() as u64).to_be_bytes());
    hash.update(asked.as_bytes());
    hash.update(position.as_bytes());
    let hash = hash.finalize();
    std::array::from_fn(|at| hash[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_where_its_query_was_and_no_other_text_is_one() {
        let made = seal("-5 /data/a b", "one");
        assert_eq!(unseal(&made, "one").ok().as_deref(), Some("-5 /data/a b"));
        assert!(unseal(&made, "another").is_err());
        for bad in ["", "x", "MSAy", "\u{e9}", &made[1..], &made[4..], &format!("{made}A")] {
            assert!(unseal(bad, "one").is_err(), "{bad}");
        }
        for end in 0..made.len() {
            assert!(unseal(&made[..end], "one").is_err(), "cut to {end}");
        }
    }
}
