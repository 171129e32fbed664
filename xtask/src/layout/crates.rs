//! Which crate may depend on which, and on what from outside.

use super::{File, rust};

/// A crate of the workspace and what it may know.
struct Rule {
    folder: &'static str,
    /// Crates of the workspace that it may depend on.
    may: &'static [&'static str],
    /// Crates from outside that it must not depend on.
    not: &'static [&'static str],
    /// Why, for who breaks the rule.
    because: &'static str,
}

/// Every crate of the workspace, from the lowest to the highest.
const RULES: [Rule; 17] = [
    Rule {
        folder: "crates/core",
        may: &[],
        not: &[
            "async-trait",
            "axum",
            "bson",
            "clap",
            "fastrand",
            "futures-util",
            "getrandom",
            "hyper",
            "inotify",
            "mongodb",
            "rand",
            "rusqlite",
            "rustix",
            "tempfile",
            "tokio",
            "tracing",
            "uuid",
        ],
        because: "the core decides, without input and output, clock, randomness and databases",
    },
    Rule {
        folder: "crates/crash",
        may: &[],
        not: &["mongodb", "rusqlite", "tokio"],
        because: "a crash point ends the process and knows nothing else",
    },
    Rule {
        folder: "crates/heap",
        may: &[],
        not: &["mongodb", "rusqlite", "tokio"],
        because: "the crate with unsafe code does nothing else",
    },
    Rule {
        folder: "crates/storage",
        may: &["core"],
        not: &["axum", "bson", "clap", "hyper", "mongodb", "rusqlite", "tokio"],
        because: "storage, index and catalog meet in the engine alone",
    },
    Rule {
        folder: "crates/index",
        may: &["core", "crash"],
        not: &["axum", "bson", "clap", "hyper", "inotify", "mongodb"],
        because: "storage, index and catalog meet in the engine alone",
    },
    Rule {
        folder: "crates/catalog",
        may: &["core", "crash"],
        not: &["axum", "clap", "hyper", "inotify"],
        because: "storage, index and catalog meet in the engine alone",
    },
    Rule {
        folder: "crates/common",
        may: &["core", "crash"],
        not: &["axum", "bson", "inotify", "mongodb", "rusqlite"],
        because: "it holds what engine, drill and server share, and none of their work",
    },
    Rule {
        folder: "crates/engine",
        may: &["catalog", "common", "core", "crash", "index", "storage"],
        not: &[
            "axum",
            "bson",
            "clap",
            "comfy-table",
            "hyper",
            "indicatif",
            "maud",
            "mongodb",
            "rusqlite",
        ],
        because: "the engine reaches databases through index and catalog, and knows neither HTTP nor commands nor the drill",
    },
    Rule {
        folder: "crates/drill",
        // Of storage it needs the root's marker, to know that server and drill mean one root.
        may: &["common", "core", "crash", "storage"],
        not: &["axum", "inotify", "rusqlite"],
        because: "the drill reaches a running server only as a user would, and the catalog by its own client",
    },
    Rule {
        folder: "crates/hints",
        may: &["common", "core"],
        not: &["axum", "bson", "hyper", "inotify", "mongodb", "rusqlite"],
        because: "it speaks with brokers, and hands over what they say",
    },
    Rule {
        folder: "crates/alerts",
        // Of the drill it needs when the last one passed, which one of the rules asks.
        may: &["catalog", "common", "core", "drill", "engine"],
        not: &["axum", "bson", "clap", "inotify", "mongodb", "rusqlite"],
        because: "it looks at the engine and tells people, and knows neither the API nor commands",
    },
    Rule {
        folder: "crates/http",
        may: &["alerts", "common", "core", "drill", "engine", "hints", "index"],
        not: &["bson", "clap", "inotify", "mongodb", "rusqlite"],
        because: "it answers from the engine, and knows neither commands nor the drivers of databases",
    },
    Rule {
        folder: "crates/server",
        may: &[
            "alerts", "catalog", "common", "core", "crash", "drill", "engine", "heap", "hints",
            "http", "index", "storage",
        ],
        not: &["axum", "inotify"],
        because: "the server holds commands, and puts the parts together",
    },
    Rule {
        folder: "crates/sim",
        may: &["core"],
        not: &["bson", "mongodb", "rusqlite", "tokio"],
        because: "the simulation runs the core alone",
    },
    Rule {
        folder: "crates/checks",
        may: &["catalog", "common", "core", "drill", "engine", "hints", "http", "index", "storage"],
        not: &[],
        because: "a check calls what is shipped",
    },
    Rule {
        folder: "crates/testkit",
        may: &[],
        not: &[],
        because: "the testkit judges the product and must not use its code",
    },
    Rule {
        folder: "xtask",
        may: &[],
        not: &["bson", "mongodb", "rusqlite"],
        because: "the project's commands build the product and must not wait for it",
    },
];

