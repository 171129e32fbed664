//! Crash points: places between two steps at which a crash has to do no harm. A test has the
//! process end itself at such a place, as SIGKILL would.
//!
//! Every build has the points, so the tests test what is shipped. A point does nothing unless the
//! environment names it: `FOCUS_CRASH_AT=insert/after`, or `insert/after:3` for the third time. If
//! the environment names none, a point costs one atomic load.

mod points;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, getpid, kill_process};

pub use points::{Point, Step, Write};

/// The environment variable that names a point.
pub const VARIABLE: &str = "FOCUS_CRASH_AT";

static ARMED: OnceLock<Armed> = OnceLock::new();

struct Armed {
    point: Point,
    /// How often the process passes the point before it ends there.
    left: AtomicU32,
}

/// Arms the point that the environment names, and returns it.
///
/// # Errors
/// The environment names a point that does not exist.
pub fn arm() -> Result<Option<Point>, String> {
    let Some(spec) = std::env::var_os(VARIABLE).filter(|spec| !spec.is_empty()) else {
        return Ok(None);
    };
    let spec = spec.to_string_lossy();
    let (point, left) = parse(&spec).ok_or_else(|| {
        format!("{VARIABLE}: {spec:?} is no crash point; this is for tests alone")
    })?;
    // Armed twice in one process: the first one stays.
    let _ = ARMED.set(Armed { point, left: AtomicU32::new(left) });
    Ok(Some(point))
}

/// The point, and how often the process passes it before it ends there.
fn parse(spec: &str) -> Option<(Point, u32)> {
    let (name, times) = match spec.rsplit_once(':') {
        Some((name, times)) => (name, times.parse().ok().filter(|times| *times > 0)?),
        None => (spec, 1),
    };
    Some((Point::from_name(name)?, times - 1))
}

/// Says that the process is at this point. The process ends here if the environment asked for it.
#[inline]
pub fn here(point: Point) {
    if let Some(armed) = ARMED.get()
        && armed.point == point
    {
        armed.reached();
    }
}

impl Armed {
    #[cold]
    fn reached(&self) {
        let passed =
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if passed.is_ok() {
            return;
        }
        eprintln!("crash point {}: the process ends here", self.point.name());
        let _ = kill_process(getpid(), Signal::KILL);
        // Not reached where the signal has come; elsewhere nothing more may be done either.
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_once_or_with_the_time_at_which_it_counts() {
        let insert = Point::At(Step::AfterInsert);
        assert_eq!(parse("insert/after"), Some((insert, 0)));
        assert_eq!(parse("insert/after:3"), Some((insert, 2)));
        let observe = Point::Uncommitted(Write::Observe);
        assert_eq!(parse("observe/uncommitted"), Some((observe, 0)));
        for wrong in ["", "insert", "insert/after:0", "insert/after:x", "observe/after", ":1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_point_has_a_name_of_its_own_that_leads_back_to_it() {
        let mut names = std::collections::HashSet::new();
        for point in Point::all() {
            assert!(names.insert(point.name()), "{} is there twice", point.name());
            assert_eq!(Point::from_name(&point.name()), Some(point));
        }
        assert_eq!(names.len(), 2 * Write::ALL.len() + Step::ALL.len());
    }
}
