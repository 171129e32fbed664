//! Documents read back: anything that a database may hold under our names.

use focus_catalog::mongo::{read_back, to_bytes};
use focus_core::document::Versioned;

/// Checks one document's bytes.
pub fn documents(bytes: &[u8]) {
    let Some(stored) = read_back(bytes) else { return };
    let Some(recording) = &stored.recording else { return };
    assert_eq!(stored.uuid, recording.uuid);
    assert_eq!(stored.root.as_ref(), Some(&recording.root));
    assert_eq!(stored.path.as_ref(), Some(&recording.path));
    assert_eq!(stored.deleted, recording.deleted);
    let version = stored.version.unwrap_or(0);
    let document = Versioned { recording: recording.clone(), version };
    let sent = to_bytes(&document).expect("what was BSON can be BSON");
    let again = read_back(&sent).expect("a document of ours");
    assert_eq!((again.recording.as_ref(), again.version), (Some(recording), Some(version)));
}
