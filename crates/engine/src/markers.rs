//! Which configured root has which marker, so that a copy of a root, or another way to it, is not served
//! beside it.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use focus_common::config::RootSettings;
use focus_core::one_root::{OtherRoot, Sameness, SeenRoot, Verdict, judge, that_are_one};
use focus_storage::{Root, RootProblem, root};
use parking_lot::Mutex;

/// A root whose storage does not answer within this counts as not there: a server starts without it.
const LOOK_LIMIT: Duration = Duration::from_secs(3);

/// The markers of the configured roots, as the threads of the roots see them.
#[derive(Debug)]
pub(crate) struct Markers {
    roots: Mutex<Vec<OtherRoot>>,
}

impl Markers {
    /// Of roots at which nobody has looked yet.
    pub(crate) fn new(roots: &[RootSettings]) -> Markers {
        let unseen = |root: &RootSettings| OtherRoot {
            seen: None,
            path: root.path.display().to_string(),
            taken: None,
        };
        Markers { roots: Mutex::new(roots.iter().map(unseen).collect()) }
    }

    /// The configured root at this path is not there, or shows no marker.
    pub(crate) fn none_at(&self, path: &Path) {
        self.change(&path.display().to_string(), |root| root.seen = None);
    }

    /// Takes up a root under the marker that it shows. `known_at` is the path at which the index saw the
    /// marker last.
    ///
    /// # Errors
    /// The marker is another configured root's.
    pub(crate) fn take(&self, root: &Root, known_at: Option<&str>) -> Result<(), RootProblem> {
        let seen = SeenRoot {
            path: root.path().display().to_string(),
            folder: Some(root.folder_id()),
            resolved: std::fs::canonicalize(root.path()).ok(),
            marker: Some(root.id().to_owned()),
            ..SeenRoot::default()
        };
        let mut roots = self.roots.lock();
        let (own, others): (Vec<_>, Vec<_>) =
            roots.iter().cloned().partition(|one| one.path == seen.path);
        let is_taken = own.iter().any(|one| one.taken == seen.marker);
        let verdict = if is_taken { Verdict::Its } else { judge(&seen, known_at, &others) };
        if let Some(own) = roots.iter_mut().find(|one| one.path == seen.path) {
            own.seen = Some(seen);
            // What was taken up once under one marker is not taken up under another: it was replaced.
            if verdict == Verdict::Its && own.taken.is_none() {
                own.taken = Some(root.id().to_owned());
            }
        }
        match verdict {
            Verdict::Its => Ok(()),
            Verdict::Of { path, by } => Err(RootProblem::Duplicate {
                path: root.path().to_owned(),
                words: advice(root.path(), &path, by),
                of: path,
            }),
        }
    }

    fn change(&self, path: &str, change: impl FnOnce(&mut OtherRoot)) {
        if let Some(root) = self.roots.lock().iter_mut().find(|root| root.path == path) {
            change(root);
        }
    }
}

/// What to do with a root that has the marker of the one at `of`.
fn advice(path: &Path, of: &str, by: Sameness) -> String {
    let path = path.display();
    match by {
        // A root in another one has a marker of its own, or none.
        Sameness::Folder | Sameness::Inside => format!(
            "both lead to the same folder (a link, or a bind mount). Remove {path} from the settings; {of} goes on undisturbed"
        ),
        Sameness::Marker => format!(
            "it is a copy of {of}, which goes on undisturbed. Make it a root of its own with `focus init --root {path} --new`, or remove it from the settings. If {of} was moved here, remove {of} from the settings instead, and restart"
        ),
    }
}

/// Looks at the configured roots, and says of each two that are one root why they cannot both be served.
/// It blocks for as long as storage does, for 3 s at most.
pub fn roots_that_are_one(roots: &[RootSettings]) -> Vec<String> {
    let seen = look_at_all(roots);
    let told = that_are_one(&seen).into_iter().map(|pair| {
        let (first, second) = (&seen[pair.first].path, &seen[pair.second].path);
        let marker = seen[pair.first].marker.as_deref().unwrap_or_default();
        match pair.by {
            Sameness::Folder => format!(
                "the roots {first} and {second} are the same folder (a link, or a bind mount): remove one of them from the settings"
            ),
            Sameness::Inside => format!(
                "the roots {first} and {second} lie inside one another (by a link): a recording would belong to both. Remove one of them from the settings"
            ),
            Sameness::Marker => format!(
                "the roots {first} and {second} have the same marker ({marker}), so one is a copy of the other: remove the copy from the settings, or make it a root of its own with `focus init --root DIR --new` (DIR: the copy)"
            ),
        }
    });
    told.collect()
}

/// Looks at each root on a thread of its own: storage that hangs must not keep the others from starting.
fn look_at_all(roots: &[RootSettings]) -> Vec<SeenRoot> {
    let (tell, told) = mpsc::channel();
    for (at, settings) in roots.iter().enumerate() {
        let (tell, path) = (tell.clone(), settings.path.clone());
        // Without a thread the root counts as not there, and is judged once it is served.
        let _ = std::thread::Builder::new().name("look".to_owned()).spawn(move || {
            // Nobody listens any more where it took too long.
            let _ = tell.send((at, root::seen(&path)));
        });
    }
    drop(tell);
    let mut seen = vec![SeenRoot::default(); roots.len()];
    for (seen, root) in seen.iter_mut().zip(roots) {
        seen.path = root.path.display().to_string();
    }
    let until = Instant::now() + LOOK_LIMIT;
    while let Ok((at, root)) = told.recv_timeout(until.saturating_duration_since(Instant::now())) {
        seen[at] = root;
    }
    seen
}
