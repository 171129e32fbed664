//! The log, on stderr and without secrets: text on a terminal, otherwise a JSON object per line.

use std::io::{IsTerminal, Write};

use focus_core::secret::Secrets;
use parking_lot::RwLock;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// The secrets of this process. No line of the log, no error and no panic shows them.
static SECRETS: RwLock<Option<Secrets>> = RwLock::new(None);

/// The filter of a log that has started.
static FILTER: RwLock<Option<reload::Handle<Targets, Registry>>> = RwLock::new(None);

/// Starts logging, or gives a log that has started another filter: the setting `log`.
pub fn log(filter: &str) {
    let mut started = FILTER.write();
    if let Some(filtered) = started.as_ref() {
        // Fails only where the log itself is gone.
        let _ = filtered.reload(targets(filter));
        return;
    }
    let (filter, handle) = reload::Layer::new(targets(filter));
    let log = tracing_subscriber::registry().with(filter);
    let begun = if std::io::stderr().is_terminal() {
        log.with(fmt::layer().with_writer(|| Clean).with_target(false)).try_init()
    } else {
        let json = fmt::layer().json().flatten_event(true).with_writer(|| Clean);
        log.with(json.with_target(false)).try_init()
    };
    // A test may have a log of its own.
    if begun.is_ok() {
        *started = Some(handle);
    }
}

/// What a filter admits. A level alone is that of this program's modules: of others, whose words
/// mostly say nothing to an operator, only warnings are told unless the filter names them.
fn targets(filter: &str) -> Targets {
    let mut of_ours = LevelFilter::INFO;
    let mut named = Vec::new();
    for part in filter.split(',').map(str::trim) {
        match part.split_once('=') {
            Some((module, level)) => {
                named.extend(level.parse::<LevelFilter>().ok().map(|level| (module, level)));
            }
            // The library takes an empty word for `error`.
            None if part.is_empty() => {}
            None => of_ours = part.parse().unwrap_or(of_ours),
        }
    }
    let of_others = of_ours.min(LevelFilter::WARN);
    Targets::new().with_default(of_others).with_target("focus", of_ours).with_targets(named)
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

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::targets;

    #[test]
    fn a_level_alone_is_that_of_the_program_and_not_of_its_libraries() {
        let debug = targets("debug");
        assert!(debug.would_enable("focus_engine::driver", &Level::DEBUG));
        assert!(!debug.would_enable("focus_engine::driver", &Level::TRACE));
        assert!(!debug.would_enable("mongodb::cmap", &Level::INFO));
        assert!(debug.would_enable("mongodb::cmap", &Level::WARN));
        let off = targets("off");
        assert!(!off.would_enable("mongodb::cmap", &Level::ERROR));
        let named = targets("warn, focus_engine=trace, mongodb=debug");
        assert!(named.would_enable("focus_engine::driver", &Level::TRACE));
        assert!(!named.would_enable("focus_index", &Level::INFO));
        assert!(named.would_enable("mongodb::cmap", &Level::DEBUG));
    }

    #[test]
    fn an_empty_filter_is_the_default() {
        assert!(targets("").would_enable("focus_server", &Level::INFO));
        assert!(!targets("").would_enable("focus_server", &Level::DEBUG));
    }
}
