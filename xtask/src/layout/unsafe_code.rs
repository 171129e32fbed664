//! Where `unsafe` code may be: in one crate of one file, and nowhere else.

use super::File;

/// The one crate that may hold `unsafe`.
const CRATE: &str = "crates/heap/";

/// Manifests that forbid `unsafe`: the workspace's, whose lints its members take, and that of the
/// fuzz targets, which are not members.
const FORBIDDING: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

pub(super) fn breaches(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let path = &file.path;
        if FORBIDDING.contains(&path.as_str()) {
            if !file.text.contains("unsafe_code = \"forbid\"") {
                breaches.push(format!(
                    "{path} does not forbid unsafe code: add `unsafe_code = \"forbid\"`"
                ));
            }
        } else if !path.starts_with(CRATE) && !file.text.contains("[lints]\nworkspace = true") {
            breaches.push(format!(
                "{path} does not take the workspace's lints: add `[lints]` with `workspace = true`"
            ));
        }
    }
    let sources = files.iter().filter(|file| file.path.starts_with(CRATE) && file.is_rust());
    if sources.count() > 1 {
        breaches.push(format!("{CRATE} has to stay one file, because it may hold unsafe code"));
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::breaches;

    const WORKSPACE: (&str, &str) =
        ("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n");
    const MEMBER: &str = "[lints]\nworkspace = true\n";

    #[test]
    fn a_workspace_that_forbids_and_members_that_take_its_lints_are_in_order() {
        let given = files(&[
            WORKSPACE,
            ("crates/core/Cargo.toml", MEMBER),
            ("crates/heap/Cargo.toml", ""),
            ("crates/heap/src/lib.rs", ""),
        ]);
        assert_eq!(breaches(&given), Vec::<String>::new());
    }

    #[test]
    fn a_manifest_that_lets_unsafe_code_in_is_found() {
        let found = breaches(&files(&[("fuzz/Cargo.toml", ""), ("crates/core/Cargo.toml", "")]));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_second_file_beside_the_unsafe_one_is_found() {
        let found =
            breaches(&files(&[("crates/heap/src/lib.rs", ""), ("crates/heap/src/more.rs", "")]));
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
