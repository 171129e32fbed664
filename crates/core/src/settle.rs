//! When a recording has settled, and what a look at its files means.
//!
//! Times here are milliseconds of the machine's boot-time clock: a wall clock that is set
//! neither hurries nor delays anything.

use crate::broken::{self, Broken};
use crate::look::{DataSeen, FileIdentity, FileStat, Look, SeenAs, SidecarSeen};
use crate::name;
use crate::pair::PairForm;
use crate::recording::{Place, Recording};
use crate::sidecar::{self, Of, Sidecar};
use crate::state::{Fault, State};
use sha2::{Digest, Sha256};

/// A live recording is rewritten at most this often.
pub const LIVE_REWRITE_MS: u64 = 10_000;

/// What is remembered of one file of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSight {
    /// As last seen.
    pub stat: FileStat,
    /// Since when it has been seen like this.
    pub since_ms: u64,
    /// Its writer closed it, or it was moved into place, and it has not changed since.
    pub closed: bool,
}

/// A clock of a file system ticks at least this often, milliseconds.
const TICK_MS: u64 = 20;

/// The same where the times of the file have no fraction of a second.
const COARSE_TICK_MS: u64 = 2_000;

/// Files whose times say that they are older than this have settled, milliseconds.
const AGED_MS: u64 = 10_000;

/// The files stand still by their own times, for longer than any clock of a file system ticks: one look tells what
/// they are.
fn is_aged(look: &Look, settle_ms: u64) -> bool {
    let least_ms = AGED_MS.max(settle_ms.saturating_add(COARSE_TICK_MS));
    let least_ms = if broken::is(Broken::YoungFilesCountAsAged) { 0 } else { least_ms };
    look.aged_ms().is_some_and(|aged_ms| aged_ms >= least_ms)
}

/// When reading counts of a file that was first seen now, whatever its clock is, on the boot-time clock.
pub fn counts_from_ms(now_ms: u64) -> u64 {
    now_ms.saturating_add(COARSE_TICK_MS)
}

/// What is remembered of a sidecar's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Which file was read; none where an earlier version of the index has not stored it.
    pub identity: Option<FileIdentity>,
    /// The first eight bytes of the SHA-256 of its bytes.
    pub sum: i64,
    /// Reading it counts from this time on. Before that, the file may change within one tick of its clock,
    /// and look the same. None: it was read at such a time.
    pub counts_from_ms: Option<u64>,
}

/// What is remembered of a place between looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The data file.
    pub data: Option<FileSight>,
    /// The data file's extension.
    pub extension: Option<String>,
    /// The sidecar.
    pub sidecar: Option<FileSight>,
    /// What the sidecar held when it was read last.
    pub content: Option<Content>,
    /// The files settled as a recording exactly as they are remembered here.
    pub settled: bool,
    /// The uuid of the recording they last settled as.
    pub uuid: Option<String>,
    /// That recording is live.
    pub live: bool,
    /// When that recording's content last changed.
    pub changed_ms: u64,
}

impl Sight {
    /// The sidecar whose content is known and cannot have changed, as long as it is seen as this.
    pub fn known_sidecar(&self) -> Option<SeenAs> {
        let (file, content) = (self.sidecar?, self.content?);
        let is_known = self.settled && content.counts_from_ms.is_none();
        is_known.then_some(SeenAs { stat: file.stat, identity: content.identity? })
    }
}

/// What the watch told of a place since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// The data file was closed by its writer or moved into place.
    pub data: bool,
    /// The sidecar was.
    pub sidecar: bool,
}

/// What a look means.
#[derive(Clone, Debug, PartialEq)]
pub enum Conclusion {
    /// Neither file is there.
    Absent,
    /// It still changes, or has not yet been seen standing still for long enough.
    Unsettled,
    /// It cannot be catalogued.
    Unrecognised(Fault),
    /// Nothing has changed since it last settled.
    Same,
    /// It has settled as this recording.
    Settled(Box<Recording>),
}

/// A look judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// What it means.
    pub conclusion: Conclusion,
    /// What to remember.
    pub sight: Sight,
    /// Look again at this time, where time alone can change the conclusion.
    pub due_ms: Option<u64>,
}

/// The settings that a judgement depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules<'a> {
    /// The id in the root's marker.
    pub root: &'a str,
    /// What its pairs are.
    pub form: &'a PairForm,
    /// How long files must have been seen unchanged.
    pub settle_ms: u64,
}

