//! The last events, for readers that come again: a ring that is bounded in number, and that nobody waits for. And the
//! rule by which many changes of recordings become one event.

use std::collections::VecDeque;
use std::sync::Arc;

/// Events that are kept at most.
pub const EVENTS_MAX: usize = 4_096;

/// Changes of recordings that are told one by one within a second, at most.
pub const SINGLE_MAX: usize = 50;

/// Levels that are kept with their text: of an older one only the number is, because a newer one says more.
const LEVELS_MAX: usize = 64;

/// Milliseconds within which changes are counted.
const WINDOW_MS: u64 = 1_000;

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// How everything stands: a level, of which the newest counts.
    Status,
    /// A recording has changed.
    Recording,
    /// Many recordings have changed.
    Recordings,
    /// An outage has begun, has ended, or is caught up with.
    Outage,
    /// An alert is raised or resolved.
    Alert,
    /// A job waits, runs, or has ended.
    Job,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 6] = [
        EventKind::Status,
        EventKind::Recording,
        EventKind::Recordings,
        EventKind::Outage,
        EventKind::Alert,
        EventKind::Job,
    ];

    /// As in the stream.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Status => "status",
            EventKind::Recording => "recording",
            EventKind::Recordings => "recordings",
            EventKind::Outage => "outage",
            EventKind::Alert => "alert",
            EventKind::Job => "job",
        }
    }
}

/// Which kinds a reader wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted(Vec<EventKind>);

impl Wanted {
    /// All kinds.
    pub fn all() -> Wanted {
        Wanted(EventKind::ALL.to_vec())
    }

    /// The kinds of a list such as `status,job`. Whoever wants single recordings gets many as well.
    ///
    /// # Errors
    /// The name that is none.
    pub fn of(names: &str) -> Result<Wanted, String> {
        let mut wanted = Vec::new();
        for name in names.split(',').map(str::trim) {
            let kind = EventKind::ALL.into_iter().find(|kind| kind.name() == name);
            let kind = kind.ok_or_else(|| name.to_owned())?;
            wanted.push(kind);
            if kind == EventKind::Recording {
                wanted.push(EventKind::Recordings);
            }
        }
        Ok(Wanted(wanted))
    }

    /// Whether this kind is wanted.
    pub fn has(&self, kind: EventKind) -> bool {
        self.0.contains(&kind)
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts the events, from 1.
    pub number: u64,
    /// Its kind.
    pub kind: EventKind,
    /// What it says; none of a level that a newer one has replaced.
    pub text: Option<Arc<str>>,
}

/// The last events. Numbers of events that were not kept are left out.
#[derive(Clone, Debug, Default)]
pub struct EventRing {
    /// The number of the last event.
    last: u64,
    events: VecDeque<Event>,
}

impl EventRing {
    /// The number of the last event, 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Adds an event.
    pub fn push(&mut self, kind: EventKind, text: Arc<str>) {
        self.last += 1;
        self.events.push_back(Event { number: self.last, kind, text: Some(text) });
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
        if kind == EventKind::Status {
            let is_whole = |event: &&mut Event| event.kind == kind && event.text.is_some();
            if let Some(old) = self.events.iter_mut().rev().filter(is_whole).nth(LEVELS_MAX) {
                old.text = None;
            }
        }
    }

    /// Something may have happened that is not here: who comes again cannot go on from before.
    pub fn skip(&mut self) {
        self.last += 1;
        self.events.clear();
    }

    /// Whether everything after this number is here.
    pub fn can_resume(&self, after: u64) -> bool {
        let first = self.events.front().map_or(self.last + 1, |event| event.number);
        after <= self.last && after + 1 >= first
    }

    /// Events after this number, the oldest first, as long as their texts have no more than `bytes_max` together, but
    /// always one; and the number of the last that was looked at. None where they are not all here any more: the
    /// reader is too slow.
    pub fn read(&self, after: u64, wanted: &Wanted, bytes_max: usize) -> Option<(Vec<Event>, u64)> {
        if !self.can_resume(after) {
            return None;
        }
        let skipped =
            self.events.len() - usize::try_from(self.last - after).ok()?.min(self.events.len());
        let (mut read, mut bytes, mut through) = (Vec::new(), 0, after);
        for event in self.events.iter().skip(skipped) {
            if let Some(text) = event.text.as_ref().filter(|_| wanted.has(event.kind)) {
                bytes += text.len();
                if bytes > bytes_max && !read.is_empty() {
                    break;
                }
                read.push(event.clone());
            }
            through = event.number;
        }
        Some((read, through))
    }
}

/// Counts of changes of recordings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    /// New ones.
    pub landed: u64,
    /// Acknowledged by the catalog.
    pub catalogued: u64,
}

/// Tells changes one by one as long as they are few, and counts them while they are many.
#[derive(Clone, Debug, Default)]
pub struct ChangeWindow {
    began_ms: u64,
    single: usize,
    /// Since the window began; none while they are told one by one.
    many: Option<ChangeCounts>,
}

