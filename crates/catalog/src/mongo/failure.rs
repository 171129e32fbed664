//! The driver's errors, sorted into the core's four classes.

use focus_core::answer::{Class, Failure, classify};
use focus_core::secret::Secrets;
use mongodb::error::{Error, ErrorKind};

use super::settings::MongoSettings;

/// The failure for an error of the driver.
pub(super) fn of(settings: &MongoSettings, error: &Error) -> Failure {
    let (class, code, words) = match error.kind.as_ref() {
        ErrorKind::Command(command) => {
            let class = class_of(
                command.code,
                &command.message,
                error.contains_label("RetryableWriteError"),
            );
            (class, Some(command.code), advise(settings, command.code, &command.message))
        }
        ErrorKind::Authentication { message, .. } => (
            Class::RefusedClient,
            Some(18),
            format!(
                "the database refuses the login: {message}. Correct user and password in the connection string"
            ),
        ),
        ErrorKind::BsonSerialization(error) => (Class::RefusedDocument, None, error.to_string()),
        ErrorKind::InvalidArgument { message, .. } if message.contains("too large") => {
            (Class::TooLarge, None, message.clone())
        }
        ErrorKind::InvalidTlsConfig { message, .. } => {
            (Class::RefusedClient, None, message.clone())
        }
        ErrorKind::Io(error) => (Class::Transient, None, error.to_string()),
        ErrorKind::ServerSelection { message, .. }
        | ErrorKind::ConnectionPoolCleared { message, .. }
        | ErrorKind::DnsResolve { message, .. }
        | ErrorKind::Internal { message, .. } => (Class::Transient, None, message.clone()),
        ErrorKind::IncompatibleServer { message, .. } => (
            Class::RefusedClient,
            None,
            format!(
                "the server is too old or not MongoDB: {message}. MongoDB 4.4 or newer is needed"
            ),
        ),
        other => (Class::Unknown, None, other.to_string()),
    };
    Failure { class, code, words: redact(&settings.uri, &words) }
}

/// The class of a code; a size error of a whole command has several codes and wordings.
pub(super) fn class_of(code: i32, message: &str, retryable: bool) -> Class {
    match classify(code, retryable) {
        Class::Unknown if message.contains("too large") => Class::TooLarge,
        class => class,
    }
}

/// The database's words, with what to do where an operator has to act.
pub(super) fn advise(settings: &MongoSettings, code: i32, message: &str) -> String {
    let database = &settings.database;
    match code {
        13 => format!("{message}. Grant the user the role readWrite on the database {database}"),
        18 => format!("{message}. Correct user and password in the connection string"),
        371 => format!("{message}. Writes are blocked in the database: unblock them"),
        85 | 86 => {
            format!("{message}. An index of the same name or keys is in the way: drop or rename it")
        }
        _ => message.to_owned(),
    }
}

/// Words without the credentials of the connection string.
pub(super) fn redact(uri: &str, words: &str) -> String {
    Secrets::of_uri(uri).hide(&words.replace(uri, "(connection string)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credentials_in_words() {
        let uri = "mongodb://anna:s3cret/x@localhost/";
        for words in [uri.to_owned(), "bad: anna:s3cret/x".to_owned(), "s3cret/x".to_owned()] {
            let clean = redact(uri, &words);
            assert!(!clean.contains("s3cret"), "{clean}");
        }
        assert_eq!(redact("mongodb://localhost/", "all good"), "all good");
    }
}
