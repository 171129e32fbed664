//! Fields of files with comma-separated values.

/// A field of RFC 4180. A spreadsheet takes some texts for formulas, and anybody can choose such a name: an
/// apostrophe in front makes it a text there.
pub(crate) fn quote(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{FF1D}']);
    let mark = if formula { "'" } else { "" };
    format!("\"{mark}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_of_a_csv_file_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(quote(text), format!("\"'{text}\""));
        }
        assert_eq!(quote("a\"=1"), "\"a\"\"=1\"");
    }
}
