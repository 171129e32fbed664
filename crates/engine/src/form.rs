//! The form of a root's pairs, as the settings have it now, beside the one by which the index was made.

use focus_common::config::Settings;
use focus_core::pair::PairForm;
use focus_index::{Index, IndexError, KnownForm, RootId};
use focus_storage::Pair;

use crate::served_root::ServedRoot;

/// The pairs of a root from now on. Where the index was made by another form, all that it has of the root is
/// read again. That goes on after a crash: the form is stored last.
///
/// # Errors
/// The index cannot be read or written.
pub(crate) fn pairs(
    served: &ServedRoot,
    settings: &Settings,
    index: &Index,
    id: RootId,
) -> Result<Pair, IndexError> {
    let form = settings.form_of(&served.settings);
    let known = index.reader().form(id)?;
    let now = KnownForm {
        meaning: Some(form.meaning()),
        extensions: with_those_of(&form, &known.extensions),
    };
    let means_the_same = match &known.meaning {
        Some(meaning) => *meaning == form.meaning(),
        None => form.means_as_focus(),
    };
    if !means_the_same {
        let mut after = 0;
        while let Some(last) = index.read_again_blocking(id, after)? {
            if after == 0 {
                tracing::info!(
                    "{}: its settings say otherwise what a pair is, so all sidecars are read again",
                    served.path()
                );
            }
            after = last;
        }
    }
    if now != known {
        index.set_form_blocking(id, now)?;
    }
    Ok(Pair::of(form).formerly(known.extensions))
}

/// These extensions and those of the form.
fn with_those_of(form: &PairForm, known: &[String]) -> Vec<String> {
    let mut all = known.to_vec();
    for extension in form.extensions() {
        if !all.contains(extension) {
            all.push(extension.clone());
        }
    }
    all
}
