//! A range of time as people look at it: closer and wider, earlier and later, by units of the calendar, with marks along
//! it. All of it is in UTC.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{Span, Timestamp};

use crate::coverage::{DAY_MS, HOUR_MS};
use crate::time::{EARLIEST_MS, LATEST_MS};

/// Nobody looks closer by steps than this, milliseconds: times have no finer unit.
const CLOSEST_MS: i64 = 10;

/// A range that is widened has at least this length, milliseconds, so that a moment is not widened in vain.
const WIDENED_MIN_MS: i64 = 1_000;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;

/// A range of time that is not empty, milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    from_ms: i64,
    to_ms: i64,
}

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// From a full hour to the next.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// A date that cannot be gone to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DateFault {
    /// It has another form.
    #[error("it is no date: give one such as 2026-05-01")]
    Form,
    /// There is no such day.
    #[error("there is no such day in the calendar")]
    NoSuchDay,
    /// It lies outside what has times.
    #[error("it lies outside 1970-2200")]
    Range,
}

/// A mark along a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where, milliseconds since 1970.
    pub at_ms: i64,
    /// What stands there.
    pub text: String,
    /// It begins something larger: a day among hours, a year among months.
    pub is_major: bool,
}

impl Unit {
    /// Every unit, the shortest first.
    pub const ALL: [Unit; 4] = [Unit::Hour, Unit::Day, Unit::Month, Unit::Year];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Hour => "hour",
            Unit::Day => "day",
            Unit::Month => "month",
            Unit::Year => "year",
        }
    }

    /// The unit with this name.
    pub fn from_name(name: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| unit.name() == name)
    }

    fn span(self) -> Span {
        match self {
            Unit::Hour => Span::new().hours(1),
            Unit::Day => Span::new().days(1),
            Unit::Month => Span::new().months(1),
            Unit::Year => Span::new().years(1),
        }
    }

    fn begin(self, at: DateTime) -> DateTime {
        let date = at.date();
        match self {
            Unit::Hour => date.at(at.hour(), 0, 0, 0),
            Unit::Day => date.at(0, 0, 0, 0),
            Unit::Month => date.first_of_month().at(0, 0, 0, 0),
            Unit::Year => date.first_of_year().at(0, 0, 0, 0),
        }
    }
}

impl Range {
    /// From a time up to, and without, a later one; none where it is not later.
    pub fn new(from_ms: i64, to_ms: i64) -> Option<Range> {
        (from_ms < to_ms).then_some(Range { from_ms, to_ms })
    }

    /// When it begins, milliseconds since 1970.
    pub fn from_ms(self) -> i64 {
        self.from_ms
    }

    /// When it ends, milliseconds since 1970.
    pub fn to_ms(self) -> i64 {
        self.to_ms
    }

    /// How long it is, milliseconds.
    pub fn length_ms(self) -> i64 {
        self.to_ms.saturating_sub(self.from_ms)
    }

    /// The moment halfway.
    pub fn middle_ms(self) -> i64 {
        self.from_ms + self.length_ms() / 2
    }

    /// The hour, day, month or year in which a moment lies.
    pub fn of(unit: Unit, at_ms: i64) -> Range {
        let at = civil(at_ms.clamp(EARLIEST_MS, LATEST_MS - 1));
        let begin = unit.begin(at);
        let end = begin.checked_add(unit.span()).unwrap_or(begin);
        Range { from_ms: ms(begin), to_ms: ms(end).clamp(ms(begin) + 1, LATEST_MS) }
    }

