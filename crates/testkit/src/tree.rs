//! Recordings on disk, and the documents that the catalog has to hold for them. The test knows
//! both, because it wrote the files.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A recording that was written, with the content that its document has to have.
#[derive(Clone, Debug)]
pub struct Planted {
    /// The document's uuid.
    pub uuid: String,
    /// The stem.
    pub recording_id: String,
    /// Path of the data file below the root.
    pub path: String,
    /// Milliseconds since 1970.
    pub start_ms: i64,
    /// Milliseconds since 1970; none while live.
    pub end_ms: Option<i64>,
    /// As the sidecar says.
    pub deleted: bool,
    /// Bytes of the data file.
    pub size: i64,
    /// Every other field of the sidecar.
    pub metadata: Value,
}

/// How files come to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Written and closed under their names.
    InPlace,
    /// Written elsewhere and moved into place.
    Moved,
}

/// A tree of recordings below a root.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    made: u64,
}

impl Tree {
    /// A tree in this folder.
    pub fn new(root: &Path) -> Tree {
        Tree { root: root.to_owned(), made: 0 }
    }

    /// A tree whose first recording has this number, so that several trees share no uuid.
    pub fn beginning_at(root: &Path, made: u64) -> Tree {
        Tree { root: root.to_owned(), made }
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Adds `count` recordings of many shapes.
    ///
    /// # Panics
    /// The disk does not take them.
    pub fn add(&mut self, count: usize, writing: Writing) -> Vec<Planted> {
        (0..count).map(|_| self.add_one(writing)).collect()
    }

    fn add_one(&mut self, writing: Writing) -> Planted {
        let n = self.made;
        self.made += 1;
        let folder = match n % 3 {
            0 => String::new(),
            1 => format!("day-{:02}", n / 300 % 30),
            _ => format!("day-{:02}/aufnahme ü", n / 300 % 30),
        };
        let recording_id = format!("rec-{n:07}");
        let start_ms = 1_700_000_000_000 + i64::try_from(n).expect("small") * 1_234;
        let end_ms = (n % 10 != 9).then_some(start_ms + 60_000);
        let uuid =
            if n.is_multiple_of(4) { recording_id.clone() } else { format!("uuid-{n:07}-é") };
        let metadata = json!({
            "station": format!("S{:03}", n % 100),
            "gain": 1.5,
            "count": n,
            "big": i64::MAX,
            "expression": "$x",
            "nested": { "a.b": [1, null, true, "\u{1F600}"], "empty": {} },
        });
        let mut sidecar = metadata.clone();
        let (start, end) = times(n, start_ms, end_ms);
        sidecar["start_time"] = start;
        sidecar["end_time"] = end;
        if !n.is_multiple_of(4) {
            sidecar["uuid"] = json!(uuid);
        }
        let deleted = n % 50 == 49;
        if deleted {
            sidecar["deleted"] = json!(true);
        }
        let data = vec![b'x'; usize::try_from(n % 64).expect("small")];
        let dir = self.root.join(&folder);
        fs::create_dir_all(&dir).expect("a folder");
        write(&dir, &format!("{recording_id}.dat"), &data, writing);
        write(&dir, &format!("{recording_id}.json"), sidecar.to_string().as_bytes(), writing);
        let prefix = if folder.is_empty() { folder } else { format!("{folder}/") };
        Planted {
            path: format!("{prefix}{recording_id}.dat"),
            size: i64::try_from(data.len()).expect("small"),
            uuid,
            recording_id,
            start_ms,
            end_ms,
            deleted,
            metadata,
        }
    }
}

/// The same instants in several of the formats that sidecars may have.
fn times(n: u64, start_ms: i64, end_ms: Option<i64>) -> (Value, Value) {
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
    let seconds = |ms: i64| json!(ms as f64 / 1_000.0);
    match n % 5 {
        0 => (json!(start_ms), json!(end_ms)),
        1 => (seconds(start_ms), end_ms.map_or(Value::Null, seconds)),
        2 => (json!(start_ms * 1_000 + 999), json!(end_ms.map(|ms| ms * 1_000))),
        3 => (json!(start_ms * 1_000_000 + 999_999), json!(end_ms.map(|ms| ms * 1_000_000))),
        _ => (json!(start_ms), json!(end_ms)),
    }
}

/// Writes a file.
///
/// # Panics
/// The disk does not take it.
pub fn write(dir: &Path, name: &str, bytes: &[u8], writing: Writing) {
    match writing {
        Writing::InPlace => fs::write(dir.join(name), bytes).expect("a file"),
        Writing::Moved => {
            let part = dir.join(format!("{name}.part"));
            fs::write(&part, bytes).expect("a file");
            fs::rename(part, dir.join(name)).expect("a move");
        }
    }
}
