//! What benches run on: a storage with the series of recordings, a server on it, and the database.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use serde_json::Value;
use tempfile::TempDir;

use crate::options::Setup;
use crate::process::Usage;
use crate::series;

/// No wait is longer: 10,000,000 recordings are filled within it.
pub(crate) const LIMIT: Duration = Duration::from_secs(4 * 3_600);

/// Where nothing listens: a database that is down.
pub(crate) const NOWHERE: &str = "mongodb://127.0.0.1:1/";

/// Between two looks at the status: often enough for the figures, and seldom enough not to be in them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Files that are older than this, by their own times, count as settled when they are looked at first.
const SETTLED_AFTER: Duration = Duration::from_secs(12);

/// Storage with the first recordings of the series, in a folder of its own that goes with it.
pub(crate) struct Storage {
    dir: TempDir,
    root: PathBuf,
    /// So many are there.
    made: u64,
}

impl Storage {
    /// Marks an empty root, then has `n` recordings there.
    pub(crate) fn with(setup: &Setup, n: u64) -> Storage {
        let dir = TempDir::new().expect("a folder");
        let root = dir.path().join("root");
        std::fs::create_dir(&root).expect("a root");
        let mut storage = Storage { dir, root, made: 0 };
        assert!(storage.focus(setup, "init", &[]).run(&["init"]).status.success());
        storage.land(n);
        storage
    }

    /// Has the next `n` of the series there.
    pub(crate) fn land(&mut self, n: u64) {
        series::write(&self.root, self.made..self.made + n);
        self.made += n;
    }

    /// The folder of everything.
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The server, with a state folder of this name.
    pub(crate) fn focus(&self, setup: &Setup, state: &str, args: &[&str]) -> Focus {
        Focus::new(&setup.binary, &self.root, &self.dir.path().join(state), args)
    }

    /// The id in the marker.
    pub(crate) fn marker(&self) -> String {
        let text = std::fs::read_to_string(self.root.join(".focus-root")).expect("a marker");
        let marker: Value = serde_json::from_str(&text).expect("JSON");
        marker["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until what was written last is settled by its age.
    pub(crate) async fn settled(&self) {
        tokio::time::sleep(SETTLED_AFTER).await;
    }
}

/// A storage whose server writes to a database of its own.
pub(crate) struct Site {
    pub(crate) storage: Storage,
    pub(crate) server: MongoServer,
    pub(crate) focus: Focus,
}

impl Site {
    /// With `n` recordings; the server is not started.
    pub(crate) async fn with(setup: &Setup, n: u64) -> Site {
        let storage = Storage::with(setup, n);
        let server = MongoServer::start().await;
        let args = server.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let focus = storage.focus(setup, "state", &args);
        Site { storage, server, focus }
    }

    /// The server runs, and the catalog has all recordings.
    pub(crate) async fn serving(setup: &Setup, n: u64) -> Site {
        let mut site = Site::with(setup, n).await;
        site.storage.settled().await;
        site.focus.serve().await;
        site.all_in_step().await;
        site
    }

    /// The catalog has all recordings that are on storage.
    pub(crate) async fn all_in_step(&self) {
        let made = self.storage.made;
        until(&self.focus, "all are in step", |status| {
            status["recordings"] == made
                && status["pending"] == 0
                && status["catalog_state"] == "in_step"
        })
        .await;
    }

    /// Ends the database, and waits until the server has noticed.
    pub(crate) async fn outage(&mut self) {
        self.server.kill();
        until(&self.focus, "the outage is noticed", |status| status["catalog_state"] == "down")
            .await;
    }

    /// What the server has taken so far.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.focus.pid())
    }
}

/// Waits until the status of a server is so, and returns it.
///
/// # Panics
/// It is not within [`LIMIT`].
pub(crate) async fn until(focus: &Focus, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let status = focus.status();
        match &status {
            Ok(status) if is(status) => return status.clone(),
            _ if began.elapsed() > LIMIT => panic!("not {what}: {status:#?}\n{}", focus.log()),
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// A counter of `GET /metrics`, over all its labels; 0 where it has not been counted.
pub(crate) fn counter(metrics: &str, name: &str) -> f64 {
    let of = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        (rest.starts_with(' ') || rest.starts_with('{')).then(|| rest.rsplit(' ').next())?
    });
    of.filter_map(|value| value.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::counter;

    #[test]
    fn a_counter_is_the_sum_over_its_labels() {
        let metrics =
            "# HELP a_total words\na_total{x=\"1\"} 2\na_total{x=\"2 3\"} 4\na_total_b 9\nb 1.5\n";
        assert_eq!(counter(metrics, "a_total"), 6.0);
        assert_eq!(counter(metrics, "b"), 1.5);
        assert_eq!(counter(metrics, "c"), 0.0);
    }
}