    /// The unit of the calendar that it is one of.
    pub fn unit(self) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| Range::of(*unit, self.from_ms) == self)
    }

    /// Half of it, about its middle; none where it is as close as it gets.
    pub fn closer(self) -> Option<Range> {
        if self.length_ms() <= CLOSEST_MS {
            return None;
        }
        let quarter = self.length_ms() / 4;
        Range::new(self.from_ms + quarter, self.to_ms - quarter)
    }

    /// Twice as long, about its middle; none where it is all time already.
    pub fn wider(self) -> Option<Range> {
        let more = (self.length_ms().max(WIDENED_MIN_MS / 2) + 1) / 2;
        let from_ms = self.from_ms.saturating_sub(more).max(EARLIEST_MS);
        let to_ms = self.to_ms.saturating_add(more).min(LATEST_MS);
        Range::new(from_ms, to_ms).filter(|wider| wider.length_ms() > self.length_ms())
    }

    /// With as much time on both sides as a tenth of it, and a second at least: to look at what it is with what is
    /// beside it.
    pub fn with_margin(self) -> Range {
        let margin = (self.length_ms() / 10).max(SECOND_MS);
        Range {
            from_ms: self.from_ms.saturating_sub(margin).max(EARLIEST_MS.min(self.from_ms)),
            to_ms: self.to_ms.saturating_add(margin).min(LATEST_MS.max(self.to_ms)),
        }
    }

    /// The unit of the calendar before it, or half of its length earlier; none before all time.
    pub fn earlier(self) -> Option<Range> {
        let moved = match self.unit() {
            Some(unit) => Range::of(unit, self.from_ms - 1),
            None => self.moved(-((self.length_ms() + 1) / 2)),
        };
        (moved.from_ms >= EARLIEST_MS && moved.from_ms < self.from_ms).then_some(moved)
    }

    /// The unit of the calendar after it, or half of its length later; none after all time.
    pub fn later(self) -> Option<Range> {
        let moved = match self.unit() {
            Some(unit) => Range::of(unit, self.to_ms),
            None => self.moved((self.length_ms() + 1) / 2),
        };
        (moved.to_ms <= LATEST_MS && moved.to_ms > self.to_ms).then_some(moved)
    }

    fn moved(self, by_ms: i64) -> Range {
        Range { from_ms: self.from_ms + by_ms, to_ms: self.to_ms + by_ms }
    }

    /// Marks along it, in ascending order: at most so many, where it is at least 1. None stands at its end.
    pub fn marks(self, max: usize) -> Vec<Mark> {
        Step::fitting(self, max)
    }
}

/// The day that a text names: `2026-05-01`. When it begins, milliseconds since 1970.
///
/// # Errors
/// It has another form, or there is no such day.
pub fn day_of(text: &str) -> Result<i64, DateFault> {
    let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let has_form = text.len() == 10
        && (0..10).all(|at| match at {
            4 | 7 => text.as_bytes().get(at) == Some(&b'-'),
            _ => is_digit(at),
        });
    if !has_form {
        return Err(DateFault::Form);
    }
    let number =
        |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<i16>().ok());
    let part = |at: usize| number(at, at + 2).and_then(|part| i8::try_from(part).ok());
    let (Some(year), Some(month), Some(day)) = (number(0, 4), part(5), part(8)) else {
        return Err(DateFault::Form);
    };
    let date = Date::new(year, month, day).map_err(|_| DateFault::NoSuchDay)?;
    let begins_ms = ms(date.at(0, 0, 0, 0));
    if (EARLIEST_MS..LATEST_MS).contains(&begins_ms) {
        Ok(begins_ms)
    } else {
        Err(DateFault::Range)
    }
}

/// The year in which a moment lies.
pub fn year_of(at_ms: i64) -> i16 {
    civil(at_ms.clamp(EARLIEST_MS, LATEST_MS - 1)).year()
}

/// A year; none outside what has times.
pub fn of_year(year: i16) -> Option<Range> {
    let begins_ms = Date::new(year, 1, 1).ok().map(|date| ms(date.at(0, 0, 0, 0)))?;
    (EARLIEST_MS..LATEST_MS).contains(&begins_ms).then(|| Range::of(Unit::Year, begins_ms))
}

