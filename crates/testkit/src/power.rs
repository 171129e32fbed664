//! A model of a power loss: what it leaves of an SQLite database with a write-ahead log and
//! `synchronous=NORMAL`.
//!
//! Such a database syncs its log before a checkpoint copies pages from the log. It syncs the pages
//! before it uses the log again. So at any moment the frames of the log since its last sync may be
//! lost, torn, or written without those before them. While a checkpoint runs, any sector of a page
//! that it copies may be the old or the new one. Nothing else may be lost, and this model loses
//! nothing else.

use std::collections::HashSet;
use std::path::Path;

/// A disk writes so much at once.
const SECTOR: usize = 512;

const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The place in the wal-index that says how many frames a checkpoint may have copied.
const ATTEMPTED: usize = 128;

/// A database and its log at one moment, as the system would read them.
#[derive(Clone, Debug)]
pub struct Moment {
    database: Vec<u8>,
    log: Vec<u8>,
    page: usize,
    /// Frames of the log in use, and which of them end a transaction.
    commits: Vec<bool>,
    /// Frames that a checkpoint may have copied: they were synced before.
    synced: usize,
}

/// What a power loss made of it.
#[derive(Clone, Debug)]
pub struct Lost {
    /// In words, for messages.
    pub what: String,
    /// Transactions at the end that cannot be there any more.
    pub transactions: usize,
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Moment {
    /// Reads the files at `path`. Nobody may write to them meanwhile.
    ///
    /// # Panics
    /// They cannot be read.
    pub fn read(path: &Path) -> Moment {
        let beside = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            std::fs::read(name).unwrap_or_default()
        };
        let database = std::fs::read(path).expect("the database");
        let (log, shared) = (beside("-wal"), beside("-shm"));
        let page = match big_endian(&log, 8) {
            0 => 4_096,
            page => page,
        };
        let mut commits = Vec::new();
        for frame in frames(&log, page) {
            commits.push(big_endian(frame, 4) > 0);
        }
        // What comes after the last commit is no transaction yet.
        let whole = commits.iter().rposition(|commit| *commit).map_or(0, |last| last + 1);
        commits.truncate(whole);
        let attempted: [u8; 4] = shared
            .get(ATTEMPTED..ATTEMPTED + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or_default();
        let synced = usize::try_from(u32::from_ne_bytes(attempted)).expect("a count");
        Moment { synced: synced.min(commits.len()), database, log, page, commits }
    }

    /// Frames of the log that are not known to be on the disk.
    pub fn unsynced(&self) -> usize {
        self.commits.len() - self.synced
    }

    /// One way to lose power at this moment; each seed another one.
    pub fn lose(&self, seed: u64) -> Lost {
        let mut random = Random(seed);
        let mut lost = Lost {
            what: String::new(),
            transactions: 0,
            database: self.database.clone(),
            log: self.log.clone(),
        };
        if random.below(4) == 0 {
            self.tear_checkpoint(&mut lost, &mut random);
        } else {
            self.tear_log(&mut lost, &mut random);
        }
        lost
    }

    /// The power goes while the log is written.
    fn tear_log(&self, lost: &mut Lost, random: &mut Random) {
        let from = LOG_HEADER + self.synced * (FRAME_HEADER + self.page);
        let unsynced = self.unsynced() * (FRAME_HEADER + self.page);
        if unsynced == 0 {
            "nothing was unsynced".clone_into(&mut lost.what);
            return;
        }
        let at = from + random.below(unsynced);
        let sectors = at / SECTOR..lost.log.len().div_ceil(SECTOR);
        let way = random.below(4);
        let words = ["cut", "zeroed", "overwritten", "sectors dropped"][way];
        lost.what = format!("the log {words} from byte {at}, {} frames synced", self.synced);
        for sector in sectors {
            let start = (sector * SECTOR).max(at);
            let end = ((sector + 1) * SECTOR).min(lost.log.len());
            let bytes = &mut lost.log[start..end];
            match way {
                0 => {}
                1 => bytes.fill(0),
                2 => bytes.iter_mut().for_each(|byte| *byte = random.byte()),
                // Each for itself came to the disk or did not.
                _ if random.below(2) == 0 => bytes.fill(0),
                _ => {}
            }
        }
        if way == 0 {
            lost.log.truncate(at);
        }
        let intact = self.log.iter().zip(&lost.log).take_while(|(a, b)| a == b).count();
        let whole = intact.saturating_sub(LOG_HEADER) / (FRAME_HEADER + self.page);
        lost.transactions = self.commits.iter().skip(whole).filter(|commit| **commit).count();
    }

    /// The power goes while pages are copied from the log, all of which is synced by then.
    fn tear_checkpoint(&self, lost: &mut Lost, random: &mut Random) {
        let mut touched = HashSet::new();
        let length = self.page;
        for (frame, _) in frames(&self.log, length).zip(&self.commits) {
            if random.below(2) == 0 {
                continue;
            }
            let number = big_endian(frame, 0);
            let start = (number - 1) * length;
            if lost.database.len() < start + length {
                lost.database.resize(start + length, 0);
            }
            for sector in (0..length).step_by(SECTOR) {
                if random.below(2) == 0 {
                    let new = &frame[FRAME_HEADER + sector..FRAME_HEADER + sector + SECTOR];
                    lost.database[start + sector..start + sector + SECTOR].copy_from_slice(new);
                }
            }
            touched.insert(number);
        }
        lost.what = format!("{} pages half copied by a checkpoint", touched.len());
    }
}

impl Lost {
    /// Writes what is left to `path`.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, path: &Path) {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::write(path, &self.database).expect("written");
        std::fs::write(log, &self.log).expect("written");
    }
}

/// The frames that belong to the log's present use; later ones are of an earlier one.
fn frames(log: &[u8], page: usize) -> impl Iterator<Item = &[u8]> {
    let salts = log.get(16..24).unwrap_or_default();
    let rest = log.get(LOG_HEADER..).unwrap_or_default();
    rest.chunks_exact(FRAME_HEADER + page).take_while(move |frame| &frame[8..16] == salts)
}

fn big_endian(bytes: &[u8], at: usize) -> usize {
    let four = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    usize::try_from(u32::from_be_bytes(four.unwrap_or_default())).unwrap_or(0)
}

/// Numbers that follow from a seed (splitmix64).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
