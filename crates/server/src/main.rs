//! The binary `focus`.

use std::process::ExitCode;

fn main() -> ExitCode {
    focus_server::cli::run(std::env::args_os().collect())
}
