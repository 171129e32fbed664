//! The layout `pair`: a data file and a sidecar with the same stem in one folder.
//!
//! An extension counts whatever its case. A look has to find a file by its stem alone, without reading the
//! folder, so every spelling of an extension that counts is known beforehand, in the order in which they
//! count.

use crate::marker::MARKER;

/// The extension of sidecars.
const SIDECAR: &str = "json";

/// An extension of so many letters is known in each of its spellings: 32 at most. A longer one is known as
/// it is configured, in capitals, in small letters and with a first capital.
const LETTERS_MAX: usize = 5;

/// The rule that says which names are parts of recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    data: Spellings,
    sidecar: Spellings,
}

/// The spellings of the extensions of one part of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spellings {
    /// In the order in which they count: first the extensions as they are configured.
    all: Vec<String>,
    /// How many of them are as they are configured.
    exact: usize,
}

/// The part that a file is of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// The data file, by the number of its extension in [`Pair::data`].
    Data(usize),
    /// The sidecar, by the number of its extension in [`Pair::sidecar`].
    Sidecar(usize),
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
    /// A rule by which data files have one of these extensions. If a recording has several, the first one as
    /// it is written here counts, then the first one in capitals, then any other.
    pub fn new(extensions: Vec<String>) -> Pair {
        Pair { data: Spellings::of(extensions), sidecar: Spellings::of(vec![SIDECAR.to_owned()]) }
    }

    /// Every extension of a data file, in the order in which they count.
    pub fn data(&self) -> &[String] {
        &self.data.all
    }

    /// Every extension of a sidecar, in the order in which they count.
    pub fn sidecar(&self) -> &[String] {
        &self.sidecar.all
    }

    /// The extensions that a file of this kind may have, in the order in which they count, and the number of
    /// this one.
    pub fn spellings(&self, kind: PartKind) -> (&[String], usize) {
        match kind {
            PartKind::Data(at) => (&self.data.all, at),
            PartKind::Sidecar(at) => (&self.sidecar.all, at),
        }
    }

    /// Its extension is as it is configured.
    pub fn is_exact(&self, kind: PartKind) -> bool {
        match kind {
            PartKind::Data(at) => at < self.data.exact,
            PartKind::Sidecar(at) => at < self.sidecar.exact,
        }
    }

    /// The part that a file of this name is; none where it is no part of a recording.
    pub fn part<'a>(&self, name: &'a [u8]) -> Option<Part<'a>> {
        let dot = name.iter().rposition(|byte| *byte == b'.')?;
        let (stem, extension) = (&name[..dot], &name[dot + 1..]);
        if name == MARKER.as_bytes() {
            return None;
        }
        if let Some(at) = self.sidecar.number(extension) {
            return Some(Part { stem, kind: PartKind::Sidecar(at) });
        }
        self.data.number(extension).map(|at| Part { stem, kind: PartKind::Data(at) })
    }
}

impl Spellings {
    fn of(extensions: Vec<String>) -> Spellings {
        let exact = extensions.len();
        let mut all = extensions.clone();
        let add = |all: &mut Vec<String>, spelling: String| {
            if !all.contains(&spelling) {
                all.push(spelling);
            }
        };
        extensions.iter().for_each(|one| add(&mut all, one.to_ascii_uppercase()));
        for extension in &extensions {
            let letters: Vec<usize> = extension
                .bytes()
                .enumerate()
                .filter_map(|(at, byte)| byte.is_ascii_alphabetic().then_some(at))
                .collect();
            add(&mut all, extension.to_ascii_lowercase());
            if letters.len() > LETTERS_MAX {
                add(&mut all, with_capitals(extension, &letters[..1]));
                continue;
            }
            for chosen in 0..1_u32 << letters.len() {
                let is_chosen = |nth: &usize| chosen >> nth & 1 == 1;
                let capitals: Vec<usize> =
                    (0..letters.len()).filter(is_chosen).map(|nth| letters[nth]).collect();
                add(&mut all, with_capitals(extension, &capitals));
            }
        }
        Spellings { all, exact }
    }

    fn number(&self, extension: &[u8]) -> Option<usize> {
        let is_it = |known: &String| known.as_bytes() == extension;
        let (exact, others) = self.all.split_at(self.exact);
        if let Some(at) = exact.iter().position(is_it) {
            return Some(at);
        }
        // Most other names have none of them in any case.
        exact.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(extension))?;
        others.iter().position(is_it).map(|at| self.exact + at)
    }
}

/// An extension in small letters, but for those at these bytes.
fn with_capitals(extension: &str, capitals: &[usize]) -> String {
    let spelled = |(at, char): (usize, char)| {
        if capitals.contains(&at) { char.to_ascii_uppercase() } else { char.to_ascii_lowercase() }
    };
    extension.char_indices().map(spelled).collect()
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
        assert_eq!(part("a.json"), Some((&b"a"[..], PartKind::Sidecar(0))));
        assert_eq!(part(".dat"), Some((&b""[..], PartKind::Data(0))));
        for other in ["a.txt", "dat", "a.dat.part", ".focus-root", "a.json.tmp", "a.d\u{c0}t"] {
            assert_eq!(part(other), None, "{other}");
        }
    }

    #[test]
    fn an_extension_counts_whatever_its_case_and_as_it_is_configured_before_any_other() {
        let pair = Pair::new(vec!["dat".to_owned(), "Bin".to_owned(), "sigmf-data".to_owned()]);
        let kind = |name: &str| pair.part(name.as_bytes()).map(|part| part.kind);
        let mut before = None;
        for name in ["a.dat", "a.Bin", "a.sigmf-data", "a.DAT", "a.BIN", "a.SIGMF-DATA", "a.dAt"] {
            let Some(PartKind::Data(at)) = kind(name) else { panic!("{name}") };
            assert!(before < Some(at), "{name}");
            assert_eq!(pair.is_exact(PartKind::Data(at)), before < Some(2), "{name}");
            before = Some(at);
        }
        for name in ["a.bin", "a.bIN", "a.Sigmf-data", "a.DaT"] {
            assert!(matches!(kind(name), Some(PartKind::Data(_))), "{name}");
        }
        assert_eq!(kind("a.JSON"), Some(PartKind::Sidecar(1)));
        assert_eq!(pair.sidecar().len(), 16);
        assert!((2..16).any(|at| kind("a.jSoN") == Some(PartKind::Sidecar(at))));
    }
}
