//! The tables `[[tokens]]`: tokens that last, and what each of them may do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use super::Secret;
use super::value::{Kind, Value};

/// What a mistake in the tables begins with.
pub(super) const WRONG: &str = "tokens: ";

/// Tokens at most: each is compared with what a caller shows.
const TOKENS_MAX: usize = 64;

/// Bytes of a token, at least: a shorter one can be guessed.
const BYTES_MIN: usize = 16;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// To read, where reading needs a token.
    Read,
    /// To tell of recordings.
    Hints,
    /// To hand recordings in.
    Ingest,
    /// Everything else that changes something.
    Operate,
}

impl Right {
    /// Every right.
    pub const ALL: [Right; 4] = [Right::Read, Right::Hints, Right::Ingest, Right::Operate];

    /// As the settings spell it.
    pub fn name(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Hints => "hints",
            Right::Ingest => "ingest",
            Right::Operate => "operate",
        }
    }
}

/// A token of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    name: String,
    file: PathBuf,
    allow: Vec<Right>,
    /// What the file holds, once it has been read.
    secret: Option<Secret>,
}

/// The tokens of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    tokens: Vec<Token>,
}

impl Tokens {
    /// Whether the token that is shown has this right; none where no token is like it. The time that this takes
    /// does not tell how much of a token was right.
    pub fn allows(&self, shown: &str, right: Right) -> Option<bool> {
        let mut allows = None;
        for token in &self.tokens {
            if token.secret.as_ref().is_some_and(|secret| secret.is(shown)) {
                allows = Some(allows == Some(true) || token.allow.contains(&right));
            }
        }
        allows
    }

    /// The tokens themselves: none of them is ever shown.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().filter_map(|token| token.secret.as_ref()).map(Secret::expose)
    }

    /// Reads the files that are named.
    pub(super) fn read(&mut self, read: &dyn Fn(&Path) -> std::io::Result<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        for token in &mut self.tokens {
            let named = |words: String| format!("the token {:?}: {words}", token.name);
            match read(&token.file) {
                Err(error) => {
                    wrong.push(named(format!("{} cannot be read: {error}", token.file.display())));
                }
                Ok(text) => {
                    let text = text.trim();
                    // A check of the settings alone reads no file.
                    if !text.is_empty() && !is_token(text) {
                        wrong.push(named(format!(
                            "{} has to hold at least {BYTES_MIN} letters and digits without spaces, such as `openssl rand -hex 32` prints",
                            token.file.display()
                        )));
                    }
                    token.secret = (!text.is_empty()).then(|| Secret::new(text.to_owned()));
                }
            }
        }
        wrong
    }
}

/// Whether a header can carry it, and nobody guesses it.
fn is_token(text: &str) -> bool {
    text.len() >= BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    token_file: PathBuf,
    allow: Vec<Right>,
}

fn tokens(tables: Vec<Table>) -> Result<Tokens, String> {
    if tables.len() > TOKENS_MAX {
        return Err(format!("there are more than {TOKENS_MAX} tokens"));
    }
    let mut names = BTreeSet::new();
    for table in &tables {
        if !names.insert(table.name.as_str()) {
            return Err(format!("two tokens are called {:?}", table.name));
        }
        if table.allow.is_empty() {
            let all = Right::ALL.map(Right::name).join(", ");
            return Err(format!("the token {:?} allows nothing: allow some of {all}", table.name));
        }
    }
    let tokens = tables.into_iter().map(|table| Token {
        name: table.name,
        file: table.token_file,
        allow: table.allow,
        secret: None,
    });
    Ok(Tokens { tokens: tokens.collect() })
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Tokens, D::Error> {
        tokens(Vec::deserialize(from)?)
            .map_err(|words| serde::de::Error::custom(format!("{WRONG}{words}")))
    }
}

impl Value for Tokens {
    const KIND: Kind = Kind::Tables;

    fn shown(&self) -> Json {
        let tokens = self.tokens.iter().map(|token| {
            let allow: Vec<&str> = token.allow.iter().map(|right| right.name()).collect();
            json!({ "name": token.name, "token_file": token.file, "allow": allow })
        });
        tokens.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Tokens {
        let mut tokens: Tokens = serde_json::from_str(text).expect("good");
        let wrong = tokens.read(&|path| match path.to_str() {
            Some("/a") => Ok("aaaaaaaaaaaaaaaaaaaa\n".to_owned()),
            Some("/b") => Ok("bbbbbbbbbbbbbbbbbbbb".to_owned()),
            _ => Ok("short".to_owned()),
        });
        assert!(wrong.is_empty(), "{wrong:?}");
        tokens
    }

    #[test]
    fn a_token_allows_what_its_table_says_and_nothing_else() {
        let tokens = read(
            r#"[{"name": "a", "token_file": "/a", "allow": ["read", "hints"]},
                {"name": "b", "token_file": "/b", "allow": ["operate"]}]"#,
        );
        assert_eq!(tokens.allows("aaaaaaaaaaaaaaaaaaaa", Right::Hints), Some(true));
        assert_eq!(tokens.allows("aaaaaaaaaaaaaaaaaaaa", Right::Operate), Some(false));
        assert_eq!(tokens.allows("bbbbbbbbbbbbbbbbbbbb", Right::Operate), Some(true));
        assert_eq!(tokens.allows("aaaaaaaaaaaaaaaaaaa", Right::Read), None);
        assert_eq!(tokens.allows("", Right::Read), None);
        assert!(!tokens.shown().to_string().contains("aaaa"));
    }

    #[test]
    fn a_token_that_can_be_guessed_is_a_mistake_that_shows_nothing_of_it() {
        let mut tokens: Tokens =
            serde_json::from_str(r#"[{"name": "a", "token_file": "/x", "allow": ["read"]}]"#)
                .expect("good");
        let wrong = tokens.read(&|_| Ok("hunter22".to_owned())).join("");
        assert!(wrong.contains("at least 16") && !wrong.contains("hunter22"), "{wrong}");
    }
}
