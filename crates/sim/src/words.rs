//! What the log says of a server.

use crate::server::Server;
use crate::world::World;

impl Server {
    /// What the index has of the recording that these words are about, for the log.
    pub(crate) fn index_words(&self, words: &str) -> String {
        let about = self.index.rows.values().find(|row| words.contains(&row.recording.uuid));
        format!("{}: {}, owes {}, {about:?}", self.name, self.core.phase().name(), self.core.owed())
    }

    /// The kind of job that is under way, as a crash meets it.
    pub(crate) fn job_under_way(&self) -> Option<String> {
        let words = format!("{:?}", self.flight.as_ref()?.job);
        let words = words.strip_prefix("Call(").unwrap_or(&words);
        let end = words.find(|c: char| !c.is_alphabetic()).unwrap_or(words.len());
        Some(words[..end].to_owned())
    }

    /// What is under way, for the log.
    pub(crate) fn doing(&self) -> String {
        match &self.flight {
            Some(flight) => format!("{:?}", flight.job),
            None => format!("done, {}", self.core.phase().name()),
        }
    }

    /// The lease as it is seen here, for the log.
    pub(crate) fn lease_words(&self, world: &World) -> String {
        let now_ms = self.now_ms(world.true_ms);
        format!("{} {:?} at {now_ms}", self.lease.state().name(), self.lease.grant())
    }
}
