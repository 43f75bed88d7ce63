use afterimage_event::Timestamp;

use super::cursor::{history_filters, resumed};
use super::standing::Shown;
use super::walk::Walk;
use super::{EntryView, Page, Period, RecordQuery, Trail, TrailError};
use crate::{Direction, RowRange};

/// Page size where none is asked for.
pub const LIMIT_DEFAULT: usize = 100;
/// Largest page.
pub const LIMIT_MAX: usize = 1000;

/// Contents one page may hold: a page of large images ends early, and `next` goes on.
pub(super) const PAGE_BYTES_MAX: usize = 16 << 20;

/// Which part of a list, which way round, and how much of it at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Earliest time, inclusive.
    pub from: Option<Timestamp>,
    /// Latest time, exclusive.
    pub to: Option<Timestamp>,
    /// Newest or oldest first.
    pub order: Direction,
    /// Most items of a page, 1 to [`LIMIT_MAX`].
    pub limit: usize,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

impl Default for Listing {
    fn default() -> Self {
        Self { from: None, to: None, order: Direction::Descending, limit: LIMIT_DEFAULT, cursor: None }
    }
}

impl Listing {
    /// Fails when it asks for too much at once, or for a period that ends before it begins; gives the period.
    pub(super) fn check(&self) -> Result<Period, TrailError> {
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            return Err(TrailError::Limit { got: self.limit, max: LIMIT_MAX });
        }
        Period { from: self.from, to: self.to }.check()
    }
}

impl Trail {
    /// The history of a record, newest first unless asked otherwise.
    ///
    /// A walk from page to page returns every entry that was there when it began exactly once, whatever arrives
    /// meanwhile.
    ///
    /// # Errors
    /// [`TrailError`]; [`TrailError::NoSuchRecord`] where nobody ever told of the record.
    pub async fn history(&self, query: &RecordQuery, listing: &Listing) -> Result<Page<EntryView>, TrailError> {
        let Period { from, to } = listing.check()?;
        let filters = history_filters(query, listing);
        let cursor = listing.resume(filters)?;
        let record = self.resolve_paged(query, cursor.as_ref()).await?;
        let (started_at, is_first) = (cursor.as_ref().map(|cursor| cursor.started_at), cursor.is_none());
        let past = cursor.map(|cursor| cursor.past);
        let range = RowRange { from, to, past, direction: listing.order, limit: listing.limit + 1 };
        let mut walk = Walk::new(self, &record, range).started_at(started_at);
        let leg = walk.leg(listing.limit).await?;
        if leg.entries.is_empty() && is_first {
            self.known(&record).await?;
        }
        let next = leg.past.map(|past| resumed(&record, walk.began(), past).encode(filters));
        Ok(Page { items: self.views(&leg.entries, true).await?, next })
    }

    /// Entries of a page as readers see them. `whole_records` says that nothing is missing between any two of a record.
    pub(super) async fn views(&self, page: &[Shown], whole_records: bool) -> Result<Vec<EntryView>, TrailError> {
        let flags = self.flags_of(page, whole_records).await?;
        page.iter().zip(flags).map(|(shown, flags)| EntryView::new(shown, flags)).collect()
    }
}
