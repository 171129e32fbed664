//! The hours in which a window begins: which of their recordings each window has.
//!
//! The time index tells where recordings begin and end without their rows. Whether one is pending is in its row alone.
//! The summary has it for most of them: where none of an hour is pending, or all are. The rows of an hour are read where
//! some are.

use std::collections::{BTreeMap, BTreeSet};

use focus_core::coverage::HOUR_MS;
use rusqlite::{CachedStatement, Connection, params};

use super::LONG_SPAN;
use super::lanes::{LanesBy, each_entry, each_id, each_row};
use super::summary::{Bucket, Edges, OfRows};
use crate::overlap::classes;
use crate::stage::PENDING;

/// Up to so many values the recordings of each are read by themselves; of more, those of all are, and the value of each is
/// looked up.
const VALUES_BY_ONE: usize = if cfg!(test) { 3 } else { 128 };

/// What was read of the hours in which a window begins.
#[derive(Default)]
pub(super) struct SplitHours {
    /// By lane, in ascending order of hours.
    begins: Vec<Vec<Begins>>,
    /// Lanes by hour, where some of its recordings are pending and others are not.
    mixed: BTreeMap<i64, BTreeSet<usize>>,
}

/// Where rows are read, and what they are counted by.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) connection: &'a Connection,
    pub(super) by: &'a LanesBy,
    pub(super) edges: &'a Edges,
    /// Lanes by the numbers under which the summary has them.
    pub(super) numbers: &'a BTreeMap<i64, usize>,
}

/// An hour in which windows begin.
struct SplitHour {
    hour: i64,
    /// These windows, and when they begin.
    inside: Vec<(usize, i64)>,
}

impl SplitHour {
    fn of(hour: i64, edges: &Edges) -> SplitHour {
        let (begins_ms, ends_ms) = (hour * HOUR_MS, (hour + 1) * HOUR_MS);
        let first = edges.begins().partition_point(|at_ms| *at_ms < begins_ms);
        let later = edges.begins().iter().copied().enumerate().skip(first);
        SplitHour { hour, inside: later.take_while(|(_, at_ms)| *at_ms < ends_ms).collect() }
    }

    fn window(&self) -> (i64, i64) {
        (self.hour * HOUR_MS, (self.hour + 1) * HOUR_MS)
    }
}

/// Counts what is read of the time index.
struct Counting<'a> {
    edges: &'a Edges,
    is_pending: CachedStatement<'a>,
    begins: &'a mut [Vec<Begins>],
    lanes: &'a mut [OfRows],
}

impl Counting<'_> {
    /// A recording of a lane that overlaps an hour.
    fn one(
        &mut self,
        lane: usize,
        hour: &SplitHour,
        (start_ms, end_ms): (i64, i64),
        id: i64,
    ) -> rusqlite::Result<()> {
        let counted = &mut self.lanes[lane].counted;
        for (at, at_ms) in &hour.inside {
            if start_ms < *at_ms && *at_ms < end_ms {
                let pending: bool = self.is_pending.query_row(params![id], |row| row.get(0))?;
                counted[*at].add(1, u64::from(pending));
            }
        }
        if start_ms >= hour.window().0
            && let Some(at) = self.edges.at(start_ms)
        {
            counted[at].add(1, 0);
            note(&mut self.begins[lane], hour.hour, at);
        }
        Ok(())
    }
}

/// Recordings of a lane that begin in one hour and one window.
struct Begins {
    hour: i64,
    window: u32,
    recordings: u32,
}

impl SplitHours {
    /// Counts who begins in these hours, and who lasts over the begin of a window. Of those that begin it is not known
    /// yet whether they are pending.
    pub(super) fn count(
        &mut self,
        source: &Source<'_>,
        hours: &[i64],
        lanes: &mut [OfRows],
    ) -> rusqlite::Result<()> {
        self.begins.resize_with(lanes.len(), Vec::new);
        let Source { connection, by, edges, numbers } = *source;
        let classes = short_classes(connection)?;
        let hours: Vec<SplitHour> = hours.iter().map(|hour| SplitHour::of(*hour, edges)).collect();
        let is_pending = connection
            .prepare_cached(&format!("SELECT pending = {PENDING} FROM recordings WHERE id = ?1"))?;
        let mut counting = Counting { edges, is_pending, begins: &mut self.begins, lanes };
        if matches!(by, LanesBy::Key(_)) && numbers.len() <= VALUES_BY_ONE {
            let mut of_lane: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
            numbers
                .iter()
                .for_each(|(number, lane)| of_lane.entry(*lane).or_default().push(*number));
            for (lane, numbers) in of_lane {
                // Hour after hour: what follows in a lane is near in the index, and is noted in order.
                for (hour, number) in
                    hours.iter().flat_map(|hour| numbers.iter().map(move |number| (hour, *number)))
                {
                    each_entry(connection, number, hour.window(), &classes, |span, id| {
                        counting.one(lane, hour, span, id)
                    })?;
                }
            }
            return Ok(());
        }
        for hour in &hours {
            each_id(connection, by, hour.window(), &classes, |number, span, id| {
                numbers.get(&number).map_or(Ok(()), |lane| counting.one(*lane, hour, span, id))
            })?;
        }
        Ok(())
    }

    /// Takes from the summary how many recordings that begin in an hour of a lane are pending.
    pub(super) fn pending(
        &mut self,
        counted: &mut [Bucket],
        (lane, hour): (usize, i64),
        (begins, pending): (u64, u64),
    ) {
        if pending == 0 {
            return;
        }
        if pending < begins {
            self.mixed.entry(hour).or_default().insert(lane);
            return;
        }
        let of_lane = self.begins.get(lane).map_or(&[][..], Vec::as_slice);
        let first = of_lane.partition_point(|known| known.hour < hour);
        for known in of_lane[first..].iter().take_while(|known| known.hour == hour) {
            counted[known.window as usize].add(0, u64::from(known.recordings));
        }
    }

    /// Reads the rows of the hours in which some are pending and others are not.
    pub(super) fn read_mixed(
        &self,
        source: &Source<'_>,
        lanes: &mut [Vec<Bucket>],
    ) -> rusqlite::Result<()> {
        let Source { connection, by, edges, numbers } = *source;
        let classes = short_classes(connection)?;
        for (hour, mixed) in &self.mixed {
            let window @ (begins_ms, _) = (hour * HOUR_MS, (hour + 1) * HOUR_MS);
            each_row(connection, by, window, &classes, |number, (start_ms, _), pending| {
                let Some(lane) = numbers.get(&number).filter(|lane| mixed.contains(lane)) else {
                    return;
                };
                if start_ms >= begins_ms
                    && pending
                    && let Some(at) = edges.at(start_ms)
                {
                    lanes[*lane][at].add(0, 1);
                }
            })?;
        }
        Ok(())
    }
}

/// Span classes of what is in hours.
fn short_classes(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut short = classes(connection)?;
    short.retain(|class| *class < LONG_SPAN);
    Ok(short)
}

/// One more begins. Hours come in ascending order, the windows of an hour in any.
fn note(of_lane: &mut Vec<Begins>, hour: i64, at: usize) {
    let Ok(window) = u32::try_from(at) else { return };
    let known = of_lane.iter_mut().rev().take_while(|known| known.hour == hour);
    match known.into_iter().find(|known| known.window == window) {
        Some(known) => known.recordings += 1,
        None => of_lane.push(Begins { hour, window, recordings: 1 }),
    }
}
