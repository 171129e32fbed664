//! What would be catalogued of a few pairs of a root: a look at storage alone, for `focus config check`.

use std::time::Duration;

use focus_common::clock;
use focus_common::config::{RootSettings, Settings};
use focus_core::pair::{PairForm, UuidFrom};
use focus_core::recording::{Place, Recording};
use focus_core::settle::{Closed, Conclusion, Rules, Sight, judge};
use focus_core::state::Fault;
use focus_storage::look::look;
use focus_storage::{Pair, Root, RootProblem, sample};

/// Pairs that are shown of a root, at most.
const SHOWN_MAX: usize = 5;

/// Names of a root are read for so long, at most.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// What a few pairs of a root are.
#[derive(Clone, Debug)]
pub struct Preview {
    /// What a pair is there.
    pub form: PairForm,
    /// Pairs, in the order of their paths.
    pub pairs: Vec<PreviewedPair>,
}

/// A pair, or one file of it.
#[derive(Clone, Debug)]
pub struct PreviewedPair {
    /// Its path without extension.
    pub place: String,
    /// What is to be said of it.
    pub outcome: Previewed,
}

/// What would become of a pair.
#[derive(Clone, Debug)]
pub enum Previewed {
    /// It would be catalogued like this. The uuid is none where it depends on a marker that is not there yet.
    Catalogued {
        /// The content of its document.
        recording: Box<Recording>,
        /// Its uuid.
        uuid: Option<String>,
    },
    /// It would be unrecognised, for this reason.
    Unrecognised(Fault),
    /// It was being written, or went while it was looked at.
    Changing,
}

/// What would be catalogued of up to five pairs of a root. Nothing is written anywhere, and the marker may be
/// missing.
///
/// # Errors
/// The folder is not there, or cannot be read.
pub fn preview(settings: &Settings, root: &RootSettings) -> Result<Preview, RootProblem> {
    let opened = match Root::open(&root.path) {
        Err(RootProblem::NoMarker { .. }) => Root::open_unmarked(&root.path)?,
        opened => opened?,
    };
    let opened = opened.excluding(settings.exclude_of(root));
    let pair = Pair::of(settings.form_of(root));
    let places = sample::places(&opened, &pair, |_| true, SHOWN_MAX, READ_LIMIT)?;
    let mut pairs = Vec::with_capacity(places.len());
    for place in places {
        let outcome = previewed(&opened, &pair, &place)?;
        pairs.push(PreviewedPair { place: place.display(), outcome });
    }
    pairs.sort_by(|one, other| one.place.cmp(&other.place));
    Ok(Preview { form: pair.form().clone(), pairs })
}

fn previewed(root: &Root, pair: &Pair, place: &Place) -> Result<Previewed, RootProblem> {
    let seen = look(root, pair, place, None)?;
    let rules = Rules { root: root.id(), form: pair.form(), settle_ms: 0 };
    let closed = Closed { data: true, sidecar: true };
    let judged = judge(place, &Sight::default(), &seen, closed, rules, clock::boot_ms());
    Ok(match judged.conclusion {
        Conclusion::Settled(recording) => {
            let is_known = !root.id().is_empty() || pair.form().uuid != UuidFrom::Path;
            let uuid = is_known.then(|| recording.uuid.clone());
            Previewed::Catalogued { recording, uuid }
        }
        Conclusion::Unrecognised(fault) => Previewed::Unrecognised(fault),
        Conclusion::Absent | Conclusion::Unsettled | Conclusion::Same => Previewed::Changing,
    })
}
