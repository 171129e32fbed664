//! What the log says of a server.

use crate::server::{Flight, Server};
use crate::world::World;

impl Server {
    /// What the index has of the recording that these words are about, for the log.
    pub(crate) fn index_words(&self, words: &str) -> String {
        let about = self.index.rows.values().find(|row| words.contains(&row.recording.uuid));
        format!("{}: {}, owes {}, {about:?}", self.name, self.core.phase().name(), self.core.owed())
    }

    /// The kinds of job that are under way, as a crash meets them.
    pub(crate) fn jobs_under_way(&self) -> impl Iterator<Item = String> {
        let name = |flight: &Flight| {
            let words = format!("{:?}", flight.job);
            let words = words.strip_prefix("Call(").unwrap_or(&words);
            let end = words.find(|c: char| !c.is_alphabetic()).unwrap_or(words.len());
            words[..end].to_owned()
        };
        let beside = self.beside.iter().map(move |flight| format!("{}Beside", name(flight)));
        self.flight.iter().map(name).chain(beside)
    }

    /// What is under way, for the log.
    pub(crate) fn doing(&self) -> String {
        let main = match &self.flight {
            Some(flight) => format!("{:?}", flight.job),
            None => format!("done, {}", self.core.phase().name()),
        };
        match &self.beside {
            Some(flight) => format!("{main}; beside it {:?}", flight.job),
            None => main,
        }
    }

    /// The lease as it is seen here, for the log.
    pub(crate) fn lease_words(&self, world: &World) -> String {
        let now_ms = self.now_ms(world.true_ms);
        format!("{} {:?} at {now_ms}", self.lease.state().name(), self.lease.grant())
    }
}
