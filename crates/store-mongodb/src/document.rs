//! The document of an entry.
//!
//! One document is both: the content, and what indexes are made of. So an entry is seen whole or not at all, and a
//! person finds every value by its name. The members of the content ([`afterimage_store::content`]) stand at the top, in
//! their order, as [`crate::encode`] has them; before them `_id`, behind them what is ours:
//!
//! | key | value |
//! |---|---|
//! | `_id` | the identity: time of publishing, hash ([`names::document_id`]) |
//! | `record` | `record_id` as one text ([`names::record`]) |
//! | `order` | where the entry stands among others ([`names::order`]); begins with `occurred_at` |
//! | `what` | what it is found by within its table: `field:email`, or `op:insert` ([`terms::what`]) |
//! | \[`by`\] | what it is found by across tables: `actor:7`, `request:req-1` ([`terms::by`]) |
//! | \[`as_sent`\] | JSON text of those members whose spelling would not come back otherwise |
//! | `stored` | `{at, worker}`: who stored it first, and when |
//!
//! Content that is no such object (it was not written by this release) stands in `content` as text, with the members
//! that indexes need beside it.

use afterimage_event::Timestamp;
use afterimage_store::{Arrival, Entry, TableKey};

use crate::bson::Writer;
use crate::encode::{Encoder, NotJson, Spelling};
use crate::{names, terms};

/// Keys at the top that are ours; documents of schema 1 have the last two, too. A member of the content with such a name
/// is percent-encoded.
const OURS: [&str; 10] = [ID, RECORD, ORDER, WHAT, BY, AS_SENT, CONTENT, STORED, "request", "migration"];
pub(crate) const ID: &str = "_id";
pub(crate) const RECORD: &str = "record";
pub(crate) const ORDER: &str = "order";
pub(crate) const WHAT: &str = "what";
pub(crate) const BY: &str = "by";
pub(crate) const AS_SENT: &str = "as_sent";
pub(crate) const CONTENT: &str = "content";
pub(crate) const STORED: &str = "stored";
/// Within `stored`.
pub(crate) const AT: &str = "at";
pub(crate) const WORKER: &str = "worker";

/// Is it one of ours, no member of the content?
pub(crate) fn is_ours(key: &str) -> bool {
    OURS.contains(&key)
}

/// Members that rows are read from and indexes are made of: in a document they are as the entry has them.
pub(crate) const KEYS: [&str; 15] = [
    "tenant",
    "source",
    "table",
    "record_id",
    "id",
    "input_digest",
    "revision",
    "published_at",
    "op",
    "occurred_at",
    "position",
    "changed",
    "before_digest",
    "after_digest",
    EXPIRES_AT,
];
const EXPIRES_AT: &str = "expires_at";

/// Room for what is not in the content.
const FRAME_BYTES: usize = 768;

/// The document of an entry, and its size decides: what would be larger than this stands as text, which never grows.
pub(crate) fn write(entry: &Entry, arrival: &Arrival, bytes_max: usize) -> Vec<u8> {
    match spread(entry, arrival) {
        Ok(document) if document.len() <= bytes_max => document,
        _ => with_text(entry, arrival),
    }
}

/// The content's members at the top.
fn spread(entry: &Entry, arrival: &Arrival) -> Result<Vec<u8>, NotJson> {
    let mut out = Writer::with_capacity(entry.content.len() * 3 / 2 + FRAME_BYTES);
    out.text(ID, &names::document_id(&entry.record, &entry.identity));
    let mut expected = Writer::with_capacity(256);
    let mut seen = 0;
    let mut as_sent = Vec::new();
    let mut members = Encoder::new(&entry.content);
    members.begin_object()?;
    let mut is_first = true;
    while let Some(name) = members.next_key(is_first)? {
        is_first = false;
        let key = if is_ours(&name) { names::escape_first(&name).into() } else { names::escape_key(&name) };
        let start = out.written().len();
        let (spelling, text) = members.value(&key, &mut out)?;
        let at = expected.written().len();
        if push_key(entry, &name, &mut expected) {
            if out.written()[start..] != expected.written()[at..] || spelling == Spelling::Own {
                return Err(NotJson);
            }
            seen += 1;
        } else if spelling == Spelling::Own {
            as_sent.push((key.into_owned(), text));
        }
    }
    if seen != keys(entry).count() {
        return Err(NotJson);
    }
    if !as_sent.is_empty() {
        let open = out.document(AS_SENT);
        as_sent.iter().for_each(|(key, text)| out.text(key, text));
        out.close(open);
    }
    push_ours(entry, arrival, &mut out);
    Ok(out.finish())
}

