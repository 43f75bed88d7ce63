use afterimage_diff::Images;
use afterimage_event::{Actor, Op, Position, RecordKey, Timestamp};
use afterimage_json::Pointer;

use crate::content::{FORMAT_VERSION, Writer};
use crate::index::Who;
use crate::{Digest, Entry, Identity, Provenance};

/// Everything an entry holds, before it is written: one field for each key of the content.
#[derive(Clone, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) rules: &'a str,
    pub(crate) record: RecordKey,
    pub(crate) identity: Identity,
    pub(crate) op: Op,
    pub(crate) occurred_at: Timestamp,
    pub(crate) position: Option<Position>,
    pub(crate) transaction: Option<&'a str>,
    pub(crate) actor: Option<&'a Actor>,
    pub(crate) context: Option<&'a str>,
    pub(crate) labels: Option<&'a str>,
    pub(crate) images: Images,
    pub(crate) changed: Vec<String>,
    /// A JSON array.
    pub(crate) changes: Option<String>,
    pub(crate) before: Option<&'a str>,
    pub(crate) after: Option<&'a str>,
    pub(crate) unknown: &'a [Pointer],
    pub(crate) redacted: &'a [Pointer],
    pub(crate) approximate: &'a [Pointer],
    pub(crate) before_digest: Option<Digest>,
    pub(crate) after_digest: Option<Digest>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Bytes that the keys and the short values of content take, roughly: so that the text is allocated once.
const FRAME_BYTES: usize = 1024;

