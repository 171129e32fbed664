//! Circles of imports between the files of a crate: there must be none.
//!
//! A file points to each file whose items it uses. Two things are no uses: the declaration of a
//! child (`mod x;`), and a re-export of a descendant's item (`pub use x::Y`) that the file does not
//! use itself. A file that takes the item from there uses the file that defines it. So a child that
//! uses its parent's items makes a circle only where the parent uses items of that child too. Code
//! for tests does not count.

use std::collections::{BTreeMap, BTreeSet};

use super::File;
use super::modules::{Module, ModulePath, Modules};

/// Crates without circles.
const CRATES: [&str; 3] = ["crates/engine", "crates/drill", "crates/storage"];

/// Which file uses which, with the line and the item of its first use.
type Uses<'a> = BTreeMap<&'a str, BTreeMap<&'a str, (usize, String)>>;

pub(super) fn breaches(files: &[File]) -> Vec<String> {
    CRATES.iter().flat_map(|folder| circles_of(files, folder)).collect()
}

fn circles_of(files: &[File], folder: &str) -> Vec<String> {
    let modules = Modules::of(files, folder);
    let mut uses = Uses::new();
    for (path, module) in modules.iter() {
        uses.insert(module.file, uses_of(&modules, path, module));
    }
    circles(&uses).iter().map(|circle| told(folder, circle, &uses)).collect()
}

/// The other files that a module uses.
fn uses_of<'a>(
    modules: &Modules<'a>,
    path: &ModulePath,
    module: &Module<'a>,
) -> BTreeMap<&'a str, (usize, String)> {
    let mut found = BTreeMap::new();
    let source = &module.source;
    let mut add = |target: &[String], line: usize| {
        if let Some(file) = modules.file_of(target).filter(|file| *file != module.file) {
            let item = target.last().cloned().unwrap_or_default();
            found.entry(file).or_insert((line, item));
        }
    };
    for import in &source.imports {
        let used = |name: &String| source.words.contains_key(name);
        let passed_on = import.public && import.target.starts_with(path);
        match &import.name {
            Some(name) if !passed_on || used(name) => add(&import.target, import.line),
            Some(_) => {}
            // All names of a module: the module itself stands for them.
            None if !passed_on => {
                let anything = [import.target.clone(), vec!["*".to_owned()]].concat();
                add(&anything, import.line);
            }
            None => {}
        }
    }
    for used in &source.used {
        add(&used.path, used.line);
    }
    found
}

/// Groups of files that all lead to one another.
fn circles<'a>(uses: &Uses<'a>) -> Vec<Vec<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        uses.keys().map(|file| (*file, reachable(file, uses))).collect();
    let mut circles = Vec::new();
    let mut placed = BTreeSet::new();
    for (file, from_here) in &reached {
        if !from_here.contains(file) || placed.contains(file) {
            continue;
        }
        let circle: Vec<&str> =
            from_here.iter().copied().filter(|other| reached[other].contains(file)).collect();
        placed.extend(circle.iter().copied());
        circles.push(circle);
    }
    circles
}

/// Every file that a file leads to, by one use or more.
fn reachable<'a>(from: &str, uses: &Uses<'a>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for next in uses.get(file).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(*next) {
                open.push(next);
            }
        }
    }
    found
}

fn told(folder: &str, circle: &[&str], uses: &Uses<'_>) -> String {
    let mut lines = vec![format!(
        "{folder} has a circle of {} files: move what they share into a file below them",
        circle.len()
    )];
    for file in circle {
        for (other, (line, item)) in uses[file].iter().filter(|(other, _)| circle.contains(other)) {
            lines.push(format!("  {file}:{line} uses {item} of {other}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::breaches;

    fn found(given: &[(&str, &str)]) -> Vec<String> {
        let given: Vec<(String, &str)> =
            given.iter().map(|(path, text)| (format!("crates/engine/src/{path}"), *text)).collect();
        let given: Vec<(&str, &str)> =
            given.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        breaches(&files(&given))
    }

    #[test]
    fn files_that_use_one_another_in_one_direction_are_in_order() {
        let given = [
            ("lib.rs", "pub mod a; pub mod b; pub use a::A;"),
            ("a.rs", "use crate::b; pub struct A(b::B);"),
            ("b.rs", "pub struct B;"),
        ];
        assert_eq!(found(&given), Vec::<String>::new());
    }

    #[test]
    fn two_files_that_import_one_another_are_a_circle_with_both_places() {
        let found = found(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B;\npub struct A;"),
            ("b.rs", "pub struct B;\n\nfn f(_: super::a::A) {}"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("a.rs:1 uses B of crates/engine/src/b.rs"), "{found:?}");
        assert!(found[0].contains("b.rs:3 uses A of crates/engine/src/a.rs"), "{found:?}");
    }

    #[test]
    fn a_circle_is_found_in_every_crate_that_must_not_have_one() {
        for folder in super::CRATES {
            let (a, b) = (format!("{folder}/src/a.rs"), format!("{folder}/src/b.rs"));
            let planted = files(&[
                (&a, "use crate::b::B; pub struct A;"),
                (&b, "use crate::a::A; pub struct B;"),
            ]);
            assert_eq!(breaches(&planted).len(), 1, "{folder}");
        }
    }

    #[test]
    fn a_circle_over_three_files_and_an_imported_module_is_found() {
        let found = found(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b; pub fn a() { b::b() }"),
            ("b.rs", "use crate::c; pub fn b() { c::c() }"),
            ("c.rs", "pub fn c() { crate::a::a() }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("circle of 3 files"), "{found:?}");
    }

    #[test]
    fn a_child_that_uses_its_parent_is_a_circle_only_where_the_parent_uses_it_too() {
        let child = ("a/child.rs", "use super::Shared; pub struct Child(Shared);");
        let passed_on = ("a/mod.rs", "mod child; pub use child::Child; pub struct Shared;");
        let lib = ("lib.rs", "mod a; fn f(_: a::Child) {}");
        assert_eq!(found(&[lib, passed_on, child]), Vec::<String>::new());
        let used =
            ("a/mod.rs", "mod child; pub use child::Child; pub struct Shared; fn f(_: Child) {}");
        assert_eq!(found(&[lib, used, child]).len(), 1);
        let called = ("a/mod.rs", "mod child; pub struct Shared; fn f(_: child::Child) {}");
        assert_eq!(found(&[lib, called, child]).len(), 1);
    }

    #[test]
    fn code_for_tests_and_words_in_comments_make_no_circle() {
        let given = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "// crate::a::A\npub struct B; #[cfg(test)] mod tests { use crate::a::A; }"),
        ];
        assert_eq!(found(&given), Vec::<String>::new());
    }
}
