//! Documents name only files that exist.

use super::File;

/// What a path of the repository begins with.
const BEGINNINGS: [&str; 6] =
    ["crates/", "deploy/", "docs/", "fuzz/fuzz_targets/", "xtask/", ".ci/"];

pub(super) fn breaches(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (at, line) in file.text.lines().enumerate() {
            let named = named_in_code(line).map(str::to_owned);
            let linked = links(line).map(|link| resolve(&file.path, link));
            for path in named.chain(linked).filter(|path| !exists(files, path)) {
                breaches.push(format!(
                    "{}:{} names {path}, which is not there: name the file that took its place",
                    file.path,
                    at + 1
                ));
            }
        }
    }
    breaches
}

/// Paths of the repository between backticks.
fn named_in_code(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split('`').skip(1).step_by(2);
    code.filter(|word| BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)))
        .filter(|word| !word.contains([' ', '*', '{']))
}

/// Files that a line links to, without their anchors. Links out of the repository are left out.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .filter_map(|target| target.split('#').next())
}

/// A link of a document as a path from the repository's folder.
fn resolve(document: &str, link: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A file of this path was read, or one below it.
fn exists(files: &[File], path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::breaches;

    fn found(text: &str) -> Vec<String> {
        let others = [("crates/core/src/lib.rs", ""), ("DESIGN.md", ""), ("docs/http.md", text)];
        breaches(&files(&others))
    }

    #[test]
    fn files_folders_and_links_that_are_there_are_in_order() {
        let text = "`crates/core/src/lib.rs`, `crates/core`, `crates/NAME x`, [a](../DESIGN.md#the-crates), \
            [b](#here), [c](https://example.org/docs/x)";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_has_moved_is_found_with_its_line() {
        for text in ["\n`crates/core/src/gone.rs`", "\n[a](gone.md)", "\n[a](../docs/gone.md#x)"] {
            let found = found(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with("docs/http.md:2 names "), "{found:?}");
        }
    }
}
