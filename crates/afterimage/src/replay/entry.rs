//! Entries of exports: the events that they were made of, as far as that can be proven.
//!
//! An entry keeps less than its event had: no image before an update, nothing of what rules took out. What is missing is
//! worked out from the changes, and from the entries beside it in the file, and believed only if the entry that the event makes has the digests of the one that was
//! read: they are keyed, and made of the images as they were sent. Nothing is made up: what cannot be proven is refused.

use std::borrow::Cow;

use afterimage_diff::{Change, Rules};
use afterimage_event::{
    Actor, Aside, AsideKind, ChangeEvent, EventId, ID_BYTES_MAX, IdOrigin, NAME_BYTES_MAX, OWN_SOURCE, Op, Position,
    RECORD_ID_PARTS_MAX, RecordKey, TimeOrigin, Timestamp, UNKNOWN_MAX,
};
use afterimage_json::{Pointer, Raw, equal};
use afterimage_store::content::{ActorParts, Content, read_change};
use afterimage_store::{Entry, Kept, keep};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::chain::{Chain, Link};
use super::images::{Images, done, parsed, taken_away, undone};

/// An entry as exports hold it (design §4).
#[derive(Debug, Deserialize)]
pub(super) struct Exported<'a> {
    pub(super) id: String,
    pub(super) tenant: String,
    pub(super) source: String,
    table: String,
    record_id: Vec<String>,
    op: String,
    occurred_at: String,
    #[serde(default)]
    position: Option<Place>,
    #[serde(default)]
    transaction: Option<String>,
    #[serde(default)]
    actor: Option<ActorParts>,
    #[serde(borrow)]
    context: &'a RawValue,
    #[serde(borrow)]
    labels: &'a RawValue,
    changed: Vec<String>,
    #[serde(borrow)]
    changes: &'a RawValue,
    #[serde(default, borrow, deserialize_with = "present")]
    after: Option<&'a RawValue>,
    unknown: Vec<String>,
    before_digest: Option<String>,
    after_digest: Option<String>,
    published_at: String,
    pub(super) revision: u32,
}

#[derive(Debug, Deserialize)]
struct Place {
    domain: String,
    value: String,
}

/// An image that is there, were it the JSON value `null`.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// Why an exported entry is not fed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unproven {
    #[error("not an entry as `afterimage export` writes them")]
    Malformed,
    #[error("who asked what is entered by the query API alone (source {OWN_SOURCE})")]
    Reserved,
    #[error("rules took out the value at {0}: what it was is not in the file")]
    Redacted(String),
    #[error(
        "the image {0} the change was not kept, and the entries of the record that the file has before do not lead to it: \
         export from its first change, with --asc"
    )]
    NoImage(&'static str),
    #[error(
        "no event is proven to have made it: {0} would be another. Rules took out a value, or the rules or --digest-key-file \
         given here are not those of its trail"
    )]
    Differs(&'static str),
}

impl Unproven {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "entry_malformed",
            Self::Reserved => "entry_reserved",
            Self::Redacted(_) => "entry_redacted",
            Self::NoImage(_) => "entry_without_image",
            Self::Differs(_) => "entry_unproven",
        }
    }
}

impl<'a> Exported<'a> {
    pub(super) fn read(line: &'a str) -> Result<Self, Unproven> {
        let entry: Self = serde_json::from_str(line).map_err(|_| Unproven::Malformed)?;
        let is_name = |name: &String| (1..=NAME_BYTES_MAX).contains(&name.len());
        let is_id = |id: &String| id.len() <= ID_BYTES_MAX;
        let fits = [&entry.tenant, &entry.source, &entry.table].into_iter().all(is_name)
            && is_id(&entry.id)
            && !entry.id.is_empty()
            && entry.record_id.len() <= RECORD_ID_PARTS_MAX
            && entry.record_id.iter().all(is_id)
            && entry.transaction.iter().all(is_id)
            && entry.unknown.len() <= UNKNOWN_MAX;
        if fits { Ok(entry) } else { Err(Unproven::Malformed) }
    }

    /// Is this the content that it was exported from? What only the rules of its trail say is left aside.
    pub(super) fn is(&self, content: &Content) -> bool {
        let told = [&content.id, &content.tenant, &content.source, &content.table];
        told == [&self.id, &self.tenant, &self.source, &self.table]
            && content.record_id == self.record_id
            && content.op.as_str() == self.op
            && content.revision == self.revision
            && time(&self.occurred_at) == Ok(content.occurred_at)
            && time(&self.published_at) == Ok(content.published_at)
            && self.differs(content).is_none()
    }

