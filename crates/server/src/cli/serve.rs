//! `focus serve`: runs the server until a signal ends it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use focus_core::secret::Secrets;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Ending, Stop, runtime};
use crate::api::{self, AppState};
use crate::telemetry;
use focus_common::config::{Secret, Settings};
use focus_common::state_dir::{self, ServerFile};
use focus_engine::Engine;

/// Time between two checks that commands still find the server.
const PUBLISHED_LOOK: Duration = Duration::from_secs(2);

/// Time between two returns of free memory to the system.
const TIDYING: Duration = Duration::from_secs(10);

/// Least time between two rebuilds of the index. A cause that damages it again and again must not fill the
/// disk with damaged files.
const REBUILD_PAUSE: Duration = Duration::from_secs(10);

/// Time between two tries to open an index.
const INDEX_RETRY: Duration = Duration::from_secs(1);

pub(super) fn serve(settings: Settings) -> anyhow::Result<Ending> {
    focus_heap::share_one_arena();
    telemetry::start();
    match focus_crash::arm() {
        Ok(None) => {}
        Ok(Some(point)) => {
            tracing::warn!("for a test, this server ends itself at {}", point.name());
        }
        Err(words) => return Err(Stop::error(Ending::Refused, words)),
    }
    if settings.roots.is_empty() {
        return Err(Stop::error(
            Ending::Refused,
            "no root is configured: give --root DIR, or roots = [\"DIR\"] in focus.toml",
        ));
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(run(settings));
    // A thread in a file system that hangs must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn run(settings: Settings) -> anyhow::Result<Ending> {
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
    let hosts = hosts(&settings, address.ip());
    let state = AppState::new(shown, Secret::new(server.token.clone()), hosts);
    let http = tokio::spawn(api::serve(listener, api::router(state)));
    state_dir::publish(&settings.state_dir, &server)?;
    tracing::info!(
        "focus {} serves on http://{address}; catalog: {} ({})",
        env!("CARGO_PKG_VERSION"),
        engine.catalog_kind(),
        engine.catalog_address(),
    );
    let mut serving =
        Serving { settings, server, engine, engines, unpublished: false, rebuilt: None };
    serving.until(&mut signals).await?;
    tracing::info!("stopping");
    state_dir::withdraw(&serving.settings.state_dir);
    http.abort();
    serving.engine.stop().await;
    Ok(Ending::InOrder)
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

/// The signals that end the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A server that runs.
struct Serving {
    settings: Settings,
    server: ServerFile,
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
        let every = Duration::from_millis(self.settings.verify_interval_ms);
        let mut published = tokio::time::interval(PUBLISHED_LOOK);
        let mut tidying = tokio::time::interval(TIDYING);
        let mut verify_at = Instant::now() + every;
        loop {
            tokio::select! {
                () = signals.end() => return Ok(()),
                () = tokio::time::sleep_until(verify_at), if !every.is_zero() => {
                    verify_at = Instant::now() + every;
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
            if let Err(error) = engine.verify(false).await {
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
}

/// The names that requests may call this server by; none: any name. A loopback address is for the users of this
/// machine: a page from anywhere whose name leads to this address must not read the server through a browser.
fn hosts(settings: &Settings, ip: IpAddr) -> Option<Vec<String>> {
    if !ip.is_loopback() && settings.allowed_hosts.is_empty() {
        return None;
    }
    let listens = settings.listen.rsplit_once(':').map_or("", |(host, _)| host);
    let named = settings.allowed_hosts.iter().map(String::as_str).chain([listens]);
    Some(named.map(str::to_lowercase).collect())
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
