//! The rows of an index that has two levels: see [`crate::schema`].

use afterimage_store::StoreError;
use futures_util::future::{try_join, try_join_all};

use super::bucket::{self, Partition, SHARD_ROWS_MIN, Span, precedes};
use super::directory::{Bucket, Buckets, Directory, Quarters};
use super::row::Row;
use super::{BUCKETS_AT_ONCE, Reader};
use crate::rows::{NARROW, WIDE};
use crate::term::TermKey;

/// Up to `limit` rows, in order, each once.
pub(super) async fn rows(reader: Reader<'_>, key: &TermKey, span: &Span, limit: usize) -> Result<Vec<Row>, StoreError> {
    let mut quarters = Quarters::new(reader, key, span, limit).await?;
    let mut found = Vec::new();
    // In most quarters that are listed for short-lived terms there is nothing of this one.
    let mut at_once = if key.kind.is_short_lived() { BUCKETS_AT_ONCE } else { 1 };
    while found.len() < limit {
        let next = quarters.next(at_once).await?;
        if next.is_empty() {
            break;
        }
        let missing = limit - found.len();
        let reads = next.iter().map(|quarter| of_quarter(reader, key, span, quarter, missing));
        found.extend(try_join_all(reads).await?.into_iter().flatten());
        at_once = (at_once * 2).min(BUCKETS_AT_ONCE);
    }
    found.truncate(limit);
    Ok(found)
}

/// The rows of both levels of one quarter.
async fn of_quarter(
    reader: Reader<'_>,
    key: &TermKey,
    span: &Span,
    quarter: &Bucket,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let wide = async |limit: usize| {
        let bucket = Bucket { number: quarter.number, shards: vec![WIDE] };
        bucket::read(reader, Partition::Wide(key), span, &bucket, limit).await
    };
    if !quarter.shards.contains(&NARROW) {
        return wide(limit).await;
    }
    let hours = Buckets::new(reader, Directory::Hours(key, quarter.number), span, limit);
    let narrow = reader.walk(hours, Partition::Narrow(key), span, limit);
    if !quarter.shards.contains(&WIDE) {
        return narrow.await;
    }
    // What is asked most, the newest rows of a busy index, lies in its hours.
    let few = limit.min(SHARD_ROWS_MIN);
    let (mut of_wide, of_hours) = try_join(wide(few), narrow).await?;
    let is_enough = of_wide.len() < few
        || few == limit
        || matches!((of_wide.last(), of_hours.get(limit - 1)), (Some(wide), Some(last)) if !precedes(wide, last, span.direction));
    if !is_enough {
        of_wide = wide(limit).await?;
    }
    Ok(merge(of_wide, of_hours, span, limit))
}

/// Rows of two levels, in order. What was told again may stand in both: as it was stored first.
fn merge(wide: Vec<Row>, narrow: Vec<Row>, span: &Span, limit: usize) -> Vec<Row> {
    let mut merged = Vec::with_capacity(limit.min(wide.len() + narrow.len()));
    let (mut wide, mut narrow) = (wide.into_iter().peekable(), narrow.into_iter().peekable());
    while merged.len() < limit {
        let next = match (wide.peek(), narrow.peek()) {
            (Some(one), Some(other)) if one.key == other.key => {
                let (one, other) = (wide.next(), narrow.next());
                one.zip(other).map(|(one, other)| if other.is_earlier_than(&one) { other } else { one })
            }
            (Some(one), Some(other)) if precedes(other, one, span.direction) => narrow.next(),
            (Some(_), _) => wide.next(),
            (None, _) => narrow.next(),
        };
        let Some(next) = next else { break };
        merged.push(next);
    }
    merged
}
