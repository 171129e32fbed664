//! Logs: text on a terminal, a JSON object a line otherwise; on stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging. `FOCUS_LOG` filters, as in `FOCUS_LOG=debug`.
pub fn start() {
    let filter = EnvFilter::try_from_env("FOCUS_LOG").unwrap_or_else(|_| {
        EnvFilter::new("info,mongodb=warn,hickory_proto=warn,hickory_resolver=warn")
    });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process changes nothing.
    if std::io::stderr().is_terminal() {
        let _ = log.with_target(false).try_init();
    } else {
        let _ = log.json().flatten_event(true).with_target(false).try_init();
    }
}
