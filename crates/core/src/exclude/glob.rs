//! One glob: how it is written, and what it matches.

use std::fmt;

/// Bytes of a glob at most: a path is not longer.
const BYTES_MAX: usize = 4_096;

/// Globs that one with `{…}` may stand for at most.
const ALTERNATIVES_MAX: usize = 64;

/// A glob, ready to match.
///
/// `*` is any number of characters, `?` one, `[a-z]` one of these and `[!a-z]` one of the others, `{a,b}`
/// any of these; `\` takes away the meaning of the character after it. None of them matches a `/`. A part
/// `**` of a path is any number of folders, also none. A byte that is not UTF-8 is one character.
#[derive(Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    /// One for each of the alternatives, each with its parts between slashes; of a name one part.
    alternatives: Vec<Vec<Part>>,
    /// It is of the path from the root, not of a name.
    of_paths: bool,
}

/// What is wrong with the text of a glob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobProblem {
    /// Nothing is between its slashes.
    #[error("it matches nothing: write the name of a file or folder")]
    Empty,
    /// More than [`BYTES_MAX`].
    #[error("it has more than {BYTES_MAX} bytes")]
    TooLong,
    /// A `[` without its `]`.
    #[error("a `[` has no `]`: add it, or write `\\[`")]
    OpenBracket,
    /// A range in brackets that goes backwards.
    #[error("a range in brackets goes backwards")]
    Backwards,
    /// A `{` without its `}`.
    #[error("a `{{` has no `}}`: add it, or write `\\{{`")]
    OpenBrace,
    /// More than [`ALTERNATIVES_MAX`] globs.
    #[error("its braces stand for more than {ALTERNATIVES_MAX} globs")]
    TooMany,
    /// A `\` at its end.
    #[error("a `\\` at its end takes the meaning away from nothing: remove it")]
    OpenEscape,
    /// A part that no path below a root has.
    #[error("a path below a root has no part `.` or `..`")]
    Dots,
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Any number of folders.
    Folders,
    /// One name.
    Name(Vec<Token>),
}

/// What matches a part of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// Any character.
    One,
    /// Any number of characters.
    Any,
    /// A character of these ranges, both ends included, or of none of them.
    Of {
        ranges: Vec<(char, char)>,
        others: bool,
    },
}

impl Glob {
    /// Reads a glob. One with a slash before its end is of the path from the root, any other of a name.
    ///
    /// # Errors
    /// It cannot be read; or it could match nothing.
    pub fn new(text: &str) -> Result<Glob, GlobProblem> {
        if text.len() > BYTES_MAX {
            return Err(GlobProblem::TooLong);
        }
        let of_paths = text.trim_end_matches('/').contains('/');
        let alternatives = expanded(text)?
            .iter()
            .map(|text| parts(text.trim_matches('/'), of_paths))
            .collect::<Result<_, _>>()?;
        Ok(Glob { text: text.to_owned(), alternatives, of_paths })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// It is of the path from the root, not of a name.
    pub(super) fn is_of_paths(&self) -> bool {
        self.of_paths
    }

    /// The first bytes of every name that it matches; none where that may be any.
    pub(super) fn first_bytes(&self) -> Option<Vec<u8>> {
        let first = |parts: &Vec<Part>| match parts.first() {
            Some(Part::Name(tokens)) => match tokens.first() {
                Some(Token::Byte(byte)) => Some(*byte),
                _ => None,
            },
            _ => None,
        };
        self.alternatives.iter().map(first).collect()
    }

    /// It matches this name.
    pub(super) fn matches_name(&self, name: &[u8]) -> bool {
        self.alternatives.iter().any(|parts| match parts.first() {
            Some(Part::Name(tokens)) => matches(tokens, name),
            Some(Part::Folders) | None => true,
        })
    }

    /// It matches this path, from the root on.
    pub(super) fn matches_path(&self, path: &[u8]) -> bool {
        let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        self.alternatives.iter().any(|parts| follows(parts, &names))
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// The globs that one with braces stands for.
fn expanded(text: &str) -> Result<Vec<String>, GlobProblem> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        if open.len() + done.len() >= ALTERNATIVES_MAX {
            return Err(GlobProblem::TooMany);
        }
        let Some((begins, ends, commas)) = braces(&text)? else {
            done.push(text);
            continue;
        };
        let mut from = begins + 1;
        for to in commas.into_iter().chain([ends]) {
            open.push([&text[..begins], &text[from..to], &text[ends + 1..]].concat());
            from = to + 1;
        }
    }
    Ok(done)
}

/// Where the first braces begin and end, and the commas between them that are not in inner ones.
fn braces(text: &str) -> Result<Option<(usize, usize, Vec<usize>)>, GlobProblem> {
    let (mut begins, mut depth, mut commas, mut in_brackets) = (None, 0, Vec::new(), false);
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'[' if !in_brackets => {
                in_brackets = true;
                // The first character is a member, also a `]`.
                let rest = text[at + 1..].strip_prefix(['!', '^']).unwrap_or(&text[at + 1..]);
                let skipped = text.len() - at - 1 - rest.len() + usize::from(rest.starts_with(']'));
                (0..skipped).for_each(|_| {
                    bytes.next();
                });
            }
            b']' => in_brackets = false,
            _ if in_brackets => {}
            b'{' => {
                begins = begins.or(Some(at));
                depth += 1;
            }
            b',' if depth == 1 => commas.push(at),
            b'}' if depth > 0 => {
                depth -= 1;
                if let (0, Some(begins)) = (depth, begins) {
                    return Ok(Some((begins, at, commas)));
                }
            }
            _ => {}
        }
    }
    if depth > 0 { Err(GlobProblem::OpenBrace) } else { Ok(None) }
}

