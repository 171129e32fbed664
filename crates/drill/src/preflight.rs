//! The checks before anything is broken: what is drilled, whether it may be, and what that takes away.

use std::path::{Path, PathBuf};

use focus_common::config::{Layout, RootSettings, Settings};
use focus_common::{clock, state_dir};
use focus_core::pair::PairForm;
use focus_storage::marker;

use crate::database::address::Address;
use crate::database::client::Database;
use crate::database::probe::Probe;
use crate::early_end::EarlyEnd;
use crate::outage::choice::{self, AnyOutage};
use crate::outage::contract::Prepared;
use crate::outage::restore::Restore;
use crate::planting;
use crate::report::{OutageFacts, Report};
use crate::scenario::experiment::{self, Experiment};
use crate::scenario::flags::Flags;
use crate::scenario::options::Options;
use crate::server::Server;

/// The deployment that is drilled.
pub struct Deployment {
    /// What the drill is to do.
    pub options: Options,
    /// The root's folder.
    pub root: PathBuf,
    /// The root's id.
    pub root_id: String,
    /// What a pair is in the root.
    pub form: PairForm,
    /// The server.
    pub server: Server,
    /// Where the database is.
    pub address: Address,
    /// The drill's own client of the database.
    pub database: Database,
    /// The drill's own view of the database.
    pub probe: Probe,
    /// How the database is taken away.
    pub outage: Box<dyn AnyOutage>,
    /// What was found when the outage's target was looked at.
    pub prepared: Prepared<Restore>,
}

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployment").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Reads the experiment, if one is given, and joins it with the flags.
///
/// # Errors
/// The file or a flag is wrong.
pub fn options(settings: &Settings, flags: &Flags) -> Result<Options, EarlyEnd> {
    let file = match &flags.experiment {
        Some(path) => experiment::read(path).map_err(EarlyEnd::refused)?,
        None => Experiment::default(),
    };
    Options::join(file, flags, settings.state_dir.clone()).map_err(EarlyEnd::refused)
}

/// Looks at root, server, database and the outage's target, and breaks nothing. The report tells what was found,
/// also where the drill is refused.
///
/// # Errors
/// Why the deployment is not drilled.
pub async fn look(
    settings: &Settings,
    flags: &Flags,
    options: Options,
    report: &mut Report,
) -> Result<Deployment, EarlyEnd> {
    let mut outage = choice::choose(&options)?;
    report.title.clone_from(&options.title);
    report.outage = OutageFacts {
        kind: Some(options.outage),
        what: outage.describe(),
        for_ms: options.outage_for_ms,
        ..OutageFacts::default()
    };
    let only = only_root(settings)?;
    let form = settings.form_of(only);
    let root = only.path.clone();
    report.root = root.display().to_string();
    let root_id =
        marker::read(&root).map_err(|problem| EarlyEnd::inconclusive(problem.to_string()))?;
    let server = server(settings, flags)?;
    report.server = format!("http://{}", server.address());
    let mut address = address(settings)?;
    report.database = address.shown();
    let probe =
        Probe::new(&address).await.map_err(|error| EarlyEnd::refused(format!("{error:#}")))?;
    let database = Database::open(&address).await?;
    let hosts = server_serves(&server, &root_id, (&root, &form), &database).await?;
    if settings.layout == Layout::BasePaths {
        address.collection = base_path(&database, &report.root).await?;
    }
    let database = Database::open(&address).await?;
    let prepared = outage.prepare().await?;
    outage.suits(&address, &hosts).await?;
    report.outage.what = outage.describe();
    report.outage.blast_radius.clone_from(&prepared.blast_radius);
    // Told before anything is broken.
    let by_command = options.plant.is_some();
    let planted_as = planting::Form { form: &form, root_id: &root_id, by_command };
    planting::plan(&report.id, 1, &planted_as, clock::wall_ms()).map_err(|why| {
        EarlyEnd::refused(format!(
            "the drill cannot write pairs such as this root has: {why}. Have them made by a command of your own: --plant CMD"
        ))
    })?;
    Ok(Deployment {
        options,
        root,
        root_id,
        form,
        server,
        address,
        database,
        probe,
        outage,
        prepared,
    })
}

