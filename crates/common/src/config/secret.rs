//! A text that is never shown.

use std::fmt;

/// A text that is never shown: `Debug` and every message hide it.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// Whether the secret equals `shown`. The time that this takes does not tell where the two differ.
    pub fn is(&self, shown: &str) -> bool {
        focus_core::secret::is_same(&self.0, shown)
    }

    /// The text itself: for the place that needs it, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
