//! The catalog in MongoDB, or in a server that speaks its protocol.
//!
//! | Module | What it does |
//! |---|---|
//! | `catalog`, `settings` | the interface, and where the database is |
//! | `supervisor`, `state` | follow the database's coming and going, and bound every call |
//! | `diagnosis` | why a database that was tried does not serve us, in words for people |
//! | `fitness` | tells which collections cannot be used, before anything is written |
//! | `open`, `meta` | make what is missing, and tell who the database is |
//! | `preview` | tells what would be made |
//! | `recordings`, `unrecognised`, `lease` | the calls |
//! | `write_command` | one write command, and the answer to each of its documents |
//! | `collation` | texts are compared by their bytes, whatever a collection's default is |
//! | `changes` | what others change, from change streams |
//! | `document`, `bson_value`, `failure` | documents and errors in the core's terms |

mod bson_value;
mod catalog;
mod changes;
mod collation;
mod diagnosis;
mod document;
mod failure;
mod fitness;
mod lease;
mod meta;
mod open;
mod pages;
mod preview;
mod recordings;
mod settings;
mod state;
mod supervisor;
mod unrecognised;
mod write_command;

use mongodb::bson::DateTime;
use mongodb::bson::raw::{RawDocument, RawDocumentBuf};

use crate::{Stored, Versioned};

pub use catalog::MongoCatalog;
pub use settings::{Layout, MongoSettings};

/// What the bytes of a document say, as every document that is read back is understood. None where
/// they are no BSON, or have no uuid that is a text.
pub fn read_back(bytes: &[u8]) -> Option<Stored> {
    document::stored(RawDocument::from_bytes(bytes).ok()?)
}

/// The bytes of the document that a recording becomes. None where BSON cannot hold it.
pub fn to_bytes(document: &Versioned) -> Option<Vec<u8>> {
    document::whole(document, DateTime::from_millis(0)).map(RawDocumentBuf::into_bytes)
}
