use std::collections::{HashMap, VecDeque};

use afterimage_event::{RecordKey, Timestamp};

use super::{ROWS_EXAMINED_MAX, Trail, TrailError};
use crate::content::Content;
use crate::{ContentRow, Digest, Direction, Index, IndexRow, OrderKey, RowRange, StoreError, VERSIONS_MAX};

/// Contents asked for at once before their size is known.
const CHUNK_FIRST: usize = 16;
/// Most contents asked for at once.
const CHUNK_MAX: usize = 256;
/// What one request for contents should bring: large images make the requests smaller.
const CHUNK_BYTES: usize = 4 << 20;

/// Most index rows read at once, beyond what was asked for at first.
const ROWS_AT_ONCE_MAX: usize = 1024;

/// An entry that readers see.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) row: IndexRow,
    pub(super) content: ContentRow,
    /// Other data was stored under the same id.
    pub(super) conflict: bool,
}

/// A walk over the entries of a record that readers see, in order, a chunk at a time.
pub(super) struct Walk<'t> {
    trail: &'t Trail,
    record: RecordKey,
    range: RowRange,
    now: Timestamp,
    started_at: Option<Timestamp>,
    rows: VecDeque<IndexRow>,
    ready: VecDeque<Shown>,
    chunk: usize,
    examined: usize,
    ended: bool,
    passed_expired: bool,
}

impl<'t> Walk<'t> {
    /// A walk over `range`, whose limit is the number of index rows read first; if they are not enough, more each time.
    pub(super) fn new(trail: &'t Trail, record: &RecordKey, range: RowRange) -> Self {
        Self {
            trail,
            record: record.clone(),
            range,
            now: trail.now(),
            started_at: None,
            rows: VecDeque::new(),
            ready: VecDeque::new(),
            chunk: CHUNK_FIRST,
            examined: 0,
            ended: false,
            passed_expired: false,
        }
    }

    /// Goes on with a walk that began then. Of an entry told several times, the version that was there is shown, so that
    /// a later telling does not move it to where the walk has been, or from where it has not been yet.
    pub(super) fn started_at(mut self, moment: Option<Timestamp>) -> Self {
        self.started_at = moment;
        self
    }

    /// The next entry; `None` at the end of the range, or when [`ROWS_EXAMINED_MAX`] rows were read.
    pub(super) async fn next(&mut self) -> Result<Option<Shown>, TrailError> {
        loop {
            if let Some(shown) = self.ready.pop_front() {
                return Ok(Some(shown));
            }
            if self.rows.is_empty() && !self.read_rows().await? {
                return Ok(None);
            }
            let rows: Vec<IndexRow> = self.rows.drain(..self.chunk.min(self.rows.len())).collect();
            let live: Vec<IndexRow> = rows.into_iter().filter(|row| !expired(row, self.now)).collect();
            let shown = self.trail.shown(live, self.started_at).await?;
            let bytes: usize = shown.iter().map(|shown| shown.content.content.len()).sum();
            if let Some(each) = bytes.checked_div(shown.len()) {
                self.chunk = (CHUNK_BYTES / each.max(1)).clamp(1, CHUNK_MAX);
            }
            self.ready.extend(shown);
        }
    }

    /// Where it was cut off, when that was not at the end of the range.
    pub(super) fn cut_off_at(&self) -> Option<&OrderKey> {
        if self.ended { None } else { self.range.past.as_ref() }
    }

    /// Did it pass rows that have expired?
    pub(super) fn passed_expired(&self) -> bool {
        self.passed_expired
    }

    async fn read_rows(&mut self) -> Result<bool, TrailError> {
        if self.ended || self.examined >= ROWS_EXAMINED_MAX {
            return Ok(false);
        }
        self.range.limit = self.range.limit.min(ROWS_EXAMINED_MAX - self.examined);
        let rows = self.trail.store.rows(&Index::Record(self.record.clone()), &self.range).await?;
        self.examined += rows.len();
        self.ended = rows.len() < self.range.limit;
        self.range.limit = (self.range.limit * 2).min(ROWS_AT_ONCE_MAX);
        self.passed_expired |= rows.iter().any(|row| expired(row, self.now));
        if let Some(last) = rows.last() {
            self.range.past = Some(last.order_key());
        }
        self.rows.extend(rows);
        Ok(!self.rows.is_empty())
    }
}

pub(super) fn expired(row: &IndexRow, now: Timestamp) -> bool {
    row.expires_at.is_some_and(|expires_at| expires_at <= now)
}

