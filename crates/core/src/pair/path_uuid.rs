//! The uuid of a recording whose sidecar has none that is its own: it follows from root and path.

use sha1::{Digest, Sha1};

/// The namespace of URLs, from RFC 9562.
const NAMESPACE_URL: [u8; 16] = [
    0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
];

/// The uuid of version 5 (RFC 9562) of the name `focus:ROOT/PATH` among URLs: ROOT is the id in the root's
/// marker, PATH the path below the root without extension. So a recording whose data file gets another
/// extension, such as `m4a` for `wav`, stays the same recording.
pub fn path_uuid(root: &str, folder: &[u8], stem: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(NAMESPACE_URL);
    for part in [b"focus:", root.as_bytes(), b"/", folder] {
        hash.update(part);
    }
    if !folder.is_empty() {
        hash.update(b"/");
    }
    hash.update(stem);
    let hash = hash.finalize();
    let mut uuid = [0; 16];
    for (byte, hashed) in uuid.iter_mut().zip(hash) {
        *byte = hashed;
    }
    uuid[6] = uuid[6] & 0x0f | 0x50;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in uuid.iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0x0f] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by Python: `uuid.uuid5(uuid.NAMESPACE_URL, "focus:...")`.
    #[test]
    fn it_is_what_others_derive_from_the_same_name() {
        for (root, folder, stem, uuid) in [
            ("python.org", "", "x", PYTHON[0]),
            (
                "0b0cbf8c-2a14-4d2c-9d8b-6a3b7c3b1f11",
                "2024/5/1",
                "101-1714564800_155.wav",
                PYTHON[1],
            ),
            ("r", "ü", "日本", PYTHON[2]),
        ] {
            assert_eq!(path_uuid(root, folder.as_bytes(), stem.as_bytes()), uuid);
        }
    }

    #[test]
    fn another_root_folder_or_name_has_another_uuid() {
        let all =
            [("r", "a", "b"), ("r", "", "b"), ("r", "a", "c"), ("s", "a", "b"), ("r", "b", "a")];
        let uuids =
            all.map(|(root, folder, stem)| path_uuid(root, folder.as_bytes(), stem.as_bytes()));
        let distinct: std::collections::HashSet<&String> = uuids.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    const PYTHON: [&str; 3] = [
        "fc71f144-d9b1-56a6-88ca-2dc95ed8f13b",
        "ed47b833-f7eb-5cd1-b185-ffd664dcc7df",
        "1e96e65d-5b0e-529b-ad7e-12f9d504dedd",
    ];
}