impl ChangeWindow {
    /// Takes what has changed: `rows`, and `has_more` than these, with their counts. Returns the rows that are to be
    /// told one by one, and the counts of a second that had too many for that.
    pub fn take(
        &mut self,
        now_ms: u64,
        rows: Vec<i64>,
        has_more: bool,
        counts: ChangeCounts,
    ) -> (Vec<i64>, Option<ChangeCounts>) {
        let mut told = None;
        if now_ms >= self.began_ms.saturating_add(WINDOW_MS) {
            told = self.many.take();
            self.began_ms = now_ms;
            self.single = 0;
        }
        let is_few = !has_more && self.single + rows.len() <= SINGLE_MAX;
        if is_few && self.many.is_none() {
            self.single += rows.len();
            return (rows, told);
        }
        if !rows.is_empty() || has_more || self.many.is_some() {
            let many = self.many.get_or_insert_default();
            many.landed += counts.landed;
            many.catalogued += counts.catalogued;
        }
        (Vec::new(), told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(n: u64) -> Arc<str> {
        Arc::from(format!("{n}"))
    }

    fn numbers(read: Option<(Vec<Event>, u64)>) -> Option<(Vec<u64>, u64)> {
        read.map(|(events, last)| (events.iter().map(|event| event.number).collect(), last))
    }

    #[test]
    fn whoever_comes_again_within_the_bound_misses_nothing_and_beyond_it_is_told() {
        let mut ring = EventRing::default();
        assert!(ring.can_resume(0) && !ring.can_resume(1));
        let count = EVENTS_MAX as u64 + 10;
        (1..=count).for_each(|n| ring.push(EventKind::Job, text(n)));
        assert!(!ring.can_resume(9) && ring.can_resume(10) && ring.can_resume(count));
        assert!(!ring.can_resume(count + 1), "of another server");
        let all = Wanted::all();
        let mut met = Vec::new();
        let mut after = 10;
        while after < count {
            let (read, last) = numbers(ring.read(after, &all, 100)).expect("here");
            met.extend(read);
            after = last;
        }
        assert_eq!(met, (11..=count).collect::<Vec<_>>());
        assert_eq!(numbers(ring.read(count, &all, 100)), Some((Vec::new(), count)));
        assert_eq!(ring.read(9, &all, 100), None);
        ring.skip();
        assert!(!ring.can_resume(count) && ring.can_resume(count + 1));
    }

    #[test]
    fn a_reader_gets_the_kinds_that_it_wants() {
        let mut ring = EventRing::default();
        let kinds = EventKind::ALL;
        (0..12).for_each(|n| ring.push(kinds[n % kinds.len()], text(n as u64)));
        let wanted = Wanted::of("outage, job").expect("kinds");
        assert_eq!(numbers(ring.read(0, &wanted, 1_000)), Some((vec![4, 6, 10, 12], 12)));
        let wanted = Wanted::of("recording").expect("a kind");
        assert_eq!(numbers(ring.read(0, &wanted, 1_000)), Some((vec![2, 3, 8, 9], 12)));
        for (names, wrong) in [("", ""), ("status,", ""), ("x", "x"), ("job,Status", "Status")] {
            assert_eq!(Wanted::of(names), Err(wrong.to_owned()));
        }
    }

    #[test]
    fn of_levels_only_the_newest_keep_their_text_and_no_other_event_is_missed() {
        let mut ring = EventRing::default();
        for n in 0..1_000 {
            ring.push(EventKind::Status, text(n));
            ring.push(EventKind::Job, text(n));
        }
        let (read, last) = ring.read(0, &Wanted::all(), usize::MAX).expect("here");
        let of = |kind| read.iter().filter(|event| event.kind == kind).count();
        assert_eq!((of(EventKind::Job), of(EventKind::Status), last), (1_000, LEVELS_MAX, 2_000));
        assert_eq!(read.iter().rev().nth(1).map(|event| event.number), Some(1_999));
    }

    #[test]
    fn few_changes_are_told_one_by_one_and_many_once_a_second() {
        let mut window = ChangeWindow::default();
        let counts = |landed| ChangeCounts { landed, catalogued: 1 };
        let rows = |count: i64| (0..count).collect::<Vec<_>>();
        assert_eq!(window.take(5_000, rows(40), false, counts(40)), (rows(40), None));
        assert_eq!(window.take(5_250, rows(10), false, counts(10)), (rows(10), None));
        // The fifty-first of this second: it and all until the second ends are counted.
        assert_eq!(window.take(5_500, rows(1), false, counts(1)), (Vec::new(), None));
        assert_eq!(window.take(5_750, rows(3), true, counts(900)), (Vec::new(), None));
        let many = ChangeCounts { landed: 901, catalogued: 2 };
        assert_eq!(window.take(6_000, rows(2), false, counts(2)), (rows(2), Some(many)));
        assert_eq!(window.take(6_250, rows(1), true, counts(70)), (Vec::new(), None));
        // Nothing more comes, and what was counted is told all the same.
        assert_eq!(
            window.take(6_500, Vec::new(), false, ChangeCounts::default()),
            (Vec::new(), None)
        );
        let many = ChangeCounts { landed: 70, catalogued: 1 };
        assert_eq!(
            window.take(7_000, Vec::new(), false, ChangeCounts::default()),
            (Vec::new(), Some(many))
        );
        assert_eq!(window.take(8_000, rows(1), false, counts(1)), (rows(1), None));
    }
}
