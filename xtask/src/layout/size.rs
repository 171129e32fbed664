//! How large a file and a crate may be, and how a file begins.

use std::collections::BTreeMap;

use super::File;

/// Lines of a Rust file at most.
const LINES_MAX: usize = 600;

/// The share of all lines of Rust that one crate may hold, in percent.
const SHARE_MAX_PERCENT: usize = 30;

pub(super) fn breaches(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut lines_of: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().count();
        let path = &file.path;
        *lines_of.entry(crate_folder(path)).or_default() += lines;
        if lines > LINES_MAX {
            breaches.push(format!("{path} has {lines} lines, more than {LINES_MAX}: split it"));
        }
        if !file.text.starts_with("//!") && !path.ends_with("_tests.rs") {
            breaches.push(format!("{path} does not begin with `//!` and what it is for: add that"));
        }
    }
    let all: usize = lines_of.values().sum();
    for (folder, lines) in lines_of {
        if lines * 100 > all * SHARE_MAX_PERCENT {
            breaches.push(format!(
                "{folder} has {lines} of {all} lines, more than {SHARE_MAX_PERCENT} %: make a crate of a part of it"
            ));
        }
    }
    breaches
}

/// The folder of the crate that a file belongs to: `crates/core`, or `xtask`.
pub(super) fn crate_folder(path: &str) -> &str {
    let parts = if path.starts_with("crates/") { 2 } else { 1 };
    let end = path.match_indices('/').nth(parts - 1).map_or(path.len(), |(at, _)| at);
    &path[..end]
}

#[cfg(test)]
mod tests {
    use super::super::{File, files};
    use super::breaches;

    fn rust(path: &str, lines: usize) -> File {
        File { path: path.to_owned(), text: "//! A file.\n".repeat(lines) }
    }

    /// Four crates of 2,000 lines each, in files of 500.
    fn four_crates() -> Vec<File> {
        let crates = ["crates/a", "crates/b", "crates/c", "xtask"];
        let paths = crates.iter().flat_map(|one| [1, 2, 3, 4].map(|n| format!("{one}/src/{n}.rs")));
        paths.map(|path| rust(&path, 500)).collect()
    }

    #[test]
    fn four_crates_of_one_size_and_files_of_500_lines_are_in_order() {
        assert_eq!(breaches(&four_crates()), Vec::<String>::new());
    }

    #[test]
    fn a_file_of_600_lines_is_in_order_and_one_of_601_is_not() {
        let mut files = four_crates();
        files.push(rust("crates/a/src/long.rs", 600));
        files.push(rust("crates/b/src/longer.rs", 601));
        let found = breaches(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/b/src/longer.rs has 601 lines"), "{found:?}");
    }

    #[test]
    fn a_crate_with_more_than_its_share_is_found_with_its_tests_counted() {
        let mut files = four_crates();
        files.push(rust("crates/a/tests/it/main.rs", 600));
        let found = breaches(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/a has 2600 of 8600 lines"), "{found:?}");
    }

    #[test]
    fn a_file_that_does_not_say_what_it_is_for_is_found() {
        let mut given = four_crates();
        given.extend(files(&[("crates/a/src/mute.rs", "fn f() {}\n")]));
        given.extend(files(&[("crates/a/src/some_tests.rs", "fn f() {}\n")]));
        let found = breaches(&given);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/a/src/mute.rs does not begin"), "{found:?}");
    }
}
