use std::sync::Arc;

use afterimage_diff::Images;
use afterimage_event::{Actor, Op, Position, RecordKey, Timestamp};
use afterimage_json::{Raw, canonical};

use crate::assemble::Parts;
use crate::{Digest, Entry, Identity, RecordQuery};

/// So many seconds after 2026-01-01T00:00:00Z.
///
/// # Panics
/// Outside the years that can be shown.
#[must_use]
pub fn moment(seconds: i64) -> Timestamp {
    const BASE_SECONDS: i64 = 1_767_225_600;
    Timestamp::from_micros((BASE_SECONDS + seconds) * 1_000_000).expect("a moment that can be shown")
}

/// An event as a worker would tell it to a store: a builder of entries for tests.
#[derive(Clone, Debug)]
pub struct Telling {
    record: RecordKey,
    event_id: String,
    op: Op,
    at: Timestamp,
    published_at: Option<Timestamp>,
    position: Option<Position>,
    revision: u32,
    before: Option<String>,
    after: Option<String>,
    changes: Option<String>,
    changed: Option<Vec<String>>,
    images: Images,
    kept: bool,
    expires_at: Option<Timestamp>,
    data: Option<u8>,
    actor: Option<Actor>,
    transaction: Option<String>,
    context: Option<String>,
}

impl Telling {
    /// An event of the record `r` of table `t` in source `s`.
    #[must_use]
    pub fn new(tenant: &str, event_id: &str, op: Op, second: i64) -> Self {
        Self {
            record: RecordKey {
                tenant: tenant.to_owned(),
                source: "s".to_owned(),
                table: "t".to_owned(),
                record_id: vec!["r".to_owned()],
            },
            event_id: event_id.to_owned(),
            op,
            at: moment(second),
            published_at: None,
            position: None,
            revision: 0,
            before: None,
            after: None,
            changes: None,
            changed: None,
            images: Images::After,
            kept: true,
            expires_at: None,
            data: None,
            actor: None,
            transaction: None,
            context: None,
        }
    }

    /// Of this record.
    #[must_use]
    pub fn record<'t>(mut self, table: &str, record_id: impl IntoIterator<Item = &'t str>) -> Self {
        self.record.table = table.to_owned();
        self.record.record_id = record_id.into_iter().map(str::to_owned).collect();
        self
    }

    /// Of this source.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        self.record.source = source.to_owned();
        self
    }

    /// Of this operation.
    #[must_use]
    pub fn op(mut self, op: Op) -> Self {
        self.op = op;
        self
    }

    /// With these images; an empty text is none.
    #[must_use]
    pub fn images(mut self, before: &str, after: &str) -> Self {
        let image = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (self.before, self.after) = (image(before), image(after));
        self
    }

    /// With these changes: a JSON array.
    #[must_use]
    pub fn changes(mut self, changes: &str) -> Self {
        self.changes = Some(changes.to_owned());
        self
    }

    /// Of these top-level names; without it of the first three of its image.
    #[must_use]
    pub fn changed_names<'t>(mut self, names: impl IntoIterator<Item = &'t str>) -> Self {
        self.changed = Some(names.into_iter().map(str::to_owned).collect());
        self
    }

    /// Under this images policy; `kept` says if the image after is there.
    #[must_use]
    pub fn policy(mut self, images: Images, kept: bool) -> Self {
        (self.images, self.kept) = (images, kept);
        self
    }

    /// At this position of the domain `seq:s`.
    ///
    /// # Panics
    /// When these are no digits.
    #[must_use]
    pub fn position(mut self, digits: &str) -> Self {
        self.position = Some(Position::new("seq:s", digits).expect("digits"));
        self
    }

    /// Published then, and not when it happened.
    #[must_use]
    pub fn published(mut self, second: i64) -> Self {
        self.published_at = Some(moment(second));
        self
    }

    /// By this actor.
    #[must_use]
    pub fn actor(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// In this transaction.
    #[must_use]
    pub fn transaction(mut self, transaction: &str) -> Self {
        self.transaction = Some(transaction.to_owned());
        self
    }

    /// With this context: a JSON object.
    #[must_use]
    pub fn context(mut self, context: &str) -> Self {
        self.context = Some(context.to_owned());
        self
    }

    /// With other data under the same id; without it the data is what the images, the record and the time say.
    #[must_use]
    pub fn data(mut self, data: u8) -> Self {
        self.data = Some(data);
        self
    }

    /// Corrected so many times.
    #[must_use]
    pub fn revision(mut self, revision: u32) -> Self {
        self.revision = revision;
        self
    }

    /// Shown until then.
    #[must_use]
    pub fn expires(mut self, second: i64) -> Self {
        self.expires_at = Some(moment(second));
        self
    }

    /// The question for its record.
    #[must_use]
    pub fn query(&self) -> RecordQuery {
        RecordQuery {
            tenant: self.record.tenant.clone(),
            source: Some(self.record.source.clone()),
            table: self.record.table.clone(),
            record_id: self.record.record_id.clone(),
        }
    }

    /// Its record.
    #[must_use]
    pub fn record_key(&self) -> RecordKey {
        self.record.clone()
    }

    /// The entry.
    #[must_use]
    pub fn entry(&self) -> Arc<Entry> {
        let keeps_after = self.images == Images::After || (self.images == Images::Changes && self.kept);
        let keeps_before = self.op == Op::Delete && self.images != Images::Names;
        let parts = Parts {
            rules: "0123456789abcdef",
            record: self.record.clone(),
            identity: Identity {
                event_id: self.event_id.clone(),
                input_digest: self.input_digest(),
                revision: self.revision,
                published_at: self.published_at.unwrap_or(self.at),
            },
            op: self.op,
            occurred_at: self.at,
            position: self.position.clone(),
            transaction: self.transaction.as_deref(),
            actor: self.actor.as_ref(),
            context: self.context.as_deref(),
            labels: None,
            images: self.images,
            changed: self.changed(),
            changes: self.changes.clone(),
            before: self.before.as_deref().filter(|_| keeps_before),
            after: self.after.as_deref().filter(|_| keeps_after),
            unknown: &[],
            redacted: &[],
            approximate: &[],
            before_digest: self.before.as_deref().map(image_digest),
            after_digest: self.after.as_deref().map(image_digest),
            expires_at: self.expires_at,
        };
        Arc::new(parts.into_entry())
    }

    fn changed(&self) -> Vec<String> {
        if let Some(changed) = &self.changed {
            return changed.clone();
        }
        let image = self.after.as_deref().or(self.before.as_deref()).map(|text| Raw::parse(text).expect("an image"));
        let members = image.and_then(Raw::members).into_iter().flatten();
        members.map(|(key, _)| key.into_owned()).take(3).collect()
    }

    fn input_digest(&self) -> Digest {
        if let Some(data) = self.data {
            return Digest([data; 16]);
        }
        let told = format!("{:?}", (&self.record, self.op, &self.before, &self.after));
        half(&blake3::hash(told.as_bytes()))
    }
}

fn image_digest(image: &str) -> Digest {
    let mut bytes = Vec::new();
    canonical(Raw::parse(image).expect("an image"), &mut bytes);
    half(&blake3::hash(&bytes))
}

fn half(hash: &blake3::Hash) -> Digest {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    Digest(half)
}
