use super::cursor::{Cursor, changes_filters};
use super::walk::Walk;
use super::{EntryView, Filter, Listing, Page, Period, Trail, TrailError};
use crate::RowRange;

impl Trail {
    /// Entries that fit a filter and may be seen, newest first unless asked otherwise.
    ///
    /// Without a time: the last 24 hours; with an end only: the 24 hours before it. What "last" means is settled by the
    /// first page of a walk. A walk from page to page returns every entry that was there when it began exactly once,
    /// whatever arrives meanwhile.
    ///
    /// Reads the narrowest index of the filter and looks at no more than [`super::ROWS_EXAMINED_MAX`] of its rows: a page
    /// may be short, or empty, and yet not the last one.
    ///
    /// # Errors
    /// [`TrailError`].
    pub async fn changes(&self, filter: &Filter, listing: &Listing) -> Result<Page<EntryView>, TrailError> {
        let period = listing.check()?;
        let filters = changes_filters(filter, listing);
        let cursor = listing.resume(filters)?;
        let started_at = cursor.as_ref().map(|cursor| cursor.started_at);
        let asked_at = cursor.as_ref().map_or_else(|| self.now(), |cursor| cursor.asked_at);
        let Period { from, to } = period.or_last_day(asked_at);
        let past = cursor.map(|cursor| cursor.past);
        let range = RowRange { from, to, past, direction: listing.order, limit: listing.limit + 1 };
        let selection = self.select(filter).await?;
        let mut walk = Walk::over(self, selection, range).started_at(started_at);
        let leg = walk.leg(listing.limit).await?;
        let cursor = |past| Cursor { started_at: walk.began(), asked_at, source: String::new(), past };
        let next = leg.past.map(|past| cursor(past).encode(filters));
        Ok(Page { items: self.views(&leg.entries, filter.takes_whole_records()).await?, next })
    }
}
