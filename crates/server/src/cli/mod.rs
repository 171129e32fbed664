//! The commands: the command line, and how each command ends.

mod alerts;
mod approve;
mod backup;
mod check;
mod check_pairs;
mod coverage;
mod demo;
mod drill;
pub(crate) mod drill_reports;
mod forget;
mod held;
mod help;
mod init;
mod jobs;
mod lines;
mod manual;
mod open;
mod outages;
mod output;
mod put;
mod query;
mod reload;
mod scan;
mod serve;
mod show;
mod status;
mod verify;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::json;

use focus_common::client::{Client, ClientError};
use focus_common::config::{self, Overrides, Settings};
use focus_common::state_dir;
use focus_core::secret::Secrets;

use crate::telemetry;
use output::Output;

/// How a command ended. The exit code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Done and in order.
    InOrder,
    /// Done and not in order.
    NotInOrder,
    /// Wrong use, or refused.
    Refused,
    /// Could not tell, because a dependency was not there.
    CouldNotTell,
}

impl Ending {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Ending::InOrder => 0,
            Ending::NotInOrder => 1,
            Ending::Refused => 2,
            Ending::CouldNotTell => 3,
        }
    }
}

/// An error with its exit code. Any other error ends as `Refused`.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(crate) struct Stop {
    pub(crate) ending: Ending,
    pub(crate) words: String,
}

impl Stop {
    pub(crate) fn error(ending: Ending, words: impl Into<String>) -> anyhow::Error {
        Stop { ending, words: words.into() }.into()
    }

    /// A call on the server that failed.
    pub(crate) fn of(error: ClientError) -> anyhow::Error {
        let ending = match error {
            ClientError::Refused { .. } => Ending::Refused,
            ClientError::NoAnswer { .. } | ClientError::Unavailable { .. } => Ending::CouldNotTell,
        };
        Stop::error(ending, format!("{:#}", anyhow::Error::from(error)))
    }
}

/// What settings without a root are told.
const NO_ROOT: &str = "no root is configured: give --root DIR, or roots = [\"DIR\"] in focus.toml";

/// The server that runs on this state folder, if there is one. Commands act through it.
fn running_server(state_dir: &Path) -> anyhow::Result<Option<Client>> {
    match state_dir::running(state_dir) {
        Ok(server) => Ok(server.map(Client::new)),
        Err(error) => Err(Stop::error(Ending::CouldNotTell, format!("{error:#}"))),
    }
}

/// Refuses roots that are one: each recording would be there twice, and lost as often.
fn refuse_roots_that_are_one(settings: &Settings) -> anyhow::Result<()> {
    let told = focus_engine::roots_that_are_one(&settings.roots);
    if told.is_empty() { Ok(()) } else { Err(Stop::error(Ending::Refused, told.join("\n"))) }
}

/// Keeps a catalog of recordings true to the storage that holds them, through every outage of the
/// catalog's database.
#[derive(Debug, Parser)]
#[command(name = "focus", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    overrides: Overrides,
    /// Print JSON for programs: the last value on stdout is the result
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mark folders as roots. One that has lost its marker gets its id again
    Init(init::InitArgs),
    /// Run the server
    Serve,
    /// Look at all of storage once, and bring the catalog in step
    Scan,
    /// Compare storage, index and catalog, and say what differs
    Verify(verify::VerifyArgs),
    /// List the held deletions, with reasons
    Held,
    /// Approve the held deletions of a root
    Approve(approve::ApproveArgs),
    /// Drop a root that is not configured any more from the index
    Forget,
    /// Copy the embedded catalog into a file, also while the server runs
    Backup(backup::BackupArgs),
    /// Show the state of server, catalog and roots
    Status,
    /// Print an address that signs a browser in to the server's page
    Open(open::OpenArgs),
    /// List the jobs of the server: scans, verifications, repairs, comparisons, approvals
    Jobs {
        #[command(subcommand)]
        command: Option<jobs::JobsCommand>,
    },
    /// List the outages of the catalog, the newest first
    Outages(outages::OutagesArgs),
    /// Hand a recording over to a server, which writes it to storage
    Put(put::PutArgs),
    /// List recordings
    Query(query::QueryArgs),
    /// Show which time is covered by recordings, and which is not
    Coverage(coverage::CoverageArgs),
    /// List recordings that cannot be catalogued, with reasons
    Unrecognised(query::UnrecognisedArgs),
    /// List the alerts, their channels and their silences
    Alerts {
        #[command(subcommand)]
        command: Option<alerts::AlertsCommand>,
    },
    /// Try a channel of alerts out
    #[command(subcommand)]
    Alert(alerts::AlertCommand),
    /// Look into the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prove it on your own deployment: an outage, recordings that land in it, and a verdict on each
    #[command(subcommand)]
    Drill(drill::DrillCommand),
    /// Watch it work: recordings land while the catalog is away
    Demo(demo::DemoArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check settings, roots, state folder and catalog
    Check,
    /// Show the effective settings, and where each comes from
    Show,
}

