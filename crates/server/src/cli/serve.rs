//! `focus serve`: runs the server until a signal ends it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use focus_alerts::{Alerting, Board};
use focus_core::secret::Secrets;
use focus_http::api::{self, Access, AppState, Bounds, Hosts, Keys, Services};
use focus_http::events::{self, Events};
use focus_http::history::{self, History};
use focus_http::jobs::Jobs;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use super::reload::Reloaded;
use super::{Ending, NO_ROOT, Stop, refuse_roots_that_are_one, runtime};
use crate::hint_taker::HintTaker;
use crate::telemetry;
use focus_common::config::{Alerts, Overrides, Secret, Settings};
use focus_common::state_dir::{self, ServerFile};
use focus_drill::report::store::Drills;
use focus_engine::{Engine, Sidecars};
use focus_hints::HintQueues;

/// Time between two checks that commands still find the server.
const PUBLISHED_LOOK: Duration = Duration::from_secs(2);

/// Time between two returns of free memory to the system.
const TIDYING: Duration = Duration::from_secs(10);

/// Least time between two rebuilds of the index. A cause that damages it again and again must not fill the
/// disk with damaged files.
const REBUILD_PAUSE: Duration = Duration::from_secs(10);

/// Time between two tries to open an index.
const INDEX_RETRY: Duration = Duration::from_secs(1);

pub(super) fn serve(settings: Settings, overrides: Overrides) -> anyhow::Result<Ending> {
    telemetry::log(&settings.log);
    match focus_crash::arm() {
        Ok(None) => {}
        Ok(Some(point)) => {
            tracing::warn!("for a test, this server ends itself at {}", point.name());
        }
        Err(words) => return Err(Stop::error(Ending::Refused, words)),
    }
    if settings.roots.is_empty() {
        return Err(Stop::error(Ending::Refused, NO_ROOT));
    }
    refuse_roots_that_are_one(&settings)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(run(settings, overrides));
    // A thread in a file system that hangs must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn run(settings: Settings, overrides: Overrides) -> anyhow::Result<Ending> {
    let mut signals = Signals::new()?;
    let _lock = state_dir::lock(&settings.state_dir)?;
    let listener = TcpListener::bind(&settings.listen).await.with_context(|| {
        format!(
            "{} cannot be listened on: stop what uses it, or give another --listen",
            settings.listen
        )
    })?;
    let address = listener.local_addr()?;
    let engine = tokio::select! {
        started = start(&settings, None) => Arc::new(started?),
        () = signals.end() => return Ok(Ending::InOrder),
    };
    let server =
        ServerFile { address: address.to_string(), token: token(), pid: std::process::id() };
    let (engines, shown) = watch::channel(Arc::clone(&engine));
    let (hosts, known) = watch::channel(hosts(&settings, address.ip()));
    let drills = Arc::new(Drills::open(&settings.state_dir));
    let alerting = Alerting::begin(&settings, shown.clone(), Arc::clone(&drills));
    let alerts = (alerting.board(), Arc::new(settings.alerts.clone()));
    let (alerts, told) = watch::channel(alerts);
    let (access, known_access) = watch::channel(access(&settings));
    let keys = Keys::new(Secret::new(server.token.clone()), known_access);
    let identity = state_dir::identity(&settings.state_dir)?;
    let services = services(&settings, &identity, &shown, &told, drills);
    let hint_queues = Arc::clone(&services.hint_queues);
    let jobs = Arc::clone(&services.jobs);
    let bounds = Bounds::of(&settings);
    let state = AppState::new(shown, keys, known, told, bounds, services);
    let router = api::router(state);
    let http = tokio::spawn(api::serve(listener, router, bounds.connections_max));
    state_dir::publish(&settings.state_dir, &server)?;
    tracing::info!(
        "focus {} serves on http://{address}; catalog: {} ({})",
        env!("CARGO_PKG_VERSION"),
        engine.catalog_kind(),
        engine.catalog_address(),
    );
    let mut serving = Serving {
        settings,
        overrides,
        server,
        ip: address.ip(),
        hosts,
        alerting,
        alerts,
        access,
        engine,
        engines,
        unpublished: false,
        rebuilt: None,
    };
    serving.until(&mut signals).await?;
    tracing::info!("stopping");
    state_dir::withdraw(&serving.settings.state_dir);
    http.abort();
    jobs.stop();
    hint_queues.stop();
    serving.engine.stop().await;
    Ok(Ending::InOrder)
}

