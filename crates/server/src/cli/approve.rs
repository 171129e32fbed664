//! `focus approve`: approves held deletions.

use std::io::{IsTerminal, Write};

use focus_index::{Index, IndexError};
use serde_json::{Value, json};

use super::held::{HeldRoot, Holder, show};
use super::output::Output;
use super::{Ending, Stop, jobs, running_server, runtime, scan};
use focus_common::client::Client;
use focus_common::config::{Settings, Source};
use focus_common::state_dir;
use focus_engine::{INDEX_FILE, PassReport};

/// The arguments of `focus approve`.
#[derive(Debug, clap::Args)]
pub(super) struct ApproveArgs {
    /// List what would be approved, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask on a terminal
    #[arg(long)]
    yes: bool,
}

pub(super) fn approve(
    settings: Settings,
    args: &ApproveArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    is_one_meant(&settings)?;
    runtime()?.block_on(async {
        if args.dry_run {
            let holder = Holder::of(&settings)?;
            let roots = holder.roots(&settings.roots).await?;
            show(&holder, &roots, true, out).await?;
            out.line("nothing was approved: this was a dry run");
            return Ok(Ending::InOrder);
        }
        match running_server(&settings.state_dir)? {
            Some(server) => by_server(server, &settings, args, out).await,
            None => directly(settings, args, out).await,
        }
    })
}

/// Approving cannot be taken back, so with several roots a person has to say whose deletions are meant.
fn is_one_meant(settings: &Settings) -> anyhow::Result<()> {
    let is_named = matches!(settings.source("roots"), Source::Flag(_));
    match settings.roots.as_slice() {
        [] => Err(Stop::error(Ending::Refused, "which root? Give --root DIR")),
        [_] => Ok(()),
        _ if is_named => Ok(()),
        several => {
            let paths: Vec<String> =
                several.iter().map(|root| root.path.display().to_string()).collect();
            Err(Stop::error(
                Ending::Refused,
                format!(
                    "which root? Several are configured: {}. Give the one whose held deletions are meant with --root DIR",
                    paths.join(", ")
                ),
            ))
        }
    }
}

/// Asks on a terminal whether these are to be approved. Anywhere else the command itself says so.
fn is_confirmed(roots: &[HeldRoot], args: &ApproveArgs, out: &Output) -> anyhow::Result<bool> {
    if args.yes || out.is_json() || !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    for root in roots.iter().filter(|root| root.held > 0) {
        let mut err = std::io::stderr();
        write!(
            err,
            "{}: have {} recordings marked as deleted? `focus held` lists them. [y/N] ",
            root.path, root.held
        )?;
        err.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            out.line("nothing was approved");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Has the running server approve what it holds now.
async fn by_server(
    server: Client,
    settings: &Settings,
    args: &ApproveArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    let holder = Holder::Server(server.clone());
    let roots = holder.roots(&settings.roots).await?;
    if !is_confirmed(&roots, args, out)? {
        return Ok(Ending::NotInOrder);
    }
    let mut answers = Vec::new();
    for root in &roots {
        let body = json!({ "root": root.root, "through": root.through });
        answers.push(jobs::done(&server, "/api/v1/held/approve", &body).await?);
    }
    tell(&answers, None, out);
    Ok(Ending::InOrder)
}

/// Approves without a server: the index stores the approval, and one pass takes it to the catalog.
async fn directly(settings: Settings, args: &ApproveArgs, out: &Output) -> anyhow::Result<Ending> {
    let _lock = state_dir::lock(&settings.state_dir)?;
    let path = settings.state_dir.join(INDEX_FILE);
    if !path.is_file() {
        return Err(Stop::error(
            Ending::CouldNotTell,
            format!(
                "the state folder {} has no index, so nothing is held there: give the one of `focus serve` with --state-dir",
                settings.state_dir.display()
            ),
        ));
    }
    let opened = tokio::task::spawn_blocking(move || Index::open(&path)).await??;
    let answers = match &opened.rebuilt {
        Some(words) => Err(made_anew(words)),
        None => approve_held(&settings, &opened.index, args, out).await.map_err(damaged),
    };
    let index = opened.index;
    tokio::task::spawn_blocking(move || index.close()).await?;
    let Some(answers) = answers? else { return Ok(Ending::NotInOrder) };
    let report = scan::pass(settings).await?;
    tell(&answers, Some(&report), out);
    Ok(scan::ending(&report))
}

/// Approves what the index holds of each root; none where a person said no.
async fn approve_held(
    settings: &Settings,
    index: &Index,
    args: &ApproveArgs,
    out: &Output,
) -> anyhow::Result<Option<Vec<Value>>> {
    let reader = index.reader();
    let roots = Holder::Index(reader.clone()).roots(&settings.roots).await?;
    if !is_confirmed(&roots, args, out)? {
        return Ok(None);
    }
    let mut answers = Vec::new();
    for HeldRoot { root, path, through, .. } in roots {
        let approved = match reader.root_with_marker(&root)? {
            Some((row, _)) => index.approve(row, through, focus_common::clock::wall_ms()).await?,
            None => 0,
        };
        answers.push(json!({ "root": root, "path": path, "approved": approved }));
    }
    Ok(Some(answers))
}

/// What a person is told of an error, where the index turns out to be damaged.
fn damaged(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<IndexError>() {
        Some(index) if index.is_damage() => made_anew(&index.to_string()),
        _ => error,
    }
}

/// The error for an index that is made anew. It does not know what was held before, and what it will hold
/// may be another set, which a person has to see first.
fn made_anew(words: &str) -> anyhow::Error {
    Stop::error(
        Ending::CouldNotTell,
        format!(
            "{words}. Nothing is approved: `focus scan` makes the index anew from storage and finds again what is to be held; look at that, then approve"
        ),
    )
}

/// Shows what was approved. `pass` took it to the catalog where no server runs.
fn tell(answers: &[Value], pass: Option<&PassReport>, out: &Output) {
    for answer in answers {
        let path = answer["path"].as_str().unwrap_or_default();
        match answer["approved"].as_u64() {
            Some(0) | None => out.line(&format!("{path}: nothing is held")),
            Some(count) => out.line(&format!("{path}: {count} deletions approved")),
        }
    }
    let approved: u64 = answers.iter().filter_map(|answer| answer["approved"].as_u64()).sum();
    if let Some(pass) = pass {
        scan::describe(pass, out);
    }
    out.value(&json!({ "approved": approved, "roots": answers, "pass": pass }));
}
