use proptest::prelude::*;

use crate::pair::{PairForm, Preset};
use crate::sidecar::{self, Of};
use crate::state::{Fault, State};
use crate::time::LATEST_MS;

fn read(text: &str, data_size: i64) -> Result<(i64, i64), Fault> {
    let form = PairForm::of(Preset::Sigmf);
    let of = Of { root: "r", folder: b"", recording_id: "rec", data_size, form: &form };
    let sidecar = sidecar::parse(text.as_bytes(), &of)?;
    Ok((sidecar.start_ms, sidecar.end_ms.expect("never live")))
}

fn meta(global: &str, captures: &str) -> String {
    format!(r#"{{"global": {{{global}}}, "captures": [{captures}], "annotations": []}}"#)
}

const T: i64 = 1_714_564_800_000;

const DATED: &str = r#"{"core:sample_start": 0, "core:datetime": "2024-05-01T12:00:00Z"}"#;

#[test]
fn the_end_follows_from_size_type_channels_and_rate() {
    for (global, size, lasts_ms) in [
        (r#""core:datatype": "cf32_le", "core:sample_rate": 1000"#, 8_000, 1_000),
        (r#""core:datatype": "ci16_le", "core:sample_rate": 2.4e6"#, 9_600_000, 1_000),
        (r#""core:datatype": "ru8", "core:sample_rate": 0.1"#, 10, 100_000),
        (r#""core:datatype": "cu8", "core:sample_rate": 3"#, 2, 333),
        (
            r#""core:datatype": "rf64_be", "core:sample_rate": 1e3, "core:num_channels": 4"#,
            32_000,
            1_000,
        ),
        (
            r#""core:datatype": "ri16_le", "core:sample_rate": 1000, "core:num_channels": 1.0"#,
            2_000,
            1_000,
        ),
        (
            r#""core:datatype": "ci8", "core:sample_rate": 1000, "core:trailing_bytes": 20"#,
            2_021,
            1_000,
        ),
        (r#""core:datatype": "ru8", "core:sample_rate": 1000, "core:offset": 0"#, 0, 0),
        (r#""core:datatype": "ru8", "core:sample_rate": 1e300"#, i64::MAX, 0),
    ] {
        assert_eq!(read(&meta(global, DATED), size), Ok((T, T + lasts_ms)), "{global}");
    }
}

#[test]
fn the_first_and_the_last_capture_with_a_date_count() {
    let global = r#""core:datatype": "ci16_le", "core:sample_rate": 1000, "core:offset": 500"#;
    let captures = r#"
        {"core:sample_start": 500, "core:header_bytes": 4},
        {"core:sample_start": 600, "core:datetime": "2024-05-01T12:00:00.0009Z"},
        {"core:sample_start": 1500, "core:datetime": "2024-05-01T12:00:10.000900Z", "core:header_bytes": 4},
        {"core:sample_start": 1600}"#;
    // 2,000 samples from 500 on: 1,000 of them after the last date.
    assert_eq!(read(&meta(global, captures), 8_008), Ok((T, T + 11_000)));
    // Parts of milliseconds count for the end.
    let global = r#""core:datatype": "ru8", "core:sample_rate": 10000"#;
    let dated = r#"{"core:sample_start": 0, "core:datetime": "2024-05-01T12:00:00.0009Z"}"#;
    assert_eq!(read(&meta(global, dated), 1), Ok((T, T + 1)));
}

#[test]
fn what_has_no_time_is_told_with_its_reason() {
    let good = r#""core:datatype": "ru8", "core:sample_rate": 1000"#;
    for (global, captures, words) in [
        (good, "", "rec.sigmf-meta has no core:datetime in any of /captures. Add one"),
        (good, r#"{"core:sample_start": 0, "core:datetime": null}"#, "has no core:datetime"),
        (
            good,
            r#"{"core:datetime": "now"}"#,
            "rec.sigmf-meta, line 1, column 95: core:datetime \"now\" is not",
        ),
        (good, r#"{"core:datetime": 5}"#, "core:datetime 5 is no text"),
        (good, r#"{"core:datetime": "2024-05-01T12:00:00"}"#, "or set time_zone of the root"),
        (
            good,
            r#"{"core:datetime": "2024-05-01T12:00:00Z"}"#,
            "has no core:sample_start in /captures/0",
        ),
        (
            good,
            r#"{"core:sample_start": 11, "core:datetime": "2024-05-01T12:00:00Z"}"#,
            "begins after 11 samples, but the data file has 10",
        ),
        (
            good,
            r#"{"core:sample_start": -1, "core:datetime": "2024-05-01T12:00:00Z"}"#,
            "core:sample_start -1, which is not a whole number",
        ),
        (
            good,
            r#"{"core:sample_start": 0, "core:header_bytes": 11, "core:datetime": "2024-05-01T12:00:00Z"}"#,
            "but the data file has 10 bytes",
        ),
        (r#""core:datatype": "ru8""#, DATED, "has no core:sample_rate in /global"),
        (
            r#""core:datatype": "ru8", "core:sample_rate": 0"#,
            DATED,
            "core:sample_rate is not a number above 0",
        ),
        (
            r#""core:datatype": "ru8", "core:sample_rate": "1000""#,
            DATED,
            "core:sample_rate is not a number above 0",
        ),
        (r#""core:datatype": "ru8", "core:sample_rate": 1e-300"#, DATED, "before the end of 2200"),
        (
            r#""core:datatype": "ru9", "core:sample_rate": 1"#,
            DATED,
            "core:datatype \"ru9\", which is none of SigMF",
        ),
        (r#""core:sample_rate": 1"#, DATED, "has no core:datatype in /global"),
        (
            r#""core:datatype": "ru8", "core:sample_rate": 1, "core:num_channels": 0"#,
            DATED,
            "core:num_channels 0",
        ),
        (
            r#""core:datatype": "ru8", "core:sample_rate": 1, "core:offset": 1"#,
            DATED,
            "is before core:offset 1",
        ),
    ] {
        let fault = read(&meta(global, captures), 10).expect_err(global);
        assert_eq!(fault.state, State::TimeInvalid);
        assert!(fault.reason.contains(words), "{words}: {}", fault.reason);
    }
    for text in ["{}", r#"{"captures": {}, "global": []}"#, r#"{"captures": [1, null, []]}"#] {
        assert_eq!(read(text, 10).expect_err(text).state, State::TimeInvalid, "{text}");
    }
}

proptest! {
    #[test]
    fn the_end_is_what_other_arithmetic_gives(
        size in 0..1_i64 << 50,
        // Hundredths of a sample a second.
        rate in 1..1_u64 << 40,
        channels in 1..64_i64,
        type_ in prop::sample::select(vec![("cf32_le", 8), ("ri16_be", 2), ("cu8", 2), ("rf64_le", 8)]),
    ) {
        let (datatype, bytes) = type_;
        let global = format!(
            r#""core:datatype": "{datatype}", "core:num_channels": {channels}, "core:sample_rate": {}.{:02}"#,
            rate / 100, rate % 100,
        );
        let samples = u128::from(size.unsigned_abs()) / u128::from((bytes * channels).unsigned_abs());
        let lasts_ms = samples * 100_000 / u128::from(rate);
        let end_ms = i64::try_from(lasts_ms).ok().and_then(|ms| ms.checked_add(T));
        match read(&meta(&global, DATED), size) {
            Ok(times) => prop_assert_eq!(Some(times), end_ms.map(|end_ms| (T, end_ms))),
            Err(fault) => {
                prop_assert_eq!(fault.state, State::TimeInvalid);
                prop_assert!(end_ms.is_none_or(|end_ms| end_ms > LATEST_MS));
            }
        }
    }

    #[test]
    fn whatever_the_numbers_are_there_is_a_span_or_a_reason(
        size in any::<i64>(),
        rate in "-?[0-9]{1,25}(\\.[0-9]{1,25})?(e[+-]?[0-9]{1,5})?",
        channels in any::<i64>(), offset in any::<i64>(), start in any::<i64>(),
        header in any::<i64>(), trailing in any::<i64>(),
    ) {
        let global = format!(
            r#""core:datatype": "cf32", "core:sample_rate": {rate}, "core:num_channels": {channels},
                "core:offset": {offset}, "core:trailing_bytes": {trailing}"#
        );
        let captures = format!(
            r#"{{"core:sample_start": {start}, "core:header_bytes": {header}, "core:datetime": "2024-05-01T12:00:00Z"}}"#
        );
        if let Ok((start_ms, end_ms)) = read(&meta(&global, &captures), size) {
            prop_assert!(start_ms <= end_ms && end_ms <= LATEST_MS);
        }
    }
}
