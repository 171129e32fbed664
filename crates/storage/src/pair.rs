//! The names of a pair: a data file and a sidecar with the same stem in one folder, with the extensions that
//! the form of the root's pairs says.
//!
//! An extension counts whatever its case. A look has to find a file by its stem alone, without reading the
//! folder, so every spelling of an extension that counts is known beforehand, in the order in which they
//! count.

use std::sync::Arc;

use focus_core::pair::PairForm;

use crate::marker::MARKER;

/// An extension of so many letters is known in each of its spellings: 32 at most. A longer one is known as
/// it is configured, in capitals, in small letters and with a first capital.
const LETTERS_MAX: usize = 5;

/// The rule that says which names are parts of recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    data: Spellings,
    sidecar: Spellings,
    form: Arc<PairForm>,
    /// Extensions that parts of recordings had under an earlier form, and do not have under this one.
    former: Vec<String>,
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
        Pair::of(PairForm::focus().clone())
    }
}

impl Pair {
    /// The rule of a form. If a recording has data files of several extensions, the first one as the form has
    /// it counts, then the first one in capitals, then any other.
    pub fn of(form: PairForm) -> Pair {
        Pair {
            data: Spellings::of(form.data_extensions.clone()),
            sidecar: Spellings::of(vec![form.sidecar_extension.clone()]),
            form: Arc::new(form),
            former: Vec::new(),
        }
    }

    /// The same rule, where parts of recordings have had these extensions too. Such files are no parts, and
    /// that they are there is no proof of absence: they are hidden, as by an exclude.
    #[must_use]
    pub fn formerly(mut self, extensions: Vec<String>) -> Pair {
        let (data, sidecar) = (&self.data, &self.sidecar);
        let is_former = |one: &String| {
            data.number(one.as_bytes()).is_none() && sidecar.number(one.as_bytes()).is_none()
        };
        self.former = extensions.into_iter().filter(is_former).collect();
        self
    }

    /// The form of the root's pairs.
    pub fn form(&self) -> &PairForm {
        &self.form
    }

    /// The stem of a file that was a part of a recording under an earlier form, and is none under this one.
    pub fn former_stem<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        if self.former.is_empty() {
            return None;
        }
        let dot = name.iter().rposition(|byte| *byte == b'.')?;
        let is_it = |one: &String| one.as_bytes().eq_ignore_ascii_case(&name[dot + 1..]);
        self.former.iter().any(is_it).then(|| &name[..dot])
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
    use focus_core::pair::Preset;

    use super::*;

    fn with(extensions: &[&str]) -> Pair {
        let data_extensions = extensions.iter().map(|one| (*one).to_owned()).collect();
        Pair::of(PairForm { data_extensions, ..PairForm::focus().clone() })
    }

    #[test]
    fn parts_of_one_field_are_none_of_another() {
        let parts = |preset: Preset| {
            let pair = Pair::of(PairForm::of(preset));
            let names =
                ["a.dat", "a.json", "a.sigmf-data", "a.SIGMF-META", "a.wav", "a.M4A", "a.sigmf"];
            let taken = names.into_iter().filter(|name| pair.part(name.as_bytes()).is_some());
            taken.collect::<Vec<_>>()
        };
        assert_eq!(parts(Preset::Focus), ["a.dat", "a.json"]);
        assert_eq!(parts(Preset::Sigmf), ["a.sigmf-data", "a.SIGMF-META"]);
        assert_eq!(parts(Preset::TrunkRecorder), ["a.json", "a.wav", "a.M4A"]);
    }

    #[test]
    fn a_former_part_is_one_that_is_none_now() {
        let former = vec!["dat".to_owned(), "json".to_owned(), "raw".to_owned()];
        let pair = with(&["raw"]).formerly(former);
        assert_eq!(pair.former_stem(b"a.b.DAT"), Some(&b"a.b"[..]));
        for other in ["a.raw", "a.json", "a.txt", "dat"] {
            assert_eq!(pair.former_stem(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn names_are_parts_by_their_last_extension() {
        let pair = with(&["dat", "bin"]);
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
        let pair = with(&["dat", "Bin", "sigmf-data"]);
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