/// What the tests of a crate may depend on besides.
const MAY_IN_TESTS: [&str; 1] = ["testkit"];

/// Paths that the core's source must not name.
const CORE_PATHS_NOT: [&str; 6] =
    ["std::env", "std::fs", "std::io", "std::net", "std::process", "std::thread"];

/// Words that the core's source must not hold, by whatever path they come.
const CORE_WORDS_NOT: [&str; 3] = ["Instant", "SystemTime", "UNIX_EPOCH"];

pub(super) fn breaches(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files {
        let path = file.path.as_str();
        if let Some(folder) = path.strip_suffix("/Cargo.toml").filter(|folder| *folder != "fuzz") {
            match RULES.iter().find(|rule| rule.folder == folder) {
                Some(rule) => {
                    breaches.extend(manifest(rule, file));
                    breaches.extend(undescribed(rule, files));
                }
                None => breaches.push(format!(
                    "{path} is of a crate without a rule: give it one in xtask/src/layout/crates.rs, and a line in DESIGN.md"
                )),
            }
        }
        if path.starts_with("crates/core/src/") && file.is_rust() {
            breaches.extend(core_source(file));
        }
    }
    breaches
}

/// The document that leads through the crates.
const DESIGN: &str = "DESIGN.md";

/// A crate that the design's table does not list.
fn undescribed(rule: &Rule, files: &[File]) -> Option<String> {
    let design = files.iter().find(|file| file.path == DESIGN)?;
    let row = format!("| `{}` |", rule.folder);
    let missing = !design.text.lines().any(|line| line.starts_with(&row));
    missing.then(|| format!("{DESIGN} does not list {}: say what it holds", rule.folder))
}

/// The dependencies of one manifest that its rule does not allow.
fn manifest(rule: &Rule, file: &File) -> Vec<String> {
    let path = &file.path;
    let table: toml::Table = match file.text.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("{path} is not TOML: {error}")],
    };
    let mut breaches = Vec::new();
    for (section, name) in dependencies(&table) {
        let allowed = match name.strip_prefix("focus-") {
            Some(ours) => {
                rule.may.contains(&ours)
                    || (section == "dev-dependencies" && MAY_IN_TESTS.contains(&ours))
            }
            None => !(rule.not.contains(&name) && section != "dev-dependencies"),
        };
        if !allowed {
            breaches.push(format!(
                "{path} depends on {name} ([{section}]): {}; remove it, or move the code that needs it",
                rule.because
            ));
        }
    }
    breaches
}

/// Each dependency of a manifest with the section it stands in; those for one platform are among
/// them.
fn dependencies(table: &toml::Table) -> Vec<(&'static str, &str)> {
    const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let platforms = table.get("target").and_then(toml::Value::as_table);
    let platforms =
        platforms.into_iter().flat_map(|all| all.values()).filter_map(toml::Value::as_table);
    let mut found = Vec::new();
    for table in std::iter::once(table).chain(platforms) {
        for section in SECTIONS {
            let Some(named) = table.get(section).and_then(toml::Value::as_table) else { continue };
            for (name, value) in named {
                // `name = { package = "other" }` is a dependency on the other.
                let package = value.get("package").and_then(toml::Value::as_str);
                found.push((section, package.unwrap_or(name)));
            }
        }
    }
    found
}

/// What a file of the core names and must not.
fn core_source(file: &File) -> Vec<String> {
    let tokens = rust::shipped_tokens(&file.text);
    let mut breaches = Vec::new();
    let mut breach = |name: &str, line: usize| {
        breaches.push(format!(
            "{}:{line} uses {name}: {}; decide in the core, act in the engine",
            file.path, RULES[0].because
        ));
    };
    for (at, token) in tokens.iter().enumerate() {
        for path in CORE_PATHS_NOT {
            // In `use std::{fs, io}` only the last word stands behind the brace.
            let words: Vec<&str> = path.split("::").collect();
            let stands =
                words.iter().enumerate().all(|(i, word)| rust::is(&tokens, at + 2 * i, word));
            let separated = (1..words.len()).all(|i| rust::is(&tokens, at + 2 * i - 1, "::"));
            if stands && separated {
                breach(path, token.line);
            }
        }
        if CORE_WORDS_NOT.contains(&token.text) {
            breach(token.text, token.line);
        }
    }
    for (name, line) in grouped(&tokens) {
        if CORE_PATHS_NOT.contains(&format!("std::{name}").as_str()) {
            breach(&format!("std::{name}"), line);
        }
    }
    breaches.sort();
    breaches.dedup();
    breaches
}

