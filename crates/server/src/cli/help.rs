//! What `--help` shows of the global options. Every command takes all of them, so that one set of flags
//! serves many commands, and each shows those that it heeds.

use clap::Command;
use focus_common::config::Overrides;

/// Settings that say where index and catalog are.
const PLACES: [&str; 7] =
    ["config", "roots", "state_dir", "mongodb_uri", "database", "collection", "layout"];

/// Settings that say where index or server are.
const STATE: [&str; 3] = ["config", "roots", "state_dir"];

/// The global options that a command heeds, by its path; none: all of them.
fn heeded(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "init" | "approve" | "drill recover" => &PLACES,
        "backup" | "held" | "forget" | "open" | "status" | "query" | "unrecognised" => &STATE,
        "drill list" | "drill report" | "drill proxy" => &["config", "state_dir"],
        "demo" => &["mongodb_uri"],
        "completions" | "man" | "help" => &[],
        _ => return None,
    })
}

/// The command line, in whose help each command shows the global options that it heeds.
pub(super) fn shown(command: Command) -> Command {
    below(command, "")
}

fn below(mut command: Command, path: &str) -> Command {
    let names: Vec<String> =
        command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(&name, |mut command| {
            if let Some(heeded) = heeded(&path) {
                // An argument of the command itself stands in the place of the global one of the same id.
                let hidden = Overrides::args()
                    .filter(|arg| !heeded.contains(&arg.get_id().as_str()))
                    .map(|arg| arg.hide(true));
                command = command.args(hidden);
            }
            below(command, &path)
        });
    }
    command
}
