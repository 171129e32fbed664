//! What has to be true: of every moment, and of the end.

use std::collections::{BTreeMap, BTreeSet};

use focus_core::document::Stored;
use focus_core::recording::{Place, Recording};

use crate::catalog::{EARLIER, ROOT};
use crate::server::Server;
use crate::storage::{all_places, exclude, sidecar_of};
use crate::world::World;

/// The invariants of every moment.
pub(crate) fn check(world: &World, servers: &[Server]) -> Result<(), String> {
    let holders: Vec<_> = servers
        .iter()
        .filter_map(|server| Some((server, server.believes(world.true_ms, &world.catalog)?)))
        .collect();
    for (one, mine) in &holders {
        for (other, theirs) in &holders {
            // Who held a higher token takes a restored database's lease back at once. The other's writes are
            // of an older token: refused where there is a newer document, and found by the comparison that
            // the new holder begins when the other's time is over.
            if mine.token > theirs.token && one.tokens.1 <= theirs.token {
                return Err(format!(
                    "no_write_without_lease: two hold the lease at once: {} and {}",
                    one.lease_words(world),
                    other.lease_words(world)
                ));
            }
        }
    }
    for (uuid, row) in servers.iter().flat_map(|server| &server.index.rows) {
        if !row.entry.is_sound() {
            return Err(format!("{uuid} stands as no rule leaves it: {:?}", row.entry));
        }
    }
    match &world.catalog.stale_overwrite {
        Some(uuid) => Err(format!("no_stale_overwrite: {uuid} of a newer holder by an older one")),
        None => Ok(()),
    }
}

/// Every good recording is in the catalog as storage has it, and nothing else of ours is live there.
pub(crate) fn agrees(world: &World, servers: &[Server]) -> Result<(), String> {
    let mut claims: BTreeMap<String, Vec<Recording>> = BTreeMap::new();
    let exclude = exclude(world.excludes);
    let is_hidden = |at: &Place| exclude.hides_folder(&at.folder);
    for at in all_places().filter(|at| !is_hidden(at)) {
        let Some(files) = world.storage.places.get(&at) else { continue };
        let (Some(data), Some((_, bytes))) = (files.data, &files.sidecar) else { continue };
        let stem = String::from_utf8_lossy(&at.stem).into_owned();
        let Ok(sidecar) = focus_core::sidecar::parse(bytes, &sidecar_of(&stem)) else {
            continue;
        };
        let recording = Recording {
            uuid: sidecar.uuid.clone(),
            start_ms: sidecar.start_ms,
            end_ms: sidecar.end_ms,
            deleted: sidecar.deleted,
            deleted_at_ms: None,
            recording_id: stem.clone(),
            root: ROOT.to_owned(),
            path: format!("{}/{stem}.dat", String::from_utf8_lossy(&at.folder)),
            size: data.size,
            fingerprint: String::new(),
            metadata: sidecar.metadata,
        };
        claims.entry(sidecar.uuid).or_default().push(recording);
    }
    let corrupt: BTreeSet<String> = all_places()
        .filter(|at| world.storage.places.contains_key(at) && !is_hidden(at))
        .map(|at| {
            let (folder, stem) =
                (String::from_utf8_lossy(&at.folder), String::from_utf8_lossy(&at.stem));
            format!("{folder}/{stem}.dat")
        })
        .filter(|path| !claims.values().flatten().any(|claim| claim.path == *path))
        .collect();
    for (uuid, wanted) in &claims {
        let found = world.catalog.data.documents.get(uuid);
        let is_earlier = |stored: &Stored| stored.root.as_deref() == Some(EARLIER);
        if found.is_some_and(|stored| is_earlier(stored) && !stored.deleted) {
            return Err(format!("no_root_made_anew: {uuid} is of the root's earlier id"));
        }
        // Another root's, and live there: it keeps it.
        if found.is_some_and(|stored| !is_ours(stored) && stored.root.is_some() && !stored.deleted)
        {
            continue;
        }
        let content = found.and_then(|stored| stored.recording.clone()).map(|mut recording| {
            recording.fingerprint = String::new();
            recording
        });
        let Some(content) = content else {
            return Err(format!("no_recording_lost: {uuid} is not in the catalog"));
        };
        // A recording that turned bad keeps its last good document.
        if !wanted.contains(&content) && !corrupt.contains(&content.path) {
            return Err(format!("{uuid} is {content:?} in the catalog, and {wanted:?} on storage"));
        }
    }
    // What lies at its place cannot be read, and may be it.
    let servers = || servers.iter().filter(|server| server.copied.is_none());
    let kept = |uuid: &str| {
        servers().filter_map(|server| server.index.rows.get(uuid)).any(|row| {
            focus_core::entry::absence::is_candidate(&row.entry)
                // A drill's is left alone where nobody looks.
                && (corrupt.contains(&row.recording.path)
                    || row.entry.drilled && is_hidden(&row.place))
        })
    };
    for stored in world.catalog.data.documents.values().filter(|stored| is_ours(stored)) {
        let path = stored.path.clone().unwrap_or_default();
        let drilled = stored.recording.as_ref().is_some_and(Recording::is_drilled);
        if drilled && stored.deleted && !claims.contains_key(&stored.uuid) {
            return Err(format!("no_tombstone_of_a_drill: {} is marked", stored.uuid));
        }
        // An archive keeps its documents, but for those of drills; the last one of its uuid counts.
        let is_left_alone = servers().any(|server| {
            let row = server.index.rows.get(&stored.uuid);
            row.is_some_and(|row| {
                row.entry.absence() == Some(focus_core::entry::Absence::LeftAlone)
            })
        });
        if !stored.deleted
            && (!world.archive || drilled && !is_left_alone)
            && !claims.contains_key(&stored.uuid)
            && !corrupt.contains(&path)
            && !kept(&stored.uuid)
        {
            return Err(format!(
                "{} at {path} is live in the catalog, and not on storage",
                stored.uuid
            ));
        }
    }
    Ok(())
}

fn is_ours(stored: &Stored) -> bool {
    stored.root.as_deref() == Some(ROOT)
}
