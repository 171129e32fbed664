//! `Content-Digest` (RFC 9530): the SHA-256 that a sender gives of a body.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::Problem;

/// The header.
pub(super) const HEADER: &str = "Content-Digest";

/// The SHA-256 that the sender gives; none where it gives no digest at all.
///
/// # Errors
/// It cannot be read, or is of another kind alone: what the sender wants to be checked could not be.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Problem> {
    let values: Vec<_> = headers.get_all(HEADER).iter().collect();
    if values.is_empty() {
        return Ok(None);
    }
    let wrong = |words: &str| {
        let words = format!("{HEADER}: {words}: give `sha-256=:BASE64:`, of the whole body");
        Problem::bad_value(HEADER, words)
    };
    let mut found = None;
    for value in values {
        let value = value.to_str().map_err(|_| wrong("it is no text"))?;
        for member in value.split(',').map(str::trim) {
            let (kind, digest) = member.split_once('=').ok_or_else(|| wrong("it is no digest"))?;
            // Keys are in small letters; a digest of another kind is the business of others.
            if kind != "sha-256" {
                continue;
            }
            let bytes = digest.strip_prefix(':').and_then(|digest| digest.strip_suffix(':'));
            let bytes = bytes.and_then(|text| STANDARD.decode(text).ok());
            let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            // Of several, the last one counts (RFC 8941).
            found = Some(bytes.ok_or_else(|| wrong("its sha-256 is not 32 bytes in base64"))?);
        }
    }
    found.map(Some).ok_or_else(|| wrong("it has no sha-256"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(values: &[&str]) -> Result<Option<[u8; 32]>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).expect("a value"));
        }
        wanted(&headers)
    }

    #[test]
    fn a_sha_256_is_found_among_digests_of_other_kinds() {
        let digest = format!("sha-256=:{}:", STANDARD.encode([7; 32]));
        assert_eq!(of(&[]).expect("none"), None);
        assert_eq!(of(&[&digest]).expect("good"), Some([7; 32]));
        let both = format!("sha-512=:AAAA:, {digest}");
        assert_eq!(of(&[&both]).expect("good"), Some([7; 32]));
        assert_eq!(of(&["sha-512=:AAAA:", &digest]).expect("good"), Some([7; 32]));
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        for wrong in ["", "sha-256", "sha-256=AAAA", "sha-256=:AAAA:", "sha-512=:AAAA:", "md5=:x:"]
        {
            assert!(of(&[wrong]).is_err(), "{wrong}");
        }
    }
}