/// The collection of a root in the layout `base_paths`.
async fn base_path(database: &Database, root: &str) -> Result<String, EarlyEnd> {
    let guid = database.base_path(root).await?;
    guid.ok_or_else(|| {
        EarlyEnd::inconclusive(format!("the collection base_paths has no row for {root}"))
    })
}

fn only_root(settings: &Settings) -> Result<&RootSettings, EarlyEnd> {
    match settings.roots.as_slice() {
        [root] => Ok(root),
        [] => Err(EarlyEnd::refused("which root is planted on? Give --root DIR")),
        _ => Err(EarlyEnd::refused("one root is drilled at a time: give one --root DIR")),
    }
}

fn server(settings: &Settings, flags: &Flags) -> Result<Server, EarlyEnd> {
    match (&flags.server, state_dir::running(&settings.state_dir).ok().flatten()) {
        (Some(url), _) => Server::parse(url).map_err(EarlyEnd::refused),
        (None, Some(file)) => Ok(Server::at(&file.address)),
        (None, None) => Ok(Server::at(&settings.listen)),
    }
}

fn address(settings: &Settings) -> Result<Address, EarlyEnd> {
    let uri = settings.mongodb_uri.as_ref().ok_or_else(|| {
        EarlyEnd::refused(
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

/// The server is there, serves this root, and writes to this database: the hosts that its calls go to.
async fn server_serves(
    server: &Server,
    root_id: &str,
    (root, form): (&Path, &PairForm),
    database: &Database,
) -> Result<Vec<String>, EarlyEnd> {
    let status = server.status().await.map_err(|error| {
        EarlyEnd::inconclusive(format!(
            "the server at http://{} does not answer: {error}. Start `focus serve`, or give --server URL",
            server.address()
        ))
    })?;
    let Some(served) = status.roots.iter().find(|served| served.id.as_deref() == Some(root_id))
    else {
        return Err(EarlyEnd::refused(format!(
            "the server at http://{} does not serve the root {}: its marker is {root_id}",
            server.address(),
            root.display()
        )));
    };
    let takes =
        |one: &String| served.data_extensions.iter().any(|own| own.eq_ignore_ascii_case(one));
    let is_told = !served.data_extensions.is_empty();
    if is_told
        && !(form.data_extensions.first().is_some_and(takes)
            && form.sidecar_extension.eq_ignore_ascii_case(&served.sidecar_extension))
    {
        return Err(EarlyEnd::refused(format!(
            "the server at http://{} takes other pairs in {}: NAME.{} with NAME.{}. Give the drill the server's own --config",
            server.address(),
            root.display(),
            served.data_extensions.join(" or NAME."),
            served.sidecar_extension
        )));
    }
    if status.catalog != "mongodb" {
        return Err(EarlyEnd::refused(format!(
            "the server at http://{} has its catalog not in MongoDB: {:?}",
            server.address(),
            status.catalog
        )));
    }
    let lease = database.meta(&format!("lease:{root_id}")).await?;
    let holder = lease.and_then(|lease| lease.get_str("holder").ok().map(str::to_owned));
    match (served.lease_holder.as_deref(), holder) {
        (Some(says), Some(there)) if says == there => Ok(status.catalog_hosts),
        (None, _) => Ok(status.catalog_hosts),
        (Some(_), there) => Err(EarlyEnd::refused(format!(
            "the server at http://{} does not write to this database: the lease of the root is {} there. Give the server's own --mongodb-uri and --database",
            server.address(),
            if there.is_some() { "held by another" } else { "not to be found" }
        ))),
    }
}

/// Checks that somebody has said that this deployment may be drilled: by a mark, or by `--allow`.
///
/// # Errors
/// Nobody has.
pub async fn allowed(deployment: &Deployment) -> Result<(), EarlyEnd> {
    let marked = deployment.options.allow || deployment.prepared.marked;
    if marked || deployment.database.is_drillable().await? {
        return Ok(());
    }
    Err(EarlyEnd::refused(
        "this deployment is not marked as one that may be drilled: put {_id: \"drillable\", value: true} into the collection focus_meta, or give --allow",
    ))
}
