//! Text in XML and HTML.

/// A text as it may stand in an element or in a quoted attribute. What XML cannot hold at all
/// (control characters) is shown as `U+FFFD`.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push_str(&format!("&#{};", u32::from(c))),
            '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// An opening tag with attributes; what they say is escaped.
pub fn tag(name: &str, attributes: &[(&str, &str)]) -> String {
    let mut out = format!("<{name}");
    for (key, value) in attributes {
        out.push_str(&format!(" {key}=\"{}\"", escaped(value)));
    }
    out.push('>');
    out
}

/// An element with text in it.
pub fn element(name: &str, attributes: &[(&str, &str)], text: &str) -> String {
    format!("{}{}</{name}>", tag(name, attributes), escaped(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_text_holds_stays_text() {
        assert_eq!(
            escaped("<a href='x'>&\"\u{0}\n</a>"),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\u{FFFD}&#10;&lt;/a&gt;"
        );
        assert_eq!(element("b", &[("c", "\"")], "<"), "<b c=\"&quot;\">&lt;</b>");
    }
}
