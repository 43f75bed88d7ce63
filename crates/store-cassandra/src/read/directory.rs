//! Which buckets and shards exist, in the order of a walk.

use std::collections::VecDeque;

use afterimage_event::RecordKey;
use afterimage_store::{Direction, StoreError};
use scylla::response::PagingState;

use super::Reader;
use super::bucket::Span;
use crate::address::{hour, quarter};
use crate::rows::ANY_TERM;
use crate::statements::ByDirection;
use crate::term::TermKey;

/// A time bucket that exists, and its shards.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) number: i32,
    pub(super) shards: Vec<i32>,
}

/// Directory rows read first, at most; each page after that has twice as many, up to [`ROWS_AT_ONCE_MAX`]. A busy index lists
/// thousands of hours, of which the newest page of it needs a few.
const ROWS_FIRST_MAX: usize = 32;
/// Of an index that is asked for two rows: less would ask again where both do not lie in one bucket.
const ROWS_FIRST_MIN: usize = 4;
/// Directory rows read at once.
const ROWS_AT_ONCE_MAX: i32 = 1_000;

/// What has a directory of buckets and shards.
#[derive(Clone, Copy)]
pub(super) enum Directory<'a> {
    Record(&'a RecordKey),
    /// The quarters of an index, and the levels in them for shards.
    Quarters(&'a TermKey),
    /// The hours of a quarter of an index.
    Hours(&'a TermKey, i32),
}

/// Walks a directory, page by page.
pub(super) struct Buckets<'a> {
    reader: Reader<'a>,
    directory: Directory<'a>,
    direction: Direction,
    /// First and last bucket of the range.
    first: i32,
    last: i32,
    /// Buckets and shards that were read and not used yet.
    rows: VecDeque<(i32, i32)>,
    /// Rows of the next page.
    page_rows: i32,
    /// Where to read on; `None` at the end.
    next_page: Option<PagingState>,
}

impl<'a> Buckets<'a> {
    /// For a walk that needs so many index rows. A bucket that is listed mostly has one at least.
    pub(super) fn new(reader: Reader<'a>, directory: Directory<'a>, span: &Span, rows_needed: usize) -> Self {
        let bucket: fn(i64) -> i32 = match directory {
            Directory::Record(_) | Directory::Quarters(_) => quarter,
            Directory::Hours(..) => hour,
        };
        // One bucket is looked at beyond those that are read: no other shard of the last one may be missed.
        let page_rows = rows_needed.saturating_add(2).clamp(ROWS_FIRST_MIN, ROWS_FIRST_MAX);
        Self {
            reader,
            directory,
            direction: span.direction,
            first: bucket(span.earliest_us()),
            last: bucket(span.latest_us()),
            rows: VecDeque::new(),
            page_rows: i32::try_from(page_rows).unwrap_or(ROWS_AT_ONCE_MAX),
            next_page: Some(PagingState::start()),
        }
    }

    /// Up to so many of the next buckets, complete with all their shards; none at the end.
    pub(super) async fn next(&mut self, buckets_max: usize) -> Result<Vec<Bucket>, StoreError> {
        let mut buckets: Vec<Bucket> = Vec::new();
        while let Some((number, shard)) = self.peek().await? {
            let is_full = buckets.len() == buckets_max;
            match buckets.last_mut() {
                Some(last) if last.number == number => last.shards.push(shard),
                _ if is_full => break,
                _ => buckets.push(Bucket { number, shards: vec![shard] }),
            }
            self.rows.pop_front();
        }
        Ok(buckets)
    }

    /// The next bucket and shard, without taking it.
    async fn peek(&mut self) -> Result<Option<(i32, i32)>, StoreError> {
        while self.rows.is_empty()
            && let Some(state) = self.next_page.take()
        {
            let (rows, next) = self.page(state).await?;
            (self.rows, self.next_page) = (rows.into(), next);
            self.page_rows = (self.page_rows * 2).min(ROWS_AT_ONCE_MAX);
        }
        Ok(self.rows.front().copied())
    }

    async fn page(&self, state: PagingState) -> Result<(Vec<(i32, i32)>, Option<PagingState>), StoreError> {
        let Self { reader, direction, first, last, .. } = *self;
        let sized = |statements: &ByDirection| {
            let mut statement = Reader::directed(statements, direction).clone();
            statement.set_page_size(self.page_rows);
            statement
        };
        match self.directory {
            Directory::Record(RecordKey { tenant, source, table, record_id }) => {
                let values = (tenant, table, record_id, source, first, last);
                reader.page(&sized(&reader.selects.record_buckets), &values, state).await
            }
            Directory::Quarters(TermKey { tenant, kind, source, table, term }) => {
                let values = (tenant, kind.as_str(), source, table, term, first, last);
                reader.page(&sized(&reader.selects.term_buckets), &values, state).await
            }
            Directory::Hours(TermKey { tenant, kind, source, table, term }, quarter) => {
                let values = (tenant, kind.as_str(), source, table, term, quarter, first, last);
                reader.page(&sized(&reader.selects.term_hours), &values, state).await
            }
        }
    }
}

/// The quarters of an index in which there may be something, in the order of the walk, and the levels in them.
pub(super) enum Quarters<'a> {
    Listed(Buckets<'a>),
    /// Of a short-lived term: its own, and those of any term like it. They are few, and all of them are read.
    Known(std::vec::IntoIter<Bucket>),
}

impl<'a> Quarters<'a> {
    pub(super) async fn new(
        reader: Reader<'a>,
        key: &'a TermKey,
        span: &Span,
        rows_needed: usize,
    ) -> Result<Self, StoreError> {
        if !key.kind.is_short_lived() {
            return Ok(Self::Listed(Buckets::new(reader, Directory::Quarters(key), span, rows_needed)));
        }
        Ok(Self::Known(of_any_term(reader, key, span).await?.into_iter()))
    }

    /// Up to so many of the next ones; none at the end.
    pub(super) async fn next(&mut self, quarters_max: usize) -> Result<Vec<Bucket>, StoreError> {
        match self {
            Self::Listed(buckets) => buckets.next(quarters_max).await,
            Self::Known(quarters) => Ok(quarters.take(quarters_max).collect()),
        }
    }
}

async fn of_any_term(reader: Reader<'_>, key: &TermKey, span: &Span) -> Result<Vec<Bucket>, StoreError> {
    let TermKey { tenant, kind, source, table, term } = key;
    let (first, last) = (quarter(span.earliest_us()), quarter(span.latest_us()));
    let statement = Reader::directed(&reader.selects.term_buckets, span.direction);
    let of_term = async |term: &str| {
        let values = (tenant, kind.as_str(), source, table, term, first, last);
        reader.all_pages::<(i32, i32)>(statement, &values).await
    };
    let (mut rows, of_any) = futures_util::future::try_join(of_term(term), of_term(ANY_TERM)).await?;
    rows.extend(of_any);
    rows.sort_unstable();
    rows.dedup();
    let mut buckets: Vec<Bucket> = Vec::new();
    for (number, level) in rows {
        match buckets.last_mut() {
            Some(last) if last.number == number => last.shards.push(level),
            _ => buckets.push(Bucket { number, shards: vec![level] }),
        }
    }
    if span.direction == Direction::Descending {
        buckets.reverse();
    }
    Ok(buckets)
}
