//! `focus backup`: a copy of the embedded catalog, also while a server runs.

use std::path::PathBuf;

use focus_catalog::embedded::backup::{self, BackupError};
use focus_common::config::Settings;
use focus_engine::CATALOG_FILE;
use serde_json::json;

use super::output::Output;
use super::{Ending, Stop};

#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// The copy. Nothing may be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn backup(
    settings: &Settings,
    args: &BackupArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    if settings.mongodb_uri.is_some() {
        return Err(Stop::error(
            Ending::Refused,
            "the catalog is in MongoDB: back it up with mongodump, or with what its operator uses. The index needs no backup: it is made anew from storage",
        ));
    }
    let catalog = settings.state_dir.join(CATALOG_FILE);
    let copied = backup::copy(&catalog, &args.file).map_err(|error| {
        let ending = match error {
            BackupError::Source { .. } => Ending::CouldNotTell,
            BackupError::Exists { .. } | BackupError::Target { .. } => Ending::Refused,
        };
        Stop::error(ending, error.to_string())
    })?;
    let file = args.file.display().to_string();
    out.line(&format!("{file}: {} recordings, {} bytes", copied.recordings, copied.bytes));
    out.value(&json!({ "file": file, "recordings": copied.recordings, "bytes": copied.bytes }));
    Ok(Ending::InOrder)
}
