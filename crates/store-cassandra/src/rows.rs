//! Rows on their way in.

use afterimage_event::{Position, Timestamp};
use afterimage_store::{Arrival, Entry};
use scylla::errors::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;

use crate::address::{day, hour, record_bucket};
use crate::shards::BucketId;

/// Which table a row goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Entry,
    RecordBucket,
    TableDay,
    TableBucket,
    JournalBucket,
    Record,
    Table,
    Journal,
}

/// One row of one table, made of what the entry and its arrival say.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) kind: Kind,
    pub(crate) entry: &'a Entry,
    pub(crate) arrival: &'a Arrival,
    /// The shard it goes to, or announces; 0 for entries, which have none.
    pub(crate) shard: i32,
    /// Names its partition where others of the same call may go there too.
    pub(crate) partition: Option<(BucketId, i32)>,
}

/// `i64::MAX − stored_at`: see [`crate::schema`].
pub(crate) fn inverted(stored_at: Timestamp) -> i64 {
    i64::MAX - stored_at.as_micros().max(0)
}

/// The other way round.
pub(crate) fn stored_at(inverted: i64) -> Option<Timestamp> {
    Timestamp::from_micros(i64::MAX.checked_sub(inverted)?).ok()
}

/// Bytes of a row besides its texts: numbers, digests, lengths.
const FIXED_BYTES: usize = 160;

impl Row<'_> {
    /// About as many bytes as it has on the wire, rather more than fewer.
    pub(crate) fn bytes(&self) -> usize {
        let record = &self.entry.record;
        let keys = record.tenant.len()
            + record.source.len()
            + record.table.len()
            + record.record_id.iter().map(|part| part.len() + 4).sum::<usize>()
            + self.entry.identity.event_id.len();
        let rest = match self.kind {
            Kind::Entry => self.entry.content.len(),
            Kind::Record | Kind::Table => {
                let domain = self.entry.position.as_ref().map_or(0, |position| position.domain.len() + 64);
                domain + self.entry.changed.iter().map(|name| name.len() + 4).sum::<usize>()
            }
            Kind::Journal | Kind::JournalBucket => self.arrival.worker.len(),
            Kind::RecordBucket | Kind::TableDay | Kind::TableBucket => 0,
        };
        FIXED_BYTES + keys + rest
    }
}

impl SerializeRow for Row<'_> {
    /// In the order of the markers in [`crate::statements`].
    fn serialize(
        &self,
        ctx: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        let Self { entry, arrival, .. } = self;
        let (record, identity) = (&entry.record, &entry.identity);
        let (tenant, source, table) = (record.tenant.as_str(), record.source.as_str(), record.table.as_str());
        let record_id = record.record_id.as_slice();
        let (event_id, digest) = (identity.event_id.as_str(), &identity.input_digest.0);
        let (revision, published_at) = (i64::from(identity.revision), identity.published_at.as_micros());
        let occurred_at = entry.occurred_at.as_micros();
        let shard = self.shard;
        let bucket = record_bucket(occurred_at);
        let hour_occurred = hour(occurred_at);
        let arrived = hour(arrival.at.as_micros());
        let position = || entry.position.as_ref().map(Position::sort_key).unwrap_or_default();
        let kept = || {
            (
                inverted(arrival.at),
                entry.op.as_str(),
                entry.position.as_ref().map(|position| position.domain.as_str()),
                entry.changed.as_slice(),
                entry.before_digest.as_ref().map(|digest| &digest.0),
                entry.after_digest.as_ref().map(|digest| &digest.0),
                entry.expires_at.map(Timestamp::as_micros),
            )
        };
        match self.kind {
            Kind::Entry => {
                let kept = (inverted(arrival.at), entry.content.as_str());
                (tenant, source, event_id, digest, revision, published_at, kept, published_at).serialize(ctx, writer)
            }
            Kind::RecordBucket => {
                (tenant, table, record_id, source, bucket, shard, published_at).serialize(ctx, writer)
            }
            Kind::TableDay => (tenant, source, table, day(occurred_at), published_at).serialize(ctx, writer),
            Kind::TableBucket => {
                (tenant, source, table, day(occurred_at), hour_occurred, shard, published_at).serialize(ctx, writer)
            }
            Kind::JournalBucket => (arrived, arrival.worker.as_str(), shard, published_at).serialize(ctx, writer),
            Kind::Record => (
                tenant,
                source,
                table,
                record_id,
                bucket,
                shard,
                occurred_at,
                position(),
                event_id,
                digest,
                revision,
                published_at,
                kept(),
                published_at,
            )
                .serialize(ctx, writer),
            Kind::Table => (
                tenant,
                source,
                table,
                hour_occurred,
                shard,
                occurred_at,
                position(),
                event_id,
                digest,
                revision,
                published_at,
                record_id,
                kept(),
                published_at,
            )
                .serialize(ctx, writer),
            Kind::Journal => (
                arrival.worker.as_str(),
                arrived,
                shard,
                arrival.at.as_micros(),
                tenant,
                source,
                event_id,
                digest,
                revision,
                published_at,
                published_at,
            )
                .serialize(ctx, writer),
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_a_row_is_stored_the_larger_are_its_bytes() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (first, second) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:00.000001Z"));
        assert!(inverted(first).to_be_bytes() > inverted(second).to_be_bytes());
        assert_eq!(stored_at(inverted(first)), Some(first));
        assert_eq!(stored_at(-1), None);
    }
}
