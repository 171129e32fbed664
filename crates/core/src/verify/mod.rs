//! Verification: what storage has and what the catalog has, compared and named.
//!
//! Both sides come ordered by uuid. [`compare`] names the differences in a range of uuids, [`Drift`] collects
//! them, and [`Repairs::of`] says what the reconciler has to do about them. Nothing here reads or writes.

mod comparing;
mod drift;
mod finding;
mod repairs;

pub use comparing::{compare, differences};
pub use drift::{Drift, FINDINGS_MAX};
pub use finding::{FieldDifference, Finding, FindingKind, IndexedRecording};
pub use repairs::Repairs;
