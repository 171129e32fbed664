//! A recording's life in the index, in one place.
//!
//! An [`Entry`] says how one recording stands: on storage ([`Life`]), in the catalog ([`Acked`]), and on
//! its way from one to the other ([`Delivery`]). The functions below take an entry
//! and what is known of the world, and give the entry as it is afterwards with what else follows
//! ([`Turn`]). The index loads a row, asks one of them, and stores the row; the simulation does the
//! same with a map.
//!
//! ```text
//!        vanished          proved              concluded
//!  There ──────► Unproved ───────► Proved ──┬──────────► Marked      its document says "deleted"
//!    ▲              ▲                 │     ├──► Held ─────┘ approved by a person
//!    │              └─────────────────┘     ├──► LeftAlone           an archive keeps its documents
//!    │                  doubted             └──► Leaving ──► no entry   a drill's: its document is removed
//!    │
//!    └── observed, unchanged, claimed: from every one of these, once its files are there
//! ```
//!
//! | module | what happened |
//! |---|---|
//! | [`observed`] | a look at storage found files, or found none |
//! | [`claimed`] | two places name one uuid |
//! | [`absence`] | absence was proved, doubted, concluded, approved |
//! | [`mounted`] | another mount is where its files were seen |
//! | [`answered`] | the catalog answered for what was sent to it |
//! | [`compared`] | the catalog was compared with the index |
//! | [`waiting`] | what was refused is tried again; the process starts |
//! | [`sent`] | which entries the catalog may have without having acknowledged them |

pub mod absence;
pub mod answered;
pub mod claimed;
pub mod compared;
pub mod mounted;
pub mod observed;
pub mod sent;
pub mod waiting;

mod life;
mod turn;

pub use life::{Absence, Acked, Delivery, Entry, EntryId, Life};
pub use turn::{Content, Effects, LookAgain, News, Report, Turn};

#[cfg(test)]
mod tests;
