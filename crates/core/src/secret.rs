//! What nobody may see in a log, an error or an answer, and how it is kept out.

/// Shorter passwords are hidden only where they stand beside their user: hidden anywhere they would
/// take letters out of plain words.
const ALONE_MIN: usize = 4;

/// What is put in the place of a secret.
const HIDDEN: &str = "***";

/// Texts to hide.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// The longest first, so that no part of one is left over.
    words: Vec<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.words.len())
    }
}

impl Secrets {
    /// The secrets in a connection string: its credentials, as written and decoded, and every option
    /// that holds a password, token or secret.
    pub fn of_uri(uri: &str) -> Secrets {
        let mut secrets = Secrets::default();
        let Some((_, rest)) = uri.split_once("://") else { return secrets };
        if let Some(credentials) = credentials(rest) {
            secrets.add(credentials);
            let password = credentials.split_once(':').map_or("", |(_, password)| password);
            for text in [password.to_owned(), decoded(password)] {
                if text.len() >= ALONE_MIN {
                    secrets.add(&text);
                }
            }
        }
        let options = rest.rsplit_once('?').map_or("", |(_, options)| options);
        for (key, value) in options.split('&').filter_map(|option| option.split_once('=')) {
            let key = key.to_lowercase();
            let secret = ["password", "token", "secret", "mechanismproperties"];
            if secret.iter().any(|word| key.contains(word)) && value.len() >= ALONE_MIN {
                secrets.add(value);
                secrets.add(&decoded(value));
            }
        }
        secrets
    }

    /// Hides this text too, and as it stands in JSON.
    pub fn add(&mut self, text: &str) {
        let quoted = crate::json::Value::String(text.to_owned()).to_text();
        for text in [text, quoted.trim_matches('"')] {
            if !text.is_empty() && !self.words.iter().any(|known| known == text) {
                self.words.push(text.to_owned());
            }
        }
        self.words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    }

    /// Hides those of another too.
    pub fn join(&mut self, other: &Secrets) {
        for word in &other.words {
            self.add(word);
        }
    }

    /// The text without them, and without the credentials of any address in it.
    pub fn hide(&self, text: &str) -> String {
        let mut clean = without_credentials(text);
        for word in &self.words {
            if clean.contains(word.as_str()) {
                clean = clean.replace(word.as_str(), HIDDEN);
            }
        }
        clean
    }
}

/// What stands before the host. A password may hold a slash that was not escaped, so where no host
/// has an `@` before it, the last `@` of all ends it.
fn credentials(rest: &str) -> Option<&str> {
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let found = authority.rsplit_once('@').or_else(|| rest.rsplit_once('@'));
    found.map(|(credentials, _)| credentials).filter(|text| !text.is_empty())
}

/// `scheme://user:password@host` as `scheme://***@host`, wherever it stands.
fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ','))
            .unwrap_or(after.len());
        let (address, later) = after.split_at(end);
        match credentials(address) {
            Some(secret) => {
                clean.push_str(HIDDEN);
                clean.push_str(&address[secret.len()..]);
            }
            None => clean.push_str(address),
        }
        rest = later;
    }
    clean.push_str(rest);
    clean
}

/// Percent-encoding undone; what is none stays.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let differ = a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b));
    std::hint::black_box(differ) == 0 && a.len() == b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_hidden_as_written_and_as_meant() {
        let uri =
            "mongodb://anna:s3cr%40t%2Fx@localhost/?tlsCertificateKeyFilePassword=p4ssw0rd&w=1";
        let secrets = Secrets::of_uri(uri);
        for text in [
            uri,
            "bad: anna:s3cr%40t%2Fx",
            "login with s3cr@t/x failed",
            "the file's p4ssw0rd is wrong",
            "{\"uri\":\"mongodb://anna:s3cr%40t%2Fx@localhost\"}",
        ] {
            let clean = secrets.hide(text);
            for secret in ["s3cr%40t", "s3cr@t", "p4ssw0rd"] {
                assert!(!clean.contains(secret), "{clean}");
            }
            assert!(clean.contains(HIDDEN), "{clean}");
        }
        assert_eq!(secrets.hide("w=1 at localhost"), "w=1 at localhost");
    }

    #[test]
    fn a_slash_that_was_not_escaped_gives_nothing_away() {
        let secrets = Secrets::of_uri("mongodb://anna:s3cret/x@localhost/");
        assert!(!secrets.hide("s3cret/x").contains("s3cret"));
        assert!(!Secrets::default().hide("mongodb://anna:s3cret/x@localhost/").contains("s3cret"));
    }

    #[test]
    fn short_passwords_do_not_take_letters_out_of_plain_words() {
        let secrets = Secrets::of_uri("mongodb://u:a@h/");
        assert_eq!(
            secrets.hide("a database at mongodb://u:a@h/"),
            "a database at mongodb://***@h/"
        );
        assert_eq!(Secrets::of_uri("mongodb://h/"), Secrets::default());
        assert_eq!(Secrets::default().hide("see https://h/x, a@b"), "see https://h/x, a@b");
    }

    #[test]
    fn quotes_in_a_password_are_hidden_in_json_too() {
        let mut secrets = Secrets::default();
        secrets.add("hunter\"22\\x");
        let line = serde_json::json!({ "message": "it is hunter\"22\\x" }).to_string();
        assert!(!secrets.hide(&line).contains("22"), "{}", secrets.hide(&line));
    }

    #[test]
    fn only_the_same_text_is_the_same() {
        assert!(is_same("abc", "abc") && is_same("", ""));
        assert!(!is_same("abc", "abd") && !is_same("abc", "ab") && !is_same("", "a"));
    }
}
