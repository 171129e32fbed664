//! Takes a recording that is handed over, puts it in place, and has the observer look at it at once.
//!
//! The sidecar comes first, so that most mistakes are told before the data is sent. Both files are parts until all of
//! the request has been checked; then they are put in place, the data first. What a crash leaves is a part, which the
//! next start sweeps away, or data without a sidecar, which a repeat completes.

use std::sync::Arc;

use focus_core::ingest::{self, Conflict, Order, Owner, Target, There};
use focus_core::pair::EndFrom;
use focus_core::settle::fingerprint;
use focus_core::sidecar::{self, Of};
use focus_crash::{Point, Step, here};
use focus_index::Reader;
use focus_storage::landing::{Landing, LandingError};
use focus_storage::{Pair, Root};
use tokio::runtime::Handle;

use super::claims::Claims;
use super::error::IngestError;
use super::landed::{Landed, is_at};
use super::parts::LivePart;
use crate::served_root::ServedRoot;

/// The free space is looked at each time that so many bytes have come.
const ROOM_LOOK_EVERY: u64 = 16 << 20;

/// A recording that is being handed over. What was written of it is removed where this is dropped.
#[derive(Debug)]
pub struct Ingest {
    pub(super) served: Arc<ServedRoot>,
    pub(super) claims: Arc<Claims>,
    pub(super) reader: Reader,
    pub(super) root: Root,
    pub(super) pair: Pair,
    pub(super) landing: Landing,
    pub(super) bounds: Bounds,
    pub(super) sidecar: Option<Sidecar>,
    pub(super) data: Option<LivePart>,
    /// Bytes of the data that have come.
    pub(super) size: u64,
}

/// The settings that bound what is handed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) data_bytes_max: u64,
    pub(super) keep_free_percent: u64,
}

/// The sidecar that was handed over.
#[derive(Debug)]
pub(super) struct Sidecar {
    bytes: Vec<u8>,
    uuid: String,
    part: LivePart,
}

impl Ingest {
    /// The data file may have so many bytes.
    pub fn data_bytes_max(&self) -> u64 {
        self.bounds.data_bytes_max
    }

    /// Takes the sidecar, and tells what stands against it already. It blocks.
    ///
    /// # Errors
    /// It cannot be catalogued, or something is at its path, or has its uuid.
    pub(super) fn sidecar(&mut self, bytes: Vec<u8>) -> Result<(), IngestError> {
        let uuid = self.named(&bytes)?;
        let there = self.landing.there(&self.pair, None, &bytes);
        let there = there.map_err(|error| self.failed(error))?;
        self.decide(there, &uuid)?;
        let mut part = self.make_part()?;
        let written = part.part().and_then(|part| {
            part.add(&bytes)?;
            part.begin_sync();
            Ok(())
        });
        written.map_err(|error| self.failed(error))?;
        here(Point::At(Step::IngestSidecarPart));
        self.sidecar = Some(Sidecar { bytes, uuid, part });
        self.data = Some(self.make_part()?);
        Ok(())
    }

    /// The uuid of a sidecar that can be catalogued, as far as it can be told before the data has come.
    fn named(&self, bytes: &[u8]) -> Result<String, IngestError> {
        if self.pair.form().end_time == EndFrom::Sigmf {
            let id = self.landing.target().recording_id();
            if let Some(uuid) = sidecar::uuid(bytes, &self.sidecar_of(&id, 0)) {
                return Ok(uuid);
            }
        }
        Ok(self.understood(bytes, 0)?.uuid)
    }

    /// What a sidecar says beside so many bytes of data.
    fn understood(
        &self,
        bytes: &[u8],
        data_size: i64,
    ) -> Result<focus_core::sidecar::Sidecar, IngestError> {
        let id = self.landing.target().recording_id();
        sidecar::parse(bytes, &self.sidecar_of(&id, data_size)).map_err(IngestError::Sidecar)
    }

    fn sidecar_of<'a>(&'a self, recording_id: &'a str, data_size: i64) -> Of<'a> {
        let folder = &self.landing.target().place.folder;
        Of { root: self.root.id(), folder, recording_id, data_size, form: self.pair.form() }
    }

