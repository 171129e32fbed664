//! A page of a listing, made with as few rows read as may be.
//!
//! A page is walked in order in an index alone (`walk.rs`), and a row is read where a page shows it or a filter asks
//! for it. The work for a page is bounded: one that is not full leads on by its cursor.
//!
//! A text is looked for in the text index (`text`). Where it is in many recordings, a short walk meets enough of them.
//! Else the first of those that may have it are gathered from there: no walk passes what has it not.

use std::ops::ControlFlow;

use focus_core::json::Value;
use focus_core::meta_filter::MetaFilter;
use rusqlite::{Connection, Row};

use crate::listed::{Listed, METADATA, SHOWN, listed};
use crate::listing::{Cursor, Listing, MORE_MAX, Order, RecordingsPage};
use crate::metadata;
use crate::rows::RootId;
use crate::scope::Scope;
use crate::text::{Range, Search};
use crate::walk::walk;

/// Rows that are read for a page, at most.
const READ_MAX: usize = 10_000;

/// Entries of the index that are passed for a page, at most.
const PASSED_MAX: usize = 100_000;

/// Entries that are passed before the first recordings with a text are gathered: about a millisecond.
const TRIED_MAX: usize = if cfg!(test) { 3 } else { 2_000 };

/// Recordings that are gathered for a page, at least: other filters may leave some out.
const GATHERED_MIN: usize = if cfg!(test) { 2 } else { 2_000 };

/// A page of a listing.
pub(crate) fn page(
    connection: &Connection,
    listing: &Listing,
    scope: &Scope,
) -> rusqlite::Result<RecordingsPage> {
    // One snapshot for all classes and rows.
    let snapshot = connection.unchecked_transaction()?;
    let mut search = Search::of(&snapshot, listing.text.as_deref())?;
    let mut making = Making {
        snapshot: &snapshot,
        scope,
        filter: Filter::new(&snapshot, listing, scope)?,
        listing,
        page: RecordingsPage::default(),
        read: 0,
        passed: 0,
        last: None,
    };
    let by_value = metadata::of_listing(&snapshot, &listing.meta, listing.root, scope)?.is_some();
    match search.as_mut().filter(|search| search.is_up() && !by_value) {
        Some(search) => making.by_text(search)?,
        None => making.walk(listing, search.as_mut(), PASSED_MAX, i64::MIN).map(drop)?,
    }
    Ok(making.page)
}

