use afterimage_diff::Images;
use afterimage_event::{Op, Timestamp};
use afterimage_json::Raw;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::TrailError;
use super::walk::Shown;
use crate::content::{ActorParts, Content, Side, changes_of_image};
use crate::{ContentRow, Digest, StoreError};

/// What a reader should know before relying on an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Flag {
    /// It ties with a neighbour, and nothing but its id decides which came first.
    Ambiguous,
    /// Its position and the clock contradict each other.
    ClockRegression,
    /// The same event id was told with other data.
    Conflict,
    /// State: a change is missing between the entries it was folded from; somebody changed the record past the audit.
    Gap,
    /// State: the table was truncated after the record's last entry.
    Truncated,
    /// State: the trail begins later, with a change of a record that was there already.
    BeforeFirstEntry,
    /// State: what the record looked like has expired.
    Expired,
}

/// One page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    /// At most as many as asked for; fewer do not mean the end.
    pub items: Vec<T>,
    /// Where to go on; only `None` is the end.
    pub next: Option<String>,
}

/// An entry as readers see it: serialises to the JSON of the API, the command line and exports.
#[derive(Clone, Debug, Serialize)]
pub struct EntryView {
    /// The event id.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The parts of the record's key.
    pub record_id: Vec<String>,
    /// What was done.
    #[serde(serialize_with = "shown")]
    pub op: Op,
    /// When it happened.
    #[serde(serialize_with = "shown")]
    pub occurred_at: Timestamp,
    /// Where it stands among the changes of its domain.
    pub position: Option<PositionView>,
    /// The transaction it was part of.
    pub transaction: Option<String>,
    /// Who did it.
    pub actor: Option<ActorParts>,
    /// From where and why: a JSON object.
    pub context: Box<RawValue>,
    /// Human names for ids: a JSON object.
    pub labels: Box<RawValue>,
    /// Top-level names that changed.
    pub changed: Vec<String>,
    /// What changed: a JSON array of `{path, old?, new?}`.
    pub changes: Box<RawValue>,
    /// The image after, where it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Box<RawValue>>,
    /// Pointers to values that the capture could not see.
    pub unknown: Vec<String>,
    /// Digest of the image before.
    #[serde(serialize_with = "shown_option")]
    pub before_digest: Option<Digest>,
    /// Digest of the image after.
    #[serde(serialize_with = "shown_option")]
    pub after_digest: Option<Digest>,
    /// When the queue accepted the message.
    #[serde(serialize_with = "shown")]
    pub published_at: Timestamp,
    /// When a worker stored it.
    #[serde(serialize_with = "shown")]
    pub stored_at: Timestamp,
    /// When it may no longer be shown.
    #[serde(serialize_with = "shown_option")]
    pub expires_at: Option<Timestamp>,
    /// 0 as ingested; higher for a corrected replay.
    pub revision: u32,
    /// What to know before relying on it.
    pub flags: Vec<Flag>,
}

/// A position, as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PositionView {
    /// Who numbers.
    pub domain: String,
    /// The number, as decimal digits: it may be longer than any integer type.
    pub value: String,
}

/// A record as it stood at a time.
#[derive(Clone, Debug, Serialize)]
pub struct StateView {
    /// Did it exist? `None` when the trail cannot tell.
    pub exists: Option<bool>,
    /// Its image; after a delete or truncate the last one it had; `None` when it never had one.
    pub state: Option<Box<RawValue>>,
    /// When it became so: the time of the entry the answer stands on.
    #[serde(serialize_with = "shown_option")]
    pub as_of: Option<Timestamp>,
    /// Pointers to values that the capture could not see.
    pub unknown: Vec<String>,
    /// Pointers to values that may be out of date.
    pub approximate: Vec<String>,
    /// Pointers to values that rules took out or made unreadable.
    pub redacted: Vec<String>,
    /// What to know before relying on it.
    pub flags: Vec<Flag>,
}

pub(super) fn shown<S: Serializer>(value: impl std::fmt::Display, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&value)
}

pub(super) fn shown_option<S: Serializer>(value: &Option<impl std::fmt::Display>, out: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => out.collect_str(value),
        None => out.serialize_none(),
    }
}

impl EntryView {
    pub(super) fn new(shown: &Shown, flags: Vec<Flag>) -> Result<Self, TrailError> {
        let content = read(&shown.content)?;
        let changes = changes(&content)?;
        Ok(Self {
            id: content.id,
            tenant: content.tenant,
            source: content.source,
            table: content.table,
            record_id: content.record_id,
            op: content.op,
            occurred_at: content.occurred_at,
            position: content
                .position
                .map(|position| PositionView { value: position.value().to_owned(), domain: position.domain }),
            transaction: content.transaction,
            actor: content.actor,
            context: content.context.map_or_else(|| literal("{}"), Ok)?,
            labels: content.labels.map_or_else(|| literal("{}"), Ok)?,
            changed: content.changed,
            changes,
            after: content.after,
            unknown: content.unknown,
            before_digest: content.before_digest,
            after_digest: content.after_digest,
            published_at: content.published_at,
            stored_at: shown.content.stored_at,
            expires_at: content.expires_at,
            revision: content.revision,
            flags,
        })
    }
}

/// What is stored of this version.
pub(super) fn read(version: &ContentRow) -> Result<Content, TrailError> {
    Content::read(&version.content).map_err(|error| TrailError::damaged(&version.identity.event_id, &error))
}

/// The changes of an entry: those of an update as stored, those of an insert or delete from its one image.
fn changes(content: &Content) -> Result<Box<RawValue>, TrailError> {
    let (image, side) = match content.op {
        Op::Insert => (&content.after, Side::New),
        Op::Delete => (&content.before, Side::Old),
        _ => return content.changes.clone().map_or_else(|| literal("[]"), Ok),
    };
    match image {
        Some(image) if content.images != Images::Names => {
            let image = Raw::parse(image.get()).map_err(|error| {
                let reason = format!("image of event `{}`: {error}", content.id);
                TrailError::Store(StoreError::Damaged { reason })
            })?;
            literal(&changes_of_image(image, side, &content.redacted))
        }
        _ => literal("[]"),
    }
}

/// Text that is JSON by construction.
fn literal(text: &str) -> Result<Box<RawValue>, TrailError> {
    RawValue::from_string(text.to_owned())
        .map_err(|error| TrailError::Store(StoreError::Damaged { reason: error.to_string() }))
}
