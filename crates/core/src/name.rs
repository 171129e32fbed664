//! Which file stems can be recording ids.

use crate::recording::quoted;
use crate::state::{Fault, State};

/// Bytes in a recording id at most.
pub const NAME_BYTES_MAX: usize = 255;

/// The recording id that a file stem is.
///
/// # Errors
/// `name_invalid`: not UTF-8, empty, with control characters, or over 255 bytes; nothing else.
pub fn recording_id(stem: &[u8]) -> Result<&str, Fault> {
    let refuse = |what: &str| {
        let reason =
            format!("the name {} {what}. Rename the files of this recording", quoted(stem));
        Err(Fault::new(State::NameInvalid, reason))
    };
    let Ok(name) = std::str::from_utf8(stem) else { return refuse("is not UTF-8") };
    if name.is_empty() {
        return refuse("has nothing before its extension");
    }
    if name.len() > NAME_BYTES_MAX {
        return refuse("is longer than 255 bytes");
    }
    if name.chars().any(char::is_control) {
        return refuse("has control characters in it");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_four_things_make_a_name_invalid() {
        for good in ["a", "..", "a.b", " ", "$x", "ü-日本", "-rf", &"x".repeat(255)] {
            assert_eq!(recording_id(good.as_bytes()).as_deref(), Ok(good));
        }
        for bad in [&b""[..], b"\xff", b"a\nb", b"\x00", &[b'x'; 256], "\u{85}".as_bytes()] {
            let fault = recording_id(bad).expect_err("a bad name");
            assert_eq!(fault.state, State::NameInvalid);
            assert!(!fault.reason.contains('\n'), "{}", fault.reason);
        }
    }
}
