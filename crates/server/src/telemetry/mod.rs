//! The log, on stderr and without secrets: text on a terminal, otherwise a JSON object per line.

use std::io::{IsTerminal, Write};

use focus_core::secret::Secrets;
use parking_lot::RwLock;
use tracing_subscriber::EnvFilter;

/// The secrets of this process. No line of the log, no error and no panic shows them.
static SECRETS: RwLock<Option<Secrets>> = RwLock::new(None);

/// Starts logging. `FOCUS_LOG` filters, as in `FOCUS_LOG=debug`.
pub fn start() {
    let filter = EnvFilter::try_from_env("FOCUS_LOG").unwrap_or_else(|_| {
        EnvFilter::new("info,mongodb=warn,hickory_proto=warn,hickory_resolver=warn")
    });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Clean);
    // Only the first call in a process has an effect.
    if std::io::stderr().is_terminal() {
        let _ = log.with_target(false).try_init();
    } else {
        let _ = log.json().flatten_event(true).with_target(false).try_init();
    }
}

/// Hides these secrets from now on, in everything that this process says.
pub fn hide(secrets: &Secrets) {
    let mut all = SECRETS.write();
    all.get_or_insert_default().join(secrets);
}

/// The text, with every secret hidden.
pub fn clean(text: &str) -> String {
    let all = SECRETS.read();
    match all.as_ref() {
        Some(secrets) => secrets.hide(text),
        None => Secrets::default().hide(text),
    }
}

/// Logs panics like other errors from now on, without secrets: the message of a panic may hold anything.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let words = clean(panic.payload_as_str().unwrap_or("no words"));
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let line = format!(
            "a mistake in the program, at {place}: {words}. Please report it; what it was doing is tried again"
        );
        if tracing::dispatcher::has_been_set() {
            tracing::error!("{line}");
        } else {
            // Where stderr is closed, nobody is left to tell.
            let _ = writeln!(std::io::stderr(), "error: {line}");
        }
    }));
}

/// Stderr without secrets. One write is one line of the log.
#[derive(Clone, Copy, Debug)]
struct Clean;

impl Write for Clean {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = clean(&String::from_utf8_lossy(line));
        std::io::stderr().lock().write_all(text.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