impl<'a> Rules<'a> {
    /// Whose sidecar it is.
    fn of(&self, folder: &'a [u8], recording_id: &'a str, data_size: i64) -> Of<'a> {
        Of { root: self.root, folder, recording_id, data_size, form: self.form }
    }
}

/// Judges one look at a place, given what is remembered of it.
pub fn judge(
    place: &Place,
    known: &Sight,
    look: &Look,
    closed: Closed,
    rules: Rules<'_>,
    now_ms: u64,
) -> Judgement {
    let is_aged = is_aged(look, rules.settle_ms);
    let mut sight = seen(known, look, closed, is_aged, now_ms);
    if look.data.is_none() && look.sidecar.is_none() && look.fault.is_none() {
        return Judgement { conclusion: Conclusion::Absent, sight, due_ms: None };
    }
    let (live, conclusion) = concluded(place, known, look, rules);
    // Settled or not: a uuid that is somewhere else now has moved, and is not gone.
    let read = look.sidecar.as_ref().and_then(|sidecar| sidecar.bytes.as_deref());
    sight.uuid = match (&conclusion, read) {
        (Conclusion::Settled(recording), _) => Some(recording.uuid.clone()),
        // One that cannot be read names nobody: what it named before may be gone.
        (_, Some(bytes)) => uuid_of(place, bytes, rules),
        (_, None) => sight.uuid,
    };
    // A fault is believed only once nothing moves: a writer may be between two of its steps.
    let close_counts = !matches!(conclusion, Conclusion::Unrecognised(_));
    let wait_ms = [sight.data.filter(|_| !live), sight.sidecar]
        .into_iter()
        .flatten()
        .map(|file| still_to_stand_ms(file, close_counts, rules.settle_ms, now_ms))
        .max()
        .filter(|_| !is_aged)
        .unwrap_or(0);
    if look.changing || wait_ms > 0 {
        let due_ms = Some(now_ms.saturating_add(wait_ms.max(1)));
        return Judgement { conclusion: Conclusion::Unsettled, sight, due_ms };
    }
    stood(known, conclusion, sight, live, now_ms)
}

/// What is remembered of the files as this look saw them, before anything is concluded from that.
fn seen(known: &Sight, look: &Look, closed: Closed, is_aged: bool, now_ms: u64) -> Sight {
    let data = look.data.as_ref().map(|data| data.stat);
    let sidecar = look.sidecar.as_ref().map(|sidecar| sidecar.stat);
    // Another content under the same size and time is a change like any other.
    let before = known.sidecar.filter(|_| !has_other_content(known, look));
    Sight {
        data: follow(known.data, data, closed.data, now_ms),
        extension: look.data.as_ref().map(|data| data.extension.clone()),
        sidecar: follow(before, sidecar, closed.sidecar, now_ms),
        content: look
            .sidecar
            .as_ref()
            .and_then(|seen| content(known, seen, look.began_ms, now_ms))
            .map(|content| Content {
                counts_from_ms: content.counts_from_ms.filter(|_| !is_aged),
                ..content
            }),
        settled: false,
        uuid: known.uuid.clone(),
        live: known.live,
        changed_ms: known.changed_ms,
    }
}

/// The sidecar was read, and holds something else than before.
fn has_other_content(known: &Sight, look: &Look) -> bool {
    let read = look.sidecar.as_ref().and_then(|sidecar| sidecar.bytes.as_deref());
    match (known.content, read) {
        (Some(before), Some(bytes)) => before.sum != sum(bytes),
        _ => false,
    }
}

/// What is remembered of the content of a sidecar that was seen. It was seen before `now_ms`, and read after
/// `began_ms`.
fn content(
    known: &Sight,
    seen: &SidecarSeen,
    began_ms: Option<u64>,
    now_ms: u64,
) -> Option<Content> {
    let Some(bytes) = &seen.bytes else { return known.content };
    let same_file = |before: &Content| {
        before.identity == Some(seen.identity)
            && known.sidecar.is_some_and(|file| file.stat == seen.stat)
    };
    let counts_from_ms = match known.content.filter(same_file) {
        Some(before) => before.counts_from_ms,
        None => Some(now_ms.saturating_add(tick_ms(seen))),
    };
    let read_ms = began_ms.unwrap_or(now_ms);
    let is_within_tick = |from_ms: &u64| *from_ms > read_ms;
    let counts_from_ms =
        counts_from_ms.filter(is_within_tick).filter(|_| !broken::is(Broken::ReadWithinTickCounts));
    Some(Content { identity: Some(seen.identity), sum: sum(bytes), counts_from_ms })
}