impl Trail {
    /// Those of these rows of one record that readers see, with their contents.
    pub(super) async fn shown(
        &self,
        rows: Vec<IndexRow>,
        started_at: Option<Timestamp>,
    ) -> Result<Vec<Shown>, TrailError> {
        let Some(RecordKey { tenant, source, .. }) = rows.first().map(|row| row.record.clone()) else {
            return Ok(Vec::new());
        };
        let mut ids: Vec<String> = rows.iter().map(|row| row.identity.event_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let versions = self.store.contents(&tenant, &source, &ids).await?;
        let versions: HashMap<String, Vec<ContentRow>> = ids.into_iter().zip(versions).collect();
        let mut shown = Vec::with_capacity(rows.len());
        for row in rows {
            let versions = versions.get(&row.identity.event_id).map_or(&[][..], Vec::as_slice);
            if let Some((content, conflict)) = self.standing(&row, versions, started_at).await? {
                shown.push(Shown { row, content, conflict });
            }
        }
        Ok(shown)
    }

    /// Is this row the version that readers see, and is its id used for other data too?
    async fn standing(
        &self,
        row: &IndexRow,
        versions: &[ContentRow],
        started_at: Option<Timestamp>,
    ) -> Result<Option<(ContentRow, bool)>, TrailError> {
        let own = &row.identity;
        let was_there = |version: &&ContentRow| started_at.is_none_or(|moment| version.stored_at <= moment);
        let mut candidates: Vec<&ContentRow> = versions.iter().filter(was_there).collect();
        if candidates.is_empty() {
            candidates = versions.iter().collect();
        }
        for other in &candidates {
            let other_id = &other.identity;
            let displaces = other_id.revision > own.revision
                || (other_id.revision == own.revision
                    && other_id.input_digest == own.input_digest
                    && other_id.published_at < own.published_at);
            // Content is written before its index rows: a version that is only half there yet must not hide this one.
            if displaces && self.is_indexed(other).await? {
                return Ok(None);
            }
        }
        let mut conflict = candidates
            .iter()
            .any(|other| other.identity.revision == own.revision && other.identity.input_digest != own.input_digest);
        let mut content = candidates.iter().find(|other| other.identity == *own).map(|&version| version.clone());
        if versions.len() >= VERSIONS_MAX {
            if content.is_none() {
                content = self.version_from(row, own.input_digest).await?.filter(|first| first.identity == *own);
                if content.is_none() {
                    return Ok(None);
                }
            }
            if !conflict && let Some(next) = u128::from_be_bytes(own.input_digest.0).checked_add(1) {
                conflict = self.version_from(row, Digest(next.to_be_bytes())).await?.is_some();
            }
        }
        match content {
            Some(content) => Ok(Some((content, conflict))),
            // It came after the walk began, beside one that was there.
            None if versions.iter().any(|version| version.identity == *own) => Ok(None),
            None => Err(TrailError::Store(StoreError::Damaged {
                reason: format!("event `{}` has an index row and no content", own.event_id),
            })),
        }
    }

    async fn version_from(&self, row: &IndexRow, from: Digest) -> Result<Option<ContentRow>, TrailError> {
        let RecordKey { tenant, source, .. } = &row.record;
        let identity = &row.identity;
        Ok(self.store.version_from(tenant, source, &identity.event_id, identity.revision, from).await?)
    }

    /// Has this version its index row?
    async fn is_indexed(&self, version: &ContentRow) -> Result<bool, TrailError> {
        let content =
            Content::read(&version.content).map_err(|error| TrailError::damaged(&version.identity.event_id, &error))?;
        let key = content.order_key();
        // Keys are ordered by time of publishing last, so the row just before this one is this one a microsecond earlier.
        let mut before = key.clone();
        before.identity.published_at = before.identity.published_at.saturating_add_micros(-1);
        let range = RowRange {
            from: Some(key.occurred_at),
            to: None,
            past: Some(before),
            direction: Direction::Ascending,
            limit: 1,
        };
        let rows = self.store.rows(&Index::Record(content.record()), &range).await?;
        Ok(rows.first().is_some_and(|row| row.order_key() == key))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use afterimage_event::Op;

    use super::*;
    use crate::conformance::{Telling, moment};
    use crate::{Arrival, Listing, Lookup, MemoryStore, Store};

    /// A worker that stopped between content and index rows must not hide an entry whose message was deleted.
    #[tokio::test]
    async fn a_version_without_its_index_row_hides_nothing() {
        for (half, whole) in [(("e", 10, 0), ("e", 20, 0)), (("e", 20, 1), ("e", 10, 0))] {
            let telling = |(id, published, revision)| {
                let telling = Telling::new("t", id, Op::Insert, published).images("", "{}").data(1);
                telling.published(published).revision(revision)
            };
            let (half, whole) = (telling(half), telling(whole));
            let store = Arc::new(MemoryStore::new());
            let arrival = Arrival { worker: "w".into(), at: moment(30) };
            for result in store.append(&[half.entry(), whole.entry()], &arrival).await {
                result.unwrap();
            }
            let trail = Trail::with_clock(Arc::clone(&store) as Arc<dyn Lookup>, || moment(40));
            let shown = async || {
                let page = trail.history(&half.query(), &Listing::default()).await.unwrap();
                page.items.iter().map(|item| item.published_at).collect::<Vec<_>>()
            };
            assert_eq!(shown().await, [half.entry().identity.published_at]);
            store.lose_index_rows(&half.entry());
            assert_eq!(shown().await, [whole.entry().identity.published_at]);
        }
    }
}
