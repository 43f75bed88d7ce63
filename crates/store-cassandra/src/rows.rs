//! Rows on their way in.

use afterimage_event::{Position, Timestamp};
use afterimage_store::{Arrival, Entry, Provenance};
use scylla::errors::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;

use crate::address::{hour, quarter};
use crate::shards::BucketId;
use crate::term::{TermKey, TermKind};

/// The term in whose directory all terms of a short-lived kind are announced: no entry has it.
pub(crate) const ANY_TERM: &str = "";

/// Which table a row goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    Entry,
    RecordBucket,
    TableName,
    /// There is something in this quarter, at the level that `shard` names.
    TermBucket(&'a TermKey),
    /// There is something in this quarter for some term like this one, at level 0.
    AnyTermBucket(&'a TermKey),
    TermHour(&'a TermKey),
    JournalBucket,
    Record,
    /// At level 0: by quarter.
    Wide(&'a TermKey),
    /// At level 1: by hour and shard.
    Narrow(&'a TermKey),
    Journal,
}

/// One row of one table, made of what the entry and its arrival say.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) kind: Kind<'a>,
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
const FIXED_BYTES: usize = 200;

impl Row<'_> {
    /// About as many bytes as it has on the wire, rather more than fewer.
    pub(crate) fn bytes(&self) -> usize {
        let record = &self.entry.record;
        let keys = record.tenant.len()
            + record.source.len()
            + record.table.len()
            + record.record_id.iter().map(|part| part.len() + 4).sum::<usize>()
            + self.entry.identity.event_id.len();
        let kept = || {
            let domain = self.entry.position.as_ref().map_or(0, |position| position.domain.len() + 64);
            let changed: usize = self.entry.changed.iter().map(|name| name.len() + 4).sum();
            let Provenance { actors, request, transaction, migration } = &self.entry.provenance;
            let who = actors.iter().chain([request, transaction, migration].into_iter().flatten());
            domain + changed + who.map(|term| term.len() + 4).sum::<usize>()
        };
        let rest = match self.kind {
            Kind::Entry => self.entry.content.len(),
            Kind::Record => kept(),
            Kind::Wide(key) | Kind::Narrow(key) => key.bytes() + kept(),
            Kind::Journal | Kind::JournalBucket => self.arrival.worker.len(),
            Kind::TermBucket(key) | Kind::AnyTermBucket(key) | Kind::TermHour(key) => key.bytes(),
            Kind::RecordBucket | Kind::TableName => 0,
        };
        FIXED_BYTES + keys + rest
    }

    /// `kept` of an index row, without what its partition key says of the record.
    fn kept(&self, record: Option<RecordRest<'_>>) -> impl scylla::serialize::value::SerializeValue {
        let Entry { op, position, changed, before_digest, after_digest, provenance, expires_at, .. } = self.entry;
        let Provenance { actors, request, transaction, migration } = provenance;
        let is_known = *provenance != Provenance::default();
        (
            inverted(self.arrival.at),
            op.as_str(),
            position.as_ref().map(|position| position.domain.as_str()),
            changed.as_slice(),
            before_digest.as_ref().map(|digest| &digest.0),
            after_digest.as_ref().map(|digest| &digest.0),
            expires_at.map(Timestamp::as_micros),
            is_known.then_some((actors.as_slice(), request.as_deref(), transaction.as_deref(), migration.as_deref())),
            record,
        )
    }
}

/// Source, table and record id, as far as a partition key does not say them.
type RecordRest<'a> = (Option<&'a str>, Option<&'a str>, &'a [String]);

/// Level 0 of an index: see [`crate::schema`].
pub(crate) const WIDE: i32 = 0;
/// Level 1.
pub(crate) const NARROW: i32 = 1;

impl SerializeRow for Row<'_> {
    /// In the order of the markers in [`crate::statements`].
    fn serialize(
        &self,
        ctx: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        let Self { entry, arrival, shard, .. } = *self;
        let (record, identity) = (&entry.record, &entry.identity);
        let (tenant, source, table) = (record.tenant.as_str(), record.source.as_str(), record.table.as_str());
        let record_id = record.record_id.as_slice();
        let (event_id, digest) = (identity.event_id.as_str(), &identity.input_digest.0);
        let (revision, published_at) = (i64::from(identity.revision), identity.published_at.as_micros());
        let occurred_at = entry.occurred_at.as_micros();
        let (quarter, hour_occurred) = (quarter(occurred_at), hour(occurred_at));
        let hour_arrived = hour(arrival.at.as_micros());
        let position = || entry.position.as_ref().map(Position::sort_key).unwrap_or_default();
        match self.kind {
            Kind::Entry => {
                let kept = (inverted(arrival.at), entry.content.as_str());
                (tenant, source, event_id, digest, revision, published_at, kept, published_at).serialize(ctx, writer)
            }
            Kind::RecordBucket => {
                (tenant, table, record_id, source, quarter, shard, published_at).serialize(ctx, writer)
            }
            Kind::TableName => (tenant, source, table, published_at).serialize(ctx, writer),
            Kind::TermBucket(key) => {
                let TermKey { kind, source, table, term, .. } = key;
                (tenant, kind.as_str(), source, table, term, quarter, shard, published_at).serialize(ctx, writer)
            }
            Kind::AnyTermBucket(TermKey { kind, source, table, .. }) => {
                (tenant, kind.as_str(), source, table, ANY_TERM, quarter, WIDE, published_at).serialize(ctx, writer)
            }
            Kind::TermHour(key) => {
                let TermKey { kind, source, table, term, .. } = key;
                (tenant, kind.as_str(), source, table, term, quarter, hour_occurred, shard, published_at)
                    .serialize(ctx, writer)
            }
            Kind::JournalBucket => (hour_arrived, arrival.worker.as_str(), shard, published_at).serialize(ctx, writer),
            Kind::Record => (
                tenant,
                source,
                table,
                record_id,
                quarter,
                shard,
                occurred_at,
                position(),
                event_id,
                digest,
                revision,
                published_at,
                self.kept(None),
                published_at,
            )
                .serialize(ctx, writer),
            Kind::Wide(key) | Kind::Narrow(key) => {
                let (level, bucket) = match self.kind {
                    Kind::Narrow(_) => (NARROW, hour_occurred),
                    _ => (WIDE, quarter),
                };
                let is_across_tables = matches!(key.kind, TermKind::Facet(_));
                (
                    tenant,
                    key.kind.as_str(),
                    &key.source,
                    &key.table,
                    &key.term,
                    level,
                    bucket,
                    shard,
                    occurred_at,
                    position(),
                    event_id,
                    digest,
                    revision,
                    published_at,
                    self.kept(Some((is_across_tables.then_some(source), is_across_tables.then_some(table), record_id))),
                    published_at,
                )
                    .serialize(ctx, writer)
            }
            Kind::Journal => (
                arrival.worker.as_str(),
                hour_arrived,
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
