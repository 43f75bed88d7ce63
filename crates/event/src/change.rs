//! The canonical change event: what every wire format is turned into.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::Timestamp;
use afterimage_json::{Pointer, Raw};

/// One change of one record, as its producer announced it.
///
/// Slices borrow from the message (or from its unwrapped body) and are proven JSON; nothing is lost on the way here:
/// keys that no field takes are kept in `context` under `extra`.
#[derive(Clone, Debug)]
pub struct ChangeEvent<'a> {
    /// What makes two tellings the same event, and where it came from.
    pub id: EventId,
    /// The record this is about.
    pub record: RecordKey,
    /// What was done to it.
    pub op: Op,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Where `occurred_at` came from.
    pub time_origin: TimeOrigin,
    /// Where it stands among the changes of its domain, when the producer or the queue numbers them.
    pub position: Option<Position>,
    /// Did the event itself carry `position` (and not the queue that brought it)?
    pub position_is_own: bool,
    /// The transaction it was part of.
    pub transaction: Option<String>,
    /// Who did it; absent when the event does not say.
    pub actor: Option<Actor>,
    /// From where and why: a JSON object, as sent, with unknown keys of the event under `extra`.
    pub context: Option<Cow<'a, str>>,
    /// Members of the context's `extra` to which more applies than to other context.
    pub asides: Vec<Aside>,
    /// Human names for ids, frozen when the change was made: a JSON object, as sent.
    pub labels: Option<Raw<'a>>,
    /// The record before; absent for an insert, and where a format has none.
    pub before: Option<Cow<'a, str>>,
    /// The record after; absent for a delete.
    pub after: Option<Cow<'a, str>>,
    /// Values the capture could not see, by pointer.
    pub unknown: Vec<Pointer>,
    /// When SNS or SQS accepted the message.
    pub published_at: Timestamp,
}

/// A member of a context's `extra` that is not the producer's word on from where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Its name in `extra`.
    pub name: String,
    /// What it is.
    pub kind: AsideKind,
}

/// What an [`Aside`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsideKind {
    /// Values of the record that the operation has no place for, such as the image before an insert: data, which the
    /// rules of its table protect as they protect its images.
    Image,
    /// What the one who brought the change says of himself: no data of the event. The same change brought by another way
    /// is the same event.
    Carrier,
}

/// The identity of an event within its tenant and source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventId {
    /// The id itself.
    pub value: String,
    /// Who gave it.
    pub origin: IdOrigin,
}

/// Who gave an event its id; the first that has one, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdOrigin {
    /// The producer, in the event.
    Event,
    /// SNS: the same for every delivery of one publish, not for a second publish of the same change.
    Sns,
    /// SQS: the same for every receive of one message, not for a second send of the same change.
    Sqs,
}

/// Who gave an event its time; the first that has one, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeOrigin {
    /// The producer, in the event.
    Event,
    /// The source's commit time.
    Commit,
    /// The SNS `Timestamp`.
    Sns,
    /// The SQS `SentTimestamp`.
    Sqs,
}

/// A record: one row or document of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// The customer it belongs to; `default` where the event names none.
    pub tenant: String,
    /// The service or database that owns it; `default` where nothing names one.
    pub source: String,
    /// The table or collection.
    pub table: String,
    /// The parts of its key, numbers by their literal text. Empty for what concerns a whole table (truncate, ddl).
    pub record_id: Vec<String>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// A new record (`insert`, `create`).
    Insert,
    /// A changed record.
    Update,
    /// A removed record.
    Delete,
    /// All records of a table removed at once.
    Truncate,
    /// A record as it stood when capture began (`snapshot`, `read`).
    Snapshot,
    /// Somebody looked at a record.
    Access,
    /// A change of the schema.
    Ddl,
}

impl Op {
    /// Every operation, in the order of declaration.
    pub const ALL: [Self; 7] =
        [Self::Insert, Self::Update, Self::Delete, Self::Truncate, Self::Snapshot, Self::Access, Self::Ddl];

    /// The name the trail shows (design §4).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
            Self::Snapshot => "snapshot",
            Self::Access => "access",
            Self::Ddl => "ddl",
        }
    }

    /// Does an event of this kind make no sense without an image (design §2)?
    #[must_use]
    pub const fn needs_image(self) -> bool {
        !matches!(self, Self::Truncate | Self::Ddl | Self::Access)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of insert, create, update, delete, truncate, snapshot, read, access, ddl")]
pub struct ParseOpError;

impl FromStr for Op {
    type Err = ParseOpError;

    /// Reads the trail's names and the producers' synonyms (`create` = insert, `read` = snapshot), in any letter case.
    fn from_str(text: &str) -> Result<Self, ParseOpError> {
        if text.eq_ignore_ascii_case("create") {
            return Ok(Self::Insert);
        }
        if text.eq_ignore_ascii_case("read") {
            return Ok(Self::Snapshot);
        }
        Self::ALL.into_iter().find(|op| text.eq_ignore_ascii_case(op.as_str())).ok_or(ParseOpError)
    }
}

/// A place in an order that somebody else keeps: a producer's `seq`, a log position, a FIFO `SequenceNumber`.
///
/// Two positions say something about each other only within one domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Who numbers: `seq:<source>`, `lsn:<database>`, `sns:<topic ARN>/<group>`, `sqs:<group>`.
    pub domain: String,
    /// A decimal number without sign or leading zeros, as text: it may be longer than any integer type.
    value: String,
}

impl Position {
    /// Longest position kept: `DynamoDB` stream sequence numbers have up to 40 digits, nobody else has more.
    pub const DIGITS_MAX: usize = 64;

    /// A position from decimal digits; leading zeros are dropped. `None` when it is empty, too long or not digits.
    #[must_use]
    pub fn new(domain: impl Into<String>, digits: &str) -> Option<Self> {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        let value = if significant.is_empty() { "0" } else { significant };
        (value.len() <= Self::DIGITS_MAX).then(|| Self { domain: domain.into(), value: value.to_owned() })
    }

    /// The number, as decimal digits without leading zeros.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Bytes that sort as the number does: its length, then its digits.
    #[must_use]
    pub fn sort_key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.value.len() + 1);
        key.push(self.value.len() as u8); // DIGITS_MAX fits
        key.extend_from_slice(self.value.as_bytes());
        key
    }
}

/// Who made a change. At least one part is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// What kind of actor: user, service, system, migration, agent, …
    pub kind: Option<String>,
    /// Their id.
    pub id: Option<String>,
    /// Their name.
    pub name: Option<String>,
    /// Their address.
    pub email: Option<String>,
    /// For whom they acted.
    pub on_behalf_of: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_sort_as_numbers() {
        let key = |digits| Position::new("d", digits).unwrap().sort_key();
        assert!(key("9") < key("10"));
        assert!(key("00000000000000000099") < key("100"));
        assert_eq!(key("000"), key("0"));
        assert_eq!(Position::new("d", ""), None);
        assert_eq!(Position::new("d", "-1"), None);
        assert_eq!(Position::new("d", &"1".repeat(Position::DIGITS_MAX + 1)), None);
    }

    #[test]
    fn every_spelling_of_an_operation_is_read() {
        for op in Op::ALL {
            assert_eq!(op.as_str().parse(), Ok(op));
            assert_eq!(op.as_str().to_uppercase().parse(), Ok(op));
        }
        assert_eq!("create".parse(), Ok(Op::Insert));
        assert_eq!("READ".parse(), Ok(Op::Snapshot));
        assert_eq!("upsert".parse::<Op>(), Err(ParseOpError));
    }
}
