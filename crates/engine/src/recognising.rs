//! Which root a folder is that has no marker: a sample of its recordings is looked up in the index and in the
//! catalog. Nothing is written to either.

use std::path::{Path, PathBuf};
use std::time::Duration;

use focus_catalog::embedded::EmbeddedCatalog;
use focus_catalog::mongo::MongoCatalog;
use focus_catalog::{Catalog, Reach, RootPlace, Stored};
use focus_common::config::Settings;
use focus_common::machine;
use focus_core::answer::Failure;
use focus_core::entry::observed::place_of;
use focus_core::pair::{PairForm, UuidFrom, path_uuid};
use focus_core::recognise::{Familiar, Known, Recognition, Sampled, familiar, recognise};
use focus_index::Reader;
use focus_storage::sample::sample;
use focus_storage::{Pair, Root, RootProblem, root};
use tokio::runtime::Handle;

use crate::engine::{CATALOG_FILE, INDEX_FILE, mongo_settings};

/// How long a database may take to be reached.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why nobody can say which root a folder is.
#[derive(Debug, thiserror::Error)]
pub enum RecogniseError {
    /// The folder is not there, or cannot be read.
    #[error(transparent)]
    Root(#[from] RootProblem),
    /// The catalog cannot be asked.
    #[error("{folder} has recordings and no marker, and the catalog cannot be asked which root it is: {why}. Run the command again when it is there. `--new` makes a new root without asking: recordings that the catalog has under another root are then duplicate_id", folder = folder.display())]
    CannotAsk {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        why: String,
    },
    /// The connection string cannot be used.
    #[error(transparent)]
    Refused(Failure),
}

/// What a folder without a marker was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// Recordings that were looked up.
    pub looked_at: usize,
    /// Which root it is.
    pub recognition: Recognition,
}

/// Which root the folder is. `beside` are the paths at which roots may be present.
///
/// The index is asked first. The catalog is asked where the index alone does not know the folder. The call
/// blocks for as long as storage and catalog do.
///
/// # Errors
/// The folder cannot be read, or the catalog cannot be asked.
pub fn recognise_folder(
    runtime: &Handle,
    settings: &Settings,
    folder: &Path,
    beside: &[PathBuf],
) -> Result<Recognised, RecogniseError> {
    let root = settings.roots.iter().find(|root| root.path == folder);
    let pair =
        Pair::of(root.map_or_else(|| PairForm::focus().clone(), |root| settings.form_of(root)));
    let exclude = root.map(|root| settings.exclude_of(root)).unwrap_or_default();
    let sample = sample(&Root::open_unmarked(folder)?.excluding(exclude), &pair)?;
    let uuids: Vec<String> = sample.iter().map(|one| one.uuid.clone()).collect();
    if sample.is_empty() {
        return Ok(Recognised { looked_at: 0, recognition: Recognition::New { taken: 0 } });
    }
    let file = settings.state_dir.join(INDEX_FILE);
    let index = file.is_file().then(|| Reader::new(&file));
    // An index that cannot be read knows nothing: the server makes it anew.
    if pair.form().uuid == UuidFrom::Path {
        return Ok(among_indexed(&sample, index.as_ref(), beside));
    }
    let mut known = index.as_ref().and_then(|index| index.known(&uuids).ok()).unwrap_or_default();
    let mut found = judged(&sample, &known, index.as_ref(), beside);
    if let Recognition::New { .. } = found.recognition {
        let cannot = |why: String| RecogniseError::CannotAsk { folder: folder.to_owned(), why };
        let mut beside = beside.to_vec();
        known.extend(match mongo_settings(settings) {
            Some(wanted) => {
                // Starting needs the runtime too.
                let asked = runtime.block_on(async {
                    let catalog = MongoCatalog::start(wanted).map_err(RecogniseError::Refused)?;
                    Ok::<_, RecogniseError>(in_mongodb(&catalog, &sample, &uuids).await)
                });
                let (known, held_at) = asked?.map_err(cannot)?;
                beside.extend(held_at);
                known
            }
            None => embedded(settings, index.as_ref(), &uuids).map_err(cannot)?,
        });
        found = judged(&sample, &known, index.as_ref(), &beside);
    }
    Ok(found)
}

