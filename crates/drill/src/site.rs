//! Looking before anything is broken: what is drilled, whether it may be, and what that takes away.

use std::time::Duration;

use focus_storage::marker;
use serde_json::Value;

use super::database::{Database, Probe, shown};
use super::experiment::{self, Experiment};
use super::mark;
use super::options::{Flags, Options};
use super::outage::{self, Hindrance, Outage, Prepared};
use super::plan::Address;
use super::report::{OutageFacts, Report, Verdict};
use super::server::Server;
use focus_common::config::{Layout, Settings};
use focus_common::state_dir;

/// Why a drill ends before its time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Stop {
    /// What it comes to.
    pub verdict: Verdict,
    /// What happened, and what to do.
    pub words: String,
}

impl Stop {
    /// Nothing was done: wrong use, or not allowed.
    pub fn refused(words: impl Into<String>) -> Stop {
        Stop { verdict: Verdict::Refused, words: words.into() }
    }

    /// It cannot be told.
    pub fn inconclusive(words: impl Into<String>) -> Stop {
        Stop { verdict: Verdict::Inconclusive, words: words.into() }
    }

    /// Something is not as it has to be.
    pub fn failed(words: impl Into<String>) -> Stop {
        Stop { verdict: Verdict::Failed, words: words.into() }
    }
}

