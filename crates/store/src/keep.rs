use afterimage_diff::{
    CompareError, Delta, DigestKey, Images, Mutation, RuledChange, Rules, Values, Verdict, delta, redact_object,
};
use afterimage_event::{Actor, ChangeEvent, Op, Position, TimeOrigin, Timestamp};
use afterimage_json::{Raw, push_quoted};

use crate::assemble::Parts;
use crate::{Digest, Entry, Identity, context};

/// What the trail keeps of a change event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// This entry.
    Entry(Box<Entry>),
    /// Nothing: an update that changed nothing, or nothing but what rules ignore.
    Unchanged,
    /// Nothing: its table's retention had ended when it arrived.
    Expired,
}

/// Works out what the trail keeps of a change event: the one way from event and rules to entry.
///
/// A pure function: the same event and rules make the same bytes, on any worker, at any time, however often. `now` only
/// decides if the event came too late to be kept. `revision` is 0 for what comes from a queue; a corrected replay gives a
/// higher one than those before it.
///
/// # Errors
/// An image that is not one JSON document, named with the place of the fault.
pub fn keep(event: &ChangeEvent<'_>, rules: &Rules, now: Timestamp, revision: u32) -> Result<Kept, CompareError> {
    let table = rules.table(&event.record.source, &event.record.table);
    let expires_at = table.retention().micros().map(|micros| event.occurred_at.saturating_add_micros(micros));
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Ok(Kept::Expired);
    }
    let (before, after) = (event.before.as_deref(), event.after.as_deref());
    let delta = delta(mutation(event.op), before, after, &event.unknown, &table, rules.key())?;
    if delta.verdict == Verdict::Unchanged {
        return Ok(Kept::Unchanged);
    }
    let context = context::kept(event, &table, rules.key());
    let labels = event.labels.map(|labels| redact_object(labels.as_str()));
    let parts = Parts {
        rules: rules.digest(),
        record: event.record.clone(),
        identity: Identity {
            event_id: event.id.value.clone(),
            input_digest: input_digest(event, &delta, rules.key()),
            revision,
            published_at: event.published_at,
        },
        op: event.op,
        occurred_at: event.occurred_at,
        position: event.position.clone(),
        transaction: event.transaction.as_deref(),
        actor: event.actor.as_ref(),
        context: context.as_deref(),
        labels: labels.as_deref(),
        images: table.images(),
        changes: changes(event.op, &delta, table.images()),
        before: delta.before.as_deref(),
        after: delta.after.as_deref().filter(|_| keeps_after(event, &delta, table.images())),
        unknown: &delta.unknown,
        redacted: &delta.redacted,
        approximate: &delta.approximate,
        before_digest: delta.before_digest.map(Digest),
        after_digest: delta.after_digest.map(Digest),
        expires_at,
        changed: delta.changed,
    };
    Ok(Kept::Entry(Box::new(parts.into_entry())))
}

fn mutation(op: Op) -> Mutation {
    match op {
        Op::Insert => Mutation::Insert,
        Op::Update => Mutation::Update,
        Op::Delete => Mutation::Delete,
        Op::Truncate | Op::Snapshot | Op::Access | Op::Ddl => Mutation::None,
    }
}

/// Under the policy `changes` an image is left out where the changes tell it: of updates only, and not of one in 64.
fn keeps_after(event: &ChangeEvent<'_>, delta: &Delta<'_>, images: Images) -> bool {
    event.op != Op::Update || !delta.after_is_derivable || images.keeps_after(&event.id.value)
}

/// The changes of an update with both images, as JSON. Without one of them there are none, and none are made up.
fn changes(op: Op, delta: &Delta<'_>, images: Images) -> Option<String> {
    let compared = op == Op::Update && delta.before_digest.is_some() && delta.after_digest.is_some();
    (compared && images != Images::Names).then(|| {
        let mut out = String::with_capacity(64 + delta.changes.len() * 96);
        out.push('[');
        for (index, change) in delta.changes.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_change(change, &mut out);
        }
        out.push(']');
        out
    })
}

