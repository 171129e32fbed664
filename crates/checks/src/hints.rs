//! Hints: bodies of messages, whoever sends them, and the paths in them.

use focus_core::hint::{BinaryEvent, Envelope, PATH_BYTES_MAX, Target, below, parse, target};

/// Media types that a message may have.
const TYPES: [Option<&str>; 6] = [
    None,
    Some("application/json"),
    Some("text/plain"),
    Some("application/cloudevents-batch+json"),
    Some("application/octet-stream"),
    Some("image/png"),
];

/// Checks one message. The first byte selects its media type, and whether the first line of the rest is the subject of an
/// event.
pub fn hints(bytes: &[u8]) {
    let Some((first, mut body)) = bytes.split_first() else { return };
    let content_type = TYPES[usize::from(*first) % TYPES.len()];
    let mut event = None;
    if first & 0x40 != 0 {
        let end = body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len());
        let subject = std::str::from_utf8(&body[..end]).ok();
        body = &body[(end + 1).min(body.len())..];
        event = Some(BinaryEvent { version: "1.0", subject });
    }
    let hints = match parse(body, Envelope { content_type, event }) {
        Ok(hints) => hints,
        Err(problem) => {
            assert!(
                problem.to_string().len() < 1_024,
                "a reason of {} bytes",
                problem.to_string().len()
            );
            return;
        }
    };
    assert!(!hints.is_empty());
    assert_eq!(hints.iter().count(), hints.len());
    let mut all = 0;
    for (path, root) in hints.iter() {
        assert!(!path.is_empty());
        all += path.len();
        let top = root.map_or(&b"/data"[..], str::as_bytes);
        if let Some((below, is_folder)) = below(path, top) {
            stays_below(path, &below, is_folder);
        }
    }
    // Escapes are longer than what they stand for.
    assert!(all <= 3 * bytes.len(), "{all} bytes of paths from {}", bytes.len());
}

fn stays_below(path: &[u8], below: &[u8], is_folder: bool) {
    assert!(below.len() <= path.len() && below.len() <= PATH_BYTES_MAX);
    let is_good = |part: &[u8]| !part.is_empty() && part != b"." && part != b"..";
    assert!(below.is_empty() || below.split(|byte| *byte == b'/').all(is_good), "{below:?}");
    let stem = |name: &[u8]| name.strip_suffix(b".dat").map(<[u8]>::len);
    match target(below, is_folder, stem) {
        Some(Target::Place(place)) => {
            let slash: &[u8] = if place.folder.is_empty() { b"" } else { b"/" };
            assert_eq!([&place.folder, slash, &place.stem, b".dat"].concat(), below);
        }
        Some(Target::Folder(folder)) => assert_eq!(folder, below),
        None => assert!(!is_folder),
    }
}
