//! Tests of times as texts.

use proptest::prelude::*;

use super::{from_text, zone};
use crate::time::{LATEST_MS, TimeFault};

fn read(text: &str) -> Result<i64, TimeFault> {
    from_text(text, None)
}

#[test]
fn rfc_3339_wants_an_offset() {
    assert_eq!(read("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000));
    assert_eq!(read("2023-11-14t22:13:20.123999z"), Ok(1_700_000_000_123));
    assert_eq!(read("2023-11-14 23:13:20+01:00"), Ok(1_700_000_000_000));
    assert_eq!(read("2200-12-31T23:59:59.999Z"), Ok(LATEST_MS));
    assert_eq!(read("2023-11-14T22:13:20.1239999999999Z"), Ok(1_700_000_000_123));
    for bad in [
        "2023-11-14",
        "1700000000",
        "",
        "2023-13-14T22:13:20Z",
        "2201-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "2023-11-14T22:13:20Z ",
        "2023-11-14T22:13:20+24:00",
        "2023-11-14T22:13:20-01:60",
        "2023-11-14T22:13:20+1",
        "2023-11-14T22:13:20+010",
        "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13.5Z",
        "2023-11-14T22:13:Z",
        "2023-1114T22:13:20Z",
        "202311-14T22:13:20Z",
        "2023-11-14T2213:20Z",
        "2023-11-14T22:1320Z",
        "23-11-14T22:13:20Z",
        "2023-11-14T24:00:00Z",
        "2023-11-14T22:13:61Z",
        "2023-11-14T22:13:20 UTC",
        "14.11.2023 22:13:20Z",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    assert_eq!(read("2023-11-14T22:13:20"), Err(TimeFault::NoOffset));
    assert_eq!(read("20231114T221320"), Err(TimeFault::NoOffset));
}

#[test]
fn the_other_forms_of_iso_8601_with_an_offset_mean_the_same_instant() {
    for text in [
        "2024-05-01T12:00:00Z",
        "2024-05-01 14:00:00+0200",
        "20240501T120000Z",
        "20240501t120000z",
        "2024-05-01t12:00:00z",
        "2024-05-01T14:00:00+02",
        "20240501T140000+02",
        "20240501T140000+0200",
        "20240501 063000-0530",
        "2024-05-01T12:00Z",
        "20240501T1200Z",
        "2024-05-01T12:00:00,000Z",
        "2024-05-01T12:00:00-00:00",
    ] {
        assert_eq!(read(text), Ok(1_714_564_800_000), "{text}");
    }
    assert_eq!(read("20240501T120000.25Z"), Ok(1_714_564_800_250));
}

#[test]
fn a_leap_second_is_the_first_second_of_the_next_month_with_its_fraction() {
    let july_2012 = 1_341_100_800_000;
    for (text, ms) in [
        ("2012-06-30T23:59:60Z", july_2012),
        ("2012-06-30T23:59:60.620Z", july_2012 + 620),
        ("20120630T235960.6209Z", july_2012 + 620),
        ("2012-07-01T01:59:60+02:00", july_2012),
        ("2012-06-30T18:29:60-0530", july_2012),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("1970-01-01T00:59:60+01:00", 0),
        // No leap second was in February, and one could be.
        ("2024-02-29T23:59:60Z", 1_709_251_200_000),
    ] {
        assert_eq!(read(text), Ok(ms), "{text}");
    }
    for text in [
        "2012-06-30T23:58:60Z",
        "2012-06-30T22:59:60Z",
        "2012-06-29T23:59:60Z",
        "2012-06-30T23:59:60+02:00",
        "2012-07-01T00:59:60+02:00",
        "2024-02-28T23:59:60Z",
    ] {
        assert_eq!(read(text), Err(TimeFault::LeapSecond), "{text}");
    }
    assert_eq!(read("2200-12-31T23:59:60Z"), Err(TimeFault::Range));
    assert_eq!(read("2012-06-30T23:59:61Z"), Err(TimeFault::TimeOfDay));
}

#[test]
fn what_does_not_exist_is_told_with_what_exists() {
    for (text, words) in [
        ("2024-02-30T12:00:00Z", "has day 30, but 2024-02 has the days 01 to 29"),
        ("2023-02-29T12:00:00Z", "has day 29, but 2023-02 has the days 01 to 28"),
        ("2023-04-00T12:00:00Z", "01 to 30"),
        ("2023-13-01T12:00:00Z", "months are 01 to 12"),
        ("2023-04-01T24:00:00Z", "00:00:00 to 23:59:59"),
        ("2023-04-01T12:00:00+24:00", "offset beyond 23:59"),
        ("2023-04-01T12:00:00", "has no offset: add one"),
        ("soon", "such as 2024-05-01T12:00:00Z"),
    ] {
        let told = read(text).expect_err(text).to_string();
        assert!(told.contains(words), "{text}: {told}");
    }
}

#[test]
fn a_time_without_an_offset_is_meant_in_the_time_zone_where_it_is_one_instant() {
    let berlin = zone("Europe/Berlin").expect("a zone of the table");
    let read = |text: &str| from_text(text, Some(&berlin));
    assert_eq!(read("2024-05-01T14:00:00"), Ok(1_714_564_800_000));
    assert_eq!(read("20240501T140000"), Ok(1_714_564_800_000));
    assert_eq!(read("2024-01-01 13:00:00.5"), Ok(1_704_110_400_500));
    assert_eq!(read("2012-07-01T01:59:60"), Ok(1_341_100_800_000));
    // An offset in the text counts before the zone.
    assert_eq!(read("2024-05-01T12:00:00Z"), Ok(1_714_564_800_000));
    let never = read("2024-03-31T02:30:00").expect_err("skipped");
    assert_eq!(never, TimeFault::Skipped { zone: "Europe/Berlin".into() });
    let twice = read("2024-10-27T02:30:00").expect_err("twice");
    assert_eq!(twice, TimeFault::Twice { zone: "Europe/Berlin".into() });
    for (text, ms) in [
        ("2024-03-31T01:59:59", 1_711_846_799_000),
        ("2024-03-31T03:00:00", 1_711_846_800_000),
        ("2024-10-27T01:59:59", 1_729_987_199_000),
        ("2024-10-27T03:00:00", 1_729_994_400_000),
    ] {
        assert_eq!(read(text), Ok(ms), "{text}");
    }
}

#[test]
fn time_zones_have_their_iana_names() {
    for name in ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia"] {
        assert!(zone(name).is_some(), "{name}");
    }
    for name in ["", "CEST", "Europe/Berlim", "+02:00", "/etc/passwd", "../UTC"] {
        assert!(zone(name).is_none(), "{name}");
    }
}

/// The offset in three spellings, and without one that a zone could stand for.
fn offsets(minutes: i64) -> Vec<String> {
    let (sign, size) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
    let (hours, rest) = (size / 60, size % 60);
    let mut all = vec![format!("{sign}{hours:02}:{rest:02}"), format!("{sign}{hours:02}{rest:02}")];
    if rest == 0 {
        all.push(format!("{sign}{hours:02}"));
    }
    if minutes == 0 {
        all.extend(["Z".to_owned(), "z".to_owned()]);
    }
    all
}

proptest! {
    #[test]
    fn every_spelling_of_an_instant_is_read_as_this_instant(
        ms in 0..=LATEST_MS, minutes in -1_439_i64..=1_439, below in 0_u32..1_000_000,
    ) {
        let local = jiff::Timestamp::from_millisecond(ms + minutes * 60_000).expect("in range");
        for minutes in [minutes, 0, minutes / 60 * 60] {
            let local = if minutes == 0 {
                jiff::Timestamp::from_millisecond(ms).expect("in range")
            } else {
                jiff::Timestamp::from_millisecond(ms + minutes * 60_000).unwrap_or(local)
            };
            for offset in offsets(minutes) {
                for form in ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y%m%dT%H%M%S", "%Y%m%dt%H%M%S"] {
                    let written = local.strftime(form);
                    let text = format!("{written}.{:03}{below:06}{offset}", ms % 1_000);
                    prop_assert_eq!(read(&text), Ok(ms), "{}", text);
                }
            }
        }
    }

    #[test]
    fn second_60_is_second_0_of_the_next_minute_at_the_end_of_a_month_and_else_no_time(
        year in 1970_i16..=2199, month in 1_i8..=12, day in 1_i8..=31, hour in 0_i8..=23,
        minute in 0_i8..=59, offset in -1_439_i64..=1_439, at_the_end in any::<bool>(),
    ) {
        let first = jiff::civil::date(year, month, 1);
        let last = first.last_of_month();
        let utc = if at_the_end {
            last.at(23, 59, 59, 0)
        } else {
            first.with().day(day.min(last.day())).build().expect("a day").at(hour, minute, 59, 0)
        };
        let next = utc + jiff::SignedDuration::from_secs(1);
        let local = utc + jiff::SignedDuration::from_mins(offset);
        let text = format!("{}60{}", local.strftime("%Y-%m-%dT%H:%M:"), offsets(offset)[0]);
        let is_leap = next.day() == 1 && next.hour() == 0 && next.minute() == 0;
        let ms = jiff::tz::Offset::UTC.to_timestamp(next).expect("an instant").as_millisecond();
        let wanted = if is_leap { Ok(ms) } else { Err(TimeFault::LeapSecond) };
        prop_assert_eq!(read(&text), wanted, "{}", text);
    }

    #[test]
    fn a_local_time_is_read_in_a_zone_as_the_one_instant_at_which_its_clocks_show_it(
        ms in 86_400_000..=LATEST_MS - 86_400_000,
        name in prop::sample::select(vec!["Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Africa/Monrovia", "UTC"]),
    ) {
        let zone = zone(name).expect("a zone of the table");
        let shown = zone.to_datetime(jiff::Timestamp::from_millisecond(ms).expect("in range"));
        let text = shown.strftime("%Y-%m-%dT%H:%M:%S.%f").to_string();
        match from_text(&text, Some(&zone)) {
            Ok(read) => prop_assert_eq!(read, ms, "{} in {}", text, name),
            Err(TimeFault::Twice { .. }) => {}
            Err(other) => prop_assert!(false, "{} in {}: {}", text, name, other),
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-+0-9TtZz:. ,]{0,40}") {
        let _ = read(&text);
    }
}
