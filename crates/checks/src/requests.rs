//! Requests: bodies and query strings of every call.

use focus_core::time::Decimal;
use focus_http::api::{Call, understand};

/// Checks one request. The first byte selects the call.
pub fn requests(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let call = Call::ALL[usize::from(*first) % Call::ALL.len()];
    match understand(call, bytes) {
        Err(words) => {
            assert!(!words.is_empty());
            assert!(words.len() < 1_024 + 8 * bytes.len(), "{} bytes of words", words.len());
        }
        Ok(None) => assert_ne!(call, Call::Window),
        Ok(Some(window)) => {
            assert_eq!(call, Call::Window);
            let value = serde_json::from_slice::<serde_json::Value>(
                bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes),
            );
            // Theirs refuses numbers beyond a double; such a one is none of the two times.
            let Ok(value) = value else { return };
            let is = |name: &str| value[name].is_number();
            assert!(is("start_time") && is("end_time"), "{value}");
            // A window without a whole millisecond in it ends before it starts, by one at most.
            assert!(window.from_ms <= window.to_ms.saturating_add(1), "{window:?}");
            let end = window.unit.from_ms(window.to_ms);
            let again = Decimal::parse(&end).and_then(|end| end.floor_ms(window.unit));
            let read = window.to_ms.unsigned_abs() < 1_000_000_000_000_000_000;
            assert!(!read || again == Some(window.to_ms), "{window:?}: {again:?}");
        }
    }
}
