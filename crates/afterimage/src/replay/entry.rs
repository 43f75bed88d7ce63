//! Entries of exports: the events that they were made of, as far as that can be proven.
//!
//! An entry keeps less than its event had: no image before an update, nothing of what rules took out. What is missing is
//! worked out from the changes, and from the entries beside it in the file, and believed only if the entry that the event makes has the digests of the one that was
//! read: they are keyed, and made of the images as they were sent. Nothing is made up: what cannot be proven is refused.

use std::borrow::Cow;
use std::collections::HashMap;

use afterimage_diff::{Change, Rules, patch};
use afterimage_event::{
    Actor, Aside, AsideKind, ChangeEvent, EventId, ID_BYTES_MAX, IdOrigin, NAME_BYTES_MAX, NESTING_MAX, OWN_SOURCE, Op,
    Position, RECORD_ID_PARTS_MAX, RecordKey, TimeOrigin, Timestamp, UNKNOWN_MAX,
};
use afterimage_json::{Object, Pointer, Raw, equal, push_quoted};
use afterimage_store::content::{ActorParts, Content, read_change};
use afterimage_store::{Entry, Kept, keep};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::chain::{Chain, Link};

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

/// What the record was and became.
#[derive(Debug)]
pub(super) struct Images {
    before: Option<String>,
    after: Option<String>,
    /// Is the image after another entry's, with the changes between?
    are_folded: bool,
}

fn time(text: &str) -> Result<Timestamp, Unproven> {
    text.parse().map_err(|_| Unproven::Malformed)
}

/// JSON as events may hold it.
fn parsed(text: &str) -> Result<Raw<'_>, Unproven> {
    Raw::parse_within(text, NESTING_MAX).map_err(|_| Unproven::Malformed)
}

