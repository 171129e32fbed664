//! `focus init`: marks folders as roots. A folder that has lost its marker gets the id of the root that it is.

use std::path::{Path, PathBuf};

use focus_common::config::{self, Overrides, Settings};
use focus_core::recognise::Recognition;
use focus_engine::{RecogniseError, Recognised, recognise_folder};
use focus_storage::marker::{self, Marker};
use focus_storage::{RootProblem, root};
use serde_json::{Value, json};

use super::output::Output;
use super::{Ending, Stop, runtime};

/// What `--new` means, for people.
const ANEW: &str = "It is a new root. Recordings in it that the catalog has under another root are duplicate_id until they are deleted there";

/// The arguments of `focus init`.
#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// Make a new root, whatever is known of the folder, also in the place of a marker that is there.
    /// Recordings in it that the catalog has under another root are duplicate_id until they are deleted there
    #[arg(long)]
    new: bool,
}

pub(super) fn init(
    settings: &Settings,
    overrides: &Overrides,
    args: &InitArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    if settings.roots.is_empty() {
        return Err(Stop::error(Ending::Refused, "which folder? Give --root DIR"));
    }
    let beside = roots_beside(settings, overrides);
    let mut marked = Vec::new();
    for root in &settings.roots {
        let told = if args.new {
            anew(&root.path)?
        } else if root::seen(&root.path).marker.is_some() {
            Told::of(&root.path, marker::init(&root.path, None).map_err(stopped)?)
        } else {
            recognised(settings, &root.path, &beside)?
        };
        out.line(&told.line());
        marked.push(told.value());
    }
    out.value(&json!({ "roots": marked }));
    Ok(Ending::InOrder)
}

/// The paths at which roots may be present: those that are asked about, and those that are configured.
fn roots_beside(settings: &Settings, overrides: &Overrides) -> Vec<PathBuf> {
    // `--root` says here which folders are marked, and not which roots there are.
    let standing = config::load(&overrides.clone().without_flags_of("roots"));
    let standing = standing.map(|standing| standing.roots).unwrap_or_default();
    settings.roots.iter().chain(&standing).map(|root| root.path.clone()).collect()
}

/// What became known of one folder.
struct Told {
    path: String,
    marker: Marker,
    recognised: bool,
    /// Recordings that were looked up, and how many of them are known under the root that it is.
    looked_at: usize,
    known: usize,
    /// What else there is to say.
    remark: Option<String>,
}

impl Told {
    fn of(path: &Path, marker: Marker) -> Told {
        let path = path.display().to_string();
        Told { path, marker, recognised: false, looked_at: 0, known: 0, remark: None }
    }

    fn line(&self) -> String {
        let (path, id) = (&self.path, &self.marker.id);
        let told = if self.recognised {
            let (known, of) = (self.known, self.looked_at);
            format!("{path} is root {id} again: {known} of {of} recordings are known under it")
        } else if self.marker.created {
            format!("{path} is marked as root {id}")
        } else {
            format!("{path} was marked before, as root {id}")
        };
        match &self.remark {
            Some(remark) => format!("{told}. {remark}"),
            None => told,
        }
    }

    fn value(&self) -> Value {
        json!({
            "path": self.path,
            "id": self.marker.id,
            "created": self.marker.created,
            "recognised": self.recognised,
            "looked_at": self.looked_at,
            "known": self.known,
            "remark": self.remark,
        })
    }
}

/// Makes a new root, whatever was there.
fn anew(path: &Path) -> anyhow::Result<Told> {
    let was_marked = root::seen(path).marker;
    let mut told = Told::of(path, marker::renew(path).map_err(stopped)?);
    told.remark = Some(match was_marked {
        Some(id) => format!("{ANEW}. It was root {id}: restart a server that serves it"),
        None => ANEW.to_owned(),
    });
    Ok(told)
}

/// Marks a folder that has no marker, as the root that it is.
fn recognised(settings: &Settings, path: &Path, beside: &[PathBuf]) -> anyhow::Result<Told> {
    let found = recognise_folder(runtime()?.handle(), settings, path, beside);
    let Recognised { looked_at, recognition } = found.map_err(|error| match error {
        RecogniseError::Root(problem) => stopped(problem),
        RecogniseError::CannotAsk { .. } => Stop::error(Ending::CouldNotTell, error.to_string()),
        RecogniseError::Refused(_) => Stop::error(Ending::Refused, error.to_string()),
    })?;
    let shown = path.display();
    let (id, known, remark) = match recognition {
        Recognition::Again(root) => (Some(root.root), root.known, None),
        Recognition::New { taken: 0 } => (None, 0, None),
        Recognition::New { taken } => (
            None,
            0,
            Some(format!("{taken} of {looked_at} recordings are those of another root. {ANEW}")),
        ),
        Recognition::Copy { of, at } => {
            return Err(Stop::error(
                Ending::Refused,
                format!(
                    "{shown} is a copy of the root {at}: {} of {looked_at} recordings are those of root {}, which is there. If {shown} is to take its place, move the marker: mv {at}/{MARKER} {shown}/. If both are to stay, `focus init --root {shown} --new` makes a new root: recordings that the catalog has under the other one are then duplicate_id",
                    of.known,
                    of.root,
                    MARKER = marker::MARKER,
                ),
            ));
        }
    };
    let marked = marker::init(path, id.as_deref()).map_err(stopped)?;
    let recognised = id.as_ref() == Some(&marked.id);
    Ok(Told { recognised, looked_at, known, remark, ..Told::of(path, marked) })
}

fn stopped(problem: RootProblem) -> anyhow::Error {
    let ending = match problem {
        RootProblem::Absent { .. } | RootProblem::Unreadable { .. } => Ending::CouldNotTell,
        _ => Ending::Refused,
    };
    Stop::error(ending, problem.to_string())
}
