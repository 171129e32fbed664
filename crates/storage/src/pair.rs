//! The layout `pair`: a data file and a sidecar with the same stem in one folder.

use crate::marker::MARKER;

/// The extension of sidecars.
const SIDECAR: &[u8] = b"json";

/// The rule that says which names are parts of recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    extensions: Vec<String>,
}

/// The part that a file is of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// The data file, by the number of its extension.
    Data(usize),
    /// The sidecar.
    Sidecar,
}

/// A name that is part of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The name without its extension.
    pub stem: &'a [u8],
    /// Which part it is.
    pub kind: PartKind,
}

impl Default for Pair {
    fn default() -> Self {
        Pair::new(vec!["dat".to_owned()])
    }
}

impl Pair {
    /// A rule by which data files have one of these extensions. If a recording has several, the
    /// first extension counts.
    pub fn new(extensions: Vec<String>) -> Pair {
        Pair { extensions }
    }

    /// The data extensions.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The part that a file of this name is; none where it is no part of a recording.
    pub fn part<'a>(&self, name: &'a [u8]) -> Option<Part<'a>> {
        let dot = name.iter().rposition(|byte| *byte == b'.')?;
        let (stem, extension) = (&name[..dot], &name[dot + 1..]);
        if name == MARKER.as_bytes() {
            return None;
        }
        if extension == SIDECAR {
            return Some(Part { stem, kind: PartKind::Sidecar });
        }
        let at = self.extensions.iter().position(|known| known.as_bytes() == extension)?;
        Some(Part { stem, kind: PartKind::Data(at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_by_their_last_extension() {
        let pair = Pair::new(vec!["dat".to_owned(), "bin".to_owned()]);
        let part =
            |name: &'static str| pair.part(name.as_bytes()).map(|part| (part.stem, part.kind));
        assert_eq!(part("a.dat"), Some((&b"a"[..], PartKind::Data(0))));
        assert_eq!(part("a.b.bin"), Some((&b"a.b"[..], PartKind::Data(1))));
        assert_eq!(part("a.json"), Some((&b"a"[..], PartKind::Sidecar)));
        assert_eq!(part(".dat"), Some((&b""[..], PartKind::Data(0))));
        for other in ["a.DAT", "a.txt", "dat", "a.dat.part", ".focus-root", "a.json.tmp"] {
            assert_eq!(part(other), None, "{other}");
        }
    }
}