/// The modules named in `use std::{a, b::c}`, with their lines.
fn grouped<'a>(tokens: &[rust::Token<'a>]) -> Vec<(&'a str, usize)> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if !["std", "::", "{"].iter().enumerate().all(|(i, word)| rust::is(tokens, at + i, word)) {
            continue;
        }
        let mut depth = 1;
        let mut begins = true;
        for token in &tokens[at + 3..] {
            match token.text {
                "{" => depth += 1,
                "}" => depth -= 1,
                "," if depth == 1 => begins = true,
                text if begins => {
                    found.push((text, token.line));
                    begins = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::{RULES, breaches};

    fn found(path: &str, text: &str) -> Vec<String> {
        breaches(&files(&[(path, text)]))
    }

    #[test]
    fn a_crate_that_depends_on_what_it_may_is_in_order() {
        let text = "[dependencies]\nfocus-core.workspace = true\n[dev-dependencies]\nfocus-testkit.workspace = true\n";
        assert_eq!(found("crates/storage/Cargo.toml", text), Vec::<String>::new());
    }

    #[test]
    fn every_arrow_that_is_not_in_the_table_is_found() {
        for rule in &RULES {
            for other in RULES.iter().filter_map(|rule| rule.folder.strip_prefix("crates/")) {
                let text = format!("[dependencies]\nfocus-{other} = {{ path = \"x\" }}\n");
                let found = found(&format!("{}/Cargo.toml", rule.folder), &text);
                assert_eq!(found.is_empty(), rule.may.contains(&other), "{} {other}", rule.folder);
            }
        }
    }

    #[test]
    fn the_drill_on_the_engine_is_found_even_for_its_tests() {
        for section in [
            "dependencies",
            "dev-dependencies",
            "build-dependencies",
            "target.'cfg(unix)'.dependencies",
        ] {
            let text = format!("[{section}]\nfocus-engine.workspace = true\n");
            let found = found("crates/drill/Cargo.toml", &text);
            assert_eq!(found.len(), 1, "{section}: {found:?}");
        }
    }

    #[test]
    fn a_crate_from_outside_that_is_forbidden_is_found_under_any_name() {
        for text in ["tokio = \"1\"", "runtime = { package = \"tokio\", version = \"1\" }"] {
            let found = found("crates/core/Cargo.toml", &format!("[dependencies]\n{text}\n"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains("depends on tokio"), "{found:?}");
        }
    }

    #[test]
    fn a_crate_without_a_rule_is_found() {
        let found = found("crates/new/Cargo.toml", "");
        assert!(found[0].contains("a crate without a rule"), "{found:?}");
    }

    #[test]
    fn a_crate_that_the_design_does_not_list_is_found() {
        let manifest = ("crates/core/Cargo.toml", "");
        let listed = ("DESIGN.md", "| crate | holds |\n|---|---|\n| `crates/core` | decisions |\n");
        assert_eq!(breaches(&files(&[manifest, listed])), Vec::<String>::new());
        let found = breaches(&files(&[manifest, ("DESIGN.md", "see `crates/core`\n")]));
        assert_eq!(found, ["DESIGN.md does not list crates/core: say what it holds"]);
    }

    #[test]
    fn a_core_that_looks_at_files_or_the_clock_is_found() {
        let path = "crates/core/src/lib.rs";
        let planted = [
            "fn f() { std::fs::read(); }",
            "use std::{collections::BTreeMap, fs};",
            "use std::{collections::{BTreeMap, BTreeSet}, net::TcpStream};",
            "use std::time::{Duration, Instant};",
            "use std::time::SystemTime;",
        ];
        for text in planted {
            assert_eq!(found(path, text).len(), 1, "{text}");
        }
        let fine = "// std::fs\nuse std::time::Duration; use std::collections::BTreeMap;";
        assert_eq!(found(path, fine), Vec::<String>::new());
        assert_eq!(found("crates/storage/src/lib.rs", planted[0]), Vec::<String>::new());
    }

    #[test]
    fn the_rules_point_downwards_and_so_make_no_circle() {
        let names: Vec<&str> =
            RULES.iter().map(|rule| rule.folder.trim_start_matches("crates/")).collect();
        for (at, rule) in RULES.iter().enumerate() {
            for other in rule.may {
                let below = names.iter().position(|name| name == other);
                assert!(below.is_some_and(|below| below < at), "{} {other}", rule.folder);
            }
        }
    }
}