/// How long a file may be changed without its times telling.
fn tick_ms(seen: &SidecarSeen) -> u64 {
    let is_coarse = |time_ns: i64| time_ns % 1_000_000_000 == 0;
    if is_coarse(seen.stat.mtime_ns) && is_coarse(seen.identity.ctime_ns) {
        COARSE_TICK_MS
    } else {
        TICK_MS
    }
}

/// The first eight bytes of SHA-256.
fn sum(bytes: &[u8]) -> i64 {
    let hash = Sha256::digest(bytes);
    hash.first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}

/// What the files are, were they to stand still; and whether that is a live recording.
fn concluded(place: &Place, known: &Sight, look: &Look, rules: Rules<'_>) -> (bool, Conclusion) {
    let verdict = if look.changing { Err(None) } else { recognise(place, known, look, rules) };
    match verdict {
        Err(None) => (false, Conclusion::Unsettled),
        Err(Some(fault)) => (false, Conclusion::Unrecognised(fault)),
        Ok(None) => (known.live, Conclusion::Same),
        Ok(Some(recording)) => {
            (recording.end_ms.is_none(), Conclusion::Settled(Box::new(recording)))
        }
    }
}

/// The files have stood still for long enough.
fn stood(
    known: &Sight,
    conclusion: Conclusion,
    mut sight: Sight,
    live: bool,
    now_ms: u64,
) -> Judgement {
    match &conclusion {
        Conclusion::Same => sight.settled = true,
        Conclusion::Settled(recording) => {
            let again_ms = known.changed_ms.saturating_add(LIVE_REWRITE_MS);
            let still_live = known.live && live && known.uuid.as_ref() == Some(&recording.uuid);
            if still_live && now_ms < again_ms {
                // Remember the old sight, so that the change is still news when it is due.
                return Judgement {
                    conclusion: Conclusion::Same,
                    sight: known.clone(),
                    due_ms: Some(again_ms),
                };
            }
            sight.settled = true;
            sight.live = live;
            sight.changed_ms = now_ms;
        }
        Conclusion::Absent | Conclusion::Unsettled | Conclusion::Unrecognised(_) => {}
    }
    let live_ms = (sight.settled && sight.live).then(|| now_ms.saturating_add(LIVE_REWRITE_MS));
    // Read again once reading counts: until then the content may become another without a sign.
    let counts_from_ms = sight.content.and_then(|content| content.counts_from_ms);
    let due_ms = [live_ms, counts_from_ms].into_iter().flatten().min();
    Judgement { conclusion, sight, due_ms }
}

/// The uuid that a sidecar names, whatever else is wrong with it.
fn uuid_of(place: &Place, bytes: &[u8], rules: Rules<'_>) -> Option<String> {
    let recording_id = name::recording_id(&place.stem).ok()?;
    sidecar::uuid(bytes, &rules.of(&place.folder, recording_id, 0))
}

/// Carries what is known of a file over to a new look at it.
fn follow(
    known: Option<FileSight>,
    seen: Option<FileStat>,
    closed: bool,
    now_ms: u64,
) -> Option<FileSight> {
    let stat = seen?;
    Some(match known {
        Some(file) if file.stat == stat => FileSight { closed: file.closed || closed, ..file },
        _ => FileSight { stat, since_ms: now_ms, closed },
    })
}

/// How much longer a file must be seen unchanged; a close counts only for what is good.
fn still_to_stand_ms(file: FileSight, close_counts: bool, settle_ms: u64, now_ms: u64) -> u64 {
    if close_counts && file.closed {
        return 0;
    }
    if broken::is(Broken::SettledAtOnce) {
        return 0;
    }
    settle_ms.saturating_sub(now_ms.saturating_sub(file.since_ms))
}

