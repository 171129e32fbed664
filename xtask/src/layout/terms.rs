//! One word for one thing: `docs/glossary.md` names each term, and the words that must not stand
//! for it.

use std::collections::BTreeMap;

use super::{File, rust};

/// Where the terms are.
const GLOSSARY: &str = "docs/glossary.md";

/// Files and folders that are not searched: those that name the forbidden words themselves, and
/// what programs print.
const EXCLUDED: [&str; 3] =
    [GLOSSARY, "xtask/src/layout/terms.rs", "crates/server/tests/it/golden/"];

/// The heading below which the glossary lists what is spelled so for good: names of the interface,
/// mostly.
const SPELLINGS: &str = "## Fixed spellings";

/// What the glossary says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Glossary {
    /// Terms by the forbidden words, which are in lower case.
    forbidden: BTreeMap<Vec<String>, String>,
    /// Texts in which forbidden words may stand.
    spellings: Vec<String>,
}

pub(super) fn breaches(files: &[File]) -> Vec<String> {
    let Some(file) = files.iter().find(|file| file.path == GLOSSARY) else {
        return vec![format!("{GLOSSARY} is not there: it names each term once")];
    };
    let (glossary, mut breaches) = read(&file.text);
    for file in files {
        if !EXCLUDED.iter().any(|excluded| file.path.starts_with(excluded)) {
            breaches.extend(glossary.breaches(file));
        }
    }
    breaches
}

/// Reads the table `| term | meaning | not |` and the list of spellings; with what is wrong with
/// them.
fn read(text: &str) -> (Glossary, Vec<String>) {
    let mut glossary = Glossary::default();
    let mut wrong = Vec::new();
    let mut terms: BTreeMap<String, usize> = BTreeMap::new();
    let mut in_spellings = false;
    for (at, line) in text.lines().enumerate() {
        let line_number = at + 1;
        if line.starts_with('#') {
            in_spellings = line == SPELLINGS;
        }
        if in_spellings && line.starts_with("- ") {
            glossary.spellings.extend(between_backticks(line).map(str::to_owned));
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, term, meaning, not, _] = cells[..] else { continue };
        if term.starts_with("---") || term == "Term" {
            continue;
        }
        if meaning.is_empty() {
            wrong.push(format!("{GLOSSARY}:{line_number} does not say what {term} means"));
        }
        let name = term.to_lowercase();
        if let Some(first) = terms.insert(name, line_number) {
            wrong.push(format!("{GLOSSARY}:{line_number} names {term} again, after line {first}"));
        }
        for forbidden in not.split(',').map(words_of).filter(|words| !words.is_empty()) {
            let term = term.to_owned();
            if let Some(other) = glossary.forbidden.insert(forbidden.clone(), term.clone()) {
                let words = forbidden.join(" ");
                wrong.push(format!(
                    "{GLOSSARY}:{line_number} forbids {words} for {term}, and before for {other}"
                ));
            }
        }
    }
    if terms.is_empty() {
        wrong.push(format!("{GLOSSARY} has no table of terms"));
    }
    for (forbidden, term) in &glossary.forbidden {
        if terms.contains_key(&forbidden.join(" ")) {
            wrong.push(format!(
                "{GLOSSARY} forbids {} for {term}, and names it as a term",
                forbidden.join(" ")
            ));
        }
    }
    (glossary, wrong)
}

impl Glossary {
    /// Where a file uses forbidden words, and what to use instead. A phrase may go on in the next
    /// line.
    fn breaches(&self, file: &File) -> Vec<String> {
        let text = self
            .spellings
            .iter()
            .fold(file.text.clone(), |text, spelling| text.replace(spelling.as_str(), ""));
        let words = if file.is_rust() { words_of_code(&text) } else { words_of_prose(&text, 1) };
        let mut breaches = Vec::new();
        for (at, (line, _)) in words.iter().enumerate() {
            for (forbidden, term) in &self.forbidden {
                let stands = words.len() >= at + forbidden.len()
                    && forbidden.iter().zip(&words[at..]).all(|(word, (_, found))| word == found);
                if stands {
                    let found = forbidden.join(" ");
                    breaches.push(format!(
                        "{}:{line} says {found:?}: the term is {term} ({GLOSSARY})",
                        file.path
                    ));
                }
            }
        }
        breaches
    }
}

