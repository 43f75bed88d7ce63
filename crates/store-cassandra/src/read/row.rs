//! An index row as it comes out of the database.

use afterimage_event::{Position, RecordKey, Timestamp};
use afterimage_store::{Digest, Identity, IndexRow, Provenance, StoreError};

use super::bucket::Partition;

/// `kept`: see [`crate::schema`].
type Kept = (
    i64,
    String,
    Option<String>,
    Option<Vec<String>>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<Who>,
    Option<RecordRest>,
);
type Who = (Option<Vec<String>>, Option<String>, Option<String>, Option<String>);
type RecordRest = (Option<String>, Option<String>, Option<Vec<String>>);

/// The columns of an index row that are read.
pub(super) type Columns = (i64, Vec<u8>, String, Vec<u8>, i64, i64, Option<Kept>);

/// The order key as it is stored: unique within a tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) occurred_at: i64,
    pub(super) position: Vec<u8>,
    pub(super) event_id: String,
    pub(super) input_digest: Vec<u8>,
    pub(super) revision: i64,
    pub(super) published_at: i64,
}

impl Key {
    /// Before every row of this time, and not before any earlier one.
    pub(super) fn least_at(occurred_at: i64) -> Self {
        Self {
            occurred_at,
            position: Vec::new(),
            event_id: String::new(),
            input_digest: Vec::new(),
            revision: 0,
            published_at: i64::MIN,
        }
    }
}

/// One row of either table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) key: Key,
    kept: Option<Kept>,
}

impl From<Columns> for Row {
    fn from((occurred_at, position, event_id, input_digest, revision, published_at, kept): Columns) -> Self {
        let key = Key { occurred_at, position, event_id, input_digest, revision, published_at };
        Self { key, kept }
    }
}

impl Row {
    /// Of two tellings in different shards, was this stored first?
    pub(super) fn is_earlier_than(&self, other: &Self) -> bool {
        let inverted = |row: &Self| row.kept.as_ref().map(|kept| kept.0);
        inverted(self) > inverted(other)
    }

    /// `partition` is where it was found: its key says the rest.
    pub(super) fn into_index_row(self, partition: Partition<'_>) -> Result<IndexRow, StoreError> {
        let damaged = || StoreError::Damaged { reason: "an index row is not as this release writes it".to_owned() };
        let at = |micros| Timestamp::from_micros(micros).map_err(|_| damaged());
        let digest = |bytes: Vec<u8>| bytes.try_into().map(Digest).map_err(|_| damaged());
        let (_, op, domain, changed, before, after, expires_at, who, rest) = self.kept.ok_or_else(damaged)?;
        let record = match partition {
            Partition::Record(record) => record.clone(),
            Partition::Wide(key) | Partition::Narrow(key) => {
                let (source, table, record_id) = rest.ok_or_else(damaged)?;
                RecordKey {
                    tenant: key.tenant.clone(),
                    source: source.unwrap_or_else(|| key.source.clone()),
                    table: table.unwrap_or_else(|| key.table.clone()),
                    record_id: record_id.unwrap_or_default(),
                }
            }
        };
        let (actors, request, transaction, migration) = who.unwrap_or_default();
        let position = domain.map(|domain| {
            // The digits stand behind their number: see Position::sort_key.
            let digits = self.key.position.get(1..).and_then(|digits| std::str::from_utf8(digits).ok());
            digits.and_then(|digits| Position::new(domain, digits)).ok_or_else(damaged)
        });
        Ok(IndexRow {
            record,
            identity: Identity {
                event_id: self.key.event_id,
                input_digest: digest(self.key.input_digest)?,
                revision: self.key.revision.try_into().map_err(|_| damaged())?,
                published_at: at(self.key.published_at)?,
            },
            op: op.parse().map_err(|_| damaged())?,
            occurred_at: at(self.key.occurred_at)?,
            position: position.transpose()?,
            changed: changed.unwrap_or_default(),
            before_digest: before.map(digest).transpose()?,
            after_digest: after.map(digest).transpose()?,
            provenance: Provenance { actors: actors.unwrap_or_default(), request, transaction, migration },
            expires_at: expires_at.map(at).transpose()?,
        })
    }
}