    /// The first thing of what it tells that the content tells otherwise.
    fn differs(&self, content: &Content) -> Option<&'static str> {
        let digest = |digest: &Option<afterimage_store::Digest>| digest.as_ref().map(ToString::to_string);
        let place = content.position.as_ref().map(|position| (position.domain.as_str(), position.value()));
        let same = |a: Option<&RawValue>, b: Option<&RawValue>| match (a, b) {
            (Some(a), Some(b)) => Raw::parse(a.get()).is_ok_and(|a| Raw::parse(b.get()).is_ok_and(|b| equal(a, b))),
            (None, None) => true,
            _ => false,
        };
        let object = |object: Option<&'a RawValue>| object.filter(|object| object.get() != "{}");
        // What a policy leaves out says nothing against the rest.
        let same_where_kept = |a: Option<&RawValue>, b: Option<&RawValue>| a.is_none() || b.is_none() || same(a, b);
        let changes = Some(self.changes).filter(|changes| changes.get() != "[]");
        [
            ("before_digest", digest(&content.before_digest) == self.before_digest),
            ("after_digest", digest(&content.after_digest) == self.after_digest),
            ("changed", content.changed == self.changed),
            ("changes", self.op != "update" || same_where_kept(content.changes.as_deref(), changes)),
            ("after", same_where_kept(content.after.as_deref(), self.after)),
            ("unknown", content.unknown == self.unknown),
            ("position", place == self.position.as_ref().map(|place| (place.domain.as_str(), place.value.as_str()))),
            ("transaction", content.transaction == self.transaction),
            ("actor", content.actor == self.actor),
            (
                "context",
                same(content.context.as_deref().filter(|context| context.get() != "{}"), object(Some(self.context))),
            ),
            (
                "labels",
                same(content.labels.as_deref().filter(|labels| labels.get() != "{}"), object(Some(self.labels))),
            ),
        ]
        .into_iter()
        .find_map(|(member, is_same)| (!is_same).then_some(member))
    }

    /// The entry that the event makes which it was made of, by these rules. `None`: its retention has ended.
    pub(super) fn entry(
        &self,
        images: &Images,
        rules: &Rules,
        now: Timestamp,
        revision: u32,
    ) -> Result<Option<Entry>, Unproven> {
        let event = self.event(images)?;
        let entry = match keep(&event, rules, now, revision) {
            Ok(Kept::Entry(entry)) => *entry,
            Ok(Kept::Expired) => return Ok(None),
            Ok(Kept::Unchanged) => return Err(Unproven::Differs("changes")),
            Err(_) => return Err(Unproven::Malformed),
        };
        let content = Content::read(&entry.content).map_err(|_| Unproven::Malformed)?;
        // What these rules take out was in the file for everybody to see.
        if !content.redacted.is_empty() {
            return Err(Unproven::Differs("redacted"));
        }
        // Digests know nothing of quiet values, and one that was carried over from another entry may be out of date.
        if images.are_folded && content.after.is_some() && !content.approximate.is_empty() {
            return Err(Unproven::NoImage("after"));
        }
        // The one image of a delete stands in no member of its own.
        let stored = content.before.as_deref().and_then(|image| Raw::parse(image.get()).ok());
        let is_whole = match (event.op, stored, images.before.as_deref().map(Raw::parse)) {
            (Op::Delete, Some(stored), Some(Ok(before))) => equal(stored, before),
            _ => true,
        };
        match self.differs(&content) {
            Some(member) => Err(Unproven::Differs(member)),
            None if !is_whole => Err(Unproven::Differs("changes")),
            None => Ok(Some(entry)),
        }
    }

    /// The event, with these images.
    fn event<'i>(&'i self, images: &'i Images) -> Result<ChangeEvent<'i>, Unproven> {
        let (occurred_at, published_at) = (time(&self.occurred_at)?, time(&self.published_at)?);
        let position = match &self.position {
            Some(place) => {
                let position = Position::new(place.domain.as_str(), &place.value);
                Some(position.filter(|position| position.value() == place.value).ok_or(Unproven::Malformed)?)
            }
            None => None,
        };
        let numbers = |prefix| self.position.as_ref().is_some_and(|place| place.domain.starts_with(prefix));
        let object = |raw: &'a RawValue| match parsed(raw.get()) {
            Ok(raw) if raw.as_str() == "{}" => Ok(None),
            Ok(raw) if raw.members().is_some() => Ok(Some(raw)),
            _ => Err(Unproven::Malformed),
        };
        let (context, labels) = (object(self.context)?, object(self.labels)?);
        // Of a change that came by Sequin: what its sink said of itself, which is no data of the event.
        let metadata = context.and_then(|context| context.get("extra")?.get("metadata")?.members());
        let carrier = metadata.filter(|_| numbers("lsn:")).map(|_| AsideKind::Carrier);
        let unknown = self.unknown.iter().map(|text| text.parse::<Pointer>().map_err(|_| Unproven::Malformed));
        let actor = self.actor.clone().map(|ActorParts { kind, id, name, email, on_behalf_of }| Actor {
            kind,
            id,
            name,
            email,
            on_behalf_of,
        });
        Ok(ChangeEvent {
            id: EventId { value: self.id.clone(), origin: IdOrigin::Event },
            record: self.record(),
            op: self.op()?,
            occurred_at,
            // A time of its own is not that of its publishing to the microsecond.
            time_origin: if occurred_at == published_at { TimeOrigin::Sqs } else { TimeOrigin::Event },
            position,
            position_is_own: numbers("seq:") || numbers("lsn:"),
            transaction: self.transaction.clone(),
            actor,
            context: context.map(|context| Cow::Borrowed(context.as_str())),
            asides: carrier.into_iter().map(|kind| Aside { name: "metadata".to_owned(), kind }).collect(),
            labels,
            before: images.before.as_deref().map(Cow::Borrowed),
            after: images.after.as_deref().map(Cow::Borrowed),
            unknown: unknown.collect::<Result<_, _>>()?,
            published_at,
        })
    }

    /// The record it is about.
    fn record(&self) -> RecordKey {
        let [tenant, source, table] = [&self.tenant, &self.source, &self.table].map(String::clone);
        RecordKey { tenant, source, table, record_id: self.record_id.clone() }
    }

    fn op(&self) -> Result<Op, Unproven> {
        let op: Op = self.op.parse().map_err(|_| Unproven::Malformed)?;
        if op.as_str() != self.op || self.record_id.is_empty() && op.needs_image() {
            return Err(Unproven::Malformed);
        }
        Ok(op)
    }

    fn changes(&self) -> Result<Vec<Change<'a>>, Unproven> {
        let changes = Raw::parse(self.changes.get()).ok().and_then(Raw::elements).ok_or(Unproven::Malformed)?;
        changes
            .map(|change| {
                let redacted = change.get("redacted").and_then(|_| change.get("path")).and_then(Raw::string);
                match redacted {
                    Some(path) => Err(Unproven::Redacted(path.into_owned())),
                    None => read_change(change).ok_or(Unproven::Malformed),
                }
            })
            .collect()
    }

    /// The images that the event had; what the chain knows of the record stands in for one that was not kept, and comes to
    /// know these.
    pub(super) fn images(&self, chain: &mut Chain) -> Result<Images, Unproven> {
        if self.source == OWN_SOURCE {
            return Err(Unproven::Reserved);
        }
        let images = self.images_next_to(chain)?;
        // Digests leave out what was unknown, so they name no image.
        if self.unknown.is_empty() {
            let sides = [(&self.before_digest, &images.before), (&self.after_digest, &images.after)];
            let link = |(digest, image): (&Option<String>, &Option<String>)| {
                Some(Link { digest: digest.clone()?, image: image.clone()? })
            };
            chain.tell(self.record(), sides.into_iter().filter_map(link).collect());
        }
        Ok(images)
    }

    fn images_next_to(&self, chain: &Chain) -> Result<Images, Unproven> {
        let changes = self.changes()?;
        let after = self.after.map(|image| parsed(image.get()).map(|image| image.as_str().to_owned())).transpose()?;
        let one = |before, after| Ok(Images { before, after, are_folded: false });
        match (self.op()?, &self.before_digest, &self.after_digest) {
            (Op::Truncate | Op::Ddl, ..) => one(None, None),
            (Op::Delete, None, _) => one(None, None),
            (Op::Delete, ..) if changes.is_empty() && !self.changed.is_empty() => Err(Unproven::NoImage("before")),
            (Op::Delete, ..) => one(Some(taken_away(&changes)?), None),
            (Op::Update, Some(_), Some(_)) if after.is_some() => {
                let after = after.unwrap_or_default();
                one(Some(undone(&changes, &after)?), Some(after))
            }
            (Op::Update, Some(before), Some(after)) if self.unknown.is_empty() && !changes.is_empty() => {
                let record = self.record();
                match (chain.image(&record, before), chain.image(&record, after)) {
                    (Some(image), _) => done(&changes, image),
                    (None, Some(image)) => {
                        let after = image.to_owned();
                        Ok(Images { before: Some(undone(&changes, &after)?), after: Some(after), are_folded: true })
                    }
                    (None, None) => Err(Unproven::NoImage("after")),
                }
            }
            (_, _, Some(_)) if after.is_none() => Err(Unproven::NoImage("after")),
            // Kept without the other one, an image before is not shown.
            (_, Some(_), _) => Err(Unproven::NoImage("before")),
            (..) => one(None, after),
        }
    }
}

fn time(text: &str) -> Result<Timestamp, Unproven> {
    text.parse().map_err(|_| Unproven::Malformed)
}

#[cfg(test)]
mod tests;
