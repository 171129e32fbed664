//! The beginning of an ingest: which root is meant, and whether it takes a recording at this path now.

use std::sync::Arc;

use focus_common::status::RootState;
use focus_core::ingest;
use focus_storage::landing::Landing;
use focus_storage::{Pair, Root};

use super::error::IngestError;
use super::taking::{Bounds, Ingest};
use crate::engine::Engine;
use crate::served_root::ServedRoot;

impl Engine {
    /// Begins to take a recording: at this path, without extension, in the root that is named by its id or its path, or
    /// in the only one that takes any. `bytes` are those that are to come at least, where that is known. It blocks.
    ///
    /// # Errors
    /// It could not be taken, whatever its content is.
    pub fn begin_ingest(
        &self,
        root: Option<&str>,
        path: &str,
        bytes: Option<u64>,
    ) -> Result<Ingest, IngestError> {
        let served = Arc::clone(self.ingest_root(root)?);
        let settings = &self.settings;
        let bounds = Bounds {
            data_bytes_max: settings.ingest_max_bytes,
            keep_free_percent: settings.ingest_keep_free_percent,
        };
        let root = self.open_for_ingest(&served)?;
        let pair = Pair::of(settings.form_of(&served.settings));
        let extensions = (pair.data()[0].as_str(), pair.sidecar()[0].as_str());
        let target = ingest::target(path, extensions, root.exclude()).map_err(IngestError::Path)?;
        let failed = |error| IngestError::of(error, bounds.keep_free_percent);
        let landing = Landing::open(&root, target).map_err(failed)?;
        let ingest = Ingest {
            served,
            claims: Arc::clone(&self.claims),
            reader: self.reader.clone(),
            root,
            pair,
            landing,
            bounds,
            sidecar: None,
            data: None,
            size: 0,
        };
        ingest.has_room(bytes.unwrap_or(0))?;
        Ok(ingest)
    }

    /// The root that a request means.
    fn ingest_root(&self, named: Option<&str>) -> Result<&Arc<ServedRoot>, IngestError> {
        let takes = |root: &&Arc<ServedRoot>| self.settings.takes_ingest(&root.settings);
        let Some(name) = named else {
            let mut taking = self.roots.iter().filter(takes);
            let first = taking.next();
            let first =
                first.ok_or_else(|| IngestError::Off("no root takes recordings".to_owned()))?;
            return if taking.next().is_some() { Err(IngestError::WhichRoot) } else { Ok(first) };
        };
        let is_meant = |root: &&Arc<ServedRoot>| {
            root.path() == name
                || root.memory.borrow().as_ref().is_some_and(|(marker, _)| marker == name)
        };
        let root = self.roots.iter().find(is_meant).ok_or(IngestError::UnknownRoot)?;
        if takes(&root) {
            return Ok(root);
        }
        Err(IngestError::Off("this root takes no recordings".to_owned()))
    }

    /// Opens a root whose storage is there, is the one that is served, and has no deletions that are held.
    fn open_for_ingest(&self, served: &ServedRoot) -> Result<Root, IngestError> {
        let away = |words: String| IngestError::Away(words);
        let (state, reason) = {
            let status = served.status.lock();
            (status.state, status.reason.clone())
        };
        let known = served.memory.borrow().clone();
        let (RootState::Present, Some((marker, memory))) = (state, known) else {
            let path = served.path();
            return Err(away(
                reason.unwrap_or_else(|| format!("the root {path} is not there yet")),
            ));
        };
        let root =
            Root::open(&served.settings.path).map_err(|problem| away(problem.to_string()))?;
        if root.id() != marker {
            let path = served.path();
            return Err(away(format!("the root {path} was replaced: its marker is another")));
        }
        let held = self.reader.root_totals(memory.id)?.held;
        if held > 0 {
            return Err(IngestError::Held(held));
        }
        Ok(root.excluding(self.settings.exclude_of(&served.settings)))
    }
}
