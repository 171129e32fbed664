//! Verification: what storage has and what the catalog has, compared and named.
//!
//! Both sides come ordered by uuid. [`Window::of`] cuts a range of uuids that both pages cover,
//! [`compare`] names the differences in it, [`Drift`] collects them, and [`Repairs::of`] says what the
//! reconciler has to do about them. Nothing here reads or writes.

mod comparing;
mod drift;
mod finding;
mod repairs;
mod window;

pub use comparing::{compare, differences};
pub use drift::{Drift, FINDINGS_MAX};
pub use finding::{FieldDifference, Finding, FindingKind, IndexedRecording};
pub use repairs::Repairs;
pub use window::Window;