impl Parts<'_> {
    pub(crate) fn into_entry(self) -> Entry {
        let content = self.content();
        let provenance = Provenance::new(Who::of(self.actor), self.transaction, self.context);
        Entry {
            record: self.record,
            identity: self.identity,
            op: self.op,
            occurred_at: self.occurred_at,
            position: self.position,
            changed: self.changed,
            before_digest: self.before_digest,
            after_digest: self.after_digest,
            provenance,
            expires_at: self.expires_at,
            content,
        }
    }

    /// The content, in the order of [`crate::content`].
    fn content(&self) -> String {
        let json = [self.context, self.labels, self.changes.as_deref(), self.before, self.after];
        let mut out = Writer::with_capacity(FRAME_BYTES + json.into_iter().flatten().map(str::len).sum::<usize>());
        out.number("v", FORMAT_VERSION);
        out.text("rules", self.rules);
        out.text("id", &self.identity.event_id);
        out.shown("input_digest", self.identity.input_digest);
        out.number("revision", self.identity.revision);
        out.shown("published_at", self.identity.published_at);
        out.text("tenant", &self.record.tenant);
        out.text("source", &self.record.source);
        out.text("table", &self.record.table);
        out.texts("record_id", self.record.record_id.iter().map(String::as_str));
        out.text("op", self.op.as_str());
        out.shown("occurred_at", self.occurred_at);
        if let Some(position) = &self.position {
            out.object("position", &[("domain", Some(&position.domain)), ("value", Some(position.value()))]);
        }
        if let Some(transaction) = self.transaction {
            out.text("transaction", transaction);
        }
        if let Some(actor) = self.actor {
            let parts = [
                ("type", &actor.kind),
                ("id", &actor.id),
                ("name", &actor.name),
                ("email", &actor.email),
                ("on_behalf_of", &actor.on_behalf_of),
            ];
            out.object("actor", &parts.map(|(name, part)| (name, part.as_deref())));
        }
        for (key, json) in [("context", self.context), ("labels", self.labels)] {
            if let Some(json) = json {
                out.json(key, json);
            }
        }
        out.text("images", self.images.as_str());
        out.texts("changed", self.changed.iter().map(String::as_str));
        for (key, json) in [("changes", self.changes.as_deref()), ("before", self.before), ("after", self.after)] {
            if let Some(json) = json {
                out.json(key, json);
            }
        }
        for (key, pointers) in
            [("unknown", self.unknown), ("redacted", self.redacted), ("approximate", self.approximate)]
        {
            if !pointers.is_empty() {
                out.texts(key, pointers.iter().map(Pointer::as_str));
            }
        }
        for (key, digest) in [("before_digest", self.before_digest), ("after_digest", self.after_digest)] {
            if let Some(digest) = digest {
                out.shown(key, digest);
            }
        }
        if let Some(expires_at) = self.expires_at {
            out.shown("expires_at", expires_at);
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{ActorParts, Content};

    #[test]
    fn content_is_read_back_to_the_last_digit_and_written_alike_each_time() {
        let moment = |micros| Timestamp::from_micros(micros).unwrap();
        let actor = Actor {
            kind: Some("user".into()),
            id: Some("u\"1".into()),
            name: Some("n".into()),
            email: Some("e".into()),
            on_behalf_of: Some("o".into()),
        };
        let pointer = |text: &str| text.parse::<Pointer>().unwrap();
        let (unknown, redacted, approximate) = ([pointer("/a~1b")], [pointer("/t")], [pointer("/updatedAt")]);
        let parts = Parts {
            rules: "0123456789abcdef",
            record: RecordKey {
                tenant: "acme".into(),
                source: "billing".into(),
                table: "öffentlich.\u{0}$".into(),
                record_id: vec!["org,1".into(), String::new()],
            },
            identity: Identity {
                event_id: "e\n1".into(),
                input_digest: Digest([0xab; 16]),
                revision: 7,
                published_at: moment(2),
            },
            op: Op::Delete,
            occurred_at: moment(1),
            position: Position::new("seq", "123456789012345678901234567890"),
            transaction: Some("tx"),
            actor: Some(&actor),
            context: Some(r#"{"ip":"::1","requestId":1e400,"migration":"m\u0000"}"#),
            labels: Some(r#"{"u\"1":"Ann"}"#),
            images: Images::Changes,
            changed: vec!["$a.b".into(), String::new()],
            changes: None,
            before: Some(r#"{"n":1.00000000000000000000000000000000001,"$serde_json::private::Number":"1"}"#),
            after: Some("null"),
            unknown: &unknown,
            redacted: &redacted,
            approximate: &approximate,
            before_digest: Some(Digest([1; 16])),
            after_digest: None,
            expires_at: Some(moment(3)),
        };
        let entry = parts.clone().into_entry();
        assert_eq!(entry, parts.clone().into_entry());
        assert_eq!(Entry::from_content(entry.content.clone()).unwrap(), entry);
        let read = Content::read(&entry.content).unwrap();
        assert_eq!(read.record(), parts.record);
        assert_eq!(read.order_key(), entry.order_key());
        assert_eq!(read.position, parts.position);
        assert_eq!((read.op, read.images), (Op::Delete, Images::Changes));
        let ActorParts { kind, id, name, email, on_behalf_of } = read.actor.unwrap();
        assert_eq!(Actor { kind, id, name, email, on_behalf_of }, actor);
        assert_eq!(read.context.unwrap().get(), parts.context.unwrap());
        assert_eq!(read.labels.unwrap().get(), parts.labels.unwrap());
        assert_eq!((read.rules.as_str(), read.transaction.as_deref()), (parts.rules, parts.transaction));
        assert_eq!(read.before.unwrap().get(), parts.before.unwrap());
        assert_eq!(read.after.unwrap().get(), "null");
        assert!(read.changes.is_none());
        assert_eq!(read.changed, parts.changed);
        assert_eq!((read.unknown, read.redacted), (vec!["/a~1b".to_owned()], vec!["/t".to_owned()]));
        assert_eq!(read.approximate, ["/updatedAt"]);
        assert_eq!((read.before_digest, read.after_digest), (parts.before_digest, None));
        assert_eq!(read.expires_at, parts.expires_at);
        assert!(entry.content.starts_with(r#"{"v":1,"rules":"0123456789abcdef","id":"e\n1","#));
    }

    #[test]
    fn content_of_a_later_format_says_so_whatever_its_shape() {
        use crate::content::ContentError;
        assert_eq!(Content::read(r#"{"v":2,"new":[]}"#).unwrap_err(), ContentError::TooNew { found: 2 });
        assert!(matches!(Content::read(r#"{"v":1}"#), Err(ContentError::Malformed { .. })));
        assert!(matches!(Content::read("no"), Err(ContentError::Malformed { line: 1, .. })));
    }
}
