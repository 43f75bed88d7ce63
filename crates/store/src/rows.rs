//! What a backend keeps, and gives back, before the questions are answered from it.

use afterimage_event::{Op, Position, RecordKey, Timestamp};

use crate::{Digest, Entry, Identity, OrderKey, Provenance};

/// One index row: which entry, where it stands, and what can be said of it without reading its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexRow {
    /// The record.
    pub record: RecordKey,
    /// The entry.
    pub identity: Identity,
    /// What was done.
    pub op: Op,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Its position.
    pub position: Option<Position>,
    /// Top-level names that changed.
    pub changed: Vec<String>,
    /// Digest of the image before.
    pub before_digest: Option<Digest>,
    /// Digest of the image after.
    pub after_digest: Option<Digest>,
    /// Who made it, in the course of what.
    pub provenance: Provenance,
    /// When it may no longer be shown.
    pub expires_at: Option<Timestamp>,
}

impl IndexRow {
    /// Where it stands in the order of its record.
    #[must_use]
    pub fn order_key(&self) -> OrderKey {
        OrderKey::new(self.occurred_at, self.position.as_ref(), &self.identity)
    }
}

impl From<&Entry> for IndexRow {
    fn from(entry: &Entry) -> Self {
        Self {
            record: entry.record.clone(),
            identity: entry.identity.clone(),
            op: entry.op,
            occurred_at: entry.occurred_at,
            position: entry.position.clone(),
            changed: entry.changed.clone(),
            before_digest: entry.before_digest,
            after_digest: entry.after_digest,
            provenance: entry.provenance.clone(),
            expires_at: entry.expires_at,
        }
    }
}

/// The content of one entry, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentRow {
    /// The entry.
    pub identity: Identity,
    /// When a worker stored it first.
    pub stored_at: Timestamp,
    /// Its content: see [`crate::content`].
    pub content: String,
}

/// All records of one table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableKey {
    /// The tenant.
    pub tenant: String,
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
}

/// Which way to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Newest first.
    Descending,
    /// Oldest first.
    Ascending,
}

/// Part of an order: from a time (inclusive) to a time (exclusive), past a row already seen, at most so many rows.
#[derive(Clone, Debug)]
pub struct RowRange {
    /// Earliest `occurred_at`, inclusive.
    pub from: Option<Timestamp>,
    /// Latest `occurred_at`, exclusive.
    pub to: Option<Timestamp>,
    /// Only rows strictly beyond this one, in the direction of the walk.
    pub past: Option<OrderKey>,
    /// Which way.
    pub direction: Direction,
    /// At most so many rows; fewer only at the end of the range.
    pub limit: usize,
}