/// Starts what goes on beside the engine.
fn services(
    settings: &Settings,
    identity: &str,
    engines: &watch::Receiver<Arc<Engine>>,
    alerts: &watch::Receiver<(Arc<Board>, Arc<Alerts>)>,
    drills: Arc<Drills>,
) -> Services {
    let events = Arc::new(Events::default());
    tokio::spawn(events::feed(Arc::clone(&events), engines.clone(), alerts.clone()));
    let taker = Arc::new(HintTaker::new(engines.clone()));
    let hint_queues = HintQueues::begin(&settings.hints, identity, taker);
    let (hint_queues, history) = (Arc::new(hint_queues), Arc::new(History::default()));
    let told = alerts.clone();
    let board = move || Arc::clone(&told.borrow().0);
    let kept = (Arc::clone(&history), engines.clone(), Arc::clone(&hint_queues));
    tokio::spawn(history::keep(kept.0, kept.1, kept.2, board));
    Services {
        hint_queues,
        history,
        drills,
        jobs: Jobs::begin(&settings.state_dir, engines.clone(), Arc::clone(&events)),
        events,
    }
}

/// A new token, which is hidden from now on.
fn token() -> String {
    // A version 4 UUID has 122 bits from the system's source of randomness.
    let token = uuid::Uuid::new_v4().simple().to_string();
    let mut secrets = Secrets::default();
    secrets.add(&token);
    telemetry::hide(&secrets);
    token
}

/// The signals that the server heeds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that ends the server.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for one.
    async fn next(&mut self) -> Heeded {
        tokio::select! {
            _ = self.terminate.recv() => Heeded::End,
            _ = self.interrupt.recv() => Heeded::End,
            _ = self.hangup.recv() => Heeded::Reload,
        }
    }
}

/// What a signal asks for.
enum Heeded {
    End,
    Reload,
}

/// A server that runs.
struct Serving {
    /// What the server works with now.
    settings: Settings,
    /// Environment and flags, for reading the settings again.
    overrides: Overrides,
    server: ServerFile,
    /// The address that is listened on.
    ip: IpAddr,
    /// Hands other host names to the HTTP interface.
    hosts: watch::Sender<Hosts>,
    alerting: Alerting,
    /// Hands other settings of alerts to the HTTP interface.
    alerts: watch::Sender<(Arc<Board>, Arc<Alerts>)>,
    /// Hands other tokens to the HTTP interface, and what else says who may ask.
    access: watch::Sender<Access>,
    engine: Arc<Engine>,
    /// Hands a new engine to the HTTP interface.
    engines: watch::Sender<Arc<Engine>>,
    /// Commands do not find this server, and the log says so.
    unpublished: bool,
    /// When the index was made anew last.
    rebuilt: Option<Instant>,
}

impl Serving {
    /// Does what is due again and again, until a signal ends the server.
    async fn until(&mut self, signals: &mut Signals) -> anyhow::Result<()> {
        let mut published = tokio::time::interval(PUBLISHED_LOOK);
        let mut tidying = tokio::time::interval(TIDYING);
        let mut verified_at = Instant::now();
        loop {
            let every = Duration::from_millis(self.settings.verify_interval_ms);
            tokio::select! {
                heeded = signals.next() => match heeded {
                    Heeded::End => return Ok(()),
                    Heeded::Reload => tokio::select! {
                        reloaded = self.reload() => reloaded?,
                        () = signals.end() => return Ok(()),
                    }
                },
                () = tokio::time::sleep_until(verified_at + every), if !every.is_zero() => {
                    verified_at = Instant::now();
                    self.verify();
                }
                // A backlog, a scan or a comparison leaves free memory. Without any this takes a millisecond.
                _ = tidying.tick() => drop(tokio::task::spawn_blocking(focus_heap::give_back)),
                _ = published.tick() => self.publish_again(),
                why = self.engine.damaged() => {
                    tracing::warn!("the index is damaged: it is made anew from storage");
                    self.engine.stop().await;
                    tokio::select! {
                        rebuilt = self.rebuild(why) => rebuilt?,
                        () = signals.end() => return Ok(()),
                    }
                }
            }
        }
    }

    /// Starts a verification of everything.
    fn verify(&self) {
        let engine = Arc::clone(&self.engine);
        tokio::spawn(async move {
            if let Err(error) = engine.verify(false, Sidecars::OfToday).await {
                tracing::warn!("the scheduled verification could not tell: {error}");
            }
        });
    }