impl From<Hindrance> for Stop {
    fn from(hindrance: Hindrance) -> Stop {
        match hindrance {
            Hindrance::Refused(words) => Stop::refused(words),
            Hindrance::CouldNotTell(words) => Stop::inconclusive(words),
        }
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Stop {
        Stop::inconclusive(format!("{error:#}"))
    }
}

/// What is drilled.
pub struct Site {
    /// What is to be done.
    pub options: Options,
    /// The root's folder.
    pub root: std::path::PathBuf,
    /// The root's id.
    pub root_id: String,
    /// Extension of planted data files.
    pub extension: String,
    /// The server.
    pub server: Server,
    /// Where the database is.
    pub address: Address,
    /// The drill's own client.
    pub database: Database,
    /// The drill's own view.
    pub probe: Probe,
    /// How the database is taken away.
    pub outage: Box<dyn Outage>,
    /// What was found when that was looked into.
    pub prepared: Prepared,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Reads the experiment, if there is one, and joins it with the flags.
///
/// # Errors
/// Something is wrong in either.
pub fn options(settings: &Settings, flags: &Flags) -> Result<Options, Stop> {
    let file = match &flags.experiment {
        Some(path) => experiment::read(path).map_err(Stop::refused)?,
        None => Experiment::default(),
    };
    Options::join(file, flags, settings.state_dir.clone()).map_err(Stop::refused)
}

/// Looks into everything, breaks nothing, and fills in what the report says of it.
///
/// # Errors
/// Why it is not drilled.
pub async fn look(
    settings: &Settings,
    flags: &Flags,
    options: Options,
    report: &mut Report,
) -> Result<Site, Stop> {
    let mut outage = outage::choose(&options)?;
    report.title.clone_from(&options.title);
    report.outage = OutageFacts {
        kind: options.outage.name().to_owned(),
        what: outage.describe(),
        for_ms: options.outage_for_ms,
        ..OutageFacts::default()
    };
    let root = match settings.roots.as_slice() {
        [root] => root.path.clone(),
        [] => return Err(Stop::refused("which root is planted on? Give --root DIR")),
        _ => return Err(Stop::refused("one root is drilled at a time: give one --root DIR")),
    };
    report.root = root.display().to_string();
    let root_id = marker::read(&root).map_err(|problem| Stop::inconclusive(problem.to_string()))?;
    let server = server(settings, flags)?;
    report.server = format!("http://{}", server.address());
    let mut address = address(settings)?;
    report.database = shown(&address);
    let probe = Probe::new(&address).await.map_err(|error| Stop::refused(format!("{error:#}")))?;
    let database = Database::open(&address).await?;
    serves(&server, &root_id, &root, &database).await?;
    if settings.layout == Layout::BasePaths {
        let guid = database.base_path(&report.root).await?;
        address.collection = guid.ok_or_else(|| {
            Stop::inconclusive(format!("the collection base_paths has no row for {}", report.root))
        })?;
    }
    let database = Database::open(&address).await?;
    let prepared = outage.prepare().await?;
    report.outage.what = outage.describe();
    report.outage.blast_radius.clone_from(&prepared.blast_radius);
    let extension = settings.data_extensions.first().cloned().unwrap_or_else(|| "dat".to_owned());
    Ok(Site {
        options,
        root,
        root_id,
        extension,
        server,
        address,
        database,
        probe,
        outage,
        prepared,
    })
}

fn server(settings: &Settings, flags: &Flags) -> Result<Server, Stop> {
    match (&flags.server, state_dir::running(&settings.state_dir).ok().flatten()) {
        (Some(url), _) => Server::parse(url).map_err(Stop::refused),
        (None, Some(file)) => Ok(Server::at(&file.address)),
        (None, None) => Ok(Server::at(&settings.listen)),
    }
}

fn address(settings: &Settings) -> Result<Address, Stop> {
    let uri = settings.mongodb_uri.as_ref().ok_or_else(|| {
        Stop::refused(
            "the drill needs the database's --mongodb-uri, to see for itself what is in the catalog; the embedded catalog is taken away by `focus demo`",
        )
    })?;
    Ok(Address {
        uri: uri.expose().to_owned(),
        name: settings.database.clone(),
        collection: settings.collection.clone(),
        probe_timeout_ms: settings.probe_timeout_ms,
    })
}

/// The server is there, serves this root, and writes to this database.
async fn serves(
    server: &Server,
    root_id: &str,
    root: &std::path::Path,
    database: &Database,
) -> Result<(), Stop> {
    let status = server.status().await.map_err(|error| {
        Stop::inconclusive(format!(
            "the server at http://{} does not answer: {error:#}. Start `focus serve`, or give --server URL",
            server.address()
        ))
    })?;
    let empty = Vec::new();
    let roots = status["roots"].as_array().unwrap_or(&empty);
    let Some(served) = roots.iter().find(|served| served["id"] == root_id) else {
        return Err(Stop::refused(format!(
            "the server at http://{} does not serve the root {}: its marker is {root_id}",
            server.address(),
            root.display()
        )));
    };
    if status["catalog"] != "mongodb" {
        return Err(Stop::refused(format!(
            "the server at http://{} has its catalog not in MongoDB: {}",
            server.address(),
            status["catalog"]
        )));
    }
    let lease = database.meta(&format!("lease:{root_id}")).await?;
    let holder = lease.and_then(|lease| lease.get_str("holder").ok().map(str::to_owned));
    match (served["lease_holder"].as_str(), holder) {
        (Some(says), Some(there)) if says == there => Ok(()),
        (None, _) => Ok(()),
        (Some(_), there) => Err(Stop::refused(format!(
            "the server at http://{} does not write to this database: the lease of the root is {} there. Give the server's own --mongodb-uri and --database",
            server.address(),
            if there.is_some() { "held by another" } else { "not to be found" }
        ))),
    }
}

/// Somebody has said that this may be drilled: by a mark, or by `--allow`.
///
/// # Errors
/// Nobody has.
pub async fn allowed(site: &Site) -> Result<(), Stop> {
    if site.options.allow || site.prepared.marked || mark::drillable(&site.database).await? {
        return Ok(());
    }
    Err(Stop::refused(
        "this deployment is not marked as one that may be drilled: put {_id: \"drillable\", value: true} into the collection focus_meta, or give --allow",
    ))
}

/// Waits for the steady state.
///
/// # Errors
/// It is not reached within the bound.
pub async fn steady(site: &Site) -> Result<Value, Stop> {
    let within = Duration::from_millis(site.options.steady_within_ms);
    let began = tokio::time::Instant::now();
    loop {
        let status = site.server.status().await.map_err(anyhow::Error::from)?;
        let pending = status["pending"].as_u64().unwrap_or(u64::MAX);
        let few = site.options.steady_pending_max.is_none_or(|most| pending <= most);
        if status["catalog_state"] == "in_step" && few {
            return Ok(status);
        }
        if began.elapsed() >= within {
            return Err(Stop::inconclusive(format!(
                "the steady state is not there: the server's catalog is {}, with {pending} pending{}. Nothing was broken",
                status["catalog_state"].as_str().unwrap_or("unknown"),
                status["catalog_reason"]
                    .as_str()
                    .map(|why| format!(" ({why})"))
                    .unwrap_or_default()
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
