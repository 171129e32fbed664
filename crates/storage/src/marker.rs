//! The marker that makes a folder a root. A folder without a marker may be the empty mount point of
//! a file system that is not there.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use focus_core::json::Value;

use crate::problem::RootProblem;

/// The name of the marker in its root.
pub const MARKER: &str = ".focus-root";

/// Bytes of a marker at most.
const BYTES_MAX: u64 = 4_096;

/// The marker of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The root's id: the `root` field of its documents, wherever the root is mounted.
    pub id: String,
    /// This call made the marker.
    pub created: bool,
}

/// Marks a folder as a root, with the id of a root that is known, or with a new one. A folder that has a
/// marker keeps it.
///
/// # Errors
/// The folder is not there, cannot be written, or has a damaged marker.
pub fn init(root: &Path, known: Option<&str>) -> Result<Marker, RootProblem> {
    match read(root) {
        Err(RootProblem::NoMarker { .. }) => {}
        other => return other.map(|id| Marker { id, created: false }),
    }
    let id = known.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
    write(root, &id, |part, marker| {
        // A link, not a rename: of two that mark at once, the first one wins.
        match fs::hard_link(part, marker) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            // File systems without hard links.
            Err(_) => fs::rename(part, marker),
            Ok(()) => Ok(()),
        }
    })?;
    let stored = read(root)?;
    Ok(Marker { created: stored == id, id: stored })
}

/// Gives a folder a marker with a new id, in the place of the one that it may have.
///
/// # Errors
/// The folder is not there or cannot be written.
pub fn renew(root: &Path) -> Result<Marker, RootProblem> {
    match read(root) {
        Ok(_) | Err(RootProblem::NoMarker { .. } | RootProblem::MarkerDamaged { .. }) => {}
        Err(problem) => return Err(problem),
    }
    let id = uuid::Uuid::new_v4().to_string();
    write(root, &id, |part, marker| fs::rename(part, marker))?;
    Ok(Marker { id, created: true })
}

/// Writes a marker under a name of its own, and has it put in place.
fn write(
    root: &Path,
    id: &str,
    put: impl FnOnce(&Path, &Path) -> std::io::Result<()>,
) -> Result<(), RootProblem> {
    let text = format!("{{\"format\":1,\"id\":{}}}\n", Value::String(id.to_owned()).to_text());
    let part = root.join(format!("{MARKER}.{}", uuid::Uuid::new_v4()));
    let made = (|| {
        let mut file = File::create_new(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        put(&part, &root.join(MARKER))?;
        File::open(root)?.sync_all()
    })();
    // It is gone already where it was renamed.
    let _ = fs::remove_file(&part);
    made.map_err(|error: std::io::Error| RootProblem::Unreadable {
        path: root.to_owned(),
        words: format!("the marker {MARKER} cannot be written: {error}"),
    })
}

/// The id in the marker of a root.
///
/// # Errors
/// The root is not there, has no marker, or a damaged one.
pub fn read(root: &Path) -> Result<String, RootProblem> {
    let path = root.join(MARKER);
    let unreadable = |error: std::io::Error| RootProblem::Unreadable {
        path: root.to_owned(),
        words: format!("the marker {MARKER} cannot be read: {error}"),
    };
    let meta = match fs::symlink_metadata(&path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(match fs::metadata(root) {
                Ok(meta) if meta.is_dir() => RootProblem::NoMarker { path: root.to_owned() },
                Ok(_) => RootProblem::NotADirectory { path: root.to_owned() },
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    RootProblem::Absent { path: root.to_owned() }
                }
                Err(error) => unreadable(error),
            });
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(RootProblem::NotADirectory { path: root.to_owned() });
        }
        Err(error) => return Err(unreadable(error)),
    };
    let damaged = || RootProblem::MarkerDamaged { path: path.clone() };
    if !meta.is_file() || meta.len() > BYTES_MAX {
        return Err(damaged());
    }
    let text = fs::read(&path).map_err(unreadable)?;
    let Ok(Value::Object(fields)) = Value::parse(&text) else { return Err(damaged()) };
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    match (field("format"), field("id")) {
        (Some(Value::Int(1)), Some(Value::String(id))) if !id.is_empty() && id.len() <= 255 => {
            Ok(id.clone())
        }
        _ => Err(damaged()),
    }
}