/// The image that a delete took away: each of its members is a change.
fn taken_away(changes: &[Change<'_>]) -> Result<String, Unproven> {
    let mut members = Object::default();
    for change in changes {
        let old = change.old().ok_or(Unproven::Malformed)?;
        let mut names = change.path.segments();
        match (names.next(), names.next()) {
            (None, _) if changes.len() == 1 => return parsed(old.as_str()).map(|old| old.as_str().to_owned()),
            (Some(name), None) => members.member(&name, old.as_str()),
            _ => return Err(Unproven::Malformed),
        }
    }
    let image = members.finish();
    parsed(&image)?;
    Ok(image)
}

/// The image before an update: that after it, with the changes undone.
fn undone(changes: &[Change<'_>], after: &str) -> Result<String, Unproven> {
    let mut image = patch::to_value(parsed(after)?);
    json_patch::patch(&mut image, &patch::inverse(changes)).map_err(|_| Unproven::Differs("changes"))?;
    Ordered::by(changes, Change::path_before).text(&image)
}

/// The images of an update, from that before it and the changes.
fn done(changes: &[Change<'_>], before: &str) -> Result<Images, Unproven> {
    let mut image = patch::to_value(parsed(before)?);
    let before = Ordered::by(changes, Change::path_before).text(&image)?;
    json_patch::patch(&mut image, &patch::forward(changes)).map_err(|_| Unproven::Differs("changes"))?;
    let after = Ordered::by(changes, |change| &change.path).text(&image)?;
    Ok(Images { before: Some(before), after: Some(after), are_folded: true })
}

/// The order of members in an image: changes stand in it, and are to be found again in the same.
struct Ordered {
    /// The first change at or below each place.
    first: HashMap<String, usize>,
}

impl Ordered {
    fn by<'a>(changes: &[Change<'a>], path: impl for<'c> Fn(&'c Change<'a>) -> &'c Pointer) -> Self {
        let mut first = HashMap::new();
        for (index, change) in changes.iter().enumerate() {
            let mut place = Pointer::root();
            for name in path(change).segments() {
                place.push(&name);
                first.entry(place.to_string()).or_insert(index);
            }
        }
        Self { first }
    }

    fn text(&self, image: &Value) -> Result<String, Unproven> {
        let mut out = String::new();
        self.write(image, &Pointer::root(), &mut out);
        // Changes may nest it deeper than events may be.
        parsed(&out)?;
        Ok(out)
    }

    /// Writes the value at a place. What no change touches may stand anywhere.
    fn write(&self, value: &Value, place: &Pointer, out: &mut String) {
        match value {
            Value::Object(members) => {
                let at = |name: &str| self.first.get(place.child(name).as_str()).copied().unwrap_or(usize::MAX);
                let mut members: Vec<(&String, &Value)> = members.iter().collect();
                members.sort_by_key(|(name, _)| at(name));
                out.push('{');
                for (index, (name, value)) in members.into_iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    push_quoted(name, out);
                    out.push(':');
                    self.write(value, &place.child(name), out);
                }
                out.push('}');
            }
            Value::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    self.write(element, &place.child(&index.to_string()), out);
                }
                out.push(']');
            }
            plain => out.push_str(&plain.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use afterimage_diff::{DigestKey, RuleBlock};
    use afterimage_store::{Arrival, Filter, Ledger, Listing, Store, Trail};
    use afterimage_store_sqlite::{Options, SqliteStore};
    use serde_json::json;

    use super::*;

    /// A small generator of documents; the same from the same seed.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            // xorshift64
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }

        fn value(&mut self, depth: u64) -> Value {
            let plain =
                ["null", "true", "1", "1.0", "-0.5e1", "12345678901234567890.10", "\"\"", "\"\\u00e9~/\"", "{}", "[]"];
            match self.below(if depth == 0 { 10 } else { 16 }) {
                at @ 0..10 => serde_json::from_str(plain[at as usize]).unwrap(),
                10..12 => (0..self.below(5)).map(|_| self.value(depth - 1)).collect(),
                // Elements with keys.
                12 => (0..self.below(5))
                    .map(|id| json!({ "id": (id * 7 + self.below(3)) % 11, "v": self.value(0) }))
                    .collect(),
                _ => self.object(depth - 1),
            }
        }

        fn object(&mut self, depth: u64) -> Value {
            let names = ["a", "b/c", "~", "é", "", "list", "seen"];
            let members = (0..self.below(6)).map(|_| (names[self.below(7) as usize].to_owned(), self.value(depth)));
            Value::Object(members.collect())
        }

        /// Another state of a document: mostly the same.
        fn changed(&mut self, document: &Value) -> Value {
            match document {
                Value::Object(members) if self.below(8) > 0 => {
                    let kept = members
                        .iter()
                        .filter(|_| !self.0.is_multiple_of(5))
                        .map(|(name, value)| (name.clone(), value.clone()));
                    let mut kept: serde_json::Map<String, Value> = kept.collect();
                    let name = ["a", "~", "list", "new"][self.below(4) as usize].to_owned();
                    let value = match members.get(&name) {
                        Some(value) => self.changed(value),
                        None => self.value(2),
                    };
                    kept.insert(name, value);
                    Value::Object(kept)
                }
                Value::Array(elements) => {
                    let mut elements = elements.clone();
                    if !elements.is_empty() {
                        let at = self.below(elements.len() as u64) as usize;
                        let moved = elements.remove(at);
                        if self.below(3) > 0 {
                            elements.insert(0, moved);
                        }
                    }
                    elements.push(self.value(1));
                    Value::Array(elements)
                }
                _ => self.value(2),
            }
        }

        /// Text with the members of objects in any order.
        fn text(&mut self, value: &Value) -> String {
            match value {
                Value::Object(members) => {
                    let mut members: Vec<_> = members.iter().collect();
                    for at in (1..members.len()).rev() {
                        members.swap(at, self.below(at as u64 + 1) as usize);
                    }
                    let mut out = Object::default();
                    members.into_iter().for_each(|(name, value)| out.member(name, &self.text(value)));
                    out.finish()
                }
                Value::Array(elements) => {
                    let elements: Vec<_> = elements.iter().map(|element| self.text(element)).collect();
                    format!("[{}]", elements.join(","))
                }
                plain => plain.to_string(),
            }
        }
    }

    fn rules(arrays: &str, images: &str) -> Rules {
        let block = RuleBlock::new("test", "*", "*").array("/**", arrays).unwrap().images(images).unwrap();
        Rules::new(vec![block.quiet("/seen").unwrap()], DigestKey::published()).unwrap()
    }

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000).unwrap()
    }

    /// The life of one record, as lines of an export, the oldest first.
    async fn exported(random: &mut Random, rules: &Rules, count: i64) -> Vec<String> {
        let mut entries = Vec::new();
        let mut state = random.object(3);
        for second in 0..count {
            let before = state.clone();
            if second > 0 {
                state = random.changed(&state);
            }
            let (before, after) = (random.text(&before), random.text(&state));
            let event = ChangeEvent {
                id: EventId { value: format!("e{second}"), origin: IdOrigin::Event },
                record: RecordKey {
                    tenant: "default".into(),
                    source: "shop".into(),
                    table: "t".into(),
                    record_id: vec!["1".into()],
                },
                op: if second == 0 { Op::Insert } else { Op::Update },
                occurred_at: moment(second + 1),
                time_origin: TimeOrigin::Event,
                position: None,
                position_is_own: false,
                transaction: None,
                actor: None,
                context: None,
                asides: Vec::new(),
                labels: None,
                before: (second > 0).then_some(Cow::Owned(before)),
                after: Some(Cow::Owned(after)),
                unknown: Vec::new(),
                published_at: moment(second + 1_000_000),
            };
            if let Kept::Entry(entry) = keep(&event, rules, moment(0), 0).unwrap() {
                entries.push(Arc::from(entry));
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("trail.db"), &Options::default()).unwrap());
        store.migrate().await.unwrap();
        let arrival = Arrival { worker: "w".to_owned(), at: moment(2_000_000) };
        for result in Ledger::new(store.clone()).append(&entries, &arrival).await {
            let _durable = result.unwrap();
        }
        let filter = Filter { tenant: "default".into(), ..Filter::default() };
        let listing = Listing { from: Some(moment(0)), limit: 1000, ..Listing::default() };
        let page = Trail::new(store).changes(&filter, &listing).await.unwrap();
        let lines = page.items.iter().rev().map(|entry| serde_json::to_string(entry).unwrap());
        lines.collect()
    }

    #[tokio::test]
    async fn an_entry_makes_the_event_that_makes_it_whatever_changed_and_however_arrays_are_compared() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut folded = 0;
        for round in 0..100 {
            let arrays = ["atomic", "index", "keyed(/id)", "set", "lcs"][round % 5];
            let images = ["after", "changes"][round / 5 % 2];
            let rules = rules(arrays, images);
            let lines = exported(&mut random, &rules, 6).await;
            let mut chain = Chain::default();
            for line in &lines {
                let entry = Exported::read(line).unwrap();
                let pair =
                    entry.images(&mut chain).unwrap_or_else(|error| panic!("{arrays} {images}: {error}\n{line}"));
                folded += usize::from(pair.are_folded);
                let again = entry.entry(&pair, &rules, moment(0), 0);
                let again = again.unwrap_or_else(|error| panic!("{arrays} {images}: {error}\n{line}")).unwrap();
                assert!(
                    entry.is(&Content::read(&again.content).unwrap()),
                    "{arrays} {images}\n{line}\n{}",
                    again.content
                );
            }
        }
        assert!(folded > 50, "only {folded} images were worked out from other entries");
    }

    #[tokio::test]
    async fn an_export_that_runs_back_in_time_tells_what_lies_before_an_image() {
        let mut random = Random(7);
        let rules = rules("atomic", "changes");
        let lines = exported(&mut random, &rules, 8).await;
        let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        let mut chain = Chain::default();
        // The newest image is nowhere in the file ...
        let newest = Exported::read(lines.last().unwrap()).unwrap();
        assert_eq!(last.get("after"), None);
        assert_eq!(newest.images(&mut chain).unwrap_err(), Unproven::NoImage("after"));
        // ... and known, where the next change told it.
        let state = {
            let mut ascending = Chain::default();
            let images = lines.iter().map(|line| Exported::read(line).unwrap().images(&mut ascending).unwrap());
            images.last().unwrap()
        };
        let link = Link { digest: last["after_digest"].as_str().unwrap().to_owned(), image: state.after.unwrap() };
        chain.tell(newest.record(), vec![link]);
        for line in lines.iter().rev() {
            let entry = Exported::read(line).unwrap();
            let images = entry.images(&mut chain).unwrap();
            assert!(entry.entry(&images, &rules, moment(0), 0).unwrap().is_some(), "{line}");
        }
    }
}
