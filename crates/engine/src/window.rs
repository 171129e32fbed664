//! The reading of a window: the documents between two uuids of the index.

use focus_catalog::{Catalog, RootPlace};
use focus_core::answer::Failure;
use focus_core::window::Window;
use focus_index::{IndexError, Reader, RootId};

use crate::blocking::blocking;

/// Reads the window that begins after this uuid, with `limit` documents at most. The index is asked first where
/// it ends.
///
/// # Errors
/// The index cannot be read; within: the catalog cannot.
pub(crate) async fn read(
    catalog: &dyn Catalog,
    (place, reader, id): (&RootPlace, &Reader, RootId),
    after: Option<&str>,
    limit: usize,
) -> Result<Result<Window, Failure>, IndexError> {
    let (reader, from) = (reader.clone(), after.map(str::to_owned));
    let bound =
        blocking(move || reader.uuid_after(id, from.as_deref(), Window::rows(limit))).await?;
    let page = catalog.page(place, after, bound.as_deref(), limit).await;
    Ok(page.map(|page| Window::of(page, bound)))
}
