//! What happened in a schedule, and what it changed: kept for a replay alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use focus_core::mount::Mount;

use crate::index::Row;
use crate::server::Server;
use crate::world::World;

/// The lines of a replay.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Whether lines are kept.
    pub(crate) on: bool,
    pub(crate) lines: Vec<String>,
    pub(crate) states: BTreeMap<String, String>,
}

impl Log {
    /// Adds a line, and one for each recording and document that is not as it was at the last one.
    pub(crate) fn step(
        &mut self,
        world: &World,
        servers: &[Server],
        line: impl FnOnce() -> String,
    ) {
        if !self.on {
            return;
        }
        self.lines.push(format!("{:>8} ms  {}", world.true_ms, line()));
        let mut states = BTreeMap::new();
        for server in servers {
            for (uuid, row) in &server.index.rows {
                states.insert(format!("{}'s index, {uuid}", server.name), row_words(server, row));
            }
        }
        for (uuid, stored) in &world.catalog.data.documents {
            let content = stored.recording.as_ref().map_or_else(String::new, |recording| {
                let (path, size, from) = (&recording.path, recording.size, recording.start_ms);
                format!("{path}, {size} bytes from {from}")
            });
            let (version, deleted) = (stored.version.unwrap_or(0), stored.deleted);
            let (token, generation) = (version >> 32, version & 0xffff_ffff);
            let words = format!("{content}; version {token}/{generation}, deleted {deleted}");
            states.insert(format!("the catalog, {uuid}"), words);
        }
        for (what, words) in &states {
            if self.states.get(what) != Some(words) {
                self.lines.push(format!("             {what}: {words}"));
            }
        }
        for what in self.states.keys().filter(|what| !states.contains_key(*what)) {
            self.lines.push(format!("             {what}: none"));
        }
        self.states = states;
    }
}

fn row_words(server: &Server, row: &Row) -> String {
    let shown = |mount: Arc<Mount>| {
        format!("{}@{}", mount.file_system, String::from_utf8_lossy(&mount.point))
    };
    format!(
        "row {} at {}, {} bytes from {}, seen on {}; {:?}",
        row.id.0,
        row.recording.path,
        row.recording.size,
        row.recording.start_ms,
        server.index.seen_on(row).map_or_else(|| "nothing".to_owned(), shown),
        row.entry,
    )
}
