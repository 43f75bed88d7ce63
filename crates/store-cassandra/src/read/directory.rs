//! Which buckets and shards exist, in the order of a walk.

use std::collections::VecDeque;

use afterimage_store::{Direction, StoreError};
use scylla::response::PagingState;

use super::bucket::Span;
use super::{Reader, Subject};
use crate::address::{day_of_hour, hour, record_bucket};

/// A time bucket that exists, and its shards.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) number: i32,
    pub(super) shards: Vec<i32>,
}

/// Walks the directory of a record or a table, page by page.
pub(super) struct Buckets<'a> {
    reader: Reader<'a>,
    subject: Subject<'a>,
    direction: Direction,
    /// First and last bucket of the range.
    first: i32,
    last: i32,
    /// Days of a table's directory still to be walked; `None` for a record, which has no such level.
    days: Option<Pages<(i32,)>>,
    /// Buckets and shards of the record, or of one day of the table.
    shards: Option<(i32, Pages<(i32, i32)>)>,
}

/// Rows of a paged query not used yet, and whether there are more.
struct Pages<T> {
    rows: VecDeque<T>,
    next: Option<PagingState>,
}

impl<T> Pages<T> {
    fn new() -> Self {
        Self { rows: VecDeque::new(), next: Some(PagingState::start()) }
    }
}

impl<'a> Buckets<'a> {
    pub(super) fn new(reader: Reader<'a>, subject: Subject<'a>, span: &Span) -> Self {
        let bucket: fn(i64) -> i32 = match subject {
            Subject::Record(_) => record_bucket,
            Subject::Table(_) => hour,
        };
        Self {
            reader,
            subject,
            direction: span.direction,
            first: bucket(span.earliest_us()),
            last: bucket(span.latest_us()),
            days: matches!(subject, Subject::Table(_)).then(Pages::new),
            shards: matches!(subject, Subject::Record(_)).then(|| (0, Pages::new())),
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
            if let Some((_, shards)) = &mut self.shards {
                shards.rows.pop_front();
            }
        }
        Ok(buckets)
    }

    /// The next bucket and shard, without taking it.
    async fn peek(&mut self) -> Result<Option<(i32, i32)>, StoreError> {
        loop {
            if let Some((day, shards)) = &mut self.shards {
                if let Some(next) = shards.rows.front() {
                    return Ok(Some(*next));
                }
                if let Some(state) = shards.next.take() {
                    let day = *day;
                    let (rows, next) = self.shards_page(day, state).await?;
                    self.shards = Some((day, Pages { rows: rows.into(), next }));
                    continue;
                }
            }
            let Some(days) = &mut self.days else { return Ok(None) };
            if let Some((day,)) = days.rows.pop_front() {
                self.shards = Some((day, Pages::new()));
            } else if let Some(state) = days.next.take() {
                let (rows, next) = self.days_page(state).await?;
                self.days = Some(Pages { rows: rows.into(), next });
            } else {
                return Ok(None);
            }
        }
    }

    async fn shards_page(&self, day: i32, state: PagingState) -> Result<Page<(i32, i32)>, StoreError> {
        let (statements, direction) = (self.reader.statements, self.direction);
        match self.subject {
            Subject::Record(record) => {
                let statement = Reader::directed(&statements.record_buckets, direction);
                let (tenant, table, source) = (&record.tenant, &record.table, &record.source);
                let values = (tenant, table, &record.record_id, source, self.first, self.last);
                self.reader.page(statement, &values, state).await
            }
            Subject::Table(table) => {
                let statement = Reader::directed(&statements.table_buckets, direction);
                let values = (&table.tenant, &table.source, &table.table, day, self.first, self.last);
                self.reader.page(statement, &values, state).await
            }
        }
    }

    async fn days_page(&self, state: PagingState) -> Result<Page<(i32,)>, StoreError> {
        let Subject::Table(table) = self.subject else { return Ok((Vec::new(), None)) };
        let statement = Reader::directed(&self.reader.statements.table_days, self.direction);
        let (first, last) = (day_of_hour(self.first), day_of_hour(self.last));
        let values = (&table.tenant, &table.source, &table.table, first, last);
        self.reader.page(statement, &values, state).await
    }
}

/// Rows, and where the next page begins.
type Page<T> = (Vec<T>, Option<PagingState>);