/// The parts of a glob without braces.
fn parts(text: &str, of_paths: bool) -> Result<Vec<Part>, GlobProblem> {
    let texts: Vec<&str> = text.split('/').collect();
    let last = texts.len() - 1;
    let part = |(at, text): (usize, &&str)| match *text {
        "" => Err(GlobProblem::Empty),
        "." | ".." => Err(GlobProblem::Dots),
        // At the end it is whatever lies there, and everything below that is hidden with it.
        "**" if of_paths && at < last => Ok(Part::Folders),
        text => tokens(text).map(Part::Name),
    };
    texts.iter().enumerate().map(part).collect()
}

/// The tokens of a part.
fn tokens(text: &str) -> Result<Vec<Token>, GlobProblem> {
    let mut tokens = Vec::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '*' if tokens.last() == Some(&Token::Any) => {}
            '*' => tokens.push(Token::Any),
            '?' => tokens.push(Token::One),
            '[' => tokens.push(of(&mut rest)?),
            '\\' => literal(&mut tokens, rest.next().ok_or(GlobProblem::OpenEscape)?),
            char => literal(&mut tokens, char),
        }
    }
    Ok(tokens)
}

fn literal(tokens: &mut Vec<Token>, char: char) {
    let mut bytes = [0; 4];
    tokens.extend(char.encode_utf8(&mut bytes).bytes().map(Token::Byte));
}

/// The rest of `[…]`, after its bracket.
fn of(rest: &mut std::str::Chars<'_>) -> Result<Token, GlobProblem> {
    let others = rest.as_str().starts_with(['!', '^']);
    if others {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        let low = match rest.next().ok_or(GlobProblem::OpenBracket)? {
            ']' if !ranges.is_empty() => return Ok(Token::Of { ranges, others }),
            '\\' => rest.next().ok_or(GlobProblem::OpenBracket)?,
            char => char,
        };
        let is_range = rest.as_str().starts_with('-') && !rest.as_str().starts_with("-]");
        let mut high = low;
        if is_range {
            rest.next();
            high = match rest.next().ok_or(GlobProblem::OpenBracket)? {
                '\\' => rest.next().ok_or(GlobProblem::OpenBracket)?,
                char => char,
            };
        }
        if high < low {
            return Err(GlobProblem::Backwards);
        }
        ranges.push((low, high));
    }
}

/// A path's names match these parts, to the end of both.
fn follows(parts: &[Part], names: &[&[u8]]) -> bool {
    let (mut part, mut name) = (0, 0);
    // The last `**`, and how many names it has taken: where nothing else fits it takes one more.
    let mut folders = None;
    loop {
        match parts.get(part) {
            Some(Part::Folders) => {
                folders = Some((part + 1, name));
                part += 1;
                continue;
            }
            Some(Part::Name(tokens))
                if names.get(name).is_some_and(|name| matches(tokens, name)) =>
            {
                part += 1;
                name += 1;
                continue;
            }
            None if name == names.len() => return true,
            Some(Part::Name(_)) | None => {}
        }
        let Some((after, taken)) = folders else { return false };
        if taken >= names.len() {
            return false;
        }
        folders = Some((after, taken + 1));
        (part, name) = (after, taken + 1);
    }
}

/// A name matches these tokens, to the end of both.
fn matches(tokens: &[Token], name: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    // The last `*`, and how far it reaches: where nothing else fits it takes one character more.
    let mut any = None;
    loop {
        match tokens.get(token) {
            Some(Token::Any) => {
                any = Some((token + 1, at));
                token += 1;
                continue;
            }
            Some(one) => {
                if let Some(bytes) = taken(one, &name[at..]) {
                    token += 1;
                    at += bytes;
                    continue;
                }
            }
            None if at == name.len() => return true,
            None => {}
        }
        let Some((after, reach)) = any else { return false };
        let Some((_, bytes)) = character(&name[reach..]) else { return false };
        any = Some((after, reach + bytes));
        (token, at) = (after, reach + bytes);
    }
}

