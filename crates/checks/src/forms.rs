//! Forms in which recordings are handed over.

use focus_http::api::skim_form;

/// The boundary of the forms: short, so that it is met often.
const BOUNDARY: &str = "b";

/// Checks one form. The first byte tells in pieces of which size it comes.
pub fn forms(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let read = |piece| runtime.block_on(skim_form(body, BOUNDARY, piece));
    let whole = read(body.len());
    let parts = read(usize::from(*first));
    match (&whole, &parts) {
        (Ok(whole), Ok(parts)) => assert!(whole == parts, "{whole:?} {parts:?}"),
        // Which of two mistakes is told may depend on what has come.
        (Err(_), Err(_)) => {}
        _ => panic!("{whole:?} at once, {parts:?} in parts"),
    }
    match whole {
        Ok((sidecar, data)) => {
            for part in [&sidecar, &data] {
                let is_there = part.is_empty() || body.windows(part.len()).any(|at| at == *part);
                assert!(is_there, "{part:?}");
            }
            assert!(sidecar.len() + data.len() < body.len());
        }
        Err(words) => {
            assert!(!words.is_empty() && words.len() < 1_024 + body.len(), "{words}");
        }
    }
}
