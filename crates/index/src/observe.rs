//! Storing what looks at storage came to. A recording and its pending mark are one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use focus_core::claim::Ruling;
use focus_core::entry::claimed::{self, Holding, claimed};
use focus_core::entry::mounted::{Own, kept};
use focus_core::entry::observed::{self, Holder, Reported};
use focus_core::entry::{Entry, EntryId, News, Turn};
use focus_core::mount::Mount;
use focus_core::recording::{Place, Recording};
use focus_core::settle::{Conclusion, Sight};
use focus_core::state::{Fault, State};
use focus_crash::Write;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::entry::{ENTRY_COLUMNS, Loaded, Put, Read, RootFacts, apply, entry, entry_columns, put};
use crate::mount::MountRows;
use crate::place;
use crate::rows::RootId;
use crate::uuids::of_uuid;
use crate::{Index, IndexError};

/// A look that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Where.
    pub place: Place,
    /// What it means.
    pub conclusion: Conclusion,
    /// What to remember of the files.
    pub sight: Sight,
    /// Look again at this time of the boot-time clock.
    pub due_ms: Option<u64>,
    /// The mount that the folder is on; none where that is not known.
    pub mount: Option<Arc<Mount>>,
}

/// What storing observations came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Recordings made, changed, moved or come back: they are pending now.
    pub changed: u64,
    /// Recordings that came back as the catalog has them: there is nothing to write.
    pub returned: u64,
    /// Places that became or ceased to be unrecognised.
    pub reported: u64,
    /// Places that hold a uuid which another place claims: look at them again, they may be gone.
    pub contested: Vec<Place>,
}

impl Index {
    /// Stores observations, all in one transaction.
    ///
    /// # Errors
    /// The index cannot be written; nothing was stored.
    pub async fn observe(
        &self,
        root: RootId,
        batch: Vec<Observation>,
        now_wall_ms: i64,
    ) -> Result<Observed, IndexError> {
        self.write(Write::Observe, move |tx| observe(tx, root, &batch, now_wall_ms)).await
    }

    /// As [`Index::observe`], from a thread that may block.
    ///
    /// # Errors
    /// The index cannot be written; nothing was stored.
    pub fn observe_blocking(
        &self,
        root: RootId,
        batch: Vec<Observation>,
        now_wall_ms: i64,
    ) -> Result<Observed, IndexError> {
        self.write_blocking(Write::Observe, move |tx| observe(tx, root, &batch, now_wall_ms))
    }
}

fn observe(
    tx: &Transaction<'_>,
    root: RootId,
    batch: &[Observation],
    now_ms: i64,
) -> rusqlite::Result<Observed> {
    let mut observer = Observer {
        tx,
        root: root.0,
        facts: RootFacts::load(tx, root.0)?,
        now_ms,
        folders: HashMap::new(),
        mounts: MountRows::new(root.0),
        folder_mounts: HashMap::new(),
        seen: SeenOn::default(),
        out: Observed::default(),
    };
    for observation in batch {
        observer.one(observation)?;
    }
    Ok(observer.out)
}

struct Observer<'a> {
    tx: &'a Transaction<'a>,
    root: i64,
    facts: RootFacts,
    now_ms: i64,
    folders: HashMap<Vec<u8>, i64>,
    mounts: MountRows,
    /// The mount of each folder that was asked for.
    folder_mounts: HashMap<i64, Option<i64>>,
    /// Of the observation that is being stored.
    seen: SeenOn,
    out: Observed,
}

/// The mounts of an observation, by their rows.
#[derive(Clone, Copy, Debug, Default)]
struct SeenOn {
    /// The one that its files are on.
    mount: Option<i64>,
    /// The one that its folder is known to be on.
    folder: Option<i64>,
}

/// The place of an observation, as the index has it.
struct Known {
    file: i64,
    /// Nothing was known of it before.
    is_new: bool,
    reported: Reported,
    /// The uuid that its files last settled as.
    uuid: Option<String>,
}

/// A uuid that is taken: its entry, and the place that holds it.
struct HeldUuid {
    id: EntryId,
    root: i64,
    file: i64,
    path: String,
    entry: Entry,
    own: Own<i64>,
}

