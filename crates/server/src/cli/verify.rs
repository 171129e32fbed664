//! `focus verify`: compares storage, index and catalog.

use std::fmt::Write as _;
use std::fs::File;
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use focus_http::csv::quote;
use serde_json::json;

use super::output::Output;
use super::{Ending, Stop, jobs, refuse_roots_that_are_one, running_server, runtime, scan};
use focus_common::config::Settings;
use focus_common::state_dir;
use focus_common::status::Verifying;
use focus_engine::{Engine, Sidecars, Verification, VerifyError};

/// How long one question for the progress may take.
const ASKED: Duration = Duration::from_secs(2);

/// Findings that people are shown, at most; `--json` and `--csv` have all of them.
const SHOWN: usize = 50;

/// The arguments of `focus verify`.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Mend what can be mended, obeying the deletion guards
    #[arg(long)]
    repair: bool,
    /// Leave the sidecars unread: what the server knows of them counts
    #[arg(long)]
    quick: bool,
    /// Write the findings into this file, a line each
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

pub(super) fn verify(
    settings: Settings,
    args: &VerifyArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    if settings.roots.is_empty() {
        return Err(Stop::error(
            Ending::Refused,
            "which roots? Give --root DIR, or a settings file",
        ));
    }
    // Before anything is compared: a result that cannot be written is of no use.
    let csv_file = match &args.csv {
        Some(path) => Some(File::create(path).with_context(|| cannot_write(path))?),
        None => None,
    };
    let found = runtime()?.block_on(async {
        if let Some(server) = running_server(&settings.state_dir)? {
            let kind = if args.repair { "repair" } else { "verify" };
            let body = json!({ "kind": kind, "quick": args.quick });
            let call = jobs::done(&server, "/api/v1/jobs", &body);
            let answer = shown(call, async || {
                let asked = server.get("/api/v1/status", ASKED);
                serde_json::from_value(asked.await.ok()?["verification"].take()).ok()
            });
            return Ok::<Verification, anyhow::Error>(serde_json::from_value(answer.await?)?);
        }
        directly(settings, args).await
    })?;
    tell(&found, out);
    if let (Some(mut file), Some(path)) = (csv_file, &args.csv) {
        file.write_all(csv(&found).as_bytes()).with_context(|| cannot_write(path))?;
    }
    Ok(if found.in_order { Ending::InOrder } else { Ending::NotInOrder })
}

fn cannot_write(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}

/// Verifies without a server. The catalog is only read, unless the command repairs.
async fn directly(settings: Settings, args: &VerifyArgs) -> anyhow::Result<Verification> {
    let repair = args.repair;
    let sidecars = if args.quick { Sidecars::None } else { Sidecars::All };
    refuse_roots_that_are_one(&settings)?;
    let _lock = state_dir::lock(&settings.state_dir)?;
    let mut engine = if repair {
        Engine::start(settings.clone()).await?
    } else {
        Engine::start_reading(settings.clone()).await?
    };
    let verified = loop {
        let ended = tokio::select! {
            verified = shown(engine.verify(repair, sidecars), async || engine.verifying()) => Ok(verified),
            why = engine.damaged() => Err(why),
        };
        // The verification itself may have found the damage.
        let ended = engine.damage().map_or(ended, Err);
        engine.stop().await;
        match ended {
            Ok(verified) => break verified,
            // The damaged file is kept, and a new index is made from storage.
            Err(why) if repair => engine = Engine::start_anew(settings.clone(), why).await?,
            Err(why) => break Err(VerifyError::CouldNotTell(why)),
        }
    };
    verified.map_err(|error| match error {
        VerifyError::CouldNotTell(words) => Stop::error(Ending::CouldNotTell, words),
        VerifyError::Refused(words) => Stop::error(Ending::Refused, words),
    })
}

/// Shows the progress of a call; nothing where stderr is no terminal.
async fn shown<T>(
    work: impl Future<Output = T>,
    progress: impl AsyncFn() -> Option<Verifying>,
) -> T {
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let bar = scan::progress();
    bar.set_message("comparing storage, index and catalog");
    let follow = async {
        loop {
            tokio::time::sleep(ASKED / 8).await;
            if let Some(now) = progress().await {
                let stage = now.stage.name().replace('_', " ");
                bar.set_message(format!("{stage}: {} of {} recordings", now.compared, now.of));
            }
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = follow => unreachable!("it follows without end"),
    };
    bar.finish_and_clear();
    done
}

fn tell(found: &Verification, out: &Output) {
    out.value(&json!(found));
    out.line(&format!("{} recordings compared in {} ms", found.compared, found.elapsed_ms));
    for (kind, count) in &found.counts {
        out.line(&format!("{kind:<13} {count}"));
    }
    match found.foreign {
        Some(count) => out.line(&format!("{:<13} {count}", "foreign")),
        None => out.line("foreign       could not be counted in time"),
    }
    for one in found.findings.iter().take(SHOWN) {
        let name = one.uuid.as_deref().unwrap_or("");
        let fields: Vec<String> = one
            .fields
            .iter()
            .map(|field| {
                format!(
                    "{}: {} on storage, {} in the catalog",
                    field.field, field.storage, field.catalog
                )
            })
            .collect();
        let what = one.reason.clone().unwrap_or_else(|| fields.join("; "));
        out.line(format!("  {} {} {name} {what}", one.kind, one.path).trim_end());
    }
    if found.findings.len() > SHOWN {
        out.line(&format!("  and {} more: see --json or --csv", found.findings.len() - SHOWN));
    }
    if found.repaired > 0 {
        out.line(&format!("{} differences were mended", found.repaired));
    }
    out.line(if found.in_order {
        "The catalog is true to storage."
    } else {
        "The catalog is not true to storage. `focus verify --repair` mends what can be mended; what is held needs `focus approve`."
    });
}

/// One line for each finding. A field that a finding does not have is empty without quotes, which databases
/// read as NULL; the `csv` crate quotes either every field or none that needs no quotes.
fn csv(found: &Verification) -> String {
    let mut lines = "kind,uuid,root,path,field,storage,catalog,reason\r\n".to_owned();
    for one in &found.findings {
        let head = [&one.kind, one.uuid.as_deref().unwrap_or(""), &one.root, &one.path]
            .map(quote)
            .join(",");
        let reason = quote(one.reason.as_deref().unwrap_or(""));
        for field in &one.fields {
            let [name, storage, catalog] =
                [&field.field, &field.storage, &field.catalog].map(|text| quote(text));
            let _ = write!(lines, "{head},{name},{storage},{catalog},{reason}\r\n");
        }
        if one.fields.is_empty() {
            let _ = write!(lines, "{head},,,,{reason}\r\n");
        }
    }
    lines
}
