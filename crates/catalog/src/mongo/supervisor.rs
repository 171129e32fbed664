//! The supervisor: it follows the database while it comes and goes.
//!
//! While the database is there, the topology events of a probe client say when it goes: a closed
//! socket at once, silence within about twice the probe's timeout. While the database is away, the
//! supervisor tries a bare TCP connection to each known host every 100 ms. When a host accepts one,
//! the supervisor builds both clients anew and asks for a writable primary. New clients know
//! nothing of an older topology. So a replica set that was restored or made again, with an election
//! id that went back, is met like any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use focus_core::answer::{Class, Failure};
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::sdam::SdamEvent;
use mongodb::options::{ClientOptions, ServerAddress};
use mongodb::{Client, ServerType};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::{Live, Shared, failure, lock, options};
use crate::Reach;

/// The time between two tries to connect while nothing listens.
const KNOCK: Duration = Duration::from_millis(100);

/// The time between two tries while something listens that is no writable primary.
const KNOCK_ANSWERED: Duration = Duration::from_millis(200);

/// The time until a database that refuses us is asked again, at first and at most.
const REFUSED: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// The longest time of a probe, on a slow link.
const PROBE_LIMIT_MAX: Duration = Duration::from_secs(5);

/// A write acknowledged within this time is a sign of life.
const ALIVE: Duration = Duration::from_secs(1);

/// The probe's view, set by the driver's events.
#[derive(Debug, Default)]
struct Watched {
    lost: AtomicBool,
    changed: Notify,
}

struct Connection {
    probe: Client,
    live: Live,
    watched: Arc<Watched>,
    base: ClientOptions,
}

pub(super) async fn run(shared: Arc<Shared>) {
    let mut epoch = 0;
    loop {
        let connection = connect(&shared, epoch + 1).await;
        epoch += 1;
        *lock(&shared.live) = Some(connection.live.clone());
        shared.reach.send_replace(Reach::Up { epoch });
        let why = follow(&shared, &connection).await;
        *lock(&shared.live) = None;
        shared.reach.send_replace(Reach::Down { why, refused: false });
        // Ends both clients' monitors in the background: sockets that hang do not delay the next
        // try.
        tokio::spawn(async move {
            connection.probe.shutdown().immediate(true).await;
            connection.live.writer.shutdown().immediate(true).await;
        });
    }
}

/// Tries until a writable primary answers.
async fn connect(shared: &Shared, epoch: u64) -> Connection {
    let mut patience = Duration::from_millis(shared.settings.probe_timeout_ms);
    let mut refused_wait = REFUSED.0;
    loop {
        let wait = match attempt(shared, epoch, patience).await {
            Ok(connection) => return connection,
            Err(Refusal { failure, answered }) => {
                let refused = failure.class == Class::RefusedClient;
                tell_down(shared, failure.words, refused);
                if refused {
                    refused_wait = (refused_wait * 2).min(REFUSED.1);
                    refused_wait
                } else if answered {
                    // Something is there: a slow link wants a longer look.
                    patience = (patience * 3 / 2).min(PROBE_LIMIT_MAX);
                    KNOCK_ANSWERED
                } else {
                    patience = Duration::from_millis(shared.settings.probe_timeout_ms);
                    KNOCK
                }
            }
        };
        let jitter = Duration::from_millis(fastrand::u64(0..=20));
        tokio::select! {
            () = sleep(wait + jitter) => {}
            () = shared.doubt.notified() => sleep(Duration::from_millis(20)).await,
        }
    }
}

fn tell_down(shared: &Shared, why: String, refused: bool) {
    shared.reach.send_if_modified(|reach| {
        let changed = match reach {
            Reach::Down { refused: before, .. } => *before != refused,
            _ => true,
        };
        if changed {
            *reach = Reach::Down { why, refused };
        }
        changed
    });
}

/// Why a try to connect failed.
struct Refusal {
    failure: Failure,
    /// A host accepted the connection.
    answered: bool,
}

async fn attempt(shared: &Shared, epoch: u64, patience: Duration) -> Result<Connection, Refusal> {
    let transient = |words: String| Refusal { failure: Failure::transient(words), answered: false };
    let parse = tokio::spawn(ClientOptions::parse(shared.settings.uri.clone()).into_future());
    let base = match timeout(Duration::from_secs(5), parse).await {
        Ok(Ok(Ok(base))) => base,
        Ok(Ok(Err(error))) => {
            return Err(Refusal {
                failure: failure::of(&shared.settings, &error),
                answered: false,
            });
        }
        Ok(Err(error)) => return Err(transient(error.to_string())),
        Err(_) => return Err(transient("the name service does not answer".to_owned())),
    };
    knock(&base, patience).await.map_err(transient)?;
    let watched = Arc::new(Watched::default());
    let probe = client(shared, &base, patience, Some(&watched))?;
    let writer = client(shared, &base, Duration::from_secs(2), None)?;
    let limit = patience.max(Duration::from_millis(500)) * 2;
    let met = meet(shared, &writer, &probe, limit).await;
    match met {
        Ok((clock, write_concern)) => {
            let live = Live { epoch, writer, clock, write_concern };
            Ok(Connection { probe, live, watched, base })
        }
        Err(failure) => {
            tokio::spawn(async move {
                probe.shutdown().immediate(true).await;
                writer.shutdown().immediate(true).await;
            });
            Err(Refusal { failure, answered: true })
        }
    }
}

