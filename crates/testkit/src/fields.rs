//! Pairs of other fields, as their own tools write them, and the documents that the catalog has to hold for them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::tree::{Planted, Writing, write};

/// A field whose tools write pairs of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The preset `focus`, where uuids are derived from the path.
    Own,
    /// Recordings of SigMF.
    Sigmf,
    /// Calls of trunk-recorder.
    TrunkRecorder,
}

impl Field {
    /// Extensions of both files.
    pub fn extensions(self) -> (&'static str, &'static str) {
        match self {
            Field::Own => ("dat", "json"),
            Field::Sigmf => ("sigmf-data", "sigmf-meta"),
            Field::TrunkRecorder => ("wav", "json"),
        }
    }

    /// Adds the recording of this number below a root with this id. Every tenth name is there in two folders.
    ///
    /// # Panics
    /// The disk does not take it.
    pub fn add(self, root: &Path, root_id: &str, n: u64, writing: Writing) -> Planted {
        let folder = format!("station-{}", n % 3);
        let n_ms = i64::try_from(n).expect("small") * 10_000;
        let start_ms = 1_714_564_800_000 + n_ms;
        let recording_id = match self {
            Field::TrunkRecorder => format!("{}-{}_155475000.0-call_{n}", n % 7, start_ms / 1_000),
            _ if n.is_multiple_of(10) => format!("same-{}", n / 30),
            _ => format!("rec-{n:05}"),
        };
        let (end_ms, data, sidecar, own) = match self {
            Field::Own => own(start_ms),
            Field::Sigmf => sigmf(start_ms, n),
            Field::TrunkRecorder => call(start_ms, n),
        };
        let (data_extension, sidecar_extension) = self.extensions();
        let dir = root.join(&folder);
        fs::create_dir_all(&dir).expect("a folder");
        let text = serde_json::to_vec_pretty(&sidecar).expect("JSON");
        write(&dir, &format!("{recording_id}.{data_extension}"), &data, writing);
        write(&dir, &format!("{recording_id}.{sidecar_extension}"), &text, writing);
        let mut metadata = sidecar;
        metadata.as_object_mut().expect("an object").retain(|key, _| !own.contains(&key.as_str()));
        Planted {
            uuid: uuid_of_path(root_id, &format!("{folder}/{recording_id}")),
            path: format!("{folder}/{recording_id}.{data_extension}"),
            recording_id,
            start_ms,
            end_ms: Some(end_ms),
            deleted: false,
            size: i64::try_from(data.len()).expect("small"),
            metadata,
        }
    }
}

/// End, data, sidecar, and the fields of it that are no metadata.
type Made = (i64, Vec<u8>, Value, &'static [&'static str]);

fn own(start_ms: i64) -> Made {
    let end_ms = start_ms + 5_000;
    let sidecar =
        json!({ "start_time": start_ms, "end_time": end_ms, "uuid": "the same everywhere" });
    (end_ms, b"data".to_vec(), sidecar, &["start_time", "end_time"])
}

/// Two captures of complex samples of 16 bits in two channels, 1,000 a second: 8 bytes for each millisecond.
fn sigmf(start_ms: i64, n: u64) -> Made {
    let samples = 2_000 + i64::try_from(n % 100).expect("small");
    let sidecar = json!({
        "global": {
            "core:datatype": "ci16_le",
            "core:sample_rate": 1000.0,
            "core:num_channels": 2,
            "core:version": "1.2.0",
            "core:hw": format!("receiver {}", n % 5),
        },
        "captures": [
            { "core:sample_start": 0, "core:datetime": rfc3339(start_ms), "core:frequency": 915_000_000.0 },
            { "core:sample_start": 1_000, "core:datetime": rfc3339(start_ms + 3_000) },
        ],
        "annotations": [{ "core:sample_start": 5, "core:sample_count": 10, "core:label": "$x" }],
    });
    let bytes = usize::try_from(samples * 8).expect("small");
    (start_ms + 3_000 + samples - 1_000, vec![0; bytes], sidecar, &[])
}

/// A call as trunk-recorder 4 describes it.
fn call(start_ms: i64, n: u64) -> Made {
    let (start, length) = (start_ms / 1_000, i64::try_from(n % 8).expect("small"));
    let sidecar = json!({
        "freq": 155_475_000, "freq_error": -12, "signal": -37, "noise": -87, "source_num": 0,
        "recorder_num": 3, "tdma_slot": 0, "phase2_tdma": 0,
        "start_time": start, "stop_time": start + length,
        "emergency": 0, "priority": 4, "mode": 0, "duplex": 0, "encrypted": 0,
        "call_length": length,
        "talkgroup": n % 7, "talkgroup_tag": "Dispatch", "talkgroup_description": "Fire Dispatch",
        "talkgroup_group_tag": "Fire Dispatch", "talkgroup_group": "County", "audio_type": "digital",
        "short_name": "county",
        "freqList": [{ "freq": 155_475_000, "time": start, "pos": 0.0, "len": 3.42,
            "error_count": 0, "spike_count": 0 }],
        "srcList": [{ "src": 4_100_102, "time": start, "pos": 0.0, "emergency": 0,
            "signal_system": "", "tag": "" }],
    });
    (start_ms + length * 1_000, wav(), sidecar, &["start_time", "stop_time"])
}

/// The header of a file of 8,000 samples a second, and a few of them.
fn wav() -> Vec<u8> {
    let samples = [0_u8; 320];
    let length = u32::try_from(samples.len()).expect("small");
    let mut wav = Vec::new();
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + length).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16_u32.to_le_bytes());
    for short in [1_u16, 1] {
        wav.extend_from_slice(&short.to_le_bytes());
    }
    for long in [8_000_u32, 16_000] {
        wav.extend_from_slice(&long.to_le_bytes());
    }
    for short in [2_u16, 16] {
        wav.extend_from_slice(&short.to_le_bytes());
    }
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&length.to_le_bytes());
    wav.extend_from_slice(&samples);
    wav
}

/// A time of May 2024, which all of these are, with milliseconds.
fn rfc3339(ms: i64) -> String {
    let since = ms - 1_714_521_600_000;
    let (day, rest) = (since / 86_400_000 + 1, since % 86_400_000);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    assert!((1..=31).contains(&day), "{ms} is in May 2024");
    format!("2024-05-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1_000)
}

/// The uuid that is derived from a path without extension: of version 5, by RFC 9562.
pub fn uuid_of_path(root_id: &str, path: &str) -> String {
    let namespace_of_urls: u128 = 0x6ba7_b811_9dad_11d1_80b4_00c0_4fd4_30c8;
    let mut hash = Sha1::new();
    hash.update(namespace_of_urls.to_be_bytes());
    hash.update(format!("focus:{root_id}/{path}"));
    let hash = hash.finalize();
    let first = hash.first_chunk::<16>().expect("20 bytes");
    let bits = u128::from_be_bytes(*first);
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x5 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