/// A month as a calendar shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    /// 1 to 12.
    pub number: i8,
    /// Its English name.
    pub name: &'static str,
    /// Which weekday its first day is: 0 is Monday.
    pub first_weekday: usize,
    /// How many days it has.
    pub days: usize,
    /// How many days of its year are before it.
    pub days_before: usize,
}

/// The months of a year.
pub fn months(year: i16) -> Vec<Month> {
    let first = |number: i8| Date::new(year, number, 1).ok();
    let mut days_before = 0;
    let mut months = Vec::with_capacity(12);
    for (number, name) in (1..).zip(MONTHS) {
        let Some(first) = first(number) else { continue };
        let days = usize::try_from(first.days_in_month()).unwrap_or(0);
        let first_weekday = usize::try_from(first.weekday().to_monday_zero_offset()).unwrap_or(0);
        months.push(Month { number, name, first_weekday, days, days_before });
        days_before += days;
    }
    months
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// How far marks are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// So many milliseconds.
    Ms(i64),
    Months(i64),
    Years(i64),
}

/// Steps between marks below a month, milliseconds.
const STEPS_MS: [i64; 27] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    SECOND_MS,
    2 * SECOND_MS,
    5 * SECOND_MS,
    10 * SECOND_MS,
    30 * SECOND_MS,
    MINUTE_MS,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
    7 * DAY_MS,
];

impl Step {
    /// The marks of the least step that leaves at most `max` of them.
    fn fitting(range: Range, max: usize) -> Vec<Mark> {
        let most = i64::try_from(max).unwrap_or(i64::MAX).saturating_add(2);
        let months = [1, 3, 6].map(Step::Months);
        let years = [1, 2, 5, 10, 20, 50, 100, 200].map(Step::Years);
        let all = STEPS_MS.into_iter().map(Step::Ms).chain(months).chain(years);
        // What is far too many is not made.
        let mut made = all
            .filter(|step| range.length_ms() / step.least_ms() <= most)
            .map(|step| step.marks(range));
        made.find(|marks| marks.len() <= max).unwrap_or_default()
    }

    /// Two marks are no closer than this.
    fn least_ms(self) -> i64 {
        match self {
            Step::Ms(step) => step,
            Step::Months(step) => step * 28 * DAY_MS,
            Step::Years(step) => step * 365 * DAY_MS,
        }
    }

    fn marks(self, range: Range) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mut at = Some(self.begin(range.from_ms));
        while let Some(at_ms) = at.filter(|at_ms| *at_ms < range.to_ms) {
            if at_ms >= range.from_ms {
                marks.push(self.mark(at_ms));
            }
            at = self.next(at_ms).filter(|next| *next > at_ms);
        }
        marks
    }

    /// The last mark that is not after a moment.
    fn begin(self, at_ms: i64) -> i64 {
        match self {
            Step::Ms(step) if step == 7 * DAY_MS => {
                // Weeks begin on Mondays; 1970 began on a Thursday.
                (at_ms + 3 * DAY_MS).div_euclid(step) * step - 3 * DAY_MS
            }
            // Every other day counts from the first of the month, so that marks stay where they are in it.
            Step::Ms(step) if step > DAY_MS => Range::of(Unit::Month, at_ms).from_ms,
            Step::Ms(step) => at_ms.div_euclid(step) * step,
            Step::Months(_) => Range::of(Unit::Year, at_ms).from_ms,
            Step::Years(step) => {
                let year = i64::from(year_of(at_ms)).div_euclid(step) * step;
                i16::try_from(year)
                    .ok()
                    .and_then(|year| Date::new(year, 1, 1).ok())
                    .map_or(0, |date| ms(date.at(0, 0, 0, 0)))
            }
        }
    }

    fn next(self, at_ms: i64) -> Option<i64> {
        let span = match self {
            Step::Ms(step) if step == 2 * DAY_MS => {
                let next = at_ms + step;
                let month_ends_ms = Range::of(Unit::Month, at_ms).to_ms;
                // No mark on the 31st: the first follows it at once.
                return Some(if next + DAY_MS >= month_ends_ms { month_ends_ms } else { next });
            }
            Step::Ms(step) => return at_ms.checked_add(step),
            Step::Months(step) => Span::new().try_months(step),
            Step::Years(step) => Span::new().try_years(step),
        };
        civil(at_ms).checked_add(span.ok()?).ok().map(ms)
    }

    fn mark(self, at_ms: i64) -> Mark {
        let at = civil(at_ms);
        let month = usize::try_from(at.month() - 1).ok().and_then(|at| MONTHS.get(at));
        let month = month.and_then(|name| name.get(..3)).unwrap_or_default();
        let is_midnight = at_ms.rem_euclid(DAY_MS) == 0;
        let (text, is_major) = match self {
            Step::Years(_) => (at.year().to_string(), true),
            Step::Months(_) if at.month() == 1 => (at.year().to_string(), true),
            Step::Months(_) => (month.to_owned(), false),
            Step::Ms(step) if step >= DAY_MS => (format!("{} {month}", at.day()), at.day() == 1),
            Step::Ms(_) if is_midnight => (format!("{} {month}", at.day()), true),
            Step::Ms(step) if step >= MINUTE_MS => (at.strftime("%H:%M").to_string(), false),
            Step::Ms(step) if step >= SECOND_MS => (at.strftime("%H:%M:%S").to_string(), false),
            Step::Ms(_) => (at.strftime("%H:%M:%S%.3f").to_string(), false),
        };
        Mark { at_ms, text, is_major }
    }
}