    /// Writes the file by which commands find the server, where somebody damaged or removed it.
    fn publish_again(&mut self) {
        let dir = &self.settings.state_dir;
        if state_dir::is_published(dir, &self.server) {
            self.unpublished = false;
        } else if let Err(error) = state_dir::publish(dir, &self.server)
            && !std::mem::replace(&mut self.unpublished, true)
        {
            let error = anyhow::Error::from(error);
            tracing::warn!("commands do not find this server: {error:#}");
        }
    }

    /// Makes the damaged index anew from storage, and starts an engine on it.
    async fn rebuild(&mut self, why: String) -> anyhow::Result<()> {
        if let Some(before) = self.rebuilt.replace(Instant::now()) {
            tokio::time::sleep_until(before + REBUILD_PAUSE).await;
        }
        self.engine = Arc::new(start(&self.settings, Some(why)).await?);
        self.engines.send_replace(Arc::clone(&self.engine));
        Ok(())
    }

    /// Reads the settings again, and takes what has changed. Settings with a mistake change nothing.
    async fn reload(&mut self) -> anyhow::Result<()> {
        let reloaded = match Reloaded::read(&self.settings, &self.overrides) {
            Ok(reloaded) => reloaded,
            Err(mistakes) => {
                for mistake in mistakes {
                    tracing::error!(
                        "the settings were read again and stay as they were: {mistake}"
                    );
                }
                return Ok(());
            }
        };
        for key in &reloaded.need_a_restart {
            tracing::warn!("{key} has changed in the settings: restart the server for it");
        }
        telemetry::log(&reloaded.settings.log);
        self.hosts.send_replace(hosts(&reloaded.settings, self.ip));
        self.access.send_replace(access(&reloaded.settings));
        let of_alerts =
            |settings: &Settings| (settings.alerts.clone(), settings.external_url.clone());
        if of_alerts(&reloaded.settings) != of_alerts(&self.settings) {
            self.alerting.take(&reloaded.settings);
            let alerts = Arc::new(reloaded.settings.alerts.clone());
            self.alerts.send_replace((self.alerting.board(), alerts));
        }
        let told = reloaded.told();
        let before = std::mem::replace(&mut self.settings, reloaded.settings);
        if !reloaded.engine_anew {
            tracing::info!("the settings were read again: {told}");
            return Ok(());
        }
        self.engine.stop().await;
        let started = match start(&self.settings, None).await {
            Ok(engine) => engine,
            Err(error) => {
                tracing::error!("the server goes on with the settings of before: {error:#}");
                self.settings = before;
                start(&self.settings, None).await?
            }
        };
        self.engine = Arc::new(started);
        self.engines.send_replace(Arc::clone(&self.engine));
        tracing::info!("the settings were read again: {told}");
        Ok(())
    }
}

/// Who may ask, as the settings say.
fn access(settings: &Settings) -> Access {
    let roots = settings.roots.iter();
    let intervals = roots.map(|root| settings.scan_interval_ms_of(root));
    Access {
        tokens: settings.tokens.clone(),
        read_needs_token: settings.read_needs_token,
        external_url: settings.external_url.clone(),
        scan_interval_ms: intervals.max().unwrap_or(settings.scan_interval_ms),
    }
}

/// The names that requests may call this server by; none: any name. A loopback address is for the users of this
/// machine: a page from anywhere whose name leads to this address must not read the server through a browser.
fn hosts(settings: &Settings, ip: IpAddr) -> Hosts {
    if !ip.is_loopback() && settings.allowed_hosts.is_empty() {
        return None;
    }
    let listens = settings.listen.rsplit_once(':').map_or("", |(host, _)| host);
    let named = settings.allowed_hosts.iter().map(String::as_str).chain([listens]);
    Some(named.map(str::to_lowercase).collect::<Vec<_>>().into())
}

/// Starts the engine. While the disk of the index is full or fails, it tries again.
async fn start(settings: &Settings, mut damaged: Option<String>) -> anyhow::Result<Engine> {
    let mut told = false;
    loop {
        let started = match damaged.take() {
            Some(why) => Engine::start_anew(settings.clone(), why).await,
            None => Engine::start(settings.clone()).await,
        };
        let error = match started {
            Ok(engine) => return Ok(engine),
            Err(error) => error,
        };
        if !error.is_passing() {
            return Err(error.into());
        }
        if !std::mem::replace(&mut told, true) {
            tracing::error!("{error}");
        }
        tokio::time::sleep(INDEX_RETRY).await;
    }
}
