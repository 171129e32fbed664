//! The forms of answers that handlers write as plain JSON: what they are described by.
#![expect(dead_code, reason = "the fields describe what handlers write")]

use utoipa::ToSchema;

/// An empty object.
#[derive(ToSchema)]
pub(super) struct Empty {}

/// Whether the server is ready.
#[derive(ToSchema)]
pub(super) struct Ready {
    /// Always true: else there is no such answer
    ready: bool,
    /// Which catalog the server writes to
    catalog: focus_common::status::CatalogKind,
    /// How far the catalog follows the index
    catalog_state: focus_common::status::CatalogState,
    /// Recordings that the catalog has not acknowledged yet
    pending: u64,
}
