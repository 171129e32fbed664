//! Settings: built-in defaults, then `focus.toml`, then environment, then flags.

mod file;
mod overrides;

use std::fmt;
use std::path::{Path, PathBuf};

use focus_core::time::TimeUnit;

pub use overrides::Overrides;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// Whether it is this text, in a time that does not tell where it differs.
    pub fn is(&self, shown: &str) -> bool {
        focus_core::secret::is_same(&self.0, shown)
    }

    /// The text itself: for the place that needs it, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What a command works with, after file, environment and flags were joined.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// The roots, in order.
    pub roots: Vec<RootSettings>,
    /// None: the embedded catalog.
    pub mongodb_uri: Option<Secret>,
    /// MongoDB database.
    pub database: String,
    /// MongoDB collection (layout `collection`).
    pub collection: String,
    /// How recordings lie in the database.
    pub layout: Layout,
    /// Index, embedded catalog, lock, address and token of the server.
    pub state_dir: PathBuf,
    /// Where HTTP is served.
    pub listen: String,
    /// Further names that the server is reached by, for the check of `Host`.
    pub allowed_hosts: Vec<String>,
    /// How long files must have been seen unchanged, milliseconds.
    pub settle_ms: u64,
    /// Time between scans of names, milliseconds.
    pub scan_interval_ms: u64,
    /// Time between scans with stat, milliseconds.
    pub stat_interval_ms: u64,
    /// Time between comparisons of catalog and index, milliseconds.
    pub compare_interval_ms: u64,
    /// Time after which a recording that the catalog refused is tried again, milliseconds.
    pub refused_retry_ms: u64,
    /// Length of the lease of a root.
    pub lease_ms: u64,
    /// Between two verifications of everything; 0: none.
    pub verify_interval_ms: u64,
    /// More of a root's recordings than this, per cent, gone within an hour are held.
    pub max_vanished_percent: u64,
    /// So many may always go.
    pub max_vanished_at_least: u64,
    /// A silent database counts as away after about twice this, milliseconds.
    pub probe_timeout_ms: u64,
    /// Data extensions, without the dot; the first one counts where several are there.
    pub data_extensions: Vec<String>,
}

/// One root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSettings {
    /// Its folder, absolute.
    pub path: PathBuf,
    /// Overrides the unit of numbers in sidecars.
    pub time_unit: Option<TimeUnit>,
}

/// How recordings lie in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Layout {
    /// All in one collection.
    Collection,
    /// A collection per root, named by the `base_paths` collection.
    BasePaths,
}

/// A mistake in the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Mistake {
    /// File with line, environment variable or flag, and key.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Mistake {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Mistake {
        Mistake { place: place.into(), message: message.into() }
    }
}

/// Joins file, environment and flags (`overrides` holds the last two).
///
/// # Errors
/// Every mistake that was found, the file's first.
pub fn load(overrides: &Overrides) -> Result<Settings, Vec<Mistake>> {
    let path = match &overrides.config {
        Some(path) => Some(path.clone()),
        None => [Path::new("focus.toml"), Path::new("/etc/focus/focus.toml")]
            .into_iter()
            .find(|path| path.is_file())
            .map(Path::to_owned),
    };
    let file = match &path {
        Some(path) => file::read(path).map_err(|mistake| vec![mistake])?,
        None => file::File::default(),
    };
    let mut mistakes = Vec::new();
    let settings = join(path, file, overrides, &file::bounded, &mut mistakes);
    if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
}

/// Settings from the text of a file alone: nothing else is read, also not what it refers to.
///
/// # Errors
/// As [`load`].
pub fn from_text(path: &Path, text: &str) -> Result<Settings, Vec<Mistake>> {
    let file = file::parse(path, text).map_err(|mistake| vec![mistake])?;
    let mut mistakes = Vec::new();
    let read = |_: &Path| Ok(String::new());
    let settings = join(Some(path.to_owned()), file, &Overrides::default(), &read, &mut mistakes);
    if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
}

