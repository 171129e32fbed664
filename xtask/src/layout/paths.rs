//! The paths that a file uses: its imports, and the paths in its code.

use std::collections::BTreeMap;

use super::rust::{Token, is};

/// A name that a `use` makes known in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// The name; `None` for all names of a module (`*`).
    pub(super) name: Option<String>,
    /// What it stands for, from the crate's root.
    pub(super) target: Vec<String>,
    /// Others see it too (`pub use`).
    pub(super) public: bool,
    pub(super) line: usize,
}

/// A path in code, from the crate's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

/// What a file says of other files of its crate.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) imports: Vec<Import>,
    pub(super) used: Vec<Used>,
    /// How often each word stands in the code outside of `use`.
    pub(super) words: BTreeMap<String, usize>,
}

impl Source {
    /// Reads the tokens of the file that is this module.
    pub(super) fn read(tokens: &[Token<'_>], module: &[String]) -> Source {
        let mut reader =
            Reader { tokens, at: 0, inline: Vec::new(), module, source: Source::default() };
        reader.read();
        reader.source
    }
}

struct Reader<'a, 'b> {
    tokens: &'b [Token<'a>],
    at: usize,
    /// Modules within the file that the place is in, with the depth of braces at which each ends.
    inline: Vec<(String, usize)>,
    module: &'b [String],
    source: Source,
}

impl Reader<'_, '_> {
    fn read(&mut self) {
        let mut depth = 0;
        while let Some(token) = self.tokens.get(self.at) {
            match token.text {
                "use" => {
                    let public = self.is_public();
                    self.at += 1;
                    self.import(&mut Vec::new(), public);
                    continue;
                }
                "mod" if self.is(2, "{") => {
                    self.inline.push((self.text(1).to_owned(), depth));
                    depth += 1;
                    self.at += 2;
                }
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    if self.inline.last().is_some_and(|(_, end)| *end == depth) {
                        self.inline.pop();
                    }
                }
                text if is_name(text) => {
                    self.path();
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// `pub`, or `pub(…)`, stands before the place.
    fn is_public(&self) -> bool {
        let before = &self.tokens[..self.at];
        let before = match before {
            [before @ .., last] if last.text == ")" => {
                let opened = before.iter().rposition(|token| token.text == "(");
                &before[..opened.unwrap_or_default()]
            }
            _ => before,
        };
        before.last().is_some_and(|token| token.text == "pub")
    }

    /// Reads one branch of a `use`, the words before it being known, up to what ends it.
    fn import(&mut self, before: &mut Vec<String>, public: bool) {
        let known = before.len();
        loop {
            let Some(token) = self.tokens.get(self.at) else { return };
            let line = token.line;
            self.at += 1;
            match token.text {
                "{" => {
                    while !self.is(0, "}") && self.at < self.tokens.len() {
                        self.import(before, public);
                        if self.is(0, ",") {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                }
                "*" => self.add(None, before, public, line),
                "::" => continue,
                name => {
                    before.push(name.to_owned());
                    if self.is(0, "::") {
                        continue;
                    }
                    let renamed = self.is(0, "as").then(|| self.text(1).to_owned());
                    if renamed.is_some() {
                        self.at += 2;
                    }
                    if name == "self" {
                        before.pop();
                    }
                    let own = before.last().cloned();
                    self.add(renamed.or(own), before, public, line);
                    if name == "self" {
                        before.push("self".to_owned());
                    }
                }
            }
            break;
        }
        before.truncate(known);
        if self.is(0, ";") && known == 0 {
            self.at += 1;
        }
    }

    fn add(&mut self, name: Option<String>, path: &[String], public: bool, line: usize) {
        let target = self.absolute(path);
        self.source.imports.push(Import { name, target, public, line });
    }

    /// Reads a path in code, or a single word.
    fn path(&mut self) {
        let line = self.tokens[self.at].line;
        let mut path = vec![self.text(0).to_owned()];
        self.at += 1;
        while self.is(0, "::") && is_name(self.text(1)) {
            path.push(self.text(1).to_owned());
            self.at += 2;
        }
        for word in &path {
            *self.source.words.entry(word.clone()).or_default() += 1;
        }
        if path.len() > 1 {
            let path = self.absolute(&path);
            self.source.used.push(Used { path, line });
        }
    }

    /// A path from the crate's root. One that begins with a plain name is taken as relative to the
    /// module; where it is no child of it, it leads nowhere, as another crate's does.
    fn absolute(&self, path: &[String]) -> Vec<String> {
        let here =
            self.module.iter().cloned().chain(self.inline.iter().map(|(name, _)| name.clone()));
        let mut base: Vec<String> = here.collect();
        let mut rest = path;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => base.clear(),
                "self" => {}
                "super" => drop(base.pop()),
                _ => break,
            }
            rest = after;
        }
        base.extend(rest.iter().cloned());
        base
    }

    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text)
    }

    fn is(&self, ahead: usize, text: &str) -> bool {
        is(self.tokens, self.at + ahead, text)
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::super::rust::tokens;
    use super::Source;

    fn read(text: &str) -> Source {
        Source::read(&tokens(text), &["a".to_owned(), "b".to_owned()])
    }

    fn imports(text: &str) -> Vec<(String, String, bool)> {
        let all = read(text).imports.into_iter();
        all.map(|one| (one.name.unwrap_or("*".to_owned()), one.target.join("::"), one.public))
            .collect()
    }

    fn import(name: &str, target: &str, public: bool) -> (String, String, bool) {
        (name.to_owned(), target.to_owned(), public)
    }

    #[test]
    fn imports_are_read_in_groups_renamed_and_relative() {
        assert_eq!(
            imports("use crate::{x::{self, Y as Z}, w}; use super::c; use self::d::E;"),
            [
                import("x", "x", false),
                import("Z", "x::Y", false),
                import("w", "w", false),
                import("c", "a::c", false),
                import("E", "a::b::d::E", false),
            ]
        );
    }

    #[test]
    fn public_imports_are_told_from_private_ones() {
        assert_eq!(
            imports("pub use c::*; pub(crate) use c::D; fn f(); use c::E;"),
            [
                import("*", "a::b::c", true),
                import("D", "a::b::c::D", true),
                import("E", "a::b::c::E", false),
            ]
        );
    }

    #[test]
    fn paths_in_code_are_read_from_where_they_stand() {
        let used =
            read("fn f() { crate::x::g(); super::h() } mod inner { fn i() { super::j::k() } }")
                .used;
        let paths: Vec<String> = used.iter().map(|one| one.path.join("::")).collect();
        assert_eq!(paths, ["x::g", "a::h", "a::b::j::k"]);
    }
}
