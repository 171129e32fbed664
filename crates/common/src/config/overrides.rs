//! Environment and flags: every command takes every one of them.

use std::path::PathBuf;

use super::Layout;

/// Settings given by environment or flags; they win over the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Settings file [default: ./focus.toml or /etc/focus/focus.toml, where there is one]
    #[arg(long, global = true, value_name = "FILE", env = "FOCUS_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
    /// Folder with recordings; several may be given
    #[arg(long, global = true, value_name = "DIR", env = "FOCUS_ROOT", value_delimiter = None, hide_env = true)]
    pub root: Vec<PathBuf>,
    /// MongoDB connection string [default: the embedded catalog]
    #[arg(
        long,
        global = true,
        value_name = "URI",
        env = "FOCUS_MONGODB_URI",
        hide_env = true,
        hide_env_values = true
    )]
    pub mongodb_uri: Option<String>,
    /// MongoDB database [default: focus]
    #[arg(long, global = true, value_name = "NAME", env = "FOCUS_DATABASE", hide_env = true)]
    pub database: Option<String>,
    /// MongoDB collection of the layout `collection` [default: node4]
    #[arg(long, global = true, value_name = "NAME", env = "FOCUS_COLLECTION", hide_env = true)]
    pub collection: Option<String>,
    /// How recordings lie in the database [default: collection]
    #[arg(long, global = true, value_enum, env = "FOCUS_LAYOUT", hide_env = true)]
    pub layout: Option<Layout>,
    /// Folder for index, embedded catalog, lock and token [default: ~/.local/state/focus]
    #[arg(long, global = true, value_name = "DIR", env = "FOCUS_STATE_DIR", hide_env = true)]
    pub state_dir: Option<PathBuf>,
    /// Address of the HTTP API [default: 127.0.0.1:8480]
    #[arg(long, global = true, value_name = "ADDR", env = "FOCUS_LISTEN", hide_env = true)]
    pub listen: Option<String>,
    /// How long files must stand still before they are catalogued [default: 2000]
    #[arg(long, global = true, value_name = "N", env = "FOCUS_SETTLE_MS", hide_env = true)]
    pub settle_ms: Option<u64>,
    /// Time between scans of names [default: 60000]
    #[arg(long, global = true, value_name = "N", env = "FOCUS_SCAN_INTERVAL_MS", hide_env = true)]
    pub scan_interval_ms: Option<u64>,
}

impl Overrides {
    /// The environment gives several roots in one value, separated by colons.
    pub fn split_roots(mut self, from_environment: bool) -> Overrides {
        if from_environment {
            self.root = self.root.iter().flat_map(std::env::split_paths).collect();
        }
        self
    }
}
