//! Rows from documents.

use afterimage_event::{Position, RecordKey};
use afterimage_store::content::Content;
use afterimage_store::{Arrival, ContentRow, Digest, Entry, Identity, IndexRow, StoreError, TableKey};
use mongodb::bson::raw::{RawBsonRef, RawDocument};

use crate::decode::{self, NotOurs};
use crate::document::{AS_SENT, AT, BY, CONTENT, ID, STORED, WORKER, is_ours};
use crate::terms;

/// An index row.
pub(crate) fn index_row(document: &RawDocument) -> Result<IndexRow, StoreError> {
    let fields = Fields(document);
    let row = || {
        let source = fields.text("source")?;
        Some(IndexRow {
            provenance: fields.optional(BY, |value| terms::provenance(&texts(value)?, &source))?.unwrap_or_default(),
            record: RecordKey {
                tenant: fields.text("tenant")?,
                source,
                table: fields.text("table")?,
                record_id: fields.texts("record_id")?,
            },
            identity: fields.identity()?,
            op: fields.parsed("op")?,
            occurred_at: fields.parsed("occurred_at")?,
            position: fields.optional("position", |value| {
                let position = Fields(value.as_document()?);
                Position::new(position.text("domain")?, &position.text("value")?)
            })?,
            changed: fields.texts("changed")?,
            before_digest: fields.digest("before_digest")?,
            after_digest: fields.digest("after_digest")?,
            expires_at: fields.optional("expires_at", |value| decode::text(value)?.parse().ok())?,
        })
    };
    row().ok_or_else(|| damaged(document, "a member that an index row needs is missing or has another type"))
}

/// A document that announces a table.
pub(crate) fn table(document: &RawDocument) -> Result<TableKey, StoreError> {
    let fields = Fields(document);
    let table = || {
        Some(TableKey { tenant: fields.text("tenant")?, source: fields.text("source")?, table: fields.text("table")? })
    };
    table().ok_or_else(|| StoreError::Damaged { reason: "a table that has no names".to_owned() })
}

/// The identity alone.
pub(crate) fn identity(document: &RawDocument) -> Result<Identity, StoreError> {
    Fields(document).identity().ok_or_else(|| damaged(document, "its identity cannot be read"))
}

/// The entry that a document was made from, and who stored it: also from one of schema 1, which has no provenance of
/// its own.
pub(crate) fn entry(document: &RawDocument) -> Result<(Entry, Arrival), StoreError> {
    let row = index_row(document)?;
    let ContentRow { identity, stored_at, content } = content_row(document)?;
    let stored = Fields(document).get(STORED).and_then(RawBsonRef::as_document).map(Fields);
    let worker = stored.and_then(|stored| stored.text(WORKER));
    let worker = worker.ok_or_else(|| damaged(document, "`stored` does not say by whom"))?;
    let entry = Entry {
        record: row.record,
        identity,
        op: row.op,
        occurred_at: row.occurred_at,
        position: row.position,
        changed: row.changed,
        before_digest: row.before_digest,
        after_digest: row.after_digest,
        // Content of no known format tells nobody.
        provenance: Content::read(&content).map(|content| content.provenance()).unwrap_or_default(),
        expires_at: row.expires_at,
        content,
    };
    Ok((entry, Arrival { worker, at: stored_at }))
}

/// The content of an entry.
pub(crate) fn content_row(document: &RawDocument) -> Result<ContentRow, StoreError> {
    let fields = Fields(document);
    let row = || {
        let stored = Fields(fields.get(STORED)?.as_document()?);
        Some((fields.identity()?, stored.parsed(AT)?))
    };
    let (identity, stored_at) = row().ok_or_else(|| damaged(document, "its identity or `stored` cannot be read"))?;
    let content = match fields.get(CONTENT) {
        Some(text) => decode::text(text).ok_or_else(|| NotOurs("`content` is no text".to_owned())),
        None => content(document),
    };
    Ok(ContentRow { identity, stored_at, content: content.map_err(|NotOurs(what)| damaged(document, &what))? })
}

fn content(document: &RawDocument) -> Result<String, NotOurs> {
    let as_sent = document.get(AS_SENT)?.and_then(RawBsonRef::as_document);
    let mut out = String::with_capacity(document.as_bytes().len());
    out.push('{');
    for member in document.iter() {
        let (key, value) = member?;
        if is_ours(key.as_str()) {
            continue;
        }
        if out.len() > 1 {
            out.push(',');
        }
        decode::push_key(key.as_str(), &mut out)?;
        let spelled = as_sent.and_then(|as_sent| as_sent.get(key).transpose()).transpose()?;
        match spelled.and_then(RawBsonRef::as_str) {
            Some(text) => out.push_str(text),
            None => decode::push_value(value, &mut out)?,
        }
    }
    out.push('}');
    Ok(out)
}

pub(crate) fn damaged(document: &RawDocument, what: &str) -> StoreError {
    // An `_id` tells the time of publishing and a hash: no payload.
    let id = Fields(document).text(ID).unwrap_or_else(|| "?".to_owned());
    StoreError::Damaged { reason: format!("document {id}: {what}") }
}

fn texts(value: RawBsonRef<'_>) -> Option<Vec<String>> {
    value.as_array()?.into_iter().map(|element| decode::text(element.ok()?)).collect()
}

struct Fields<'d>(&'d RawDocument);

impl<'d> Fields<'d> {
    fn get(&self, key: &str) -> Option<RawBsonRef<'d>> {
        self.0.iter().find_map(|member| member.ok().filter(|(name, _)| name.as_str() == key)).map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> Option<String> {
        decode::text(self.get(key)?)
    }

    fn texts(&self, key: &str) -> Option<Vec<String>> {
        texts(self.get(key)?)
    }

    fn parsed<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.parse().ok()
    }

    /// Absent, or read; `None` when it cannot be read.
    fn optional<T>(&self, key: &str, read: impl FnOnce(RawBsonRef<'d>) -> Option<T>) -> Option<Option<T>> {
        match self.get(key) {
            None => Some(None),
            Some(value) => read(value).map(Some),
        }
    }

    fn digest(&self, key: &str) -> Option<Option<Digest>> {
        self.optional(key, |value| decode::text(value)?.parse().ok())
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity {
            event_id: self.text("id")?,
            input_digest: self.parsed("input_digest")?,
            revision: u32::try_from(self.get("revision")?.as_i64()?).ok()?,
            published_at: self.parsed("published_at")?,
        })
    }
}
