//! A sum over the content of a recording's row. A disk that changes bits by itself damages content
//! that SQLite cannot see: what does not agree with its sum is never told to the catalog.

use focus_core::recording::Recording;

/// FNV-1a, 64 bits: it only has to notice what happened by chance.
struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let length = (bytes.len() as u64).to_le_bytes();
        for byte in length.iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
}

/// The sum of what the sidecar says; `metadata` is its text. What the index adds to a row, such as that it
/// is marked as deleted, is not part of it.
pub(crate) fn sum(recording: &Recording, deleted: bool, metadata: &str) -> i64 {
    let mut sum = Sum(0xCBF2_9CE4_8422_2325);
    for text in [
        &recording.uuid,
        &recording.recording_id,
        &recording.path,
        &recording.fingerprint,
        metadata,
    ] {
        sum.add(text.as_bytes());
    }
    let end_ms = recording.end_ms.unwrap_or(i64::MAX);
    for number in [recording.start_ms, end_ms, recording.size, i64::from(deleted)] {
        sum.add(&number.to_le_bytes());
    }
    sum.0.cast_signed()
}
