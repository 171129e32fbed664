//! A key that nobody knows, and the one that was probably meant.

/// Characters of a key that a message shows.
const SHOWN_MAX: usize = 60;

/// A key this many edits away is not suggested any more.
const EDITS_MAX: usize = 3;

/// What an unknown key is told. These are the keys that are known in its place.
pub(super) fn unknown_key<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> String {
    let shown: String = key.chars().take(SHOWN_MAX).collect();
    let near = known
        .map(|known| (strsim::levenshtein(&shown, known), known))
        .min()
        .filter(|(edits, _)| *edits <= EDITS_MAX);
    match near {
        Some((_, known)) => format!("the key {shown:?} is not known: did you mean {known:?}?"),
        None => format!("the key {shown:?} is not known: remove it"),
    }
}

/// The same for a key of a table, from serde's message: ``unknown field `x`, expected one of `a`, `b` ``.
pub(super) fn unknown_field(message: &str) -> String {
    let field = message.strip_prefix("unknown field `").unwrap_or(message);
    // A field may hold a backtick; the known ones do not.
    let (field, known) = field.rsplit_once("`, expected ").unwrap_or((field, ""));
    unknown_key(field, known.split('`').skip(1).step_by(2))
}