impl HeldUuid {
    /// The row to be changed. `is_reported`: something is reported of the place that holds it.
    fn loaded(&self, is_reported: bool) -> Loaded {
        let HeldUuid { id, root, file, entry, path: _, own: _ } = *self;
        Loaded { id, root, file, entry, is_reported }
    }
}

impl Observer<'_> {
    fn one(&mut self, observation: &Observation) -> rusqlite::Result<()> {
        let at = &observation.place;
        let known = self.known(at)?;
        if observation.conclusion == Conclusion::Absent {
            return known.map_or(Ok(()), |place| self.absent(&place));
        }
        let holder = match &observation.conclusion {
            Conclusion::Settled(recording) => self.holder(&recording.uuid)?,
            _ => None,
        };
        let place = match known {
            Some(place) => place,
            None => self.make(observation, holder.is_none())?,
        };
        self.seen = match &observation.mount {
            Some(mount) => self.seen_on(&at.folder, mount)?,
            None => SeenOn::default(),
        };
        let mut sight = observation.sight.clone();
        let mut due_ms = observation.due_ms;
        match &observation.conclusion {
            Conclusion::Absent | Conclusion::Unsettled => {}
            Conclusion::Unrecognised(fault) => self.report(place.file, Some(fault))?,
            Conclusion::Same => {
                if self.unchanged(&place)? {
                    sight.settled = false;
                    due_ms = Some(0);
                }
            }
            Conclusion::Settled(recording) => self.settled(&place, recording, holder)?,
        }
        if place.is_new && sight == observation.sight && due_ms == observation.due_ms {
            return Ok(());
        }
        place::store_sight(self.tx, place.file, &sight, due_ms)
    }

    /// Neither file is there any more.
    fn absent(&mut self, place: &Known) -> rusqlite::Result<()> {
        self.clear(place)?;
        place::store_sight(self.tx, place.file, &Sight::default(), None)?;
        self.vanished_from(place, None)?;
        place::tidy(self.tx, place.file)
    }

    /// The recordings that this place holds, but for that of the uuid `keep`, have no files any more.
    fn vanished_from(&mut self, place: &Known, keep: Option<&str>) -> rusqlite::Result<()> {
        if place.is_new {
            return Ok(());
        }
        let held = self
            .tx
            .prepare_cached(concat!(
                "SELECT r.id, r.uuid, ",
                entry_columns!(),
                " FROM recordings r WHERE r.file = ?1"
            ))?
            .query_map([place.file], |row| {
                Ok((EntryId(row.get(0)?), row.get::<_, String>(1)?, entry(row, 2)?))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for (id, uuid, entry) in held {
            if keep == Some(uuid.as_str()) {
                continue;
            }
            let is_reported = place.reported != Reported::Nothing;
            let loaded = Loaded { id, root: self.root, file: place.file, entry, is_reported };
            let turn = observed::vanished(entry, self.facts.sent.holds(id), self.now_ms);
            self.take(&loaded, turn, None)?;
        }
        Ok(())
    }

    /// Unchanged files: a recording that had vanished is back. True: the place has to be read again.
    fn unchanged(&mut self, place: &Known) -> rusqlite::Result<bool> {
        let holder = match &place.uuid {
            Some(uuid) => self.holder(uuid)?,
            None => None,
        };
        let holder = match holder {
            Some(held) if held.file == place.file => {
                let turn = observed::unchanged(held.entry, self.now_ms);
                self.take(&held.loaded(place.reported != Reported::Nothing), turn, None)?;
                self.keep_mount(place.uuid.as_deref().unwrap_or_default(), held.own, false)?;
                Some(Holder { here: true, there: true })
            }
            Some(held) => Some(Holder { here: false, there: held.entry.is_there() }),
            None => None,
        };
        let unchanged = observed::place_unchanged(place.reported, holder);
        if unchanged.cleared {
            self.clear(place)?;
        }
        Ok(unchanged.read_again)
    }

    /// A settled recording, and who has its uuid.
    fn settled(
        &mut self,
        place: &Known,
        recording: &Recording,
        holder: Option<HeldUuid>,
    ) -> rusqlite::Result<()> {
        self.vanished_from(place, Some(&recording.uuid))?;
        let drilled = recording.is_drilled();
        let read = Read::at(self.root, place.file, recording);
        match holder {
            None => {
                let made = observed::made(self.facts.generation_base, drilled, self.now_ms);
                put(self.tx, Put::New, &read, &made)?;
                self.keep_mount(&recording.uuid, Own::default(), true)?;
                self.tell(News::Pending);
                self.clear(place)
            }
            Some(held) if held.file == place.file => {
                let same = read.is_same(self.tx, held.id)?;
                let turn = observed::settled(held.entry, same, drilled, self.now_ms);
                let loaded = held.loaded(place.reported != Reported::Nothing);
                self.take(&loaded, turn, Some(&read))?;
                self.keep_mount(&recording.uuid, held.own, held.entry.never_seen)?;
                self.clear(place)
            }
            Some(held) => self.claimed(place, &held, &read),
        }
    }

    /// The recording's uuid is held by another place.
    fn claimed(&mut self, place: &Known, held: &HeldUuid, read: &Read<'_>) -> rusqlite::Result<()> {
        let recording = read.recording;
        let has_files = place::has_files(self.tx, held.file)?;
        let holding = Holding { path: &held.path, has_files };
        let drilled = recording.is_drilled();
        let (ruling, turn) = claimed(held.entry, holding, &recording.path, drilled, self.now_ms);
        // Something may be reported of the other place: it is asked for where that matters.
        self.take(&held.loaded(true), turn, Some(read))?;
        match ruling {
            Ruling::Moved => {
                self.keep_mount(&recording.uuid, held.own, true)?;
                self.clear(place)?;
                place::tidy(self.tx, held.file)
            }
            Ruling::NewcomerTakes => {
                self.keep_mount(&recording.uuid, held.own, true)?;
                self.clear(place)?;
                let fault = claimed::duplicate(&recording.uuid, &recording.path, false);
                self.report(held.file, Some(&fault))
            }
            Ruling::HolderKeeps => {
                let is_elsewhere = held.root != self.root;
                let fault = claimed::duplicate(&recording.uuid, &held.path, is_elsewhere);
                self.report(place.file, Some(&fault))?;
                if is_elsewhere {
                    return place::look_again(self.tx, held.file);
                }
                self.out.contested.push(place::place_of(self.tx, held.file)?);
                Ok(())
            }
        }
    }

    /// Stores what a rule made of a row, with all that follows.
    fn take(
        &mut self,
        loaded: &Loaded,
        turn: Turn,
        read: Option<&Read<'_>>,
    ) -> rusqlite::Result<()> {
        let news = apply(self.tx, loaded, turn, read, self.now_ms)?;
        self.tell(news);
        Ok(())
    }

    fn holder(&self, uuid: &str) -> rusqlite::Result<Option<HeldUuid>> {
        self.tx
            .prepare_cached(concat!(
                "SELECT ",
                entry_columns!(),
                ", r.id, r.root, r.file, r.path, r.mount, r.mount_last FROM recordings r WHERE ",
                of_uuid!("r.id", "?1")
            ))?
            .query_row([uuid], |row| {
                Ok(HeldUuid {
                    entry: entry(row, 0)?,
                    id: EntryId(row.get(ENTRY_COLUMNS)?),
                    root: row.get(ENTRY_COLUMNS + 1)?,
                    file: row.get(ENTRY_COLUMNS + 2)?,
                    path: row.get(ENTRY_COLUMNS + 3)?,
                    own: Own {
                        seen: row.get(ENTRY_COLUMNS + 4)?,
                        last: row.get(ENTRY_COLUMNS + 5)?,
                    },
                })
            })
            .optional()
    }

    fn known(&mut self, at: &Place) -> rusqlite::Result<Option<Known>> {
        let Some(folder) = self.folder(&at.folder)? else { return Ok(None) };
        self.tx
            .prepare_cached("SELECT id, state, uuid FROM files WHERE folder = ?1 AND stem = ?2")?
            .query_row(params![folder, at.stem], |row| {
                let state: Option<String> = row.get(1)?;
                Ok(Known {
                    file: row.get(0)?,
                    is_new: false,
                    reported: reported(state.as_deref()),
                    uuid: row.get(2)?,
                })
            })
            .optional()
    }

    /// Makes the row of a place of which nothing is known, with what it was seen as. `is_free`: nobody holds the uuid of
    /// a recording that was read there.
    fn make(&mut self, observation: &Observation, is_free: bool) -> rusqlite::Result<Known> {
        let at = &observation.place;
        let folder = match self.folder(&at.folder)? {
            Some(folder) => folder,
            None => {
                let folder = place::make_folder(self.tx, self.root, &at.folder)?;
                self.folders.insert(at.folder.clone(), folder);
                folder
            }
        };
        let (sight, due_ms) = (&observation.sight, observation.due_ms);
        let will_hold = is_free && matches!(observation.conclusion, Conclusion::Settled(_));
        let row = (self.root, folder, &*at.stem);
        let file = place::make_seen(self.tx, row, sight, due_ms, will_hold)?;
        Ok(Known { file, is_new: true, reported: Reported::Nothing, uuid: None })
    }

    fn folder(&mut self, path: &[u8]) -> rusqlite::Result<Option<i64>> {
        if let Some(&folder) = self.folders.get(path) {
            return Ok(Some(folder));
        }
        let folder = place::folder(self.tx, self.root, path)?;
        self.folders.extend(folder.map(|folder| (path.to_vec(), folder)));
        Ok(folder)
    }

    /// What an observation was seen on. It gives its folder a mount where that has none yet: later ones are the
    /// scan's to judge.
    fn seen_on(&mut self, path: &[u8], mount: &Mount) -> rusqlite::Result<SeenOn> {
        let Some(folder) = self.folder(path)? else { return Ok(SeenOn::default()) };
        let seen = self.mounts.of(self.tx, mount)?;
        if let Some(&of_folder) = self.folder_mounts.get(&folder) {
            return Ok(SeenOn { mount: Some(seen), folder: of_folder });
        }
        self.tx
            .prepare_cached(
                "UPDATE folders SET mount = ?2, mount_now = ?2 WHERE id = ?1 AND mount IS NULL",
            )?
            .execute(params![folder, seen])?;
        let of_folder = self
            .tx
            .prepare_cached("SELECT mount FROM folders WHERE id = ?1")?
            .query_row([folder], |row| row.get(0))?;
        self.folder_mounts.insert(folder, of_folder);
        Ok(SeenOn { mount: Some(seen), folder: of_folder })
    }

    /// A recording that kept `own` was read at its place. `is_new`: it was not there before, or never seen.
    fn keep_mount(&self, uuid: &str, own: Own<i64>, is_new: bool) -> rusqlite::Result<()> {
        let kept = kept(own, self.seen.mount, self.seen.folder, is_new);
        if kept == own {
            return Ok(());
        }
        self.tx
            .prepare_cached(concat!(
                "UPDATE recordings SET mount = ?2, mount_last = ?3 WHERE ",
                of_uuid!("id", "?1")
            ))?
            .execute(params![uuid, kept.seen, kept.last])?;
        Ok(())
    }

    fn tell(&mut self, news: News) {
        match news {
            News::None => {}
            News::Returned => self.out.returned += 1,
            News::Pending => self.out.changed += 1,
        }
    }

    fn report(&mut self, file: i64, fault: Option<&Fault>) -> rusqlite::Result<()> {
        let changed = place::report(self.tx, file, fault, self.now_ms)?;
        self.out.reported += u64::from(changed);
        Ok(())
    }

    /// Nothing is reported of the place of an observation any more.
    fn clear(&mut self, place: &Known) -> rusqlite::Result<()> {
        if place.reported == Reported::Nothing {
            return Ok(());
        }
        self.report(place.file, None)
    }
}

/// From the column `state`.
fn reported(state: Option<&str>) -> Reported {
    match state {
        None => Reported::Nothing,
        Some(name) => State::from_name(name).map_or(Reported::Unknown, Reported::State),
    }
}
