//! What has to hold for any bytes whatsoever. The fuzz targets in `fuzz/` are one line each and call
//! these; the test beside them runs the corpus through the very same functions.
//!
//! Every function panics where a property does not hold, and returns otherwise.

mod configuration;
mod documents;
mod index_file;
mod names;
mod requests;
mod sidecars;
mod times;

pub use configuration::configuration;
pub use documents::documents;
pub use index_file::index_file;
pub use names::names;
pub use requests::requests;
pub use sidecars::sidecars;
pub use times::times;

/// A check and its name: the fuzz target and the folder of the corpus are called like it.
pub type Check = (&'static str, fn(&[u8]));

/// All checks.
pub const ALL: [Check; 7] = [
    ("configuration", configuration),
    ("documents", documents),
    ("index_file", index_file),
    ("names", names),
    ("requests", requests),
    ("sidecars", sidecars),
    ("times", times),
];
