//! Side effects of a drill.

use serde::{Deserialize, Serialize};

/// Something that the drill, or the server under it, changed and should not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideEffect {
    /// What kind of thing was changed.
    pub what: SideEffectKind,
    /// What happened to it, in words.
    pub detail: String,
}

/// The kind of thing that was changed and should not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SideEffectKind {
    /// A document of somebody else.
    Document,
    /// A field of somebody else.
    Field,
    /// An index of a collection.
    Index,
    /// A collection.
    Collection,
    /// The target of the outage: a workload, a unit, a container, the proxy.
    Target,
    /// Something of the drill that is still there.
    Leftover,
}

impl SideEffectKind {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            SideEffectKind::Document => "document",
            SideEffectKind::Field => "field",
            SideEffectKind::Index => "index",
            SideEffectKind::Collection => "collection",
            SideEffectKind::Target => "target",
            SideEffectKind::Leftover => "leftover",
        }
    }
}
