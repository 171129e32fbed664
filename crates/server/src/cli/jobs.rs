//! `focus jobs`, and how other commands have a server do their work as a job.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::output::Output;
use super::{Ending, Stop, running_server, runtime};
use focus_common::client::{Client, ClientError};
use focus_common::config::Settings;

/// How long the server may take to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Time between two questions for a job; it grows up to the second.
const ASKED_AFTER: Duration = Duration::from_millis(20);
const ASKED_AFTER_MAX: Duration = Duration::from_millis(250);

/// Without a subcommand, the jobs are listed.
#[derive(Debug, clap::Subcommand)]
pub(super) enum JobsCommand {
    /// Show a job, with its result once it is done
    Show {
        /// The job's id
        id: u64,
    },
    /// Cancel a job that waits or runs
    Cancel {
        /// The job's id
        id: u64,
    },
}

pub(super) fn jobs(
    settings: &Settings,
    command: Option<JobsCommand>,
    out: &Output,
) -> anyhow::Result<Ending> {
    let Some(server) = running_server(&settings.state_dir)? else {
        return Err(Stop::error(
            Ending::CouldNotTell,
            format!(
                "no server runs on the state folder {}, and jobs are a server's: start it with `focus serve`, or name its folder with --state-dir",
                settings.state_dir.display()
            ),
        ));
    };
    let ask = async {
        match command {
            None => server.get("/api/v1/jobs?limit=1000", LIMIT).await,
            Some(JobsCommand::Show { id }) => {
                server.get(&format!("/api/v1/jobs/{id}"), LIMIT).await
            }
            Some(JobsCommand::Cancel { id }) => {
                server.delete(&format!("/api/v1/jobs/{id}"), LIMIT).await
            }
        }
    };
    let mut answer = runtime()?.block_on(ask).map_err(Stop::of)?;
    match command {
        None => {
            let jobs = answer["items"].take();
            out.value(&json!({ "jobs": jobs }));
            let rows: Vec<_> = jobs.as_array().into_iter().flatten().map(row).collect();
            if rows.is_empty() {
                out.line("No job is known on this state folder.");
            } else {
                out.table(&["ID", "KIND", "STATE", "DONE", "LEFT", "CREATED", "ENDED"], rows);
            }
        }
        Some(JobsCommand::Show { .. }) => show(&answer, out),
        Some(JobsCommand::Cancel { id }) => {
            out.value(&answer);
            out.line(&format!("the job {id} is cancelled"));
        }
    }
    Ok(Ending::InOrder)
}

fn row(job: &Value) -> Vec<String> {
    let text = |field: &str| job[field].as_str().unwrap_or("-").to_owned();
    let done = match (job["done"].as_u64(), job["of"].as_u64()) {
        (Some(done), Some(of)) => format!("{done} of {of}"),
        _ => "-".to_owned(),
    };
    let left = job["left_ms"].as_u64();
    vec![
        job["id"].to_string(),
        text("kind"),
        text("state"),
        done,
        left.map_or_else(|| "-".to_owned(), |ms| format!("{} s", ms.div_ceil(1_000))),
        text("created_at"),
        text("ended_at"),
    ]
}

fn show(job: &Value, out: &Output) {
    out.value(job);
    let names = ["kind", "root", "state", "created_at", "started_at", "ended_at"];
    for name in names.into_iter().chain(["done", "of", "rate_per_s", "left_ms", "reason"]) {
        match &job[name] {
            Value::Null => {}
            Value::String(text) => out.line(&format!("{name:<11} {text}")),
            other => out.line(&format!("{name:<11} {other}")),
        }
    }
    for (name, value) in job["result"].as_object().into_iter().flatten() {
        // Findings are in the JSON, and in the file of `focus verify --csv`.
        if value.as_array().is_none_or(|list| list.len() <= 10) {
            out.line(&format!("  {name}: {value}"));
        }
    }
}

/// Has the server do this as a job, and waits for its result. A job that already ran when it was asked for has not
/// seen what came before the question: it is waited for, and another one is asked for.
pub(super) async fn done(server: &Client, path: &str, body: &Value) -> anyhow::Result<Value> {
    let mut job = server.post(path, Some(body), LIMIT).await.map_err(Stop::of)?;
    if job["joined"] == true && job["state"] == "running" {
        // Whatever it came to: the next one tells.
        let _ = ended(server, &job, false).await?;
        job = server.post(path, Some(body), LIMIT).await.map_err(Stop::of)?;
    }
    let is_ours = job["joined"] != true;
    let mut job = ended(server, &job, is_ours).await?;
    let reason = || job["reason"].as_str().unwrap_or("no reason given").to_owned();
    match job["state"].as_str() {
        Some("done") => Ok(job["result"].take()),
        Some("failed") if job["refused"] == true => {
            let (status, detail) = (StatusCode::CONFLICT, reason());
            Err(Stop::of(ClientError::Refused { status, detail }))
        }
        Some("failed") => {
            let (status, detail) = (StatusCode::SERVICE_UNAVAILABLE, reason());
            Err(Stop::of(ClientError::Unavailable { status, detail }))
        }
        _ => Err(Stop::error(Ending::CouldNotTell, "somebody has cancelled the job")),
    }
}

/// Waits for the end of a job. Whoever interrupts the command cancels the job with it, if it is the command's own.
async fn ended(server: &Client, job: &Value, is_ours: bool) -> anyhow::Result<Value> {
    let path = format!("/api/v1/jobs/{}", job["id"]);
    let mut after = ASKED_AFTER;
    loop {
        let job = server.get(&path, LIMIT).await.map_err(Stop::of)?;
        if !matches!(job["state"].as_str(), Some("queued" | "running")) {
            return Ok(job);
        }
        tokio::select! {
            () = tokio::time::sleep(after) => after = (after * 2).min(ASKED_AFTER_MAX),
            interrupted = tokio::signal::ctrl_c() => {
                if interrupted.is_ok() && is_ours {
                    let _ = server.delete(&path, LIMIT).await;
                }
                return Err(Stop::error(Ending::CouldNotTell, "interrupted"));
            }
        }
    }
}
