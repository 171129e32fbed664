//! Pages of lists that are held in memory: `cursor` and `limit`.

use serde_json::{Value, json};

use super::{Problem, v1};

/// Declares the query of a list without filters. The pattern is that of its cursors, and each text that it allows
/// is one: a letter for the list, and the key of the last item of a page.
macro_rules! page_query {
    ($query:ident, $pattern:literal) => {
        /// The query of a list without filters.
        #[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(crate) struct $query {
            /// `next_cursor` of the page before
            #[param(pattern = $pattern)]
            cursor: Option<String>,
            /// Items of a page
            #[param(minimum = 1, maximum = 1_000, default = 100)]
            limit: Option<usize>,
        }
    };
}
pub(super) use page_query;

/// A page of the list whose cursors begin with `letter`: what comes after the cursor, at most `limit`. `items` have
/// their keys, in the order of the list, which is descending.
///
/// # Errors
/// The limit is out of range, or the cursor is not of this list.
pub(super) fn page<K: Ord>(
    letter: char,
    (cursor, limit): (Option<&str>, Option<usize>),
    read: impl Fn(&str) -> Option<K>,
    write: impl Fn(&K) -> String,
    items: impl Iterator<Item = (K, Value)>,
) -> Result<Value, Problem> {
    let limit = v1::page(limit)?;
    let key = |cursor: &str| cursor.strip_prefix(letter).and_then(&read);
    let after = cursor.map(|cursor| key(cursor).ok_or_else(Problem::bad_cursor)).transpose()?;
    let mut rest = items.filter(|(key, _)| after.as_ref().is_none_or(|after| key < after));
    let (mut page, mut last) = (Vec::new(), None);
    for (key, item) in rest.by_ref().take(limit) {
        page.push(item);
        last = Some(key);
    }
    let next = rest.next().and(last).map(|key| format!("{letter}{}", write(&key)));
    Ok(json!({ "items": page, "next_cursor": next, "limit": limit }))
}

/// A page of a list whose keys are numbers.
///
/// # Errors
/// As [`page`].
pub(super) fn numbered(
    letter: char,
    asked: (Option<&str>, Option<usize>),
    items: impl Iterator<Item = (u64, Value)>,
) -> Result<Value, Problem> {
    let is_key = |key: &&str| key.len() <= 18 && key.bytes().all(|byte| byte.is_ascii_digit());
    let read = |key: &str| Some(key).filter(is_key)?.parse().ok();
    page(letter, asked, read, u64::to_string, items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_meet_everything_once_and_a_cursor_of_another_list_is_refused() {
        let list = || (0..25u64).rev().map(|n| (n, json!(n)));
        let mut cursor: Option<String> = None;
        let mut met = Vec::new();
        loop {
            let page = numbered('n', (cursor.as_deref(), Some(10)), list()).expect("a page");
            met.extend(page["items"].as_array().into_iter().flatten().filter_map(Value::as_u64));
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
            assert!(numbered('o', (cursor.as_deref(), None), list()).is_err());
        }
        assert_eq!(met, (0..25).rev().collect::<Vec<_>>());
        for limit in [0, 1_001] {
            assert!(numbered('n', (None, Some(limit)), list()).is_err(), "{limit}");
        }
        for cursor in ["", "x", "n", "n+1", "n-1", "n1x", "n9999999999999999999", "\u{e9}"] {
            assert!(numbered('n', (Some(cursor), None), list()).is_err(), "{cursor}");
        }
    }
}
