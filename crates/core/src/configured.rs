//! Which of the roots that an index knows are configured. Answers are about these alone.

/// A root as the settings have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredRoot {
    /// Its path.
    pub path: String,
    /// The id in its marker; none until the root was there.
    pub marker: Option<String>,
}

/// A root as an index has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRoot {
    /// The id in its marker.
    pub marker: String,
    /// The path where it was seen last.
    pub path: String,
}

/// For each known root, in the order in which the index learned of them, whether it is configured.
///
/// A root is recognised by its marker. One that was not there yet is the one that was learned of last at
/// its path: storage that is away at a start stays in the answers.
pub fn are_configured(known: &[KnownRoot], configured: &[ConfiguredRoot]) -> Vec<bool> {
    let mut found = vec![false; known.len()];
    for root in configured {
        let at = known.iter().rposition(|one| match &root.marker {
            Some(marker) => one.marker == *marker,
            None => one.path == root.path,
        });
        if let Some(at) = at {
            found[at] = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(marker: &str, path: &str) -> KnownRoot {
        KnownRoot { marker: marker.to_owned(), path: path.to_owned() }
    }

    fn configured(path: &str, marker: Option<&str>) -> ConfiguredRoot {
        ConfiguredRoot { path: path.to_owned(), marker: marker.map(str::to_owned) }
    }

    #[test]
    fn a_root_is_recognised_by_its_marker_wherever_it_is_now() {
        let known = [known("m1", "/a"), known("m2", "/b")];
        assert_eq!(are_configured(&known, &[configured("/c", Some("m1"))]), [true, false]);
        assert_eq!(are_configured(&known, &[configured("/b", Some("m1"))]), [true, false]);
        assert_eq!(are_configured(&known, &[]), [false, false]);
    }

    #[test]
    fn a_root_that_was_not_there_yet_is_the_last_one_at_its_path() {
        let known = [known("m1", "/a"), known("m2", "/a"), known("m3", "/b")];
        assert_eq!(are_configured(&known, &[configured("/a", None)]), [false, true, false]);
        assert_eq!(are_configured(&known, &[configured("/a", Some("m1"))]), [true, false, false]);
        assert_eq!(are_configured(&known, &[configured("/c", None)]), [false, false, false]);
    }
}