/// The content as text.
fn with_text(entry: &Entry, arrival: &Arrival) -> Vec<u8> {
    let mut out = Writer::with_capacity(entry.content.len() + FRAME_BYTES);
    out.text(ID, &names::document_id(&entry.record, &entry.identity));
    for key in keys(entry) {
        push_key(entry, key, &mut out);
    }
    out.text(CONTENT, &entry.content);
    push_ours(entry, arrival, &mut out);
    out.finish()
}

/// The keys that this entry has.
fn keys(entry: &Entry) -> impl Iterator<Item = &'static str> {
    let absent = [
        ("position", entry.position.is_none()),
        ("before_digest", entry.before_digest.is_none()),
        ("after_digest", entry.after_digest.is_none()),
        (EXPIRES_AT, entry.expires_at.is_none()),
    ];
    let is_there = move |key: &&str| !absent.iter().any(|(name, is_absent)| name == key && *is_absent);
    KEYS.into_iter().filter(is_there)
}

/// Writes this key as the entry has it; false when there is nothing to write.
fn push_key(entry: &Entry, key: &str, out: &mut Writer) -> bool {
    let Entry { record, identity, .. } = entry;
    match key {
        "tenant" => out.text(key, &record.tenant),
        "source" => out.text(key, &record.source),
        "table" => out.text(key, &record.table),
        "record_id" => out.texts(key, record.record_id.iter().map(String::as_str)),
        "id" => out.text(key, &identity.event_id),
        "input_digest" => out.text(key, &identity.input_digest.to_string()),
        "revision" => out.int64(key, i64::from(identity.revision)),
        "published_at" => out.text(key, &shown(identity.published_at)),
        "op" => out.text(key, entry.op.as_str()),
        "occurred_at" => out.text(key, &shown(entry.occurred_at)),
        "changed" => out.texts(key, entry.changed.iter().map(String::as_str)),
        "position" => {
            let Some(position) = &entry.position else { return false };
            let open = out.document(key);
            out.text("domain", &position.domain);
            out.text("value", position.value());
            out.close(open);
        }
        "before_digest" | "after_digest" => {
            let digest = if key == "before_digest" { entry.before_digest } else { entry.after_digest };
            let Some(digest) = digest else { return false };
            out.text(key, &digest.to_string());
        }
        EXPIRES_AT => {
            let Some(expires_at) = entry.expires_at else { return false };
            out.text(key, &shown(expires_at));
        }
        _ => return false,
    }
    true
}

fn push_ours(entry: &Entry, arrival: &Arrival, out: &mut Writer) {
    out.text(RECORD, &names::record(&entry.record.record_id));
    out.text(ORDER, &names::order(&entry.order_key()));
    out.texts(WHAT, terms::what(entry).iter().map(String::as_str));
    let by = terms::by(entry);
    if !by.is_empty() {
        out.texts(BY, by.iter().map(String::as_str));
    }
    let open = out.document(STORED);
    out.text(AT, &shown(arrival.at));
    out.text(WORKER, &arrival.worker);
    out.close(open);
}

/// The document that announces a table: `_id` ([`names::table`]), and its names.
pub(crate) fn of_table(table: &TableKey) -> Vec<u8> {
    let TableKey { tenant, source, table: name } = table;
    let mut out = Writer::with_capacity(128);
    out.text(ID, &names::table(table));
    for (key, text) in [("tenant", tenant), ("source", source), ("table", name)] {
        out.text(key, text);
    }
    out.finish()
}

fn shown(time: Timestamp) -> String {
    let mut out = String::with_capacity(27);
    names::push_time(time, &mut out);
    out
}
