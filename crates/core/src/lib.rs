//! The decisions of Focus Server.
//!
//! Everything here is a plain function or state machine: no files, sockets, clock,
//! randomness or database. The engine (the crate `focus-engine`) observes the world, asks this crate what
//! follows, and carries it out.

pub mod alert;
pub mod answer;
pub mod backoff;
pub mod batch;
pub mod broken;
pub mod claim;
pub mod compare;
pub mod configured;
pub mod coverage;
pub mod document;
pub mod entry;
pub mod event_ring;
pub mod exclude;
pub mod fdsn;
pub mod folder;
pub mod hint;
pub mod ingest;
pub mod iso8601;
pub mod job;
pub mod json;
pub mod lease;
pub mod look;
pub mod marker_place;
pub mod meta_filter;
pub mod mount;
pub mod name;
pub mod one_root;
pub mod outage;
pub mod pair;
pub mod periodic;
pub mod range;
pub mod recognise;
pub mod reconcile;
pub mod recording;
pub mod recording_state;
pub mod secret;
pub mod settle;
pub mod sidecar;
pub mod skyline;
pub mod state;
pub mod time;
pub mod vanish;
pub mod verify;
pub mod window;
