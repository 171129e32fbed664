//! The web service `fdsnws-availability` 1.0 of the International Federation of Digital Seismograph Networks: what a
//! request asks, and which channels and spans of time answer it.
//!
//! The specification is at <https://www.fdsn.org/webservices/>. `request` reads what is asked, `channels` merges and
//! orders what is there.

pub mod channels;
pub mod request;

pub use channels::{Channel, Code, Found, Ordered, SampleRate, joined, merged, ordered};
pub use request::{Format, Kind, Merge, Order, Refused, Request, Selection};
