//! Sample recordings, and the documents that they have to become.

use std::fs;
use std::path::Path;

use focus_core::recording::Recording;
use serde_json::json;

/// A recording that the demo wrote.
pub(super) struct Made {
    pub(super) uuid: String,
    path: String,
    start_ms: i64,
    end_ms: i64,
    size: i64,
    sensor: String,
}

impl Made {
    /// Whether the document says what the demo wrote.
    pub(super) fn is(&self, recording: &Recording) -> bool {
        let metadata = recording.metadata.to_text();
        recording.path == self.path
            && recording.start_ms == self.start_ms
            && recording.end_ms == Some(self.end_ms)
            && recording.size == self.size
            && !recording.deleted
            && metadata == format!("{{\"sensor\":\"{}\",\"sample_rate_hz\":500}}", self.sensor)
    }
}

/// Writes `count` recordings, numbered from `first`, as an acquisition system does: data, then sidecar.
pub(super) fn land(root: &Path, first: usize, count: usize) -> anyhow::Result<Vec<Made>> {
    let mut made = Vec::with_capacity(count);
    for n in first..first + count {
        let day = format!("day-{}", 1 + n / 25);
        fs::create_dir_all(root.join(&day))?;
        let id = format!("rec-{n:05}");
        let start_ms = 1_750_000_000_000 + i64::try_from(n)? * 60_000;
        let data = vec![b'.'; 256 + n];
        let sensor = format!("sensor-{}", n % 7);
        let uuid = uuid::Uuid::new_v4().to_string();
        let sidecar =
            json!({ "uuid": uuid, "start_time": start_ms, "end_time": start_ms + 59_999 });
        let known = sidecar.to_string();
        let text = format!(
            "{},\"sensor\":\"{sensor}\",\"sample_rate_hz\":500}}\n",
            known.trim_end_matches('}')
        );
        fs::write(root.join(&day).join(format!("{id}.dat")), &data)?;
        fs::write(root.join(&day).join(format!("{id}.json")), text)?;
        made.push(Made {
            path: format!("{day}/{id}.dat"),
            size: i64::try_from(data.len())?,
            end_ms: start_ms + 59_999,
            start_ms,
            sensor,
            uuid,
        });
    }
    Ok(made)
}
