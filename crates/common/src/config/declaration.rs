//! The declaration of every setting: name, type, default, flag, range and rule, in one place.
//!
//! The settings file, the environment, the flags, `--help` and the table in `docs/configuration.md` all
//! follow from it. To add a setting, add an entry here; a test then asks to renew the table.

use std::path::{Path, PathBuf};

use focus_core::exclude::Exclude;
use focus_core::pair::PairForm;

use super::rules;
use super::setting::{Flag, Reload, Setting};
use super::source::Sources;
use super::value::{Layout, RootSettings, Value};
use super::{Alerts, Fdsn, Globs, HintQueues, IndexedMetadata, Secret, Source, Tokens};

/// Makes [`Settings`] and [`SETTINGS`] from one list. An entry reads
///
/// ```text
/// /// Help for people: the doc comment is also the text of `--help` and of the documentation.
/// key: type = default,
///     flag: "name" "VALUE",       optional: the command line takes it
///     range: least, most,         optional: for numbers, both ends included
///     default_is: "words",        optional: in place of a default that says nothing to people
///     reload: Restart,            optional: how a running server takes another value
///     rule: function;             optional: what else has to hold of the value
/// ```
macro_rules! settings {
    ($(
        $(#[doc = $help:literal])+
        $key:ident: $type:ty = $default:expr
        $(, flag: $flag:literal $value_name:literal)?
        $(, range: $least:literal, $most:literal)?
        $(, default_is: $default_is:literal)?
        $(, reload: $reload:ident)?
        $(, rule: $rule:path)?
        ;
    )+) => {
        /// What a command works with, after file, environment and flags were joined.
        #[derive(Clone, Debug)]
        pub struct Settings {
            /// The settings file that was read, if any.
            pub file: Option<PathBuf>,
            $($(#[doc = $help])+ pub $key: $type,)+
            pub(super) sources: Sources,
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings { file: None, $($key: $default,)+ sources: Sources::default() }
            }
        }

        /// Every setting, in the order of the documentation.
        pub static SETTINGS: &[Setting] = &[$(Setting {
            key: stringify!($key),
            help: &[$($help),+],
            kind: <$type as Value>::KIND,
            flag: first(&[$(Flag { name: $flag, value_name: $value_name })?]),
            range: first(&[$(($least, $most))?]),
            default_is: first(&[$($default_is)?]),
            reload: or_engine_anew(first(&[$(Reload::$reload)?])),
            same: |one, other| one.$key == other.$key,
            keep: |settings, from| settings.$key = from.$key.clone(),
            read: |settings, given| <$type as Value>::read(given).map(|value| settings.$key = value),
            shown: |settings| settings.$key.shown(),
            rule: first(&[$(|settings| $rule(&settings.$key))?]),
        },)+];
    };
}

/// The first element, if there is one: an optional part of an entry.
const fn first<T: Copy>(given: &[T]) -> Option<T> {
    if given.is_empty() { None } else { Some(given[0]) }
}

/// How a running server takes another value, where the entry does not say: nearly all settings are the
/// engine's.
const fn or_engine_anew(declared: Option<Reload>) -> Reload {
    match declared {
        Some(reload) => reload,
        None => Reload::EngineAnew,
    }
}

settings! {
    /// Folders with recordings. An entry is a path, or a table with `path`, `time_unit`, the unit of
    /// numbers in its sidecars (`s`, `ms`, `us` or `ns`), `time_zone`, the IANA name of the time zone of
    /// times without an offset, `exclude`, which replaces the setting of that name in this root,
    /// `exclude_more`, which adds to it, `watch` and `scan_interval_ms`, which replace those settings, `ingest`, which says
    /// whether this root takes recordings by the API, and what its pairs are: `preset` (`focus`, `sigmf` or
    /// `trunk-recorder`), `data_extensions`, `sidecar_extension`, `uuid`, `start_time`, `end_time` and `deleted`. See
    /// [pairs.md](pairs.md).
    roots: Vec<RootSettings> = Vec::new(), flag: "root" "DIR", default_is: "none", rule: rules::roots;

    /// MongoDB connection string. It is never shown or logged.
    mongodb_uri: Option<Secret> = None,
        flag: "mongodb-uri" "URI", default_is: "the embedded catalog", rule: rules::mongodb_uri;

    /// File that holds the connection string.
    mongodb_uri_file: Option<PathBuf> = None, default_is: "none";

    /// MongoDB database.
    database: String = "focus".to_owned(), flag: "database" "NAME", rule: rules::database;

    /// MongoDB collection of the layout `collection`.
    collection: String = "node4".to_owned(), flag: "collection" "NAME", rule: rules::collection;

    /// How recordings lie in the database. With `collection` all are in one collection, with
    /// `base_paths` in a collection per root that the collection `base_paths` names.
    layout: Layout = Layout::Collection, flag: "layout" "LAYOUT";

    /// Folder for index, embedded catalog, lock and token.
    state_dir: PathBuf = state_dir(),
        flag: "state-dir" "DIR", default_is: "$XDG_STATE_HOME/focus, else ~/.local/state/focus",
        reload: Restart, rule: rules::state_dir;

    /// Memory that the server may take, MiB. With ten million recordings 128 are enough. See
    /// [performance.md](performance.md#memory).
    memory_budget_mib: u64 = 64, range: 32, 65_536;

    /// Address and port of the HTTP API.
    listen: String = "127.0.0.1:8480".to_owned(), flag: "listen" "ADDR",
        reload: Restart, rule: rules::listen;

    /// Further host names that clients call the server by. See [security.md](security.md).
    allowed_hosts: Vec<String> = Vec::new(), default_is: "none", reload: AtOnce;

    /// Tokens that last, besides the one that is new at every start. A table has `name`, `token_file`, the
    /// file that holds the token, and `allow`, a list of `read`, `hints`, `ingest` and `operate`. See
    /// [security.md](security.md).
    tokens: Tokens = Tokens::default(), default_is: "none", reload: AtOnce;

    /// Whether reading needs a token with the right `read` too, everywhere but at `/livez` and `/readyz`.
    read_needs_token: bool = false, reload: AtOnce;

    /// How long the HTTP API may work on a request. An answer that is streamed, and a body that is, may
    /// instead pause for 10 s.
    request_time_ms: u64 = 30_000, range: 100, 3_600_000, reload: Restart;

    /// Connections to the HTTP API, at most. When all are taken, one that waits for its caller gives way.
    connections_max: u64 = 256, range: 8, 65_536, reload: Restart;

    /// Requests that the HTTP API works on at the same time, at most. A further one waits for up to 1 s, and
    /// is then answered with 503.
    requests_max: u64 = 64, range: 1, 4_096, reload: Restart;

    /// What the log tells: `off`, `error`, `warn`, `info`, `debug` or `trace`, and after it
    /// `MODULE=LEVEL` for parts of the program. See [the log](#log).
    log: String = "info".to_owned(), reload: AtOnce, rule: rules::log;

    /// How long a file must stay unchanged before it is catalogued.
    settle_ms: u64 = 2_000, flag: "settle-ms" "N", range: 0, 3_600_000;

    /// Time between scans of names. On a local file system they read only folders that have changed.
    scan_interval_ms: u64 = 60_000, flag: "scan-interval-ms" "N", range: 100, 86_400_000;

    /// Whether roots are watched. Without a watch, hints and scans find what lands: see [hints.md](hints.md).
    watch: bool = true;

    /// Time between scans of names, sizes and times. They come less often where one takes long: at most one part in 500 of
    /// a processor goes into them.
    stat_interval_ms: u64 = 900_000, range: 100, 604_800_000;

    /// Time between comparisons of the whole catalog with the index. They come less often where one takes long, as scans
    /// of sizes and times do. Where the database has change streams, what others change is found within seconds.
    compare_interval_ms: u64 = 900_000, range: 1_000, 604_800_000;

    /// Time after which a recording that the catalog refused is tried again.
    refused_retry_ms: u64 = 60_000, range: 100, 86_400_000;

    /// How long a root's writer may be silent before a standby takes over.
    lease_ms: u64 = 10_000, range: 2_000, 600_000;

    /// Time between verifications of storage, index and catalog. 0 turns them off.
    verify_interval_ms: u64 = 86_400_000, range: 0, 31_536_000_000, reload: AtOnce;

    /// Percentage of a root's recordings. Where more go within an hour, their deletions are held.
    max_vanished_percent: u64 = 10, range: 0, 100;

    /// Number of recordings of a root that may go within an hour, whatever `max_vanished_percent` says.
    max_vanished_at_least: u64 = 100, range: 0, 1_000_000_000;

    /// How long the database may take to answer a probe. A silent database counts as down after about
    /// twice this. Slow links need more.
    probe_timeout_ms: u64 = 500, range: 100, 60_000;

    /// Extensions of data files, without the dot, whatever their case. Where a recording has several, the
    /// first one counts. Roots with a preset, or with `data_extensions` of their own, have others.
    data_extensions: Vec<String> = vec!["dat".to_owned()], rule: rules::data_extensions;

    /// Globs of files and folders that are not there for the server: see
    /// [recordings.md](recordings.md#what-is-not-there). A list that is given replaces the default.
    exclude: Globs = Globs::of_default();

    /// Globs besides those of `exclude`.
    exclude_more: Globs = Globs::default();

    /// Whether roots take recordings by `POST /api/v1/recordings`, where the root's table does not say. See
    /// [ingest.md](ingest.md).
    ingest: bool = false;

    /// Bytes of the data file of a recording that is handed over, at most.
    ingest_max_bytes: u64 = 68_719_476_736, range: 1, 1_125_899_906_842_624;

    /// Percentage of a root's disk that recordings which are handed over leave free.
    ingest_keep_free_percent: u64 = 5, range: 0, 99;

    /// Keys of the metadata, at most 16, that the index keeps recordings by: fields of the sidecar, or JSON pointers
    /// where they begin with `/`, such as `["sensor", "/site/code"]`. Queries by them, `meta.KEY=VALUE`, read no other
    /// recordings, and coverage and gaps can be told by each of their values. See
    /// [recordings.md](recordings.md#indexed-keys).
    indexed_metadata: IndexedMetadata = IndexedMetadata::default();

    /// Codes by which the service `fdsnws-availability` knows recordings. The table has `network`, `station`,
    /// `location` (empty), `channel`, `quality` (`D`) and `sample_rate` (not told), each a value, or `{ meta = "FIELD" }`
    /// for a field of the metadata. See [fdsn.md](fdsn.md).
    fdsn: Fdsn = Fdsn::default(), default_is: "the service is off";

    /// Queues of brokers whose messages are hints: see [hints.md](hints.md#by-a-queue).
    hints: HintQueues = HintQueues::default(), default_is: "none", reload: Restart;

    /// Address by which people reach this server in a browser. Messages of alerts link to it.
    external_url: Option<String> = None, default_is: "none", reload: AtOnce, rule: rules::external_url;

    /// Who is told of what: see [alerts.md](alerts.md).
    alerts: Alerts = Alerts::default(), default_is: "nobody is told", reload: AtOnce;
}

impl Settings {
    /// Where the value of this key comes from.
    pub fn source(&self, key: &str) -> &Source {
        self.sources.of(key)
    }

    /// Whether this root is watched.
    pub fn watch_of(&self, root: &RootSettings) -> bool {
        root.watch.unwrap_or(self.watch)
    }

    /// Time between scans of names in this root.
    pub fn scan_interval_ms_of(&self, root: &RootSettings) -> u64 {
        root.scan_interval_ms.unwrap_or(self.scan_interval_ms)
    }

    /// The form of the pairs in this root.
    pub fn form_of(&self, root: &RootSettings) -> PairForm {
        root.form(&self.data_extensions)
    }

    /// Whether this root takes recordings by the API: what its table says, or else the overall setting.
    pub fn takes_ingest(&self, root: &RootSettings) -> bool {
        root.ingest.unwrap_or(self.ingest)
    }

    /// What is not there in this root: its own `exclude`, or else the overall one, and both `exclude_more`.
    pub fn exclude_of(&self, root: &RootSettings) -> Exclude {
        let instead = root.exclude.as_ref().unwrap_or(&self.exclude);
        let more = root.exclude_more.as_deref().unwrap_or_default();
        Exclude::new(instead.iter().chain(self.exclude_more.iter()).chain(more).cloned())
    }
}

/// `$XDG_STATE_HOME/focus`, else `~/.local/state/focus`, else `focus-state` in the working folder.
fn state_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match (set("XDG_STATE_HOME"), set("HOME")) {
        (Some(state), _) => Path::new(&state).join("focus"),
        (None, Some(home)) => Path::new(&home).join(".local/state/focus"),
        (None, None) => PathBuf::from("focus-state"),
    }
}
