//! Verification: storage, index and catalog compared three ways, without stopping anybody.
//!
//! The catalog is read by uuid, storage is scanned, and the catalog is read again. Told is only what
//! both readings found, and what is found once more when it is looked at by itself. What a difference
//! is, and how it is mended, `focus_core::verify` decides.
//!
//! | Module | What it does |
//! |---|---|
//! | `run` | one verification of all roots |
//! | `comparison` | a comparison that somebody asks for |
//! | `verified_root` | waits until a root and the catalog are there |
//! | `rounds` | the order of readings and repairs for one root |
//! | `reading` | reads catalog and index side by side |
//! | `scan_between` | waits for a scan between the two readings |
//! | `sidecars` | reads sidecars, whatever they look like |
//! | `confirming` | looks at each finding by itself, in the catalog and on storage |
//! | `repairing` | has the reconciler mend what was found |
//! | `result`, `state` | what a verification came to, and how far one has come |

pub(crate) mod comparison;
mod confirming;
mod reading;
mod repairing;
pub(crate) mod result;
mod rounds;
mod run;
mod scan_between;
pub(crate) mod sidecars;
pub(crate) mod state;
mod verified_root;
