//! Pages of lists that are held in memory: `cursor` and `limit`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, v1};

/// The query of a list without filters.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// `next_cursor` of the page before
    cursor: Option<String>,
    /// Items of a page
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<usize>,
}

/// A page of the list `name`: what comes after the cursor, at most `limit`. `items` have their keys, in the
/// order of the list, which is descending.
///
/// # Errors
/// The limit is out of range, or the cursor is not of this list.
pub(super) fn page<K: std::fmt::Display + std::str::FromStr + Ord>(
    name: &str,
    query: &PageQuery,
    items: impl Iterator<Item = (K, Value)>,
) -> Result<Value, Problem> {
    let limit = v1::page(query.limit)?;
    let after = query.cursor.as_deref().map(|cursor| key(name, cursor)).transpose()?;
    let mut rest = items.filter(|(key, _)| after.as_ref().is_none_or(|after| key < after));
    let (mut page, mut last) = (Vec::new(), None);
    for (key, item) in rest.by_ref().take(limit) {
        page.push(item);
        last = Some(key);
    }
    let next = rest.next().and(last).map(|key| cursor(name, &key));
    Ok(json!({ "items": page, "next_cursor": next, "limit": limit }))
}

fn cursor(name: &str, key: &impl std::fmt::Display) -> String {
    URL_SAFE_NO_PAD.encode(format!("{name} {key}"))
}

fn key<K: std::str::FromStr>(name: &str, cursor: &str) -> Result<K, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.as_deref().and_then(|text| text.strip_prefix(name)?.strip_prefix(' '));
    key.and_then(|key| key.parse().ok()).ok_or_else(Problem::bad_cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_meet_everything_once_and_a_cursor_of_another_list_is_refused() {
        let list = || (0..25u64).rev().map(|n| (n, json!(n)));
        let mut query = PageQuery { cursor: None, limit: Some(10) };
        let mut met = Vec::new();
        loop {
            let page = page("numbers", &query, list()).expect("a page");
            met.extend(page["items"].as_array().into_iter().flatten().filter_map(Value::as_u64));
            query.cursor = page["next_cursor"].as_str().map(str::to_owned);
            if query.cursor.is_none() {
                break;
            }
            assert!(super::page("others", &query, list()).is_err());
        }
        assert_eq!(met, (0..25).rev().collect::<Vec<_>>());
        for limit in [0, 1_001] {
            let query = PageQuery { cursor: None, limit: Some(limit) };
            assert!(page("numbers", &query, list()).is_err(), "{limit}");
        }
        for cursor in ["", "x", "bnVtYmVycyB4", "\u{e9}"] {
            let query = PageQuery { cursor: Some(cursor.to_owned()), limit: None };
            assert!(page("numbers", &query, list()).is_err(), "{cursor}");
        }
    }
}