fn join(
    path: Option<PathBuf>,
    file: file::File,
    over: &Overrides,
    read: &dyn Fn(&Path) -> std::io::Result<String>,
    mistakes: &mut Vec<Mistake>,
) -> Settings {
    let from_file = |key: &str| match &path {
        Some(path) => format!("{}: {key}", path.display()),
        None => key.to_owned(),
    };
    let roots = if over.root.is_empty() {
        file.roots(&from_file("roots"), mistakes)
    } else {
        over.root
            .iter()
            .map(|path| RootSettings { path: absolute(path), time_unit: None })
            .collect()
    };
    check_roots(&roots, mistakes);
    let mongodb_uri = over.mongodb_uri.clone().or(file.mongodb_uri).or_else(|| {
        let path = file.mongodb_uri_file.as_ref()?;
        match read(path) {
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) => {
                let words = format!("{} cannot be read: {error}", path.display());
                mistakes.push(Mistake::new(from_file("mongodb_uri_file"), words));
                None
            }
        }
    });
    let settings = Settings {
        roots,
        mongodb_uri: mongodb_uri.filter(|uri| !uri.is_empty()).map(Secret),
        database: over.database.clone().or(file.database).unwrap_or_else(|| "focus".into()),
        collection: over.collection.clone().or(file.collection).unwrap_or_else(|| "node4".into()),
        layout: over.layout.or(file.layout).unwrap_or(Layout::Collection),
        state_dir: absolute(&over.state_dir.clone().or(file.state_dir).unwrap_or_else(state_dir)),
        listen: over.listen.clone().or(file.listen).unwrap_or_else(|| "127.0.0.1:8480".into()),
        allowed_hosts: file.allowed_hosts.unwrap_or_default(),
        settle_ms: over.settle_ms.or(file.settle_ms).unwrap_or(2_000),
        scan_interval_ms: over.scan_interval_ms.or(file.scan_interval_ms).unwrap_or(60_000),
        stat_interval_ms: file.stat_interval_ms.unwrap_or(900_000),
        compare_interval_ms: file.compare_interval_ms.unwrap_or(900_000),
        refused_retry_ms: file.refused_retry_ms.unwrap_or(60_000),
        lease_ms: file.lease_ms.unwrap_or(10_000),
        verify_interval_ms: file.verify_interval_ms.unwrap_or(86_400_000),
        max_vanished_percent: file.max_vanished_percent.unwrap_or(10),
        max_vanished_at_least: file.max_vanished_at_least.unwrap_or(100),
        probe_timeout_ms: file.probe_timeout_ms.unwrap_or(500),
        data_extensions: file.data_extensions.unwrap_or_else(|| vec!["dat".into()]),
        file: path,
    };
    check_values(&settings, mistakes);
    settings
}

fn check_values(settings: &Settings, mistakes: &mut Vec<Mistake>) {
    let ranges = [
        ("settle_ms", settings.settle_ms, 0, 3_600_000),
        ("scan_interval_ms", settings.scan_interval_ms, 100, 86_400_000),
        ("stat_interval_ms", settings.stat_interval_ms, 100, 604_800_000),
        ("compare_interval_ms", settings.compare_interval_ms, 1_000, 604_800_000),
        ("refused_retry_ms", settings.refused_retry_ms, 100, 86_400_000),
        ("lease_ms", settings.lease_ms, 2_000, 600_000),
        ("verify_interval_ms", settings.verify_interval_ms, 0, 31_536_000_000),
        ("max_vanished_percent", settings.max_vanished_percent, 0, 100),
        ("max_vanished_at_least", settings.max_vanished_at_least, 0, 1_000_000_000),
        ("probe_timeout_ms", settings.probe_timeout_ms, 100, 60_000),
    ];
    for (key, value, least, most) in ranges {
        if !(least..=most).contains(&value) {
            mistakes.push(Mistake::new(key, format!("{value} is not within {least} to {most}")));
        }
    }
    let listens = settings
        .listen
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !listens {
        let words =
            format!("{:?} is not an address with a port, such as 127.0.0.1:8480", settings.listen);
        mistakes.push(Mistake::new("listen", words));
    }
    let bad = |c: char| c == '\0' || "/\\. \"$*<>:|?".contains(c);
    if settings.database.is_empty()
        || settings.database.len() > 63
        || settings.database.contains(bad)
    {
        mistakes.push(Mistake::new(
            "database",
            "MongoDB takes names of 1 to 63 bytes without /\\. \"$*<>:|?",
        ));
    }
    let name = &settings.collection;
    if name.is_empty()
        || name.len() > 120
        || name.contains(['$', '\0'])
        || name.starts_with("system.")
        || name == "focus_meta"
    {
        mistakes.push(Mistake::new(
            "collection",
            "MongoDB takes names of 1 to 120 bytes without $; focus_meta and system. are taken",
        ));
    }
    let uri = settings.mongodb_uri.as_ref().map_or("mongodb://", Secret::expose);
    if !uri.starts_with("mongodb://") && !uri.starts_with("mongodb+srv://") {
        mistakes.push(Mistake::new(
            "mongodb_uri",
            "a connection string begins with mongodb:// or mongodb+srv://",
        ));
    }
    for extension in &settings.data_extensions {
        if extension.is_empty() || extension == "json" || extension.contains(['.', '/']) {
            let words =
                format!("{extension:?} is no extension for data: without a dot, and not json");
            mistakes.push(Mistake::new("data_extensions", words));
        }
    }
    if settings.data_extensions.is_empty() {
        mistakes.push(Mistake::new("data_extensions", "at least one is needed"));
    }
}

fn check_roots(roots: &[RootSettings], mistakes: &mut Vec<Mistake>) {
    for (at, root) in roots.iter().enumerate() {
        for other in &roots[..at] {
            let words = if root.path == other.path {
                "is there twice: remove one".to_owned()
            } else if root.path.starts_with(&other.path) || other.path.starts_with(&root.path) {
                format!(
                    "and {} lie inside one another: a recording would belong to both",
                    other.path.display()
                )
            } else {
                continue;
            };
            mistakes.push(Mistake::new("root", format!("{} {words}", root.path.display())));
        }
    }
}

/// An absolute path without `.` parts; `..` stays, because links may be on the way.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// `$XDG_STATE_HOME/focus`, else `~/.local/state/focus`, else below the present folder.
fn state_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match (set("XDG_STATE_HOME"), set("HOME")) {
        (Some(state), _) => PathBuf::from(state).join("focus"),
        (None, Some(home)) => PathBuf::from(home).join(".local/state/focus"),
        (None, None) => PathBuf::from("focus-state"),
    }
}
