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
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::diagnosis::Cause;
use super::settings::MongoSettings;
use super::state::{LiveConnection, MongoState, ask};
use super::{collation, diagnosis, failure, fitness};
use crate::Reach;

/// Time between two tries to connect while nothing listens.
const KNOCK: Duration = Duration::from_millis(100);

/// Time between two tries while something listens that is no writable primary.
const KNOCK_ANSWERED: Duration = Duration::from_millis(200);

/// The time until a database that refuses us is asked again, at first and at most.
const REFUSED: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// The longest time of a probe, on a slow link.
const PROBE_LIMIT_MAX: Duration = Duration::from_secs(5);

/// Time between two looks for the cause, while a database takes connections and does not serve us.
const DIAGNOSIS_PAUSE: Duration = Duration::from_secs(2);

/// A write acknowledged within this time is a sign of life.
const ALIVE: Duration = Duration::from_secs(1);

/// The `_id` of a document that nobody has.
const NOTHING: &str = "focus:nothing";

/// Which client is made.
enum Part<'a> {
    /// The one that follows the topology.
    Probe(&'a Arc<Watched>),
    /// The one of all calls.
    Writer(&'a Arc<Watched>),
}

/// What the clients see, set by events of the MongoDB driver.
#[derive(Debug, Default)]
struct Watched {
    /// No server takes writes.
    lost: AtomicBool,
    changed: Notify,
    /// Why a heartbeat failed last, where that says more than that it failed.
    failure: Mutex<Option<Failure>>,
}

/// A connection with the probe that watches it.
struct Connection {
    probe: Client,
    live: LiveConnection,
    watched: Arc<Watched>,
    /// What the connection string says.
    base: ClientOptions,
}

/// Follows the database until it is aborted.
pub(super) async fn run(state: Arc<MongoState>) {
    let mut epoch = 0;
    loop {
        let connection = connect(&state, epoch + 1).await;
        epoch += 1;
        *state.live.lock() = Some(connection.live.clone());
        state.reach.send_replace(Reach::Up { epoch });
        let why = follow(&state, &connection).await;
        *state.live.lock() = None;
        state.reach.send_replace(Reach::Down { why, refused: false });
        // Ends both clients' monitors in the background: sockets that hang do not delay the next
        // try.
        tokio::spawn(async move {
            connection.probe.shutdown().immediate(true).await;
            connection.live.writer.shutdown().immediate(true).await;
        });
    }
}

/// Tries until a writable primary answers.
async fn connect(state: &Arc<MongoState>, epoch: u64) -> Connection {
    let mut patience = Duration::from_millis(state.settings.probe_timeout_ms);
    let mut refused_wait = REFUSED.0;
    let mut diagnosed: Option<Instant> = None;
    *state.cause.lock() = None;
    loop {
        let wait = match attempt(state, epoch, patience).await {
            Ok(connection) => return connection,
            Err(Refusal { failure, .. }) if failure.class == Class::RefusedClient => {
                tell_down(state, Told::Known(Cause { words: failure.words, refused: true }));
                refused_wait = (refused_wait * 2).min(REFUSED.1);
                refused_wait
            }
            Err(Refusal { failure, answered: Some(base) }) => {
                let cause = state.cause.lock().clone();
                tell_down(state, cause.map_or(Told::Unknown(failure.words), Told::Known));
                if diagnosed.is_none_or(|at| at.elapsed() >= DIAGNOSIS_PAUSE) {
                    diagnosed = Some(Instant::now());
                    tokio::spawn(diagnose(Arc::clone(state), base, patience));
                }
                // Something is there: a slow link wants a longer look.
                patience = (patience * 3 / 2).min(PROBE_LIMIT_MAX);
                KNOCK_ANSWERED
            }
            Err(Refusal { failure, answered: None }) => {
                *state.cause.lock() = None;
                tell_down(state, Told::Known(Cause { words: failure.words, refused: false }));
                patience = Duration::from_millis(state.settings.probe_timeout_ms);
                KNOCK
            }
        };
        let jitter = Duration::from_millis(fastrand::u64(0..=20));
        tokio::select! {
            () = sleep(wait + jitter) => {}
            () = state.doubt.notified() => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Why the database does not serve us.
enum Told {
    /// A cause, in words that stay while it does.
    Known(Cause),
    /// Words that differ from try to try: they are told once.
    Unknown(String),
}

/// Tells that the database does not serve us, and why. One that serves us by now is left alone: a
/// diagnosis may come late.
fn tell_down(state: &MongoState, told: Told) {
    state.reach.send_if_modified(|reach| {
        let cause = match (&*reach, told) {
            (Reach::Up { .. }, _) | (Reach::Down { .. }, Told::Unknown(_)) => return false,
            (Reach::Connecting, Told::Unknown(words)) => Cause { words, refused: false },
            (_, Told::Known(cause)) => cause,
        };
        let next = Reach::Down { why: cause.words, refused: cause.refused };
        let changed = *reach != next;
        *reach = next;
        changed
    });
}

/// Finds out why a database that takes connections does not serve us, and tells it. It runs beside the next
/// tries, which it must not delay.
async fn diagnose(state: Arc<MongoState>, base: Box<ClientOptions>, patience: Duration) {
    let cause = diagnosis::cause(&base, patience).await;
    tracing::debug!("{}: looked for the cause: {cause:?}", state.address);
    (*state.cause.lock()).clone_from(&cause);
    if let Some(cause) = cause {
        tell_down(&state, Told::Known(cause));
    }
}

/// Why a try to connect failed.
struct Refusal {
    failure: Failure,
    /// A host accepted the connection: what the connection string says.
    answered: Option<Box<ClientOptions>>,
}

async fn attempt(
    state: &MongoState,
    epoch: u64,
    patience: Duration,
) -> Result<Connection, Refusal> {
    let transient = |words: String| Refusal { failure: Failure::transient(words), answered: None };
    let parse = tokio::spawn(ClientOptions::parse(state.settings.uri.clone()).into_future());
    let base = match timeout(Duration::from_secs(5), parse).await {
        Ok(Ok(Ok(base))) => base,
        Ok(Ok(Err(error))) => {
            return Err(Refusal { failure: failure::of(&state.settings, &error), answered: None });
        }
        Ok(Err(error)) => return Err(transient(error.to_string())),
        Err(_) => return Err(transient("the name service does not answer".to_owned())),
    };
    knock(&base, patience).await.map_err(transient)?;
    let watched = Arc::new(Watched::default());
    let probe = client(state, &base, patience, Part::Probe(&watched))?;
    let writer = client(state, &base, Duration::from_secs(2), Part::Writer(&watched))?;
    let limit = patience.max(Duration::from_millis(500)) * 2;
    let met = meet(state, &writer, &probe, limit).await;
    match met {
        Ok(Met { clock, write_concern, has_collations, members }) => {
            let hosts = hosts_in_use(&base, members);
            let live =
                LiveConnection { epoch, hosts, writer, clock, write_concern, has_collations };
            Ok(Connection { probe, live, watched, base })
        }
        Err(mut failure) => {
            tokio::spawn(async move {
                probe.shutdown().immediate(true).await;
                writer.shutdown().immediate(true).await;
            });
            if failure.class == Class::Transient
                && let Some(heartbeat) = watched.failure.lock().take()
            {
                failure = heartbeat;
            }
            Err(Refusal { failure, answered: Some(Box::new(base)) })
        }
    }
}

/// Tries a bare connection to any of the hosts.
///
/// # Errors
/// No host takes one: what went wrong with the last.
async fn knock(options: &ClientOptions, patience: Duration) -> Result<(), String> {
    let mut words = "no host in the connection string".to_owned();
    for host in &options.hosts {
        let ServerAddress::Tcp { host, port } = host else { return Ok(()) };
        let port = port.unwrap_or(27017);
        match timeout(patience, TcpStream::connect((host.as_str(), port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => words = diagnosis::unreachable(host, port, &error),
            Err(_) => words = diagnosis::silent_host(host, port),
        }
    }
    Err(words)
}

fn client(
    state: &MongoState,
    base: &ClientOptions,
    connect: Duration,
    part: Part<'_>,
) -> Result<Client, Refusal> {
    let mut options = options(base.clone(), connect);
    let (watched, probes) = match part {
        Part::Probe(watched) => (Arc::clone(watched), true),
        Part::Writer(watched) => (Arc::clone(watched), false),
    };
    options.max_pool_size = Some(if probes { 1 } else { 8 });
    let settings = state.settings.clone();
    let answered = Arc::clone(&state.answered);
    options.sdam_event_handler = Some(EventHandler::callback(move |event| match event {
        SdamEvent::ServerHeartbeatSucceeded(_) => *answered.lock() = Some(Instant::now()),
        SdamEvent::ServerHeartbeatFailed(event) => {
            *watched.failure.lock() = heartbeat_failure(&settings, &event.failure);
        }
        SdamEvent::TopologyDescriptionChanged(event) if probes => {
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
        _ => {}
    }));
    Client::with_options(options).map_err(|error| Refusal {
        failure: failure::of(&state.settings, &error),
        answered: Some(Box::new(base.clone())),
    })
}

/// What a heartbeat that failed says of the cause; none where it says nothing but that it failed.
fn heartbeat_failure(settings: &MongoSettings, error: &mongodb::error::Error) -> Option<Failure> {
    let mut failure = failure::of(settings, error);
    if failure.words.contains("certificate") || failure.words.contains("CertNotValid") {
        failure.class = Class::RefusedClient;
        failure.words = format!(
            "the certificate of the database is not trusted: {}. Name the certificate of its authority with tlsCAFile in the connection string, and call the host by a name that the certificate has",
            failure.words
        );
    }
    (failure.class == Class::RefusedClient).then_some(failure)
}

/// What a primary has said of itself.
struct Met {
    clock: (DateTime, Instant),
    write_concern: Document,
    has_collations: bool,
    /// The members of its set, as it names them.
    members: Vec<String>,
}

/// Asks the writer for a writable primary, its time and its abilities.
async fn meet(
    state: &MongoState,
    writer: &Client,
    probe: &Client,
    limit: Duration,
) -> Result<Met, Failure> {
    let hello = ask(state, writer, &state.settings.database, doc! { "hello": 1 }, limit).await?;
    if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
        return Err(Failure::transient("there is no writable primary yet"));
    }
    // The first command that needs a login: a refused one is told now. Starts the probe's monitor
    // too.
    ask(
        state,
        writer,
        &state.settings.database,
        doc! { "listCollections": 1, "nameOnly": true, "filter": { "name": "focus_meta" } },
        limit,
    )
    .await?;
    ask(state, probe, "admin", doc! { "ping": 1 }, limit).await?;
    fitness::check_shared(state, writer, limit).await?;
    let has_collations = has_collations(state, writer, limit).await?;
    let clock = match hello.get_datetime("localTime") {
        Ok(time) => (*time, Instant::now()),
        Err(_) => {
            state.remark("the server does not tell its time: indexed_at is this machine's");
            (DateTime::now(), Instant::now())
        }
    };
    if !matches!(hello.get("logicalSessionTimeoutMinutes"), Some(Bson::Int32(_) | Bson::Int64(_))) {
        state.remark("the server has no sessions: writes are repeated by Focus Server alone, which it does anyway");
    }
    let is_set =
        hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
    if !is_set {
        state
            .remark("the server shows no replica set: a write is safe once its own journal has it");
    }
    let write_concern = write_concern(state, writer, limit).await?;
    let members = hello.get_array("hosts").map_or(&[][..], Vec::as_slice);
    let members = members.iter().filter_map(Bson::as_str).map(str::to_owned).collect();
    Ok(Met { clock, write_concern, has_collations, members })
}

/// The driver stays with the hosts of a direct connection, and goes on to the members of a set that names them.
fn hosts_in_use(options: &ClientOptions, members: Vec<String>) -> Vec<String> {
    if options.direct_connection == Some(true) || members.is_empty() {
        return options.hosts.iter().map(ToString::to_string).collect();
    }
    members
}

/// Whether the server takes a collation, asked with a reading that finds nothing.
async fn has_collations(
    state: &MongoState,
    writer: &Client,
    limit: Duration,
) -> Result<bool, Failure> {
    let nothing = doc! {
        "find": "focus_meta",
        "filter": { "_id": NOTHING },
        "limit": 1,
        "singleBatch": true,
        "collation": collation::document(),
    };
    match ask(state, writer, &state.settings.database, nothing, limit).await {
        Ok(_) => Ok(true),
        Err(failure) if matches!(failure.class, Class::RefusedClient | Class::Transient) => {
            Err(failure)
        }
        Err(_) => Ok(false),
    }
}

/// Majority and journaled, where the server takes that: a server may refuse to journal, and is asked
/// with a write that changes nothing.
async fn write_concern(
    state: &MongoState,
    writer: &Client,
    limit: Duration,
) -> Result<Document, Failure> {
    let mut write_concern = doc! { "w": "majority", "j": true };
    let nothing = doc! {
        "delete": "focus_meta",
        "deletes": [{ "q": { "_id": NOTHING }, "limit": 1 }],
        "writeConcern": write_concern.clone(),
    };
    if let Err(failure) = ask(state, writer, &state.settings.database, nothing, limit).await {
        if matches!(failure.class, Class::RefusedClient | Class::Transient) {
            return Err(failure);
        }
        state.remark("the server refuses journaled writes: what it acknowledged may be lost when its machine fails, and is written again by the next comparison");
        write_concern.remove("j");
    }
    Ok(write_concern)
}

/// Follows a connection until the database goes, and tells why it went.
async fn follow(state: &MongoState, connection: &Connection) -> String {
    let writer = &connection.live.writer;
    let patience = Duration::from_millis(state.settings.probe_timeout_ms);
    loop {
        tokio::select! {
            () = connection.watched.changed.notified() => {}
            () = state.doubt.notified() => {
                let limit = patience * 2;
                match ask(state, writer, "admin", doc! { "hello": 1 }, limit).await {
                    Ok(hello) if hello.get_bool("isWritablePrimary").unwrap_or(false) => {}
                    Ok(_) => return "the primary has stepped down".to_owned(),
                    Err(_) if state.since_acknowledged() < ALIVE => {}
                    Err(failure) => return failure.words,
                }
                // One look at a time, however many calls doubt.
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        }
        while connection.watched.lost.load(Ordering::Relaxed) {
            // Acknowledged writes count as up: under a heavy batch a heartbeat may come late.
            if state.since_acknowledged() >= ALIVE {
                return "the connection was lost".to_owned();
            }
            // A closed port is no slow heartbeat.
            if let Err(words) = knock(&connection.base, patience).await {
                return words;
            }
            match ask(state, writer, "admin", doc! { "hello": 1 }, patience).await {
                Ok(hello) if hello.get_bool("isWritablePrimary").unwrap_or(false) => {
                    state.acknowledged();
                    sleep(Duration::from_millis(100)).await;
                }
                Ok(_) => return "the primary has stepped down".to_owned(),
                Err(failure) => return failure.words,
            }
        }
    }
}

/// The options of both clients: those of the connection string, within our bounds.
fn options(mut options: ClientOptions, connect: Duration) -> ClientOptions {
    let beat = Duration::from_millis(500);
    options.heartbeat_freq = Some(beat);
    options.connect_timeout = Some(connect);
    options.server_selection_timeout = Some(Duration::from_millis(1_500));
    // The reconciler repeats what is in doubt; a retry inside the driver would only hide it.
    options.retry_writes = Some(false);
    options.retry_reads = Some(false);
    // Everything is read where it is written: a secondary may be behind.
    options.selection_criteria = None;
    options.app_name.get_or_insert_with(|| "focus".to_owned());
    options
}