/// `{path, old_path?, key?, old?, new?, order?, redacted?}`.
fn push_change(change: &RuledChange<'_>, out: &mut String) {
    out.push_str("{\"path\":");
    push_quoted(change.path.as_str(), out);
    if let Some(old_path) = &change.old_path {
        out.push_str(",\"old_path\":");
        push_quoted(old_path.as_str(), out);
    }
    if !change.key.is_empty() {
        out.push_str(",\"key\":");
        push_array(&change.key, out);
    }
    for (name, value) in [(",\"old\":", change.old()), (",\"new\":", change.new())] {
        if let Some(value) = value {
            out.push_str(name);
            out.push_str(value);
        }
    }
    match &change.values {
        Values::Order { old, new } => {
            out.push_str(",\"order\":{\"old\":");
            push_array(old, out);
            out.push_str(",\"new\":");
            push_array(new, out);
            out.push('}');
        }
        Values::Redacted { redaction, .. } => {
            out.push_str(",\"redacted\":\"");
            out.push_str(redaction.as_str());
            out.push('"');
        }
        Values::Added { .. } | Values::Removed { .. } | Values::Replaced { .. } => {}
    }
    out.push('}');
}

fn push_array(values: &[impl AsRef<str>], out: &mut String) {
    out.push('[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(value.as_ref());
    }
    out.push(']');
}

