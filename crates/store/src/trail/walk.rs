use std::collections::VecDeque;

use afterimage_event::{RecordKey, Timestamp};

use super::history::PAGE_BYTES_MAX;
use super::merge::{Merge, ROWS_AT_ONCE_MAX};
use super::select::Selection;
pub(super) use super::standing::{Shown, expired};
use super::{ROWS_EXAMINED_MAX, Trail, TrailError};
use crate::{IndexRow, OrderKey, RowRange};

/// Contents asked for at once before their size is known.
const CHUNK_FIRST: usize = 16;
/// Most contents asked for at once.
const CHUNK_MAX: usize = 256;
/// What one request for contents should bring: large images make the requests smaller.
const CHUNK_BYTES: usize = 4 << 20;

/// A walk over the entries that readers see and a question selects, in order, a chunk at a time.
pub(super) struct Walk<'t> {
    trail: &'t Trail,
    selection: Selection,
    merge: Merge,
    now: Timestamp,
    started_at: Option<Timestamp>,
    latest: Option<Timestamp>,
    ready: VecDeque<Shown>,
    chunk: usize,
    /// Rows that are worth their contents, before it is time to go on in larger steps.
    wanted: usize,
    step: usize,
    passed_expired: bool,
    /// The last row that its reader may know of.
    seen: Option<OrderKey>,
}

/// Some entries of a walk, in its order.
pub(super) struct Leg {
    pub(super) entries: Vec<Shown>,
    /// Behind which entry the walk goes on; `None` at its end.
    pub(super) past: Option<OrderKey>,
}

impl<'t> Walk<'t> {
    /// A walk over a record in `range`, whose limit is the number of index rows read first; if they are not enough, more
    /// each time.
    pub(super) fn new(trail: &'t Trail, record: &RecordKey, range: RowRange) -> Self {
        Self::over(trail, Selection::of_record(record), range)
    }

    /// A walk over what was selected, in the same way.
    pub(super) fn over(trail: &'t Trail, selection: Selection, range: RowRange) -> Self {
        let step = range.limit;
        Self {
            trail,
            merge: Merge::new(selection.indexes(), range, ROWS_EXAMINED_MAX),
            selection,
            now: trail.now(),
            started_at: None,
            latest: None,
            ready: VecDeque::new(),
            chunk: CHUNK_FIRST,
            wanted: step,
            step,
            passed_expired: false,
            seen: None,
        }
    }

    /// Goes on with a walk that began then. Of an entry told several times, the version that was there is shown, so that
    /// a later telling does not move it to where the walk has been, or from where it has not been yet.
    pub(super) fn started_at(mut self, moment: Option<Timestamp>) -> Self {
        self.started_at = moment;
        self
    }

    /// The next entry; `None` at the end of the range, or when [`ROWS_EXAMINED_MAX`] rows were read. More are read only
    /// where none of them may be seen: there is no place to go on from.
    pub(super) async fn next(&mut self) -> Result<Option<Shown>, TrailError> {
        loop {
            if let Some(shown) = self.ready.pop_front() {
                return Ok(Some(shown));
            }
            let rows = self.gather().await?;
            if rows.is_empty() {
                return Ok(None);
            }
            let standing = self.trail.standing(rows, self.started_at).await?;
            self.latest = self.latest.max(standing.latest);
            let bytes: usize = standing.shown.iter().map(|shown| shown.content.content.len()).sum();
            if let Some(each) = bytes.checked_div(standing.shown.len()) {
                self.chunk = (CHUNK_BYTES / each.max(1)).clamp(1, CHUNK_MAX);
            }
            self.ready.extend(standing.shown);
        }
    }

    /// The next entries: at most so many, and no more bytes of content than a page may hold.
    pub(super) async fn leg(&mut self, limit: usize) -> Result<Leg, TrailError> {
        let mut entries: Vec<Shown> = Vec::new();
        let mut bytes = 0;
        while let Some(shown) = self.next().await? {
            bytes += shown.content.content.len();
            if let Some(last) = entries.last().filter(|_| entries.len() == limit || bytes > PAGE_BYTES_MAX) {
                let past = Some(last.row.order_key());
                return Ok(Leg { entries, past });
            }
            entries.push(shown);
        }
        Ok(Leg { entries, past: self.cut_off_at().cloned() })
    }

    /// Where it was cut off, when that was not at the end of the range: a cursor holds it, so it is the place of a row that
    /// the reader may know of. Those behind it that they may not are read again.
    pub(super) fn cut_off_at(&self) -> Option<&OrderKey> {
        self.merge.cut_off_at().and(self.seen.as_ref())
    }

    /// Did it pass rows that have expired?
    pub(super) fn passed_expired(&self) -> bool {
        self.passed_expired
    }

    /// The moment to go on with in [`Walk::started_at`]. Later than its beginning where it took account of a version that
    /// came while it ran, or came from a worker whose clock is ahead: what it did not show because of that version must
    /// be shown where that version stands.
    pub(super) fn began(&self) -> Timestamp {
        self.started_at.unwrap_or_else(|| self.latest.map_or(self.now, |latest| latest.max(self.now)))
    }

    /// Rows that are selected and have not expired: as many as contents may be read at once.
    async fn gather(&mut self) -> Result<Vec<IndexRow>, TrailError> {
        if self.wanted == 0 {
            self.step = (self.step * 2).min(ROWS_AT_ONCE_MAX);
            self.wanted = self.step;
        }
        let most = self.chunk.min(self.wanted);
        let mut rows = Vec::new();
        while rows.len() < most {
            let Some(row) = self.merge.next(&*self.trail.store).await? else {
                if self.seen.is_none() && self.merge.cut_off_at().is_some() {
                    self.merge.examine_more(ROWS_EXAMINED_MAX);
                    continue;
                }
                break;
            };
            if self.selection.allows(&row) {
                self.seen = Some(row.order_key());
            }
            if !self.selection.fits(&row) {
                continue;
            }
            if expired(&row, self.now) {
                self.passed_expired = true;
                continue;
            }
            rows.push(row);
        }
        self.wanted -= rows.len();
        Ok(rows)
    }
}