/// Tries a bare connection to any of the hosts; the error says why there is none.
async fn knock(options: &ClientOptions, patience: Duration) -> Result<(), String> {
    let mut words = "no host in the connection string".to_owned();
    for host in &options.hosts {
        let ServerAddress::Tcp { host, port } = host else { return Ok(()) };
        let port = port.unwrap_or(27017);
        match timeout(patience, TcpStream::connect((host.as_str(), port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => words = format!("{host}:{port}: {error}"),
            Err(_) => words = format!("{host}:{port} does not answer"),
        }
    }
    Err(words)
}

fn client(
    shared: &Shared,
    base: &ClientOptions,
    connect: Duration,
    watched: Option<&Arc<Watched>>,
) -> Result<Client, Refusal> {
    let mut options = options(base.clone(), connect);
    if let Some(watched) = watched {
        options.max_pool_size = Some(1);
        let watched = Arc::clone(watched);
        options.sdam_event_handler = Some(EventHandler::callback(move |event| {
            if let SdamEvent::TopologyDescriptionChanged(event) = event {
                let writable = event.new_description.servers().values().any(|server| {
                    matches!(
                        server.server_type(),
                        ServerType::RsPrimary
                            | ServerType::Standalone
                            | ServerType::Mongos
                            | ServerType::LoadBalancer
                    )
                });
                watched.lost.store(!writable, Ordering::Relaxed);
                watched.changed.notify_one();
            }
        }));
    } else {
        options.max_pool_size = Some(8);
    }
    Client::with_options(options)
        .map_err(|error| Refusal { failure: failure::of(&shared.settings, &error), answered: true })
}

/// Asks the writer for a writable primary, its time and its abilities.
async fn meet(
    shared: &Shared,
    writer: &Client,
    probe: &Client,
    limit: Duration,
) -> Result<((DateTime, Instant), Document), Failure> {
    let hello = ask(shared, writer, &shared.settings.database, doc! { "hello": 1 }, limit).await?;
    if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
        return Err(Failure::transient("there is no writable primary yet"));
    }
    // The first command that needs a login: a refused one is told now. Starts the probe's monitor
    // too.
    ask(
        shared,
        writer,
        &shared.settings.database,
        doc! { "listCollections": 1, "nameOnly": true, "filter": { "name": "focus_meta" } },
        limit,
    )
    .await?;
    ask(shared, probe, "admin", doc! { "ping": 1 }, limit).await?;
    let clock = match hello.get_datetime("localTime") {
        Ok(time) => (*time, Instant::now()),
        Err(_) => {
            shared.remark("the server does not tell its time: indexed_at is this machine's");
            (DateTime::now(), Instant::now())
        }
    };
    if !matches!(hello.get("logicalSessionTimeoutMinutes"), Some(Bson::Int32(_) | Bson::Int64(_))) {
        shared.remark("the server has no sessions: writes are repeated by Focus Server alone, which it does anyway");
    }
    let mut write_concern = doc! { "w": "majority", "j": true };
    let set =
        hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
    if !set {
        shared
            .remark("the server shows no replica set: a write is safe once its own journal has it");
    }
    // A server may refuse to journal; it is asked with a write that changes nothing.
    let nothing = doc! {
        "delete": "focus_meta",
        "deletes": [{ "q": { "_id": "focus:nothing" }, "limit": 1 }],
        "writeConcern": write_concern.clone(),
    };
    if let Err(failure) = ask(shared, writer, &shared.settings.database, nothing, limit).await {
        match (failure.class, failure.code) {
            (Class::RefusedClient | Class::Transient, _) => return Err(failure),
            _ => {
                shared.remark("the server refuses journaled writes: what it acknowledged may be lost when its machine fails, and is written again by the next comparison");
                write_concern.remove("j");
            }
        }
    }
    Ok((clock, write_concern))
}

async fn ask(
    shared: &Shared,
    client: &Client,
    database: &str,
    command: Document,
    limit: Duration,
) -> Result<Document, Failure> {
    let database = client.database(database);
    let task = tokio::spawn(async move { database.run_command(command).await });
    match timeout(limit, task).await {
        Ok(Ok(Ok(reply))) => Ok(reply),
        Ok(Ok(Err(error))) => Err(failure::of(&shared.settings, &error)),
        Ok(Err(error)) => Err(Failure::transient(error.to_string())),
        Err(_) => Err(Failure::transient(format!(
            "it takes connections but does not answer within {} ms",
            limit.as_millis()
        ))),
    }
}

/// Follows a connection until the database goes, and returns the reason.
async fn follow(shared: &Shared, connection: &Connection) -> String {
    let writer = &connection.live.writer;
    let patience = Duration::from_millis(shared.settings.probe_timeout_ms);
    loop {
        tokio::select! {
            () = connection.watched.changed.notified() => {}
            () = shared.doubt.notified() => {
                let limit = patience * 2;
                match ask(shared, writer, "admin", doc! { "hello": 1 }, limit).await {
                    Ok(hello) if hello.get_bool("isWritablePrimary").unwrap_or(false) => {}
                    Ok(_) => return "the primary has stepped down".to_owned(),
                    Err(_) if shared.since_acknowledged() < ALIVE => {}
                    Err(failure) => return failure.words,
                }
                // One look at a time, however many calls doubt.
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        }
        while connection.watched.lost.load(Ordering::Relaxed) {
            // Acknowledged writes count as up: under a heavy batch a heartbeat may come late.
            if shared.since_acknowledged() >= ALIVE {
                return "the connection was lost".to_owned();
            }
            // A closed port is no slow heartbeat.
            if let Err(words) = knock(&connection.base, patience).await {
                return words;
            }
            match ask(shared, writer, "admin", doc! { "hello": 1 }, patience).await {
                Ok(hello) if hello.get_bool("isWritablePrimary").unwrap_or(false) => {
                    shared.acknowledged();
                    sleep(Duration::from_millis(100)).await;
                }
                Ok(_) => return "the primary has stepped down".to_owned(),
                Err(failure) => return failure.words,
            }
        }
    }
}