/// As [`recognise_folder`], where uuids follow from the root's id and the path: the folder is looked for among the
/// roots that the index knows, for nobody else tells their ids.
fn among_indexed(sample: &[Sampled], index: Option<&Reader>, beside: &[PathBuf]) -> Recognised {
    let markers = index.and_then(|index| index.markers().ok()).unwrap_or_default();
    for marker in markers {
        let under = |one: &Sampled| {
            let place = place_of(&one.path)?;
            let uuid = path_uuid(&marker, &place.folder, &place.stem);
            Some(Sampled { uuid, path: one.path.clone() })
        };
        let sample: Vec<Sampled> = sample.iter().filter_map(under).collect();
        let uuids: Vec<String> = sample.iter().map(|one| one.uuid.clone()).collect();
        let known = index.and_then(|index| index.known(&uuids).ok()).unwrap_or_default();
        let found = judged(&sample, &known, index, beside);
        if !matches!(found.recognition, Recognition::New { .. }) {
            return found;
        }
    }
    Recognised { looked_at: sample.len(), recognition: Recognition::New { taken: 0 } }
}

/// Has the core judge what is known, and looks where the roots in question are present.
fn judged(
    sample: &[Sampled],
    known: &[Known],
    index: Option<&Reader>,
    beside: &[PathBuf],
) -> Recognised {
    let present_at = |id: &str| {
        let indexed = index.and_then(|index| index.root_with_marker(id).ok().flatten());
        let paths = beside.iter().cloned().chain(indexed.map(|(_, path)| PathBuf::from(path)));
        let is_there = |path: &PathBuf| root::seen(path).marker.as_deref() == Some(id);
        paths.into_iter().find(is_there).map(|path| path.display().to_string())
    };
    let recognition = recognise(sample, known, &present_at);
    Recognised { looked_at: sample.len(), recognition }
}

/// Asks the embedded catalog. One that was never made knows nothing; one that was made and is away cannot be
/// asked.
fn embedded(
    settings: &Settings,
    index: Option<&Reader>,
    uuids: &[String],
) -> Result<Vec<Known>, String> {
    let path = settings.state_dir.join(CATALOG_FILE);
    let was_made = index.is_some_and(|index| index.knows_a_catalog().unwrap_or(true));
    // A state folder that may not be looked into is not one that knows nothing.
    let is_there = path.try_exists().map_err(|error| format!("{}: {error}", path.display()))?;
    if !is_there && !was_made {
        return Ok(Vec::new());
    }
    EmbeddedCatalog::known(&path, uuids).map(of_documents).map_err(|failure| failure.to_string())
}

/// Asks the database: what it knows, and the paths on this machine at which servers have the roots in
/// question.
async fn in_mongodb(
    catalog: &MongoCatalog,
    sample: &[Sampled],
    uuids: &[String],
) -> Result<(Vec<Known>, Vec<PathBuf>), String> {
    let (mut reach, address) = (catalog.reach(), catalog.address());
    let met = |reach: &Reach| matches!(reach, Reach::Up { .. } | Reach::Down { refused: true, .. });
    // An answer or the end of the wait: either way the present state says what it is.
    let _ = tokio::time::timeout(PATIENCE, reach.wait_for(met)).await;
    let now = reach.borrow().clone();
    match now {
        Reach::Up { .. } => {
            let known = catalog.known(uuids).await;
            let known = known.map_err(|failure| format!("{address}: {failure}"))?;
            let known = of_documents(known);
            let held_at = held_at(catalog, sample, &known).await;
            Ok((known, held_at))
        }
        Reach::Down { why, .. } => Err(format!("{address}: {why}")),
        Reach::Connecting => Err(format!("{address} does not answer")),
    }
}

/// The paths on this machine at which servers have the roots that the sample may be of. Where a lease does
/// not tell, the root is at the paths that are known otherwise.
async fn held_at(catalog: &MongoCatalog, sample: &[Sampled], known: &[Known]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for Familiar { root, .. } in familiar(sample, known) {
        let place = RootPlace { id: root, path: String::new() };
        let lease = catalog.lease(&place).await.ok().flatten();
        let at = lease.and_then(|lease| lease.at).filter(|at| at.host == machine::host());
        paths.extend(at.map(|at| PathBuf::from(at.path)));
    }
    paths
}

/// What documents say. One without our fields is of no root.
fn of_documents(documents: Vec<Stored>) -> Vec<Known> {
    let known = documents.into_iter().filter_map(|stored| {
        let (root, path) = (stored.root?, stored.path.unwrap_or_default());
        Some(Known { uuid: stored.uuid, root, path, deleted: stored.deleted })
    });
    known.collect()
}