/// The digest of an event's data: what its producer said, and nothing of how it came here. A time or a position that the
/// envelope gave is left out, so a second publish of the same data is the same entry; rules have no part in it.
///
/// Images go in by digests of their own, which `delta` mostly has made already.
fn input_digest(event: &ChangeEvent<'_>, delta: &Delta<'_>, key: &DigestKey) -> Digest {
    let own_time =
        matches!(event.time_origin, TimeOrigin::Event | TimeOrigin::Commit).then(|| event.occurred_at.as_micros());
    let own_position = event.position.as_ref().filter(|_| event.position_is_own);
    let record = &event.record;
    let mut digest = key.input_digest();
    digest.text(Some(&record.tenant)).text(Some(&record.source)).text(Some(&record.table));
    digest.number(Some(record.record_id.len() as i64));
    for part in &record.record_id {
        digest.text(Some(part));
    }
    digest.text(Some(event.op.as_str())).number(own_time);
    digest.text(own_position.map(|position| position.domain.as_str())).text(own_position.map(Position::value));
    digest.text(event.transaction.as_deref());
    let nobody = Actor::default();
    let actor = event.actor.as_ref().unwrap_or(&nobody);
    for part in [&actor.kind, &actor.id, &actor.name, &actor.email, &actor.on_behalf_of] {
        digest.text(part.as_deref());
    }
    digest.json(event.labels);
    // Proven JSON when the event was read; should that not hold, its text still tells it from other data.
    let told = context::told(event);
    match told.as_deref().map(Raw::parse) {
        Some(Err(_)) => digest.text(told.as_deref()),
        context => digest.json(context.and_then(Result::ok)),
    };
    for (image, made) in [(&event.before, delta.before_full_digest), (&event.after, delta.after_full_digest)] {
        match (image, made) {
            (None, _) => digest.image(None),
            (Some(_), Some(made)) => digest.image(Some(made)),
            (Some(image), None) => match Raw::parse(image) {
                Ok(image) => digest.image(Some(key.full_digest(image))),
                Err(_) => digest.text(Some(image)),
            },
        };
    }
    for pointer in &event.unknown {
        digest.text(Some(pointer.as_str()));
    }
    Digest(digest.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use afterimage_diff::RuleBlock;
    use afterimage_event::{EventId, IdOrigin, RecordKey};
    use std::borrow::Cow;

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000).unwrap()
    }

    fn event<'a>(op: Op, before: Option<&'a str>, after: Option<&'a str>) -> ChangeEvent<'a> {
        ChangeEvent {
            id: EventId { value: "e".into(), origin: IdOrigin::Event },
            record: RecordKey {
                tenant: "default".into(),
                source: "shop".into(),
                table: "orders".into(),
                record_id: vec!["1".into()],
            },
            op,
            occurred_at: moment(100),
            time_origin: TimeOrigin::Event,
            position: Position::new("seq:shop", "7"),
            position_is_own: true,
            transaction: None,
            actor: None,
            context: None,
            asides: Vec::new(),
            labels: None,
            before: before.map(Cow::Borrowed),
            after: after.map(Cow::Borrowed),
            unknown: Vec::new(),
            published_at: moment(101),
        }
    }

    fn rules(block: impl FnOnce(RuleBlock) -> RuleBlock) -> Rules {
        Rules::new(vec![block(RuleBlock::new("test", "*", "*"))], DigestKey::published()).unwrap()
    }

    fn entry(event: &ChangeEvent<'_>, rules: &Rules) -> Entry {
        match keep(event, rules, moment(102), 0).unwrap() {
            Kept::Entry(entry) => *entry,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_update_keeps_its_changes_and_its_image_after() {
        let event = event(Op::Update, Some(r#"{"a":1,"b":[1]}"#), Some(r#"{"a":2.50,"b":[1]}"#));
        let entry = entry(&event, &Rules::default());
        let content = Content::read(&entry.content).unwrap();
        assert_eq!(entry.changed, ["a"]);
        assert_eq!(content.changes.unwrap().get(), r#"[{"path":"/a","old":1,"new":2.50}]"#);
        assert_eq!(content.after.unwrap().get(), r#"{"a":2.50,"b":[1]}"#);
        assert!(content.before.is_none());
        assert_ne!(entry.before_digest, entry.after_digest);
    }

    #[test]
    fn what_changed_nothing_or_came_too_late_makes_no_entry() {
        let same = event(Op::Update, Some(r#"{"a":1}"#), Some(r#"{ "a": 1.0 }"#));
        assert_eq!(keep(&same, &Rules::default(), moment(102), 0).unwrap(), Kept::Unchanged);
        let short = rules(|block| block.retention("1h").unwrap());
        let deleted = event(Op::Delete, Some("{}"), None);
        assert!(matches!(keep(&deleted, &short, moment(100 + 3_599), 0).unwrap(), Kept::Entry(_)));
        assert_eq!(keep(&deleted, &short, moment(100 + 3_600), 0).unwrap(), Kept::Expired);
    }

    #[test]
    fn the_input_digest_knows_the_data_and_neither_rules_nor_envelope() {
        let told = event(Op::Update, Some(r#"{"a":1,"u":1}"#), Some(r#"{"a":2,"u":2}"#));
        let digest = |event: &ChangeEvent<'_>, rules: &Rules| entry(event, rules).identity.input_digest;
        let first = digest(&told, &Rules::default());
        assert_eq!(first, digest(&told, &rules(|block| block.ignore("/u").unwrap().retention("9y").unwrap())));

        let blocks: [fn(RuleBlock) -> RuleBlock; 5] = [
            |block| block.quiet("/u").unwrap(),
            |block| block.ignore("/nothing").unwrap(),
            |block| block.redact("/a", "hmac").unwrap(),
            |block| block.images("names").unwrap(),
            |block| block.array("/**", "index").unwrap().quiet("/q").unwrap(),
        ];
        for block in blocks {
            assert_eq!(first, digest(&told, &rules(block)));
        }
        // An image that the operation has no use for is data, too; and what is unknown does not hide the rest.
        for (op, unknown) in [(Op::Insert, ""), (Op::Delete, ""), (Op::Snapshot, ""), (Op::Update, "/u")] {
            let mut odd = told.clone();
            odd.op = op;
            odd.unknown.extend((!unknown.is_empty()).then(|| unknown.parse().unwrap()));
            let first = digest(&odd, &Rules::default());
            for block in blocks {
                assert_eq!(first, digest(&odd, &rules(block)), "{op}");
            }
            for side in [
                |event: &mut ChangeEvent<'_>| event.before = None,
                |event: &mut ChangeEvent<'_>| {
                    event.after = Some(Cow::Borrowed(r#"{"a":3,"u":9}"#));
                },
            ] {
                let mut other = odd.clone();
                side(&mut other);
                assert_ne!(first, digest(&other, &Rules::default()), "{op}");
            }
        }

        let mut respelled = told.clone();
        respelled.after = Some(Cow::Borrowed(r#"{"u":2e0, "a":2}"#));
        respelled.published_at = moment(999);
        assert_eq!(first, digest(&respelled, &Rules::default()));

        let derived = |second, seq| {
            let mut derived = told.clone();
            (derived.occurred_at, derived.time_origin) = (moment(second), TimeOrigin::Sns);
            (derived.position, derived.position_is_own) = (Position::new("sns:topic", seq), false);
            digest(&derived, &Rules::default())
        };
        assert_eq!(derived(100, "1"), derived(200, "2"));

        let others: [fn(&mut ChangeEvent<'_>); 15] = [
            |event| event.occurred_at = moment(7),
            |event| event.position = None,
            |event| event.record.record_id = vec!["2".into()],
            |event| event.op = Op::Snapshot,
            |event| event.transaction = Some("tx".into()),
            |event| event.context = Some(Cow::Borrowed(r#"{"ip":"::1"}"#)),
            |event| event.before = Some(Cow::Borrowed("{}")),
            |event| event.actor = Some(Actor { id: Some("u".into()), ..Default::default() }),
            |event| event.actor = Some(Actor { on_behalf_of: Some("u".into()), ..Default::default() }),
            |event| event.labels = Raw::parse(r#"{"u":"user"}"#).ok(),
            |event| event.unknown = vec!["/u".parse().unwrap()],
            |event| event.record.tenant = "acme".into(),
            |event| event.record.source = "billing".into(),
            |event| event.record.table = "users".into(),
            |event| event.record.record_id = vec!["1".into(), "2".into()],
        ];
        let mut digests = std::collections::BTreeSet::from([first]);
        for (index, other) in others.into_iter().enumerate() {
            let mut changed = told.clone();
            other(&mut changed);
            assert!(digests.insert(digest(&changed, &Rules::default())), "{index}");
        }
    }

    #[test]
    fn images_policies_leave_out_what_they_say() {
        let (before, after) = (r#"{"a":1,"token":"x"}"#, r#"{"a":2,"token":"x"}"#);
        let update = event(Op::Update, Some(before), Some(after));
        let insert = event(Op::Insert, None, Some(after));
        let content = |event: &ChangeEvent<'_>, images: &str| {
            Content::read(&entry(event, &rules(|block| block.images(images).unwrap())).content).unwrap()
        };
        assert!(content(&update, "after").after.is_some() && content(&update, "after").changes.is_some());
        assert!(content(&update, "changes").after.is_none() && content(&update, "changes").changes.is_some());
        assert!(content(&insert, "changes").after.is_some());
        let names = content(&update, "names");
        assert!(names.after.is_none() && names.changes.is_none() && names.changed == ["a"]);
        let delete = event(Op::Delete, Some(before), None);
        assert_eq!(content(&delete, "changes").before.unwrap().get(), r#"{"a":1}"#);
        assert_eq!(content(&delete, "changes").redacted, ["/token"]);
    }

    #[test]
    fn the_content_tells_the_provenance_of_its_entry() {
        let mut told = event(Op::Insert, None, Some("{}"));
        let entry_of = |told: &ChangeEvent<'_>| entry(told, &Rules::default());
        let provenance = |entry: &Entry| Content::read(&entry.content).unwrap().provenance();
        assert_eq!(provenance(&entry_of(&told)), crate::Provenance::default());
        told.actor = Some(Actor { id: Some("7".into()), email: Some("x".repeat(300)), ..Actor::default() });
        told.context = Some(Cow::Borrowed(r#"{"requestId":"r-1","migration":7}"#));
        told.transaction = Some("tx".into());
        let entry = entry_of(&told);
        assert_eq!(entry.provenance.actors.len(), 2);
        assert_eq!(provenance(&entry), entry.provenance);
    }

    #[test]
    fn secrets_stay_out_of_context_and_labels() {
        let mut told = event(Op::Insert, None, Some("{}"));
        told.context = Some(Cow::Borrowed(r#"{"ip":"::1","extra":{"apiKey":"s3cr3t"}}"#));
        told.labels = Some(Raw::parse(r#"{"password":"s3cr3t"}"#).unwrap());
        let entry = entry(&told, &Rules::default());
        assert!(!entry.content.contains("s3cr3t") && entry.content.contains("::1"));
    }
}