/// How many bytes of a name a token takes; none where it does not fit.
fn taken(token: &Token, name: &[u8]) -> Option<usize> {
    match token {
        Token::Byte(byte) => (name.first() == Some(byte)).then_some(1),
        Token::One => character(name).map(|(_, bytes)| bytes),
        Token::Any => Some(0),
        Token::Of { ranges, others } => {
            let (char, bytes) = character(name)?;
            let is_in = char.is_some_and(|char| {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&char))
            });
            (is_in != *others).then_some(bytes)
        }
    }
}

/// The first character of a name, and its bytes; a byte that is not UTF-8 is a character of its own.
fn character(name: &[u8]) -> Option<(Option<char>, usize)> {
    let first = *name.first()?;
    let length = match first {
        0x00..=0x7F => return Some((Some(char::from(first)), 1)),
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    };
    let char = name.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let char = char.and_then(|text| text.chars().next());
    Some(char.map_or((None, 1), |char| (Some(char), length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is(glob: &str, name: &str) -> bool {
        Glob::new(glob).expect("a glob").matches_name(name.as_bytes())
    }

    #[test]
    fn each_sign_means_what_it_is_documented_to_mean() {
        for (glob, yes, no) in [
            ("a*c", "abbc", "abcd"),
            ("a*b*c", "axbxbxc", "axbxd"),
            ("?.dat", "\u{e4}.dat", "ab.dat"),
            ("[a-c]x", "bx", "dx"),
            ("[!a-c]x", "dx", "ax"),
            ("[^a]", "b", "a"),
            ("[]-]", "]", "a"),
            ("[]-]", "-", "b"),
            ("[a-]", "-", "b"),
            (r"\*", "*", "a"),
            (r"[\]]", "]", "\\"),
            ("a.{tmp,bak}", "a.bak", "a.dat"),
            ("a{b{c,d},}e", "abde", "abe"),
            ("a{b{c,d},}e", "ae", "abcde"),
            (r"\{a}", "{a}", "a"),
            ("[{]a", "{a", "a"),
            ("tmp/", "tmp", "a"),
            ("**", "anything", ""),
            ("a}", "a}", "a"),
        ] {
            assert!(is(glob, yes), "{glob} and {yes}");
            assert!(no.is_empty() || !is(glob, no), "{glob} and {no}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_is_wrong() {
        for (glob, problem) in [
            ("", GlobProblem::Empty),
            ("/", GlobProblem::Empty),
            ("a//b", GlobProblem::Empty),
            ("{,a}", GlobProblem::Empty),
            ("a[b", GlobProblem::OpenBracket),
            ("[]", GlobProblem::OpenBracket),
            ("[z-a]", GlobProblem::Backwards),
            ("a{b", GlobProblem::OpenBrace),
            (r"a\", GlobProblem::OpenEscape),
            ("a/../b", GlobProblem::Dots),
            ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", GlobProblem::TooMany),
        ] {
            assert_eq!(Glob::new(glob).map(|glob| glob.text), Err(problem), "{glob}");
        }
        assert_eq!(Glob::new(&"x".repeat(BYTES_MAX + 1)), Err(GlobProblem::TooLong));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let glob = Glob::new(&"a*".repeat(1_000)).expect("a glob");
        assert!(!glob.matches_name(&[b'a'; 255]));
        let path = Glob::new(&format!("{}x", "**/a*/".repeat(500))).expect("a glob");
        assert!(!path.matches_path(&b"a/".repeat(2_000)));
    }

    /// The same by its definition, in any time it takes.
    fn by_definition(glob: &[u8], name: &[u8]) -> bool {
        match (glob.first(), name.first()) {
            (None, None) => true,
            (Some(b'*'), _) => {
                by_definition(&glob[1..], name)
                    || !name.is_empty() && by_definition(glob, &name[1..])
            }
            (Some(b'?'), Some(_)) => by_definition(&glob[1..], &name[1..]),
            (Some(one), Some(other)) => one == other && by_definition(&glob[1..], &name[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_what_its_definition_says(glob in "[ab*?]{1,8}", name in "[ab]{0,8}") {
            prop_assert_eq!(is(&glob, &name), by_definition(glob.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn any_text_is_a_glob_or_is_told_why_not(glob in ".{0,40}", name in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(glob) = Glob::new(&glob) {
                glob.matches_name(&name);
                glob.matches_path(&name);
            }
        }
    }
}
