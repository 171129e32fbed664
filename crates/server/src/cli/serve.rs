//! `focus serve`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use focus_core::secret::Secrets;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Ending, Stop, runtime};
use crate::api::{self, AppState};
use crate::telemetry;
use focus_common::config::{Secret, Settings};
use focus_common::state_dir::{self, ServerFile};
use focus_engine::Engine;

/// Between two looks whether commands still find the server.
const PUBLISHED_LOOK: Duration = Duration::from_secs(2);

/// Between two times that free memory is given back to the system.
const TIDYING: Duration = Duration::from_secs(10);

/// Between two rebuilds of the index: something that damages it over and over is not to fill the disk.
const REBUILD_PAUSE: Duration = Duration::from_secs(10);

/// Between two tries to open an index that cannot be opened now.
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
    // A file system that hangs must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn run(settings: Settings) -> anyhow::Result<Ending> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let _lock = state_dir::lock(&settings.state_dir)?;
    let listener = TcpListener::bind(&settings.listen).await.with_context(|| {
        format!(
            "{} cannot be listened on: stop what uses it, or give another --listen",
            settings.listen
        )
    })?;
    let address = listener.local_addr()?.to_string();
    let mut engine = tokio::select! {
        started = start(&settings, None) => Arc::new(started?),
        _ = terminate.recv() => return Ok(Ending::InOrder),
        _ = interrupt.recv() => return Ok(Ending::InOrder),
    };
    // 122 bits from the system's own source of randomness.
    let token = uuid::Uuid::new_v4().simple().to_string();
    let mut secrets = Secrets::default();
    secrets.add(&token);
    telemetry::hide(&secrets);
    let server = ServerFile { address: address.clone(), token, pid: std::process::id() };
    let (engines, shown) = watch::channel(Arc::clone(&engine));
    let hosts = hosts(&settings, listener.local_addr()?.ip());
    let state = AppState::new(shown, Secret::new(server.token.clone()), hosts);
    let http = tokio::spawn(api::serve(listener, api::router(state)));
    state_dir::publish(&settings.state_dir, &server)?;
    tracing::info!(
        "focus {} serves on http://{address}; catalog: {} ({})",
        env!("CARGO_PKG_VERSION"),
        engine.catalog_kind(),
        engine.catalog_address(),
    );
    let every = Duration::from_millis(settings.verify_interval_ms);
    let mut published = tokio::time::interval(PUBLISHED_LOOK);
    let mut tidying = tokio::time::interval(TIDYING);
    let mut told = false;
    let mut rebuilt: Option<tokio::time::Instant> = None;
    let mut verify_at = tokio::time::Instant::now() + every;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = tokio::time::sleep_until(verify_at), if !every.is_zero() => {
                verify_at = tokio::time::Instant::now() + every;
                let engine = Arc::clone(&engine);
                tokio::spawn(async move {
                    if let Err(error) = engine.verify(false).await {
                        tracing::warn!("the scheduled verification could not tell: {error}");
                    }
                });
            }
            // What a backlog, a scan or a comparison took; a millisecond where there is nothing.
            _ = tidying.tick() => drop(tokio::task::spawn_blocking(focus_heap::give_back)),
            _ = published.tick() => {
                // Damaged or removed by somebody: commands would not find the server any more.
                if state_dir::is_published(&settings.state_dir, &server) {
                    told = false;
                } else if let Err(error) = state_dir::publish(&settings.state_dir, &server)
                    && !std::mem::replace(&mut told, true)
                {
                    tracing::warn!("commands do not find this server: {error:#}");
                }
            }
            why = engine.damaged() => {
                tracing::warn!("the index is damaged: it is made anew from storage");
                engine.stop().await;
                if let Some(before) = rebuilt.replace(tokio::time::Instant::now()) {
                    tokio::select! {
                        () = tokio::time::sleep_until(before + REBUILD_PAUSE) => {}
                        _ = terminate.recv() => break,
                        _ = interrupt.recv() => break,
                    }
                }
                engine = Arc::new(start(&settings, Some(why)).await?);
                engines.send_replace(Arc::clone(&engine));
            }
        }
    }
    tracing::info!("stopping");
    state_dir::withdraw(&settings.state_dir);
    http.abort();
    engine.stop().await;
    Ok(Ending::InOrder)
}

/// The names that requests may call this server by. On a loopback address only the machine's own
/// users are meant to reach it: there a page from anywhere, whose name leads to this address, must not
/// read it through a browser.
fn hosts(settings: &Settings, ip: IpAddr) -> Option<Vec<String>> {
    if !ip.is_loopback() && settings.allowed_hosts.is_empty() {
        return None;
    }
    let listens = settings.listen.rsplit_once(':').map_or("", |(host, _)| host);
    let named = settings.allowed_hosts.iter().map(String::as_str).chain([listens]);
    Some(named.map(str::to_lowercase).collect())
}

/// Starts the engine; an index that cannot be opened now, because its disk is full or fails, is
/// tried again.
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
        let passes = error
            .downcast_ref::<focus_index::IndexError>()
            .is_some_and(|error| error.is_full() || error.is_hardship());
        if !passes {
            return Err(error);
        }
        if !std::mem::replace(&mut told, true) {
            tracing::error!("{error}");
        }
        tokio::time::sleep(INDEX_RETRY).await;
    }
}
