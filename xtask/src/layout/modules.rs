//! The modules of a crate as its files make them, and the file that a path leads to.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{Import, Source};
use super::{File, rust};

/// A module that is a file: its path from the crate's root, which is the empty path.
pub(super) type ModulePath = Vec<String>;

/// One file of a crate.
#[derive(Debug)]
pub(super) struct Module<'a> {
    pub(super) file: &'a str,
    pub(super) source: Source,
    /// Names of the items that the file itself defines.
    defined: BTreeSet<String>,
}

/// All files of a crate below `src`, without those that are compiled for tests alone.
#[derive(Debug)]
pub(super) struct Modules<'a> {
    by_path: BTreeMap<ModulePath, Module<'a>>,
}

/// Re-exports that are followed for one path at most.
const REEXPORTS_MAX: usize = 16;

impl<'a> Modules<'a> {
    /// The modules of the crate in this folder.
    pub(super) fn of(files: &'a [File], folder: &str) -> Self {
        let prefix = format!("{folder}/src/");
        let mut by_path = BTreeMap::new();
        for file in files.iter().filter(|file| file.is_rust()) {
            let Some(path) = file.path.strip_prefix(&prefix) else { continue };
            let Some(path) = module_path(path) else { continue };
            let tokens = rust::shipped_tokens(&file.text);
            let module = Module {
                file: &file.path,
                source: Source::read(&tokens, &path),
                defined: defined(&tokens),
            };
            by_path.insert(path, module);
        }
        Modules { by_path }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ModulePath, &Module<'a>)> {
        self.by_path.iter()
    }

    /// A module of this path is a file.
    pub(super) fn has(&self, path: &[String]) -> bool {
        self.by_path.contains_key(path)
    }

    /// The file in which the item of this path is defined; `None` where the path is a module and no
    /// item, or leads out of the crate.
    pub(super) fn file_of(&self, path: &[String]) -> Option<&'a str> {
        self.follow(path, REEXPORTS_MAX)
    }

    fn follow(&self, path: &[String], left: usize) -> Option<&'a str> {
        let known = (0..=path.len()).rev().find(|length| self.has(&path[..*length]))?;
        let (module_path, item) = path.split_at(known);
        let module = self.by_path.get(module_path)?;
        let name = item.first()?;
        if left > 0 && !module.defined.contains(name) {
            let followed = module.source.imports.iter().find_map(|import| {
                let target = self.through(import, name)?;
                self.follow(&[target, item[1..].to_vec()].concat(), left - 1)
            });
            if followed.is_some() {
                return followed;
            }
        }
        Some(module.file)
    }

    /// Where an import leads a name to, if it makes that name known.
    fn through(&self, import: &Import, name: &str) -> Option<ModulePath> {
        match &import.name {
            Some(known) if known == name => Some(import.target.clone()),
            Some(_) => None,
            None => {
                let target = self.by_path.get(&import.target)?;
                let path = [import.target.clone(), vec![name.to_owned()]].concat();
                (target.defined.contains(name) || self.has(&path)).then_some(path)
            }
        }
    }
}

/// `drill/plan.rs` and `drill/plan/mod.rs` are `drill::plan`; files for tests are no module here.
fn module_path(path: &str) -> Option<ModulePath> {
    let path = path.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let last = path.rsplit('/').next()?;
    if last == "tests" || last.ends_with("_tests") || path.starts_with("bin/") {
        return None;
    }
    if ["lib", "main", "mod"].contains(&path) {
        // A program beside a library is a crate of its own.
        return (path != "main").then(Vec::new);
    }
    Some(path.split('/').map(str::to_owned).collect())
}

/// The names after the words that begin an item.
fn defined(tokens: &[rust::Token<'_>]) -> BTreeSet<String> {
    const ITEMS: [&str; 9] =
        ["struct", "enum", "union", "trait", "type", "fn", "const", "static", "macro_rules"];
    let mut names = BTreeSet::new();
    for (at, token) in tokens.iter().enumerate() {
        if ITEMS.contains(&token.text) {
            let skip = usize::from(rust::is(tokens, at + 1, "!"))
                + usize::from(rust::is(tokens, at + 1, "mut"));
            names.extend(tokens.get(at + 1 + skip).map(|name| name.text.to_owned()));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::{Modules, module_path};

    fn path(text: &str) -> Vec<String> {
        text.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn files_are_modules_by_their_paths() {
        assert_eq!(module_path("lib.rs"), Some(path("")));
        assert_eq!(module_path("drill/plan.rs"), Some(path("drill::plan")));
        assert_eq!(module_path("drill/mod.rs"), Some(path("drill")));
        assert_eq!(module_path("reconcile_tests.rs"), None);
        assert_eq!(module_path("main.rs"), None);
    }

    #[test]
    fn a_path_leads_to_the_file_that_defines_its_item_through_reexports() {
        let given = files(&[
            ("crates/a/src/lib.rs", "mod outer; pub use outer::*;"),
            (
                "crates/a/src/outer/mod.rs",
                "mod inner; pub use inner::{Deep as Renamed, Other}; pub fn own() {}",
            ),
            ("crates/a/src/outer/inner.rs", "pub struct Deep; pub struct Other;"),
        ]);
        let modules = Modules::of(&given, "crates/a");
        let file = |text: &str| modules.file_of(&path(text));
        assert_eq!(file("outer::Renamed::new"), Some("crates/a/src/outer/inner.rs"));
        assert_eq!(file("outer::own"), Some("crates/a/src/outer/mod.rs"));
        assert_eq!(file("own"), Some("crates/a/src/outer/mod.rs"));
        assert_eq!(file("outer::inner"), None);
    }
}
