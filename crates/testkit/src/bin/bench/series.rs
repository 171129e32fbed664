//! A series of recordings as a site has it: 10 s each, one after another for eight hours of every day, a thousand a
//! folder, of 100 sensors in turn.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use focus_testkit::tree::Planted;
use serde_json::json;

/// When the first one begins, milliseconds since 1970: 2024-01-01.
const FIRST_MS: u64 = 1_704_067_200_000;

/// How long one lasts, milliseconds.
pub(crate) const LENGTH_MS: u64 = 10_000;

/// Recordings of a day.
const OF_DAY: u64 = 2_880;

/// What a data file holds.
const DATA: [u8; 16] = [b'x'; 16];

/// Recordings of a folder.
const OF_FOLDER: u64 = 1_000;

/// When the n-th begins, milliseconds since 1970.
pub(crate) fn start_ms(n: u64) -> u64 {
    FIRST_MS + n / OF_DAY * 86_400_000 + n % OF_DAY * LENGTH_MS
}

/// Its uuid: numbers that are spread over all of them.
pub(crate) fn uuid(n: u64) -> String {
    let mixed = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let hex = format!("{mixed:032x}");
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// Writes these of the series. In the end both files of each are closed.
///
/// # Panics
/// The disk does not take them.
pub(crate) fn write(root: &Path, numbers: Range<u64>) {
    let mut sidecar = String::new();
    let first = numbers.start;
    for n in numbers {
        let folder = root.join(folder(n));
        if n == first || n.is_multiple_of(OF_FOLDER) {
            std::fs::create_dir_all(&folder).expect("a folder");
        }
        let (uuid, start_ms) = (uuid(n), start_ms(n));
        sidecar.clear();
        let _ = write!(
            sidecar,
            "{{\"uuid\":\"{uuid}\",\"start_time\":{start_ms},\"end_time\":{},\"sensor\":\"{}\",\
             \"site\":\"hill\",\"channel\":\"HSF\",\"rate_hz\":1000,\"gain\":1.5}}",
            start_ms + LENGTH_MS,
            sensor(n)
        );
        std::fs::write(folder.join(format!("{uuid}.json")), &sidecar).expect("a sidecar");
        std::fs::write(folder.join(format!("{uuid}.dat")), DATA).expect("data");
    }
}

/// The documents that these have to have.
pub(crate) fn planted(numbers: Range<u64>) -> Vec<Planted> {
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    numbers
        .map(|n| Planted {
            uuid: uuid(n),
            recording_id: uuid(n),
            path: format!("{}/{}.dat", folder(n), uuid(n)),
            start_ms: ms(start_ms(n)),
            end_ms: Some(ms(start_ms(n) + LENGTH_MS)),
            deleted: false,
            size: i64::try_from(DATA.len()).unwrap_or(i64::MAX),
            metadata: json!({
                "sensor": sensor(n), "site": "hill", "channel": "HSF", "rate_hz": 1000, "gain": 1.5,
            }),
        })
        .collect()
}

/// The folder of the n-th.
fn folder(n: u64) -> String {
    format!("{:04}", n / OF_FOLDER)
}

fn sensor(n: u64) -> String {
    format!("S{:03}", n % 100)
}
