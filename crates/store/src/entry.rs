//! The entry: what the trail keeps of one change event, ready to be stored.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use afterimage_event::{Op, Position, RecordKey, Timestamp};

use crate::Provenance;
use crate::content::{Content, ContentError};

/// Sixteen bytes of a keyed digest; shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 16]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        // Digits are ASCII.
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hexadecimal digits")]
pub struct ParseDigestError;

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseDigestError);
        }
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| ParseDigestError)
    }
}

/// What makes two tellings the same entry: (tenant, source, event id) and a digest of the event's data (design §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The event id.
    pub event_id: String,
    /// Digest of the event's data as sent: no envelope, no rules, no clock.
    pub input_digest: Digest,
    /// 0 as ingested; higher for a corrected replay.
    pub revision: u32,
    /// When the queue accepted the message. Part of the key, so that an event published twice becomes two equal rows
    /// of which readers show the earlier one, instead of the later one overwriting the first.
    pub published_at: Timestamp,
}

/// The order of the versions of one event: the highest revision first (it supersedes the others), then by digest, then
/// by time of publishing (the earliest of equal ones is shown).
#[must_use]
pub fn version_order(a: &Identity, b: &Identity) -> Ordering {
    (b.revision, a.input_digest, a.published_at).cmp(&(a.revision, b.input_digest, b.published_at))
}

/// Where an entry stands in the order of its record (design §2): time, then position, then event id, then what
/// tells entries with one id apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderKey {
    /// When it happened.
    pub occurred_at: Timestamp,
    /// [`Position::sort_key`], empty without a position.
    pub position: Vec<u8>,
    /// Which entry.
    pub identity: Identity,
}

/// One entry, ready to be stored: the content, written whole, and the keys that indexes are made of.
///
/// A pure function of the message and the rules: no clock, no worker, no randomness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The record it belongs to.
    pub record: RecordKey,
    /// Its identity.
    pub identity: Identity,
    /// What was done.
    pub op: Op,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Its position, if it has one.
    pub position: Option<Position>,
    /// Top-level names that changed.
    pub changed: Vec<String>,
    /// Digest of the image before; absent without one.
    pub before_digest: Option<Digest>,
    /// Digest of the image after; absent without one.
    pub after_digest: Option<Digest>,
    /// Who made it, in the course of what: what it is looked up by besides its record.
    pub provenance: Provenance,
    /// When it may no longer be shown; absent when it is kept for ever.
    pub expires_at: Option<Timestamp>,
    /// Everything else, as JSON: see [`crate::content`].
    pub content: String,
}

impl OrderKey {
    pub(crate) fn new(occurred_at: Timestamp, position: Option<&Position>, identity: &Identity) -> Self {
        let position = position.map(Position::sort_key).unwrap_or_default();
        Self { occurred_at, position, identity: identity.clone() }
    }
}

impl Entry {
    /// The entry that this content was written for: everything else in it is in there, too.
    ///
    /// # Errors
    /// [`ContentError`] when the text is damaged or was written by a later version.
    pub fn from_content(text: String) -> Result<Self, ContentError> {
        let content = Content::read(&text)?;
        Ok(Self {
            record: content.record(),
            identity: content.identity(),
            provenance: content.provenance(),
            op: content.op,
            occurred_at: content.occurred_at,
            position: content.position,
            changed: content.changed,
            before_digest: content.before_digest,
            after_digest: content.after_digest,
            expires_at: content.expires_at,
            content: text,
        })
    }

    /// Where it stands in the order of its record.
    #[must_use]
    pub fn order_key(&self) -> OrderKey {
        OrderKey::new(self.occurred_at, self.position.as_ref(), &self.identity)
    }

    /// Bytes it holds in memory, roughly: for bounds on what is in flight.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        size_of::<Self>()
            + self.content.len()
            + self.identity.event_id.len()
            + self.record.record_id.iter().map(|part| part.len() + size_of::<String>()).sum::<usize>()
            + self.changed.iter().map(|name| name.len() + size_of::<String>()).sum::<usize>()
    }
}