    /// Adds to the data. It blocks.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        let before = self.size;
        self.size += bytes.len() as u64;
        if self.size > self.bounds.data_bytes_max {
            return Err(IngestError::TooLarge(self.bounds.data_bytes_max));
        }
        if before / ROOM_LOOK_EVERY != self.size / ROOM_LOOK_EVERY {
            self.has_room(0)?;
        }
        let keep = self.bounds.keep_free_percent;
        let data = self.data.as_mut().ok_or(IngestError::Ended)?;
        let added = data.part().and_then(|part| part.add(bytes));
        added.map_err(|error| IngestError::of(error, keep))
    }

    /// All of the data has come: syncs both parts. It blocks.
    pub(super) fn end(&mut self) -> Result<(), IngestError> {
        let keep = self.bounds.keep_free_percent;
        let data = self.data.as_mut().ok_or(IngestError::Ended)?;
        let sidecar = self.sidecar.as_mut().ok_or(IngestError::Ended)?;
        // The sidecar is on its way since before the data came: the same work of the disk mostly serves both.
        for part in [data, &mut sidecar.part] {
            let synced = part.part().and_then(|part| part.sync());
            synced.map_err(|error| IngestError::of(error, keep))?;
        }
        Ok(())
    }

    /// Puts both files in place, and has them looked at. It blocks, outside of the runtime's own threads.
    ///
    /// # Errors
    /// Something is at the path, or has the uuid; or storage or the root fails. What is not in place then is removed.
    pub(super) fn land(mut self, runtime: &Handle) -> Result<Landed, IngestError> {
        let uuid = self.sidecar.as_ref().ok_or(IngestError::Ended)?.uuid.clone();
        here(Point::At(Step::IngestParts));
        let path = format!("{} {}", self.root.id(), self.landing.target().path());
        let claim = runtime.block_on(self.claims.take(path, &uuid)).ok_or(IngestError::Busy)?;
        let observed = self.served.observed.subscribe();
        let (fingerprint, is_new) = self.put(&uuid)?;
        let root = self.root.id().to_owned();
        let (served, reader) = (Arc::clone(&self.served), self.reader.clone());
        let place = self.landing.target().place.clone();
        Ok(Landed { served, reader, uuid, root, place, fingerprint, is_new, observed, claim })
    }

    /// Puts in place what is not there. Returns the fingerprint of the recording, and whether anything was put. It
    /// blocks.
    fn put(&mut self, uuid: &str) -> Result<(String, bool), IngestError> {
        self.is_still_there()?;
        let Sidecar { bytes, mut part, .. } = self.sidecar.take().ok_or(IngestError::Ended)?;
        let mut data = self.data.take().ok_or(IngestError::Ended)?;
        let keep = self.bounds.keep_free_percent;
        let failed = |error| IngestError::of(error, keep);
        self.understood(&bytes, i64::try_from(self.size).unwrap_or(i64::MAX))?;
        let there = self.landing.there(&self.pair, Some(data.part().map_err(failed)?), &bytes);
        let order = self.decide(there.map_err(failed)?, uuid)?;
        let served = Arc::clone(&self.served);
        let held = served.inbox.hold(self.landing.target().place.clone());
        if let Order::Put { data: puts_data, sidecar } = order {
            self.landing.make_folders().map_err(failed)?;
            if puts_data {
                self.landing.put_data(data.part().map_err(failed)?).map_err(failed)?;
                here(Point::At(Step::IngestData));
            }
            if sidecar {
                let put = part.part().and_then(|part| self.landing.put_sidecar(part));
                if let Err(error) = put {
                    if puts_data && let Ok(data) = data.part() {
                        self.landing.take_back(data);
                    }
                    return Err(failed(error));
                }
                here(Point::At(Step::IngestSidecar));
            }
        }
        self.sync(order).map_err(failed)?;
        here(Point::At(Step::IngestSynced));
        self.is_still_there()?;
        let stat = self.landing.data_stat().map_err(failed)?;
        held.whole();
        Ok((fingerprint(&bytes, stat), order != Order::Repeat))
    }

    /// Has everything on the disk that is to be there over a loss of power. Parts are synced already; what was there may be
    /// of a server that was killed before it came to this, or of somebody who has not synced it.
    fn sync(&self, order: Order) -> Result<(), LandingError> {
        let Target { data, sidecar, .. } = self.landing.target();
        let is_put = match order {
            Order::Put { data, sidecar } => (data, sidecar),
            Order::Repeat => (false, false),
        };
        if !is_put.0 {
            self.landing.sync_file(data)?;
        }
        if !is_put.1 {
            self.landing.sync_file(sidecar)?;
        }
        self.landing.sync()?;
        self.served.parts.make_durable(&self.root, &self.landing)
    }

    /// What is to be done, by what is at the path and who has the uuid.
    fn decide(&self, there: (There, There), uuid: &str) -> Result<Order, IngestError> {
        let found = self.reader.recording(uuid)?;
        let place = &self.landing.target().place;
        let owner = match &found {
            None => Owner::Nobody,
            Some(found) => {
                let is_here = is_at(found, self.root.id(), place);
                ingest::owner(is_here, found.listed.state, found.listed.vanished)
            }
        };
        ingest::decide(there.0, there.1, owner).map_err(|conflict| match conflict {
            Conflict::Path => IngestError::PathTaken,
            Conflict::Uuid => {
                IngestError::UuidTaken(found.map(|found| found.listed.path).unwrap_or_default())
            }
        })
    }

    fn make_part(&self) -> Result<LivePart, IngestError> {
        self.served.parts.make(&self.landing).map_err(|error| self.failed(error))
    }

    /// The disk has room for so many bytes more.
    pub(super) fn has_room(&self, bytes: u64) -> Result<(), IngestError> {
        let keep = self.bounds.keep_free_percent;
        match self.landing.room() {
            Some(room) if ingest::is_too_full(room.free, room.total, bytes, keep) => {
                Err(IngestError::Full(keep))
            }
            _ => Ok(()),
        }
    }

    fn is_still_there(&self) -> Result<(), IngestError> {
        self.root.still_there().map_err(|problem| IngestError::Away(problem.to_string()))
    }

    fn failed(&self, error: LandingError) -> IngestError {
        IngestError::of(error, self.bounds.keep_free_percent)
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        let left = (self.data.take(), self.sidecar.take());
        // Storage may hang, and others run on this thread.
        if let (true, Ok(runtime)) =
            (left.0.is_some() || left.1.is_some(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn_blocking(move || drop(left));
        }
    }
}
