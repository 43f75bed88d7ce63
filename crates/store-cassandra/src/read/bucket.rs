//! The rows of one time bucket, merged from its shards.

use std::collections::VecDeque;

use afterimage_event::{RecordKey, Timestamp};
use afterimage_store::{Direction, RowRange, StoreError};
use futures_util::future::try_join_all;
use scylla::serialize::value::SerializeValue;

use super::Reader;
use super::directory::Bucket;
use super::row::{Columns, Key, Row};
use crate::rows::{NARROW, WIDE};
use crate::term::TermKey;

/// Rows asked of a shard at once, at most.
const SHARD_ROWS_MAX: usize = 1_000;
/// Rows asked of each of many shards, at least: the ones needed may all lie in one.
pub(super) const SHARD_ROWS_MIN: usize = 16;
/// Shards read at the same time.
const SHARDS_AT_ONCE: usize = 32;

/// The index and level whose buckets are read.
#[derive(Clone, Copy)]
pub(super) enum Partition<'a> {
    Record(&'a RecordKey),
    Wide(&'a TermKey),
    Narrow(&'a TermKey),
}

/// The part of the order that is asked for: from `low` (inclusive) to `high` (exclusive).
#[derive(Clone, Debug)]
pub(super) struct Span {
    low: Key,
    high: Key,
    pub(super) direction: Direction,
}

impl Span {
    /// `None` when it is empty.
    pub(super) fn of(range: &RowRange) -> Option<Self> {
        let mut low = Key::least_at(range.from.map_or(i64::MIN, Timestamp::as_micros));
        let mut high = Key::least_at(range.to.map_or(i64::MAX, Timestamp::as_micros));
        if let Some(past) = &range.past {
            let past = Key {
                occurred_at: past.occurred_at.as_micros(),
                position: past.position.clone(),
                event_id: past.identity.event_id.clone(),
                input_digest: past.identity.input_digest.0.to_vec(),
                revision: i64::from(past.identity.revision),
                published_at: past.identity.published_at.as_micros(),
            };
            match range.direction {
                Direction::Ascending => low = low.max(after(past)),
                Direction::Descending => high = high.min(past),
            }
        }
        (low < high && range.limit > 0).then_some(Self { low, high, direction: range.direction })
    }

    /// The earliest time in it.
    pub(super) fn earliest_us(&self) -> i64 {
        self.low.occurred_at
    }

    /// The latest time that may be in it.
    pub(super) fn latest_us(&self) -> i64 {
        self.high.occurred_at
    }

    /// What is left of it behind this row.
    fn beyond(&self, row: &Key) -> Self {
        let mut rest = self.clone();
        match self.direction {
            Direction::Ascending => rest.low = after(row.clone()),
            Direction::Descending => rest.high = row.clone(),
        }
        rest
    }
}

/// The least key greater than this one: its last part is a number.
fn after(key: Key) -> Key {
    Key { published_at: key.published_at.saturating_add(1), ..key }
}

/// Rows of one shard, read as far as the merge needs them.
struct Shard {
    number: i32,
    rows: VecDeque<Row>,
    /// Where to go on; `None` at its end.
    rest: Option<Span>,
}

/// Up to `limit` rows of a bucket, in order, each once.
pub(super) async fn read(
    reader: Reader<'_>,
    partition: Partition<'_>,
    span: &Span,
    bucket: &Bucket,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    // One more row than asked for is looked at: it may be the last one told again, stored earlier.
    let needed = limit.saturating_add(1);
    let share = needed / bucket.shards.len().max(1) + 1;
    let ask = needed.min(share.max(SHARD_ROWS_MIN)).min(SHARD_ROWS_MAX);
    let mut shards: Vec<Shard> = bucket
        .shards
        .iter()
        .map(|number| Shard { number: *number, rows: VecDeque::new(), rest: Some(span.clone()) })
        .collect();
    for some in shards.chunks_mut(SHARDS_AT_ONCE) {
        try_join_all(some.iter_mut().map(|shard| shard.fill(reader, partition, bucket.number, ask))).await?;
    }
    let mut merged: Vec<Row> = Vec::with_capacity(limit.min(SHARD_ROWS_MAX));
    loop {
        for shard in shards.iter_mut().filter(|shard| shard.rows.is_empty()) {
            shard.fill(reader, partition, bucket.number, ask).await?;
        }
        let next = shards
            .iter()
            .enumerate()
            .filter_map(|(index, shard)| Some((index, shard.rows.front()?)))
            .reduce(|best, one| if precedes(one.1, best.1, span.direction) { one } else { best })
            .map(|(index, _)| index);
        let Some(index) = next else { break };
        let Some(row) = shards[index].rows.pop_front() else { break };
        let is_full = merged.len() == limit;
        match merged.last_mut() {
            Some(last) if last.key == row.key => {
                if row.is_earlier_than(last) {
                    *last = row;
                }
            }
            _ if is_full => break,
            _ => merged.push(row),
        }
    }
    Ok(merged)
}

pub(super) fn precedes(one: &Row, other: &Row, direction: Direction) -> bool {
    match direction {
        Direction::Ascending => one.key < other.key,
        Direction::Descending => one.key > other.key,
    }
}

impl Shard {
    /// Reads some more rows, if there are any.
    async fn fill(
        &mut self,
        reader: Reader<'_>,
        partition: Partition<'_>,
        bucket: i32,
        ask: usize,
    ) -> Result<(), StoreError> {
        let Some(span) = self.rest.take() else { return Ok(()) };
        let rows = query(reader, partition, bucket, self.number, &span, ask).await?;
        if rows.len() >= ask {
            self.rest = rows.last().map(|row| span.beyond(&row.key));
        }
        self.rows = rows.into();
        Ok(())
    }
}

async fn query(
    reader: Reader<'_>,
    partition: Partition<'_>,
    bucket: i32,
    shard: i32,
    span: &Span,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let Span { low, high, direction } = span;
    let rest: [&(dyn SerializeValue + Sync); 15] = [
        &bucket,
        &shard, //
        &low.occurred_at,
        &low.position,
        &low.event_id,
        &low.input_digest,
        &low.revision,
        &low.published_at, //
        &high.occurred_at,
        &high.position,
        &high.event_id,
        &high.input_digest,
        &high.revision,
        &high.published_at, //
        &limit,
    ];
    let mut values: Vec<&(dyn SerializeValue + Sync)>;
    let (kind, level);
    let statement = match partition {
        Partition::Record(RecordKey { tenant, source, table, record_id }) => {
            values = vec![tenant, source, table, record_id];
            &reader.selects.record_rows
        }
        Partition::Wide(key) | Partition::Narrow(key) => {
            kind = key.kind.as_str();
            level = if matches!(partition, Partition::Wide(_)) { WIDE } else { NARROW };
            values = vec![&key.tenant, &kind, &key.source, &key.table, &key.term, &level];
            &reader.selects.term_rows
        }
    };
    values.extend(rest);
    let rows: Vec<Columns> = reader.all_pages(Reader::directed(statement, *direction), &values).await?;
    Ok(rows.into_iter().map(Row::from).collect())
}
