//! What has to be true of a server's writes and deletions, at the moment it makes them.

use focus_core::batch::Call;
use focus_core::entry::EntryId;
use focus_core::reconcile::Job;
use focus_core::vanish::Counts;

use super::Server;
use crate::storage::sidecar_of;
use crate::world::World;

impl Server {
    /// No write starts without the lease, whatever the core believes, and none before the index keeps that a
    /// comparison is owed. A token that was another's before is stored after that.
    pub(super) fn check_write(&self, job: &Job, world: &World) -> Result<(), String> {
        if let (Job::Token(token), Some(grant)) = (job, self.lease.grant())
            && grant.token == *token
            && !grant.continuous
            && !self.index.memory.owed
        {
            return Err(format!(
                "new_holder_compares: {} takes {token}, and owes nothing",
                self.name
            ));
        }
        if !job.writes_catalog() {
            return Ok(());
        }
        if let Job::Mark { watermark } = job
            && self.index.memory.noted.as_ref() != Some(watermark)
        {
            return Err(format!("watermark_noted_first: {watermark} is not noted in the index"));
        }
        if self.core.owed() && !self.index.memory.owed {
            return Err(format!(
                "owed_comparison_stored_first: {} writes, and a crash would forget what it owes",
                self.name
            ));
        }
        let now_ms = self.now_ms(world.true_ms);
        match self.lease.grant() {
            Some(grant) if grant.epoch == self.epoch && now_ms < grant.until_ms => Ok(()),
            other => Err(format!(
                "no_write_without_lease: {} writes at {now_ms} in epoch {} with {other:?}",
                self.name, self.epoch
            )),
        }
    }

    /// Documents are of no recording whose batch the index has still to acknowledge.
    pub(super) fn check_apart(&self, job: &Job) -> Result<(), String> {
        let (Job::Call(call), Some(beside)) = (job, &self.beside) else { return Ok(()) };
        let Job::Acknowledge { outcomes, .. } = &beside.job else { return Ok(()) };
        let written = uuids(call);
        let ids = outcomes.iter().map(|outcome| outcome.id);
        self.share_nothing(&written, ids)
    }

    /// What is about to be sent next is in none of the documents that are being written.
    pub(super) fn check_beside(&self, job: &Job) -> Result<(), String> {
        let (Job::Note { ids, .. }, Some(flight)) = (job, &self.flight) else { return Ok(()) };
        let Job::Call(call) = &flight.job else { return Ok(()) };
        self.share_nothing(&uuids(call), ids.iter().copied())
    }

    fn share_nothing(
        &self,
        written: &[&String],
        mut ids: impl Iterator<Item = EntryId>,
    ) -> Result<(), String> {
        let row = |id: EntryId| self.index.by_id(id);
        let shared =
            ids.find_map(|id| row(id).filter(|row| written.contains(&&row.recording.uuid)));
        match shared {
            None => Ok(()),
            Some(row) => Err(format!("batches_share_nothing: {} is in two", row.recording.uuid)),
        }
    }

    /// What was marked, or leaves, may be: it is gone from where it was seen, and not too much of it.
    pub(super) fn check_deleted(
        &self,
        deleted: &[String],
        before: Counts,
        world: &World,
    ) -> Result<(), String> {
        // What a drill planted goes without being counted.
        let marked: Vec<&String> =
            deleted.iter().filter(|uuid| self.index.rows[*uuid].entry.is_marked()).collect();
        let allowed = focus_core::vanish::limit(before, crate::index::MAX);
        let in_an_hour = before.marked + marked.len() as u64;
        if !marked.is_empty() && in_an_hour > allowed {
            return Err(format!(
                "no_deletion_without_proof: {in_an_hour} marked in an hour, of {allowed} allowed"
            ));
        }
        if let Some(uuid) = marked.first().filter(|_| world.archive) {
            return Err(format!("an_archive_keeps_its_documents: {uuid} is marked"));
        }
        for uuid in deleted {
            let place = &self.index.rows[uuid].place;
            let named = world.storage.places.get(place).and_then(|files| {
                let (_, bytes) = files.sidecar.as_ref()?;
                focus_core::sidecar::uuid(bytes, &sidecar_of(""))
            });
            if named.as_ref() == Some(uuid) {
                return Err(format!("no_deletion_without_proof: the files of {uuid} are there"));
            }
            let mount = world.storage.mount(&place.folder);
            let row = &self.index.rows[uuid];
            let is_marked = row.entry.is_marked();
            if self.index.is_elsewhere(row, &mount)
                || is_marked && row.seen_at.as_ref().is_some_and(|point| *point != mount.point)
            {
                return Err(format!(
                    "no_deletion_without_proof: {uuid} was looked for on another mount"
                ));
            }
        }
        Ok(())
    }
}

/// Whose documents a call is about.
fn uuids(call: &Call) -> Vec<&String> {
    match call {
        Call::Insert(batch) | Call::Upsert(batch) | Call::Remove(batch) => {
            batch.iter().map(|one| &one.recording.uuid).collect()
        }
        Call::Read(uuids) => uuids.iter().collect(),
        Call::Adopt(one) | Call::TakeOver(one, _) => vec![&one.recording.uuid],
        Call::Prefer { uuid, .. } => vec![uuid],
    }
}
