//! Metadata of a recording as a tree of definitions. What is large is folded, and what is very large ends with a
//! count: the whole of it is in the API's answer.

use maud::{Markup, html};
use serde_json::Value;

use super::parts;

/// Values that are shown at most: a sidecar of 1 MiB may have a hundred thousand.
const SHOWN_MAX: usize = 3_000;

/// Entries of one object or list that are not folded.
const UNFOLDED: usize = 40;

/// An object or list with more entries is folded where it stands in another.
const OPEN_MAX: usize = 12;

/// Levels below the top that are not folded.
const OPEN_LEVELS: usize = 2;

/// Levels that are shown: sidecars have 64 at most.
const LEVELS_MAX: usize = 64;

/// Characters of a text that are shown.
const TEXT_MAX: usize = 2_000;

/// The tree of this value.
pub(super) fn tree(value: &Value) -> Markup {
    let mut left = SHOWN_MAX;
    match entries(value) {
        Some(entries) if entries.is_empty() => parts::empty("The sidecar has no further fields."),
        Some(entries) => list(&entries, 0, &mut left),
        None => plain(value),
    }
}

/// The entries of an object or a list, by key or number; none of anything else.
fn entries(value: &Value) -> Option<Vec<(String, &Value)>> {
    match value {
        Value::Object(fields) => {
            Some(fields.iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(values) => {
            Some(values.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn list(entries: &[(String, &Value)], level: usize, left: &mut usize) -> Markup {
    let (first, rest) = entries.split_at(entries.len().min(UNFOLDED));
    let first = some(first, level, left);
    html! {
        (first)
        @if !rest.is_empty() {
            details {
                summary { "and " (parts::number(rest.len() as u64)) " more" }
                (some(rest, level, left))
            }
        }
    }
}

/// As many entries as may still be shown, and how many are not.
fn some(entries: &[(String, &Value)], level: usize, left: &mut usize) -> Markup {
    let mut shown = Vec::new();
    for (key, value) in entries {
        if *left == 0 {
            break;
        }
        *left -= 1;
        shown.push((key, one(value, level, left)));
    }
    let not_shown = entries.len() - shown.len();
    html! {
        @if !shown.is_empty() {
            dl.tree {
                @for (key, value) in &shown {
                    div { dt { (parts::brief(key, TEXT_MAX)) } dd { (value) } }
                }
            }
        }
        @if not_shown > 0 {
            p.soft { "… " (parts::number(not_shown as u64)) " more are in the JSON." }
        }
    }
}

fn one(value: &Value, level: usize, left: &mut usize) -> Markup {
    let Some(entries) = entries(value) else { return plain(value) };
    let words = match (value.is_array(), entries.len()) {
        (true, 0) => return html! { span.soft { "an empty list" } },
        (false, 0) => return html! { span.soft { "an empty object" } },
        (true, 1) => "1 value".to_owned(),
        (false, 1) => "1 field".to_owned(),
        (true, count) => format!("{} values", parts::number(count as u64)),
        (false, count) => format!("{} fields", parts::number(count as u64)),
    };
    let all_plain = entries.iter().all(|(_, value)| !value.is_object() && !value.is_array());
    if value.is_array() && all_plain && entries.len() <= OPEN_MAX {
        return html! { @for (at, (_, value)) in entries.iter().enumerate() { @if at > 0 { ", " } (plain(value)) } };
    }
    if level >= LEVELS_MAX {
        return html! { span.soft { (words) ": too deep to be shown here, see the JSON" } };
    }
    let is_open = level < OPEN_LEVELS && entries.len() <= OPEN_MAX;
    html! {
        details open[is_open] {
            summary { (words) }
            (list(&entries, level + 1, left))
        }
    }
}

/// A value without parts. A text that would read as something else stands in quotes.
fn plain(value: &Value) -> Markup {
    let Value::String(text) = value else {
        return html! { span.soft { code { (value.to_string()) } } };
    };
    let is_plain =
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() && !text.trim().is_empty();
    let count = text.chars().count();
    html! {
        @if is_plain { (parts::brief(text, TEXT_MAX)) } @else { "\"" (parts::brief(text, TEXT_MAX)) "\"" }
        @if count > TEXT_MAX { span.soft { " (" (parts::number(count as u64)) " characters)" } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_told_apart_and_marks_stay_text() {
        let value = json!({"<b>": "<i>\u{202e}", "a": 5, "b": "5", "c": true, "d": null, "e": [], "f": {"g": [1]}});
        let text = tree(&value).into_string();
        for part in [
            "&lt;b&gt;",
            "&lt;i&gt;\\u{202e}",
            "&quot;<bdi class=\"foreign\">5</bdi>&quot;",
            "<code>5</code>",
            "<code>true</code>",
            "<code>null</code>",
            "an empty list",
            "1 field",
            "<code>1</code>",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("<i>") && !text.contains("<b>"), "{text}");
    }

    #[test]
    fn a_thousand_keys_are_folded_and_a_hundred_thousand_values_are_counted() {
        let wide: serde_json::Map<_, _> =
            (0..1_000).map(|n| (format!("k{n:04}"), json!(n))).collect();
        let text = tree(&Value::Object(wide)).into_string();
        assert!(text.contains("and 960 more"), "{text}");
        assert_eq!(text.matches("<dt>").count(), 1_000);
        let text = tree(&json!({ "samples": vec![0; 100_000] })).into_string();
        assert!(text.contains("100,000 values") && text.contains("more are in the JSON"));
        assert!(text.len() < 500_000, "{}", text.len());
        let text = tree(&json!({ "long": "x".repeat(100_000) })).into_string();
        assert!(text.contains("100,000 characters") && text.len() < 5_000, "{}", text.len());
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = (0..200).fold(json!(1), |value, _| json!([value]));
        let text = tree(&deep).into_string();
        assert!(text.contains("too deep"), "{text}");
        assert_eq!(
            tree(&json!({})).into_string(),
            parts::empty("The sidecar has no further fields.").into_string()
        );
    }
}
