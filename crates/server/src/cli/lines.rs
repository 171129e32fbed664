//! How recordings are laid out for people: a table, or wrapped lines where the terminal is too narrow.

use unicode_width::UnicodeWidthStr;

/// The columns of a listing.
const HEADER: [&str; COLUMNS] = ["UUID", "START", "END", "SIZE", "STATE", "PATH"];
const COLUMNS: usize = 6;

/// What stands between two cells.
const GAP: &str = "  ";

/// What a line that goes on begins with.
const INDENT: &str = "    ";

/// A terminal is taken for at least this wide.
const WIDTH_MIN: usize = 20;

/// The cells of one recording, in the order of the columns.
pub(super) type Row = [String; COLUMNS];

/// Lays out a listing page by page. Columns keep their places, and grow where a later page needs it.
#[derive(Debug)]
pub(super) struct Lines {
    /// The width of the terminal in columns; none where lines may have any length.
    width: Option<usize>,
    widths: [usize; COLUMNS],
    begun: bool,
    /// A table did not fit.
    wraps: bool,
}

impl Lines {
    /// A listing for a terminal of this width; none where lines may have any length.
    pub(super) fn new(width: Option<usize>) -> Lines {
        let width = width.map(|width| width.max(WIDTH_MIN));
        Lines { width, widths: HEADER.map(UnicodeWidthStr::width), begun: false, wraps: false }
    }

    /// The lines of a page, each with its end.
    pub(super) fn page(&mut self, rows: &[Row]) -> String {
        for row in rows {
            for (widest, cell) in self.widths.iter_mut().zip(row) {
                *widest = (*widest).max(cell.width());
            }
        }
        let longest = self.widths.iter().sum::<usize>() + GAP.len() * (COLUMNS - 1);
        self.wraps |= self.width.is_some_and(|width| longest > width);
        let mut text = String::new();
        if !std::mem::replace(&mut self.begun, true) {
            self.line(&HEADER.map(str::to_owned), &mut text);
        }
        for row in rows {
            self.line(row, &mut text);
        }
        text
    }

    fn line(&self, row: &Row, text: &mut String) {
        match self.width {
            Some(width) if self.wraps => wrap(row, width, text),
            _ => {
                let mut line = String::new();
                for (cell, width) in row.iter().zip(self.widths) {
                    line.push_str(cell);
                    line.push_str(&" ".repeat(width - cell.width().min(width)));
                    line.push_str(GAP);
                }
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
    }
}

/// The cells in lines of at most `width` columns. A cell that is longer goes on in the next line.
fn wrap(cells: &[String], width: usize, text: &mut String) {
    let mut used = 0;
    for cell in cells {
        if used > 0 && used + GAP.len() + cell.width() <= width {
            text.push_str(GAP);
            text.push_str(cell);
            used += GAP.len() + cell.width();
            continue;
        }
        if used > 0 {
            text.push('\n');
            text.push_str(INDENT);
            used = INDENT.len();
        }
        for c in cell.chars() {
            let wide = c.encode_utf8(&mut [0; 4]).width();
            if used + wide > width {
                text.push('\n');
                text.push_str(INDENT);
                used = INDENT.len();
            }
            text.push(c);
            used += wide;
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(uuid: &str, path: &str) -> Row {
        let (start, end) = ("2024-05-01T12:00:00.000Z", "2024-05-01T12:01:00.000Z");
        [uuid, start, end, "17", "yes", path].map(str::to_owned)
    }

    #[test]
    fn a_table_keeps_its_columns_over_pages() {
        let mut lines = Lines::new(None);
        let first = lines.page(&[row("a-long-uuid", "a.dat")]);
        let second = lines.page(&[row("b", "b.dat")]);
        let start = |text: &str| text.lines().last().and_then(|line| line.find("2024"));
        assert_eq!(first.lines().count(), 2, "{first}");
        assert_eq!(second.lines().count(), 1, "the header stands once: {second}");
        assert_eq!(start(&first), start(&second));
        assert!(second.ends_with("b.dat\n"), "{second:?}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_letter_is_lost() {
        let path = "aufnahmen/東京/".repeat(20);
        let uuid = "c0ffee00-0000-4000-8000-000000000001";
        for width in [20, 60, 80, 81, 200] {
            let text = Lines::new(Some(width)).page(&[row(uuid, &path), row("x", "x.dat")]);
            for line in text.lines() {
                assert!(line.width() <= width, "{width}: {line:?}");
            }
            let shown: String = text.split_whitespace().collect();
            assert!(shown.contains(&path) && shown.contains(uuid), "{width}: {text}");
        }
    }

    #[test]
    fn a_table_that_fits_is_a_table() {
        let text = Lines::new(Some(80)).page(&[row("a", "a.dat")]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[1].starts_with("a     2024-05-01T12:00:00.000Z  2024"), "{text}");
    }
}
