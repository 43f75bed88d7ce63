//! Which buckets and shards exist, in the order of a walk.

use std::collections::VecDeque;

use afterimage_event::RecordKey;
use afterimage_store::{Direction, StoreError};
use scylla::response::PagingState;

use super::Reader;
use super::bucket::Span;
use crate::address::{hour, quarter};
use crate::rows::ANY_TERM;
use crate::term::TermKey;

/// A time bucket that exists, and its shards.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) number: i32,
    pub(super) shards: Vec<i32>,
}

/// What has a directory of buckets and shards.
#[derive(Clone, Copy)]
pub(super) enum Directory<'a> {
    Record(&'a RecordKey),
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
    /// Where to read on; `None` at the end.
    next_page: Option<PagingState>,
}

impl<'a> Buckets<'a> {
    pub(super) fn new(reader: Reader<'a>, directory: Directory<'a>, span: &Span) -> Self {
        let bucket: fn(i64) -> i32 = match directory {
            Directory::Record(_) => quarter,
            Directory::Hours(..) => hour,
        };
        Self {
            reader,
            directory,
            direction: span.direction,
            first: bucket(span.earliest_us()),
            last: bucket(span.latest_us()),
            rows: VecDeque::new(),
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
        }
        Ok(self.rows.front().copied())
    }

    async fn page(&self, state: PagingState) -> Result<(Vec<(i32, i32)>, Option<PagingState>), StoreError> {
        let statements = self.reader.statements;
        match self.directory {
            Directory::Record(RecordKey { tenant, source, table, record_id }) => {
                let statement = Reader::directed(&statements.record_buckets, self.direction);
                let values = (tenant, table, record_id, source, self.first, self.last);
                self.reader.page(statement, &values, state).await
            }
            Directory::Hours(TermKey { tenant, kind, source, table, term }, quarter) => {
                let statement = Reader::directed(&statements.term_hours, self.direction);
                let values = (tenant, kind.as_str(), source, table, term, quarter, self.first, self.last);
                self.reader.page(statement, &values, state).await
            }
        }
    }
}

/// The quarters of an index in which there may be something, in the order of the walk, and the levels in them. They are few:
/// the whole directory is read.
pub(super) async fn quarters(reader: Reader<'_>, key: &TermKey, span: &Span) -> Result<Vec<Bucket>, StoreError> {
    let TermKey { tenant, kind, source, table, term } = key;
    let (first, last) = (quarter(span.earliest_us()), quarter(span.latest_us()));
    let of_term = async |term: &str| {
        let values = (tenant, kind.as_str(), source, table, term, first, last);
        reader.all_pages::<(i32, i32)>(&reader.statements.term_buckets, &values).await
    };
    let mut rows = if kind.is_short_lived() {
        let (mut rows, of_any) = futures_util::future::try_join(of_term(term), of_term(ANY_TERM)).await?;
        rows.extend(of_any);
        rows
    } else {
        of_term(term).await?
    };
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