/// The recording a look shows: none where it is the one already known, no fault where more is to be seen.
fn recognise(
    place: &Place,
    known: &Sight,
    look: &Look,
    rules: Rules<'_>,
) -> Result<Option<Recording>, Option<Fault>> {
    let (recording_id, folder) = names(place).map_err(Some)?;
    let (data, sidecar) = pair(recording_id, look, rules.form).map_err(Some)?;
    let same_sidecar = known.sidecar.is_some_and(|file| file.stat == sidecar.stat)
        && is_same_content(known, sidecar);
    let same_data = known.data.is_some_and(|file| file.stat == data.stat)
        && known.extension.as_ref() == Some(&data.extension);
    if known.settled && same_sidecar && same_data {
        return Ok(None);
    }
    // Not read although it is needed: the caller looks again and reads it.
    let bytes = sidecar.bytes.as_ref().ok_or(None)?;
    let Sidecar { uuid, start_ms, end_ms, deleted, metadata } =
        sidecar::parse(bytes, &rules.of(&place.folder, recording_id, data.stat.size))
            .map_err(Some)?;
    let slash = if folder.is_empty() { "" } else { "/" };
    Ok(Some(Recording {
        uuid,
        start_ms,
        end_ms,
        deleted,
        deleted_at_ms: None,
        recording_id: recording_id.to_owned(),
        root: rules.root.to_owned(),
        path: format!("{folder}{slash}{recording_id}.{}", data.extension),
        size: data.stat.size,
        fingerprint: fingerprint(bytes, data.stat),
        metadata,
    }))
}

/// The sidecar holds what it held when it settled: it was read and holds the same, or was not read because
/// it is the very file whose content is known.
fn is_same_content(known: &Sight, sidecar: &SidecarSeen) -> bool {
    if broken::is(Broken::SizeAndTimeTrusted) {
        return true;
    }
    match (&sidecar.bytes, known.content) {
        (Some(bytes), Some(before)) => before.sum == sum(bytes),
        (Some(_), None) => false,
        (None, _) => known.known_sidecar().is_some_and(|known| known.identity == sidecar.identity),
    }
}

/// What a sidecar was found to hold when it was read whatever it looked like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// What is remembered of it.
    TheSame,
    /// Something else, though it looks as remembered.
    Something,
    /// Not told: it is gone, has changed visibly, or was not read.
    Untold,
}

/// Compares a sidecar that was read with what is remembered of it.
pub fn held(known: &Sight, look: &Look) -> Held {
    let (Some(sidecar), false) = (&look.sidecar, look.changing) else { return Held::Untold };
    let looks_the_same = known.settled
        && look.data.as_ref().map(|data| data.stat) == known.data.map(|file| file.stat)
        && known.sidecar.is_some_and(|file| file.stat == sidecar.stat);
    match (&sidecar.bytes, known.content) {
        (Some(bytes), Some(before)) if looks_the_same => {
            if before.sum == sum(bytes) {
                Held::TheSame
            } else {
                Held::Something
            }
        }
        _ => Held::Untold,
    }
}

/// The recording id and the folder of a place, as text.
fn names(place: &Place) -> Result<(&str, &str), Fault> {
    let recording_id = name::recording_id(&place.stem)?;
    let folder = std::str::from_utf8(&place.folder).map_err(|_| {
        let shown = crate::recording::quoted(&place.folder);
        let reason = format!("the folder's name is not UTF-8: {shown}. Rename the folder");
        Fault::new(State::NameInvalid, reason)
    })?;
    Ok((recording_id, folder))
}

/// Both files, where both are there and nothing hindered the look.
fn pair<'a>(
    recording_id: &str,
    look: &'a Look,
    form: &PairForm,
) -> Result<(&'a DataSeen, &'a SidecarSeen), Fault> {
    let described = &form.sidecar_extension;
    if let Some(fault) = &look.fault {
        return Err(fault.clone());
    }
    let Some(data) = &look.data else {
        let reason = match &look.beside {
            Some(beside) => format!(
                "{recording_id}.{described} has no data file beside it. {recording_id}.{beside} is there: if that is its data, add \"{beside}\" to data_extensions"
            ),
            None => format!(
                "{recording_id}.{described} has no data file beside it. Add the data file, or remove the sidecar"
            ),
        };
        return Err(Fault::new(State::SidecarWithoutData, reason));
    };
    let Some(sidecar) = &look.sidecar else {
        let extension = &data.extension;
        let reason = format!(
            "{recording_id}.{extension} has no {recording_id}.{described} beside it. Add the sidecar"
        );
        return Err(Fault::new(State::DataWithoutSidecar, reason));
    };
    Ok((data, sidecar))
}

/// Sixteen bytes of SHA-256, in hex, over the sidecar's bytes and the data file's size and mtime.
fn fingerprint(sidecar: &[u8], data: FileStat) -> String {
    let mut hash = Sha256::new();
    hash.update(sidecar);
    hash.update(data.size.to_le_bytes());
    hash.update(data.mtime_ns.to_le_bytes());
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
