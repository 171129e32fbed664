//! Properties that hold for any bytes. The fuzz targets in `fuzz/` are one line each and call these
//! functions. The test beside them calls the same functions with the corpus.
//!
//! Every function panics if a property does not hold, and returns otherwise.

mod brokers;
mod configuration;
mod documents;
mod forms;
mod hints;
mod index_file;
mod names;
mod requests;
mod sidecars;
mod times;

pub use brokers::{amqp, mqtt};
pub use configuration::configuration;
pub use documents::documents;
pub use forms::forms;
pub use hints::hints;
pub use index_file::index_file;
pub use names::names;
pub use requests::requests;
pub use sidecars::{other_fields, sidecars};
pub use times::times;

/// A check and its name. The fuzz target and the folder of its corpus have the same name.
pub type Check = (&'static str, fn(&[u8]));

/// All checks.
pub const ALL: [Check; 12] = [
    ("amqp", amqp),
    ("configuration", configuration),
    ("documents", documents),
    ("forms", forms),
    ("hints", hints),
    ("index_file", index_file),
    ("mqtt", mqtt),
    ("names", names),
    ("other_fields", other_fields),
    ("requests", requests),
    ("sidecars", sidecars),
    ("times", times),
];
