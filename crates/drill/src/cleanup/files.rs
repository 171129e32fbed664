//! Removes the files that a drill planted. Only files that the plan names are removed, and only on the root
//! that was planted on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::plan::Plan;

/// Removes every planted file, and then the folder. What is gone already is no error.
///
/// # Errors
/// The root is not the one that was planted on, a file cannot be removed, or the folder holds other files.
pub(super) fn remove(plan: &Plan) -> anyhow::Result<()> {
    let marker = focus_storage::marker::read(&plan.root)?;
    anyhow::ensure!(
        marker == plan.root_id,
        "{} is not the root that was planted on: its marker is {marker}, not {}",
        plan.root.display(),
        plan.root_id
    );
    let folder = plan.root.join(&plan.folder);
    // A folder that was swapped for a link would lead elsewhere.
    match std::fs::symlink_metadata(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => anyhow::bail!("{} is no folder any more: remove it by hand", folder.display()),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    }
    for recording in &plan.planted {
        // The sidecar first: without it no half of a recording is ever catalogued.
        for path in [&recording.sidecar, &recording.path] {
            gone(std::fs::remove_file(plan.root.join(path)), &plan.root.join(path))?;
        }
    }
    match std::fs::remove_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            anyhow::bail!(
                "{} holds files that the drill did not plan: {}. Remove them by hand",
                folder.display(),
                left(&folder).join(", ")
            )
        }
        ended => gone(ended, &folder),
    }
}

/// The names of the first five entries of a folder.
fn left(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.take(5).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn gone(ended: std::io::Result<()>, path: &Path) -> anyhow::Result<()> {
    match ended {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// What a drill left on storage: its folder, where that is still there.
pub fn leftovers(plan: &Plan) -> Vec<PathBuf> {
    let folder = plan.root.join(&plan.folder);
    if std::fs::symlink_metadata(&folder).is_ok() { vec![folder] } else { Vec::new() }
}
