//! Settings files: each is understood or gives a mistake with its place, and no mistake holds a
//! secret.

use std::path::Path;

use focus_common::config::{Mistake, Settings, from_text};

/// The password that no message may hold.
const SECRET: &str = "hunter22";

/// Checks one text as a settings file, alone and around a password.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let alone = read(text);
    if let Ok(settings) = &alone {
        assert!((100..=86_400_000).contains(&settings.scan_interval_ms));
        assert!(settings.settle_ms <= 3_600_000 && (2_000..=600_000).contains(&settings.lease_ms));
        assert!(!settings.data_extensions.is_empty());
        assert!((1..=63).contains(&settings.database.len()));
        assert!(settings.roots.iter().all(|root| root.path.is_absolute()));
    }
    if text.contains(SECRET) || text.contains("202411") {
        return;
    }
    for around in [
        format!("mongodb_uri = \"mongodb://u:{SECRET}@h/\"\n{text}"),
        format!("{text}\nmongodb_uri = \"mongodb://u:{SECRET}@h/\"\n"),
        format!("mongodb_uri = \"{SECRET}{text}"),
        format!("mongodb_uri = {text}\"{SECRET}\"\n"),
        format!("mongodb_uri = '''{SECRET}\n{text}"),
        format!("mongodb_uri = 202411{text}"),
        format!("mongodb_uri = [{{ a = \"{SECRET}\" }}, {text}"),
    ] {
        let read = read(&around);
        let words = match &read {
            Ok(settings) => format!("{settings:?}"),
            Err(mistakes) => format!("{mistakes:?}"),
        };
        // A text may put itself around the password so that it is the key, or another setting's
        // value.
        let elsewhere = read.as_ref().is_ok_and(|settings| settings.mongodb_uri.is_none())
            || read.as_ref().is_err_and(|mistakes| is_of_another_key(mistakes));
        let told = words.contains(SECRET) || words.contains("202411");
        assert!(!told || elsewhere, "{around:?}: {words}");
    }
}

fn is_of_another_key(mistakes: &[Mistake]) -> bool {
    mistakes.iter().all(|mistake| {
        let words = mistake.to_string();
        !(words.contains(SECRET) || words.contains("202411")) || !words.contains("mongodb_uri")
    })
}

fn read(text: &str) -> Result<Settings, Vec<Mistake>> {
    let read = from_text(Path::new("focus.toml"), text);
    if let Err(mistakes) = &read {
        assert!(!mistakes.is_empty());
        for mistake in mistakes {
            assert!(!mistake.place.is_empty() && !mistake.message.is_empty(), "{mistake:?}");
            assert!(mistake.to_string().len() < 8_192 + text.len(), "{} bytes", text.len());
        }
    }
    read
}
