use afterimage_diff::{Change, ChangeKind, Images};
use afterimage_event::{Op, Position, RecordKey, Timestamp};
use afterimage_json::{Pointer, Raw};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::FORMAT_VERSION;
use crate::index::Who;
use crate::{Digest, Identity, OrderKey, Provenance};

/// The content of an entry, read. Images and values stay the text they were sent as.
#[derive(Debug, Deserialize)]
pub struct Content {
    v: u32,
    /// Digest of the rules that shaped it.
    pub rules: String,
    /// The event id.
    pub id: String,
    /// Digest of the event's data.
    #[serde(deserialize_with = "parsed")]
    pub input_digest: Digest,
    /// 0 as ingested; higher for a corrected replay.
    pub revision: u32,
    /// When the queue accepted the message.
    #[serde(deserialize_with = "parsed")]
    pub published_at: Timestamp,
    /// The tenant.
    pub tenant: String,
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The parts of the record's key.
    pub record_id: Vec<String>,
    /// What was done.
    #[serde(deserialize_with = "parsed")]
    pub op: Op,
    /// When it happened.
    #[serde(deserialize_with = "parsed")]
    pub occurred_at: Timestamp,
    /// Where it stands among the changes of its domain.
    #[serde(default, deserialize_with = "position")]
    pub position: Option<Position>,
    /// The transaction it was part of.
    pub transaction: Option<String>,
    /// Who did it.
    pub actor: Option<ActorParts>,
    /// From where and why: a JSON object.
    pub context: Option<Box<RawValue>>,
    /// Human names for ids: a JSON object.
    pub labels: Option<Box<RawValue>>,
    /// Which images the table kept.
    #[serde(deserialize_with = "parsed")]
    pub images: Images,
    /// Top-level names that changed.
    pub changed: Vec<String>,
    /// The changes of an update: a JSON array.
    pub changes: Option<Box<RawValue>>,
    /// The image before: deletes only.
    #[serde(default, deserialize_with = "present")]
    pub before: Option<Box<RawValue>>,
    /// The image after.
    #[serde(default, deserialize_with = "present")]
    pub after: Option<Box<RawValue>>,
    /// Pointers to values that the capture could not see.
    #[serde(default)]
    pub unknown: Vec<String>,
    /// Pointers to values that rules took out or made unreadable.
    #[serde(default)]
    pub redacted: Vec<String>,
    /// Pointers to values that may be out of date, since their change alone makes no entry.
    #[serde(default)]
    pub approximate: Vec<String>,
    /// Digest of the image before.
    #[serde(default, deserialize_with = "parsed_option")]
    pub before_digest: Option<Digest>,
    /// Digest of the image after.
    #[serde(default, deserialize_with = "parsed_option")]
    pub after_digest: Option<Digest>,
    /// When it may no longer be shown.
    #[serde(default, deserialize_with = "parsed_option")]
    pub expires_at: Option<Timestamp>,
}

/// Who made a change, as the trail shows it: every part present, null where it is not known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct ActorParts {
    /// What kind of actor.
    #[serde(rename = "type")]
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

/// Stored content cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// It is no content of format 1. The place is that of the fault; values are never shown.
    #[error("expected content of format {FORMAT_VERSION}, fault at line {line} column {column}")]
    Malformed {
        /// Line in the text, from 1.
        line: usize,
        /// Byte in the line, from 1.
        column: usize,
    },
    /// A later version wrote it.
    #[error("content of format {found}, this version reads up to {FORMAT_VERSION}; upgrade afterimage")]
    TooNew {
        /// The format found.
        found: u32,
    },
}

impl Content {
    /// Reads content.
    ///
    /// # Errors
    /// [`ContentError`] when the text is damaged or was written by a later version.
    pub fn read(text: &str) -> Result<Self, ContentError> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        match serde_json::from_str::<Self>(text) {
            Ok(content) if content.v == FORMAT_VERSION => Ok(content),
            Ok(Self { v, .. }) => Err(ContentError::TooNew { found: v }),
            // Another format may well have another shape, so the version is looked for alone.
            Err(error) => Err(match serde_json::from_str::<Version>(text) {
                Ok(Version { v }) if v > FORMAT_VERSION => ContentError::TooNew { found: v },
                _ => ContentError::Malformed { line: error.line(), column: error.column() },
            }),
        }
    }

    /// What its entry is looked up by besides its record: that of [`crate::Entry::provenance`].
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        let who = self.actor.as_ref().map_or_else(Who::default, |ActorParts { id, name, email, .. }| Who {
            id: id.as_deref(),
            email: email.as_deref(),
            name: name.as_deref(),
        });
        Provenance::new(who, self.transaction.as_deref(), self.context.as_deref().map(RawValue::get))
    }

    /// The record it belongs to.
    #[must_use]
    pub fn record(&self) -> RecordKey {
        RecordKey {
            tenant: self.tenant.clone(),
            source: self.source.clone(),
            table: self.table.clone(),
            record_id: self.record_id.clone(),
        }
    }

    /// Its identity.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            event_id: self.id.clone(),
            input_digest: self.input_digest,
            revision: self.revision,
            published_at: self.published_at,
        }
    }

    /// Where it stands in the order of its record.
    #[must_use]
    pub fn order_key(&self) -> OrderKey {
        OrderKey {
            occurred_at: self.occurred_at,
            position: self.position.as_ref().map(Position::sort_key).unwrap_or_default(),
            identity: self.identity(),
        }
    }
}

/// A change, read back. `None` for one whose values were redacted: images do not hold them either. Which element of an array it is about is told by its
/// path.
#[must_use]
pub fn read_change<'a>(change: Raw<'a>) -> Option<Change<'a>> {
    let pointer = |key| change.get(key).and_then(Raw::string).and_then(|text| text.parse::<Pointer>().ok());
    let values = |list: Raw<'a>| list.elements().map(|elements| elements.collect::<Vec<_>>());
    let kind = match (change.get("old"), change.get("new"), change.get("order")) {
        (None, Some(new), _) => ChangeKind::Added { new },
        (Some(old), None, _) => ChangeKind::Removed { old },
        (Some(old), Some(new), _) => ChangeKind::Replaced { old, new },
        (None, None, Some(order)) => {
            ChangeKind::Order { old: values(order.get("old")?)?, new: values(order.get("new")?)? }
        }
        (None, None, None) => return None,
    };
    Some(Change { path: pointer("path")?, old_path: pointer("old_path"), key: Vec::new(), kind })
}

fn parsed<'de, D: Deserializer<'de>, T: std::str::FromStr<Err: std::fmt::Display>>(source: D) -> Result<T, D::Error> {
    String::deserialize(source)?.parse().map_err(serde::de::Error::custom)
}

fn parsed_option<'de, D: Deserializer<'de>, T: std::str::FromStr<Err: std::fmt::Display>>(
    source: D,
) -> Result<Option<T>, D::Error> {
    parsed(source).map(Some)
}

/// An image that is there, were it the JSON value `null`.
fn present<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(source).map(Some)
}

fn position<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Position>, D::Error> {
    #[derive(Deserialize)]
    struct Parts {
        domain: String,
        value: String,
    }
    let parts = Parts::deserialize(source)?;
    Position::new(parts.domain, &parts.value)
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("expected a position of decimal digits"))
}