/// The words of comments and texts, and of each name by itself: `let through = 1;` is no phrase.
fn words_of_code(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for piece in rust::pieces(text) {
        words.extend(words_of_prose(piece.text, piece.line));
        if !piece.is_comment {
            // Nothing forbidden holds an empty word.
            words.push((piece.line, String::new()));
        }
    }
    words
}

/// The words of a text, each with its line; the text begins in this one.
fn words_of_prose(text: &str, first_line: usize) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(at, line)| words_of(line).into_iter().map(move |word| (first_line + at, word)))
        .collect()
}

/// The words of a line in lower case. Identifiers fall into their parts: `LetThrough` and
/// `let_through` are two words.
fn words_of(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in line.chars() {
        let begins = !c.is_alphanumeric()
            || (c.is_uppercase() && word.chars().next_back().is_some_and(char::is_lowercase));
        if begins && !word.is_empty() {
            words.push(std::mem::take(&mut word).to_lowercase());
        }
        if c.is_alphanumeric() {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word.to_lowercase());
    }
    words
}

fn between_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::{breaches, words_of};

    const GLOSSARY: &str = "\
# Glossary

| Term | Meaning | Not |
|---|---|---|
| approve | To mark held deletions. | let through, lets through |
| unproven database | One that has not shown its identity. | stranger |

## Fixed spellings

- `no_write_to_a_stranger`: an invariant.
";

    fn found(path: &str, text: &str) -> Vec<String> {
        breaches(&files(&[("docs/glossary.md", GLOSSARY), (path, text)]))
    }

    #[test]
    fn a_text_in_the_terms_of_the_glossary_is_in_order() {
        let text =
            "The server approves what it let in through the door. no_write_to_a_stranger, strange";
        assert_eq!(found("docs/http.md", text), Vec::<String>::new());
        let code = "//! Let\nfn through() { let through = 1; }\n";
        assert_eq!(found("crates/core/src/lib.rs", code), Vec::<String>::new());
    }

    #[test]
    fn forbidden_words_are_found_in_prose_comments_and_names_with_their_line() {
        let planted = [
            ("docs/http.md", "\nIt LETS through.", "lets through"),
            ("docs/http.md", "\n> It lets\n> through.", "lets through"),
            ("crates/core/src/lib.rs", "//! A\n/// The stranger.", "stranger"),
            ("crates/core/src/lib.rs", "//! A\n/// It lets\n/// through.", "lets through"),
            (
                "crates/core/src/lib.rs",
                "//! A\nconst A: &str = \"was let through\";",
                "let through",
            ),
            ("crates/core/src/lib.rs", "//! A\nstruct StrangerSeen;", "stranger"),
            ("crates/core/src/lib.rs", "//! A\nfn let_through() {}", "let through"),
        ];
        for (path, text, words) in planted {
            let found = found(path, text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(
                found[0].starts_with(&format!("{path}:2 says {words:?}: the term is ")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_glossary_that_names_a_term_twice_or_forbids_one_of_its_own_is_found() {
        let twice = GLOSSARY.replace("\n\n## Fixed", "\n| Approve | Again. | |\n\n## Fixed");
        let own = GLOSSARY.replace("| stranger |", "| approve |");
        for text in [twice.as_str(), own.as_str(), "# Glossary\n"] {
            let found = breaches(&files(&[("docs/glossary.md", text)]));
            assert_eq!(found.len(), 1, "{found:?}");
        }
        assert_eq!(breaches(&[]).len(), 1);
    }

    #[test]
    fn identifiers_fall_into_words() {
        assert_eq!(
            words_of("letThrough let_through LET HTTPServer a1"),
            ["let", "through", "let", "through", "let", "httpserver", "a1"]
        );
    }
}
