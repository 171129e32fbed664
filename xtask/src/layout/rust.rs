//! The words of a Rust file: its tokens without comments and the contents of texts.

/// A token and the line it begins in, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

/// A part of a file that holds words.
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
    pub(super) is_comment: bool,
}

/// The comments, texts and identifiers of a file.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    walk(text, |text, line, left_out| {
        if left_out || text.starts_with(is_word) {
            let is_comment = left_out && text.starts_with('/');
            pieces.push(Piece { text, line, is_comment });
        }
    });
    pieces
}

/// The tokens of a file: identifiers, `::`, and every other character by itself. Comments, texts,
/// characters and numbers are left out.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    walk(text, |text, line, left_out| {
        if !left_out && !text.starts_with(|c: char| c.is_whitespace() || c.is_ascii_digit()) {
            tokens.push(Token { text, line });
        }
    });
    tokens
}

/// Takes a file apart: each part, its line, and whether it is a comment, a text or a character.
fn walk<'a>(text: &'a str, mut part: impl FnMut(&'a str, usize, bool)) {
    let mut line = 1;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let left_out = length_left_out(rest);
        let length = left_out.unwrap_or_else(|| match c {
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        });
        let (this, after) = rest.split_at(length);
        part(this, line, left_out.is_some());
        line += this.matches('\n').count();
        rest = after;
    }
}

/// The tokens without the modules that are compiled for tests alone.
pub(super) fn shipped_tokens(text: &str) -> Vec<Token<'_>> {
    const FOR_TESTS: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let all = tokens(text);
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let marked = FOR_TESTS.iter().enumerate().all(|(i, word)| is(&all, at + i, word));
        let module = at + FOR_TESTS.len();
        if marked && is(&all, module, "mod") {
            at = end_of_item(&all, module);
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    kept
}

/// The token at a place is this one.
pub(super) fn is(tokens: &[Token<'_>], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}

/// The place after an item that ends with `;` or with its closing brace.
fn end_of_item(tokens: &[Token<'_>], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.text {
            ";" if depth == 0 => return at + 1,
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment, text or character that the rest begins with.
fn length_left_out(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(length_of_block_comment(rest));
    }
    if let Some(after) = rest.strip_prefix('\'') {
        if after.starts_with('\\') {
            return Some(length_until(rest, '\''));
        }
        // Otherwise it is a lifetime.
        let first = after.chars().next()?;
        return after[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 2);
    }
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|after| after.starts_with(['"', '#']))
    })?;
    let after = &rest[prefix.len()..];
    let hashes = after.find(|c| c != '#')?;
    if !after[hashes..].starts_with('"') {
        return None;
    }
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        let body = &after[hashes + 1..];
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(prefix.len() + hashes + 1 + length);
    }
    (hashes == 0).then(|| prefix.len() + length_until(after, '"'))
}

fn length_of_block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of a text that begins and ends with this quote and may hold `\`.
fn length_until(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::{shipped_tokens, tokens};

    fn words(text: &str) -> Vec<&str> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_texts_and_characters_hold_no_words() {
        let text =
            "a /* b /* c */ d */ e // f\ng \"h \\\" i\" j r#\"k \" l\"# m b\"n\" 'o' '\\'' p";
        assert_eq!(words(text), ["a", "e", "g", "j", "m", "p"]);
    }

    #[test]
    fn lifetimes_and_raw_identifiers_end_no_file() {
        assert_eq!(
            words("fn f<'a>(x: &'a str) {} g"),
            [
                "fn", "f", "<", "'", "a", ">", "(", "x", ":", "&", "'", "a", "str", ")", "{", "}",
                "g"
            ]
        );
        assert_eq!(words("r#type x"), ["r", "#", "type", "x"]);
    }

    #[test]
    fn a_token_knows_its_line() {
        let found = tokens("a\n\"two\nlines\"\nb");
        assert_eq!(found.iter().map(|token| token.line).collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn modules_for_tests_are_left_out_and_what_follows_is_not() {
        let text = "a; #[cfg(test)] mod tests { mod b { c(); } } d #[cfg(test)] mod e; f";
        let found: Vec<&str> = shipped_tokens(text).into_iter().map(|token| token.text).collect();
        assert_eq!(found, ["a", ";", "d", "f"]);
    }
}
