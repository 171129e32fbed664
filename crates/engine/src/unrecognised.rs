//! The unrecognised collection of the catalog, kept in step with the index.

use focus_catalog::{Catalog, RootPlace, UnrecognisedDoc};
use focus_core::reconcile::Done;
use focus_core::state::State;
use focus_crash::{Point, Step, here};
use focus_index::{Index, IndexError, RootId};

use super::blocking::blocking;

/// Unrecognised places brought in step with one call.
const REPORTS: usize = 500;

/// The unrecognised collection of one root.
pub(super) struct Unrecognised<'a> {
    pub(super) catalog: &'a dyn Catalog,
    pub(super) index: &'a Index,
    pub(super) id: RootId,
    pub(super) place: &'a RootPlace,
}

impl Unrecognised<'_> {
    /// Tells the unrecognised collection what has changed.
    pub(super) async fn report(&self) -> Result<Done, IndexError> {
        let (reader, id) = (self.index.reader(), self.id);
        let reports = blocking(move || reader.unreported(id, REPORTS)).await?;
        let (mut put, mut remove, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for report in reports {
            told.push((report.id, report.seq));
            match report.doc {
                None => remove.push(report.folder_name),
                Some(doc) => put.push(UnrecognisedDoc {
                    folder_name: report.folder_name,
                    file_count: doc.file_count,
                    update_time_ms: doc.since_ms,
                    state: State::from_name(&doc.state).unwrap_or(State::Unreadable),
                    reason: doc.reason,
                }),
            }
        }
        if told.is_empty() {
            return Ok(Done::Reported(Ok(0)));
        }
        here(Point::At(Step::BeforeReport));
        let sent = async {
            if !put.is_empty() {
                self.catalog.put_unrecognised(self.place, &put).await?;
            }
            if !remove.is_empty() {
                self.catalog.remove_unrecognised(self.place, &remove).await?;
            }
            Ok(())
        };
        if let Err(failure) = sent.await {
            return Ok(Done::Reported(Err(failure)));
        }
        here(Point::At(Step::AfterReport));
        let count = told.len() as u64;
        self.index.reported(told).await?;
        Ok(Done::Reported(Ok(count)))
    }

    /// Removes a page's worth of what is not unrecognised any more.
    pub(super) async fn sweep(&self, after: Option<String>) -> Result<Done, IndexError> {
        let page = self.catalog.page_unrecognised(self.place, after.as_deref(), REPORTS).await;
        let page = match page {
            Ok(page) => page,
            Err(failure) => return Ok(Done::Swept(Err(failure))),
        };
        let last = page.last().map(|doc| doc.folder_name.clone());
        let full = page.len() >= REPORTS;
        let names: Vec<String> = page.into_iter().map(|doc| doc.folder_name).collect();
        let (reader, id, asked) = (self.index.reader(), self.id, names.clone());
        let still = blocking(move || reader.still_unrecognised(id, &asked)).await?;
        let gone: Vec<String> = names
            .into_iter()
            .zip(still)
            .filter(|(_, still)| !still)
            .map(|(name, _)| name)
            .collect();
        if !gone.is_empty() {
            here(Point::At(Step::BeforeSweep));
            if let Err(failure) = self.catalog.remove_unrecognised(self.place, &gone).await {
                return Ok(Done::Swept(Err(failure)));
            }
            here(Point::At(Step::AfterSweep));
        }
        Ok(Done::Swept(Ok(last.filter(|_| full))))
    }
}