/// How many recordings come after the listing's cursor, of at most 100,000 that are looked at.
pub(crate) fn count(
    connection: &Connection,
    listing: &Listing,
    scope: &Scope,
) -> rusqlite::Result<u64> {
    let snapshot = connection.unchecked_transaction()?;
    let mut search = Search::of(&snapshot, listing.text.as_deref())?;
    let mut filter = Filter::new(&snapshot, listing, scope)?;
    let (mut counted, mut passed) = (0, 0);
    walk(&snapshot, listing, scope, &mut |entry| {
        if passed >= MORE_MAX {
            return Ok(ControlFlow::Break(()));
        }
        passed += 1;
        if !listing.is_out(entry)
            && may_have(search.as_mut(), entry.id)?
            && (filter.takes_all || filter.row(entry.id)?.is_some())
        {
            counted += 1;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(counted)
}

fn may_have(search: Option<&mut Search<'_>>, row: i64) -> rusqlite::Result<bool> {
    search.map_or(Ok(true), |search| search.may_have(row))
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Nothing comes any more.
    AtEnd,
    /// The page is made.
    Made,
    /// It has passed as many entries as it was to pass.
    Stopped,
}

/// A page that is being made.
struct Making<'a> {
    snapshot: &'a Connection,
    scope: &'a Scope,
    listing: &'a Listing,
    filter: Filter<'a>,
    page: RecordingsPage,
    read: usize,
    passed: usize,
    /// What was passed last.
    last: Option<Cursor>,
}

impl Making<'_> {
    /// Whether nothing more is to be read. To be asked where something comes, which the next page then begins with.
    fn is_made(&mut self) -> bool {
        let is_made = self.page.rows.len() >= self.listing.limit
            || self.read >= READ_MAX
            || self.passed >= PASSED_MAX;
        if is_made {
            self.page.next = self.last;
        }
        is_made
    }

    /// Walks through `part` of the listing, from the start `first_ms` on, and takes what is asked for.
    fn walk(
        &mut self,
        part: &Listing,
        mut search: Option<&mut Search<'_>>,
        passed_max: usize,
        first_ms: i64,
    ) -> rusqlite::Result<Ended> {
        let (mut ended, passed_before) = (Ended::AtEnd, self.passed);
        walk(self.snapshot, part, self.scope, &mut |entry| {
            if entry.start_ms < first_ms {
                return Ok(ControlFlow::Break(()));
            }
            if self.is_made() {
                ended = Ended::Made;
                return Ok(ControlFlow::Break(()));
            }
            if self.passed - passed_before >= passed_max {
                ended = Ended::Stopped;
                return Ok(ControlFlow::Break(()));
            }
            self.passed += 1;
            self.last = Some(entry.cursor());
            if !self.listing.is_out(entry) && may_have(search.as_deref_mut(), entry.id)? {
                self.read += 1;
                self.page.rows.extend(self.filter.row(entry.id)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(ended)
    }

    /// Takes what has the text: what starts before the window and lasts into it, and what starts in it.
    fn by_text(&mut self, search: &mut Search<'_>) -> rusqlite::Result<()> {
        match self.listing.order {
            Order::Start => {
                if self.lasting(search)? == Ended::AtEnd {
                    self.starting(search)?;
                }
            }
            Order::StartDescending => {
                if self.starting(search)? == Ended::AtEnd {
                    self.lasting(search)?;
                }
            }
        }
        Ok(())
    }

    /// Takes what starts before the window. There are not many, and chunks do not hold the ends: they are walked through.
    fn lasting(&mut self, search: &mut Search<'_>) -> rusqlite::Result<Ended> {
        let Some(from_ms) = self.listing.from_ms else { return Ok(Ended::AtEnd) };
        let Some(before_ms) = from_ms.checked_sub(1) else { return Ok(Ended::AtEnd) };
        let after = self.listing.after;
        if self.listing.order == Order::Start && after.is_some_and(|at| at.start_ms >= from_ms) {
            return Ok(Ended::AtEnd);
        }
        let part = Listing {
            to_ms: Some(self.listing.to_ms.map_or(before_ms, |to_ms| to_ms.min(before_ms))),
            after: after.filter(|at| at.start_ms < from_ms),
            ..self.listing.clone()
        };
        self.walk(&part, Some(search), PASSED_MAX, i64::MIN)
    }

    /// Takes what starts in the window.
    fn starting(&mut self, search: &mut Search<'_>) -> rusqlite::Result<Ended> {
        let first_ms = self.listing.from_ms.unwrap_or(i64::MIN);
        let is_in = |at: &Cursor| at.start_ms >= first_ms;
        if self.listing.order == Order::StartDescending
            && self.listing.after.is_some_and(|at| !is_in(&at))
        {
            return Ok(Ended::AtEnd);
        }
        let before = match (self.listing.order, first_ms.checked_sub(1)) {
            (Order::Start, Some(start_ms)) => Some(Cursor { start_ms, id: i64::MAX }),
            _ => None,
        };
        let after = self.listing.after.filter(is_in).or(before);
        let part = Listing { after, ..self.listing.clone() };
        match self.walk(&part, Some(search), TRIED_MAX, first_ms)? {
            Ended::Stopped => self.gathered(search, first_ms),
            ended => Ok(ended),
        }
    }

    /// Takes what starts at `first_ms` or later from the text index.
    fn gathered(&mut self, search: &mut Search<'_>, first_ms: i64) -> rusqlite::Result<Ended> {
        let limit = self.listing.limit;
        let gathered = search.first(Range {
            starts_ms: (first_ms, self.listing.to_ms.unwrap_or(i64::MAX)),
            order: self.listing.order,
            after: self.last.or(self.listing.after),
            rows_max: limit.saturating_mul(2).clamp(GATHERED_MIN, READ_MAX),
        })?;
        for at in gathered.rows {
            if self.is_made() {
                return Ok(Ended::Made);
            }
            self.passed += 1;
            self.read += 1;
            self.last = Some(at);
            self.page.rows.extend(self.filter.row(at.id)?);
        }
        if gathered.has_more {
            self.page.next = self.last;
            return Ok(Ended::Made);
        }
        Ok(Ended::AtEnd)
    }
}

/// Reads rows, and tells those that are asked for.
struct Filter<'a> {
    listing: &'a Listing,
    scope: &'a Scope,
    /// The text that is looked for, in lower case.
    text: Option<String>,
    /// Every recording that the index did not rule out is asked for.
    takes_all: bool,
    statement: rusqlite::CachedStatement<'a>,
}

impl<'a> Filter<'a> {
    fn new(
        snapshot: &'a Connection,
        listing: &'a Listing,
        scope: &'a Scope,
    ) -> rusqlite::Result<Filter<'a>> {
        let metadata = if listing.meta.is_empty() { "NULL" } else { METADATA };
        let sql = format!("SELECT {SHOWN}, {metadata} FROM recordings r WHERE r.id = ?1");
        Ok(Filter {
            listing,
            scope,
            text: listing.text.as_deref().map(str::to_ascii_lowercase),
            takes_all: *scope == Scope::All
                && listing.root.is_none()
                && listing.text.is_none()
                && listing.meta.is_empty()
                && listing.states.is_all_that_are_left(),
            statement: snapshot.prepare_cached(&sql)?,
        })
    }

    /// The row, where it is asked for.
    fn row(&mut self, id: i64) -> rusqlite::Result<Option<Listed>> {
        let (listing, scope, text) = (self.listing, self.scope, self.text.as_deref());
        let mut rows = self.statement.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let root: i64 = row.get(1)?;
        let is_of_root = listing.root.is_none_or(|wanted| wanted == RootId(root));
        if !is_of_root || !scope.has(root) {
            return Ok(None);
        }
        let one = listed(row)?;
        let contains = |value: &str, text: &str| value.to_ascii_lowercase().contains(text);
        let is_asked_for = listing.states.has(one.state)
            && listing.from_ms.is_none_or(|from| one.end_ms.is_none_or(|end| end >= from))
            && text.is_none_or(|text| contains(&one.uuid, text) || contains(&one.path, text));
        if !is_asked_for || (!listing.meta.is_empty() && !has_metadata(row, &listing.meta)?) {
            return Ok(None);
        }
        Ok(Some(one))
    }
}

/// Whether the metadata, the last column, is as the filters say.
fn has_metadata(row: &Row<'_>, filters: &[MetaFilter]) -> rusqlite::Result<bool> {
    let column = row.as_ref().column_count().saturating_sub(1);
    let text = row.get_ref(column)?.as_str().unwrap_or_default();
    // What is stored was made from such a value.
    let Ok(metadata) = Value::from_text(text) else { return Ok(false) };
    Ok(filters.iter().all(|filter| filter.is_true_of(&metadata)))
}