/// A moment as date and time of day in UTC. What no calendar has is 1970.
fn civil(at_ms: i64) -> DateTime {
    Offset::UTC.to_datetime(Timestamp::from_millisecond(at_ms).unwrap_or_default())
}

fn ms(at: DateTime) -> i64 {
    Offset::UTC.to_timestamp(at).map_or(0, Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> i64 {
        crate::iso8601::from_text(text, None).expect("a time")
    }

    fn range(from: &str, to: &str) -> Range {
        Range::new(at(from), at(to)).expect("a range")
    }

    fn texts(range: Range, max: usize) -> Vec<String> {
        range.marks(max).into_iter().map(|mark| mark.text).collect()
    }

    #[test]
    fn a_unit_of_the_calendar_is_followed_by_the_next_whatever_their_lengths() {
        let january = range("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z");
        assert_eq!(january.unit(), Some(Unit::Month));
        let february = range("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        assert_eq!(january.later(), Some(february));
        assert_eq!(february.earlier(), Some(january));
        let leap = Range::of(Unit::Year, at("2024-07-01T12:00:00Z"));
        assert_eq!(leap.length_ms(), 366 * DAY_MS);
        assert_eq!(leap.later().map(Range::length_ms), Some(365 * DAY_MS));
    }

    #[test]
    fn another_range_moves_by_half_of_its_length() {
        let three = range("2024-05-01T00:30:00Z", "2024-05-01T03:30:00Z");
        assert_eq!(three.unit(), None);
        assert_eq!(three.later(), Some(range("2024-05-01T02:00:00Z", "2024-05-01T05:00:00Z")));
        assert_eq!(three.earlier().and_then(Range::later), Some(three));
    }

    #[test]
    fn a_moment_is_widened_and_looked_at_no_closer() {
        let moment = Range::new(5_000, 5_001).expect("a range");
        assert_eq!(moment.closer(), None);
        assert!(moment.wider().is_some_and(|wider| wider.length_ms() >= 500), "{moment:?}");
        let all = Range::new(EARLIEST_MS, LATEST_MS).expect("a range");
        assert_eq!((all.wider(), all.earlier(), all.later()), (None, None, None));
    }

    #[test]
    fn marks_are_where_the_calendar_has_them() {
        let day = range("2024-05-01T00:00:00Z", "2024-05-02T00:00:00Z");
        let every_three = ["1 May", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00"];
        assert_eq!(texts(day, 8), every_three);
        let year = Range::of(Unit::Year, at("2024-05-01T00:00:00Z"));
        assert_eq!(texts(year, 14).len(), 12);
        assert_eq!(texts(year, 14)[..3], ["2024", "Feb", "Mar"]);
        assert_eq!(texts(year, 12).len(), 12);
        let month = Range::of(Unit::Month, at("2024-05-01T00:00:00Z"));
        assert_eq!(texts(month, 6), ["6 May", "13 May", "20 May", "27 May"], "Mondays");
        let second = Range::new(1_500, 1_600).expect("a range");
        assert_eq!(texts(second, 5)[..2], ["00:00:01.500", "00:00:01.520"]);
        let all = Range::new(EARLIEST_MS, LATEST_MS).expect("a range");
        assert_eq!(texts(all, 6), ["2000", "2050", "2100", "2150", "2200"]);
    }

    #[test]
    fn a_date_that_is_in_no_calendar_is_told_from_text_that_is_no_date() {
        assert_eq!(day_of("2024-02-29"), Ok(at("2024-02-29T00:00:00Z")));
        for text in ["2023-02-29", "2024-13-01", "2024-00-10", "2024-04-31"] {
            assert_eq!(day_of(text), Err(DateFault::NoSuchDay), "{text}");
        }
        for text in ["", "2024-2-3", "20240203", "2024-02-03T", "+024-01-01", "2024-1é-1"] {
            assert_eq!(day_of(text), Err(DateFault::Form), "{text}");
        }
        assert_eq!(day_of("1969-12-31"), Err(DateFault::Range));
        assert_eq!(day_of("2201-01-01"), Err(DateFault::Range));
    }

    #[test]
    fn the_months_of_a_year_are_its_days() {
        let of = months(2024);
        assert_eq!(of.iter().map(|month| month.days).sum::<usize>(), 366);
        let february = of[1];
        assert_eq!((february.days, february.days_before, february.first_weekday), (29, 31, 3));
        assert_eq!(months(2023).iter().map(|month| month.days).sum::<usize>(), 365);
        assert_eq!((of_year(1969), of_year(i16::MAX)), (None, None));
    }

    proptest! {
        #[test]
        fn marks_are_few_in_order_and_in_the_range(
            from in EARLIEST_MS..LATEST_MS - 1, length in prop_oneof![
                1i64..5_000, 1i64..400 * DAY_MS, 1i64..LATEST_MS
            ], max in 1usize..40,
        ) {
            let range = Range::new(from, from.saturating_add(length).min(LATEST_MS)).expect("a range");
            let marks = range.marks(max);
            prop_assert!(marks.len() <= max, "{range:?}: {marks:?}");
            prop_assert!(marks.windows(2).all(|two| two[0].at_ms < two[1].at_ms), "{marks:?}");
            prop_assert!(marks.iter().all(|mark| (from..range.to_ms()).contains(&mark.at_ms)));
        }

        #[test]
        fn every_step_stays_within_all_time_and_changes_the_range(
            from in EARLIEST_MS..LATEST_MS - 1, length in prop_oneof![1i64..5_000, 1i64..LATEST_MS],
        ) {
            let range = Range::new(from, from.saturating_add(length).min(LATEST_MS)).expect("a range");
            let steps = [range.closer(), range.wider(), range.earlier(), range.later()];
            for step in steps.into_iter().flatten() {
                prop_assert!(step.from_ms() >= EARLIEST_MS && step.to_ms() <= LATEST_MS, "{step:?}");
                prop_assert!(step.from_ms() < step.to_ms() && step != range, "{step:?}");
            }
            for unit in Unit::ALL {
                let of = Range::of(unit, from);
                prop_assert!((of.from_ms()..of.to_ms()).contains(&from), "{unit:?}: {of:?}");
                prop_assert_eq!(of.unit().is_some(), true);
            }
        }
    }
}
