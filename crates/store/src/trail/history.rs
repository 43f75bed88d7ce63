use afterimage_event::Timestamp;

use super::cursor::{Cursor, history_filters, resumed};
use super::walk::Walk;
use super::{EntryView, Page, RecordQuery, Trail, TrailError};
use crate::{Direction, RowRange};

/// Page size where none is asked for.
pub const LIMIT_DEFAULT: usize = 100;
/// Largest page.
pub const LIMIT_MAX: usize = 1000;
/// Contents one page may hold: a page of large images ends early, and `next` goes on.
const PAGE_BYTES_MAX: usize = 16 << 20;

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

impl Trail {
    /// The history of a record, newest first unless asked otherwise.
    ///
    /// A walk from page to page returns every entry that was there when it began exactly once, whatever arrives
    /// meanwhile.
    ///
    /// # Errors
    /// [`TrailError`]; an unknown record is one only where no source was named.
    pub async fn history(&self, query: &RecordQuery, listing: &Listing) -> Result<Page<EntryView>, TrailError> {
        if !(1..=LIMIT_MAX).contains(&listing.limit) {
            return Err(TrailError::Limit { got: listing.limit, max: LIMIT_MAX });
        }
        let filters = history_filters(query, listing);
        let cursor = listing.cursor.as_deref().map(|text| Cursor::decode(text, filters)).transpose()?;
        let source = cursor.as_ref().map(|cursor| cursor.source.clone()).or_else(|| query.source.clone());
        let record = self.resolve(&RecordQuery { source, ..query.clone() }).await?;
        let started_at = cursor.as_ref().map(|cursor| cursor.started_at);
        let range = RowRange {
            from: listing.from,
            to: listing.to,
            past: cursor.map(|cursor| cursor.past),
            direction: listing.order,
            limit: listing.limit + 1,
        };
        let walk_start = started_at.unwrap_or_else(|| self.now());
        let mut walk = Walk::new(self, &record, range).started_at(started_at);

        let mut page = Vec::new();
        let mut bytes = 0;
        let mut more = None;
        while let Some(shown) = walk.next().await? {
            bytes += shown.content.content.len();
            if page.len() == listing.limit || (bytes > PAGE_BYTES_MAX && !page.is_empty()) {
                more = page.last().map(|last: &super::walk::Shown| last.row.order_key());
                break;
            }
            page.push(shown);
        }
        let past = more.or_else(|| walk.cut_off_at().cloned());
        let next = past.map(|past| resumed(&record, walk_start, past).encode(filters));

        let mut ascending: Vec<_> = page.iter().collect();
        if listing.order == Direction::Descending {
            ascending.reverse();
        }
        let mut flags = self.flags(&ascending).await?;
        if listing.order == Direction::Descending {
            flags.reverse();
        }
        let items =
            page.iter().zip(flags).map(|(shown, flags)| EntryView::new(shown, flags)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }
}