/// Runs the command line, and returns the exit code.
pub fn run(args: Vec<OsString>) -> ExitCode {
    focus_heap::share_one_arena();
    telemetry::tell_panics();
    let json = args.iter().any(|arg| arg == "--json");
    let out = Output::new(json);
    let parsed = help::shown(Cli::command())
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let Cli { overrides, command, .. } = match parsed {
        Ok(cli) => cli,
        Err(error) => return usage(&out, &error),
    };
    if let Some(uri) = overrides.mongodb_uri() {
        telemetry::hide(&Secrets::of_uri(uri));
    }
    let ended = match command {
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "focus", &mut text);
            out.text("completions", &String::from_utf8_lossy(&text));
            Ok(Ending::InOrder)
        }
        Command::Man => {
            out.text("manual", &manual::page(Cli::command()));
            Ok(Ending::InOrder)
        }
        Command::Demo(args) => demo::run(&args, &overrides, &out),
        Command::Forget => forget::forget(&overrides, &out),
        command => match config::load(&overrides) {
            Err(mistakes) => {
                let words: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                Err(Stop::error(Ending::Refused, words.join("\n")))
            }
            Ok(settings) => {
                hide_secrets(&settings);
                match command {
                    Command::Serve => serve::serve(settings, overrides),
                    command => with_settings(command, settings, &overrides, &out),
                }
            }
        },
    };
    let ending = ended.unwrap_or_else(|error| {
        let ending = error.downcast_ref::<Stop>().map_or(Ending::Refused, |stop| stop.ending);
        out.error(&format!("{error:#}"), ending);
        ending
    });
    ExitCode::from(out.ended(ending).code())
}

/// Hides every secret of the settings from now on.
fn hide_secrets(settings: &Settings) {
    if let Some(uri) = &settings.mongodb_uri {
        telemetry::hide(&Secrets::of_uri(uri.expose()));
    }
    let mut secrets = Secrets::default();
    settings.alerts.secrets().filter(|text| text.len() > 8).for_each(|text| secrets.add(text));
    for url in settings.hints.secrets() {
        telemetry::hide(&Secrets::of_uri(url));
        secrets.add(url);
    }
    settings.tokens.secrets().for_each(|text| secrets.add(text));
    telemetry::hide(&secrets);
}

fn with_settings(
    command: Command,
    settings: Settings,
    overrides: &Overrides,
    out: &Output,
) -> anyhow::Result<Ending> {
    match command {
        Command::Init(args) => init::init(&settings, overrides, &args, out),
        Command::Scan => scan::scan(settings, out),
        Command::Held => held::held(&settings, out),
        Command::Approve(args) => approve::approve(settings, &args, out),
        Command::Verify(args) => verify::verify(settings, &args, out),
        Command::Backup(args) => backup::backup(&settings, &args, out),
        Command::Status => status::status(&settings, out),
        Command::Open(args) => open::open(&settings, &args, out),
        Command::Jobs { command } => jobs::jobs(&settings, command, out),
        Command::Outages(args) => outages::outages(&settings, &args, out),
        Command::Put(args) => put::put(&settings, &args, out),
        Command::Query(args) => query::query(&settings, &args, out),
        Command::Coverage(args) => coverage::coverage(&settings, &args, out),
        Command::Unrecognised(args) => query::unrecognised(&settings, &args, out),
        Command::Drill(command) => drill::drill(command, &settings, out),
        Command::Alerts { command } => alerts::alerts(&settings, command, out),
        Command::Alert(command) => alerts::alert(&settings, command, out),
        Command::Config(ConfigCommand::Check) => check::check(settings, out),
        Command::Config(ConfigCommand::Show) => Ok(show::show(&settings, out)),
        Command::Serve
        | Command::Demo(_)
        | Command::Forget
        | Command::Completions { .. }
        | Command::Man => Ok(Ending::InOrder),
    }
}

fn usage(out: &Output, error: &clap::Error) -> ExitCode {
    let text = format!("{}\n", error.render().to_string().trim_end());
    match error.kind() {
        ErrorKind::DisplayVersion => {
            let version = text.trim().rsplit(' ').next().unwrap_or_default();
            if out.is_json() {
                out.value(&json!({ "version": version }))
            } else {
                out.raw(text.as_bytes())
            }
            ExitCode::from(out.ended(Ending::InOrder).code())
        }
        ErrorKind::DisplayHelp => {
            out.text("help", &text);
            ExitCode::from(out.ended(Ending::InOrder).code())
        }
        // No command was named: what there is, and no error before it.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !out.is_json() => {
            out.remark(text.trim_end());
            ExitCode::from(Ending::Refused.code())
        }
        _ => {
            out.error(text.trim_end(), Ending::Refused);
            ExitCode::from(out.ended(Ending::Refused).code())
        }
    }
}

/// The runtime of a command. Its number of threads does not depend on the machine.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build()
}
