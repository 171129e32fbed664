//! What several pages show alike.

use focus_common::clock;
use focus_common::status::Status;
use maud::{Markup, html};

/// A number with its digits in groups of three.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time for people: two units at most. The script of the page writes the same.
pub(super) fn duration(ms: u64) -> String {
    let (s, rest_ms) = (ms / 1_000, ms % 1_000);
    match s {
        0 => format!("{rest_ms} ms"),
        1..60 => format!("{s}.{} s", rest_ms / 100),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// Bytes for people, with a unit of powers of 1,024.
pub(super) fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if value < 1_024 {
        return format!("{value} B");
    }
    let (mut shown, mut unit) = (value as f64 / 1_024.0, 0);
    while shown >= 1_024.0 && unit + 1 < UNITS.len() {
        shown /= 1_024.0;
        unit += 1;
    }
    format!("{shown:.1} {}", UNITS.get(unit).copied().unwrap_or("PiB"))
}

/// A moment that is given as RFC 3339, in UTC. The script of the page adds it in the viewer's zone.
pub(super) fn time(rfc3339: &str) -> Markup {
    let text = rfc3339.get(..19).map(|text| text.replace('T', " "));
    html! { time datetime=(rfc3339) { (text.unwrap_or_else(|| rfc3339.to_owned())) " UTC" } }
}

/// A moment, milliseconds since 1970.
pub(super) fn time_of(ms: i64) -> Markup {
    time(&clock::rfc3339(ms))
}

/// How good or bad a state is. It shows as a sign and a colour beside the state's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// In order.
    Good,
    /// Something goes on that ends by itself.
    Busy,
    /// A person should look.
    Warn,
    /// A person has to act.
    Bad,
    /// Neither good nor bad.
    Plain,
}

impl Tone {
    /// The class of the style sheet, and the sign.
    pub(super) fn class_and_sign(self) -> (&'static str, &'static str) {
        match self {
            Tone::Good => ("good", "✓"),
            Tone::Busy => ("busy", "↻"),
            Tone::Warn => ("warn", "!"),
            Tone::Bad => ("bad", "✕"),
            Tone::Plain => ("plain", "•"),
        }
    }
}

/// A state with its sign: colour is never alone.
pub(super) fn state(tone: Tone, name: &str) -> Markup {
    let (class, sign) = tone.class_and_sign();
    html! { span class={ "state " (class) } { span aria-hidden="true" { (sign) } " " (name.replace('_', " ")) } }
}

/// What stands where a list has nothing: what that means, in a sentence.
pub(super) fn empty(words: &str) -> Markup {
    html! { p.empty { (words) } }
}

/// Text from outside: a path, an id, a reason. What could turn the line around or hide stands as its escape.
pub(super) fn foreign(text: &str) -> Markup {
    html! { bdi.foreign { (shown(text)) } }
}

/// A sentence of the server that may hold text from outside. What stands between backticks is code.
pub(super) fn told(text: &str) -> Markup {
    html! {
        bdi {
            @for (n, piece) in text.split('`').enumerate() {
                @if n % 2 == 1 { code { (shown(piece)) } } @else { (shown(piece)) }
            }
        }
    }
}

/// Text from outside of which as much is shown as people read: the first `chars` characters.
pub(super) fn brief(text: &str, chars: usize) -> Markup {
    let cut = text.char_indices().nth(chars).map(|(at, _)| at);
    html! {
        (foreign(&text[..cut.unwrap_or(text.len())]))
        @if cut.is_some() { "…" }
    }
}

/// The path of a root that is given by its id, where this server has it; else the id.
pub(super) fn root_name<'a>(status: &'a Status, id: &'a str) -> &'a str {
    let roots = status.roots.iter().find(|root| root.id.as_deref() == Some(id));
    let removed = || status.removed_roots.iter().find(|root| root.id == id);
    roots.map(|root| &*root.path).or_else(|| removed().map(|root| &*root.path)).unwrap_or(id)
}

/// A text with control characters and marks of direction as escapes.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        let hides = char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}' | '\u{e0000}'..='\u{e007f}');
        if hides {
            shown.extend(char.escape_unicode());
        } else {
            shown.push(char);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups_and_lengths_of_time_two_units() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        let cases = [0, 999, 1_000, 59_999, 60_000, 3_661_000, 90_000_000].map(duration);
        assert_eq!(
            cases,
            ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 0 s", "1 h 1 min", "1 d 1 h"]
        );
        assert_eq!([0, 1_023, 1_536, 1 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "1.0 GiB"]);
    }

    #[test]
    fn code_in_a_sentence_is_shown_as_code_and_nothing_of_it_as_markup() {
        assert_eq!(
            told("run `focus <x>`").into_string(),
            "<bdi>run <code>focus &lt;x&gt;</code></bdi>"
        );
    }

    #[test]
    fn text_from_outside_neither_marks_up_nor_turns_the_line_around() {
        let text = foreign("<b>\u{202e}txt\u{7}").into_string();
        assert_eq!(text, "<bdi class=\"foreign\">&lt;b&gt;\\u{202e}txt\\u{7}</bdi>");
    }
}
