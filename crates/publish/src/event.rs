//! The event, as it is built.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use crate::error::BuildError;
use crate::record_id::RecordId;
use crate::sequence::Sequence;
use crate::trace::TraceContext;

/// One change of one record, to be told to the trail.
///
/// Made when the change is made: its id (a UUID of version 7) and its time are set by the constructor. Parts that cannot be
/// written as JSON are reported when the event is published.
#[derive(Clone)]
pub struct ChangeEvent {
    operation: Operation,
    table: String,
    record: Option<RecordId>,
    id: String,
    occurred_at: SystemTime,
    seq: Option<u64>,
    source: Option<String>,
    tenant: Option<String>,
    transaction: Option<String>,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
    unknown: Vec<String>,
    by: Option<Box<RawValue>>,
    context: Option<Box<RawValue>>,
    labels: Option<Box<RawValue>>,
    trace: Option<TraceContext>,
    /// The first part that could not be written, and why.
    broken: Option<(&'static str, Arc<serde_json::Error>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Insert,
    Update,
    Delete,
    Truncate,
    Snapshot,
    Access,
    Ddl,
}

impl ChangeEvent {
    /// A new record; takes `after`.
    #[must_use]
    pub fn insert(table: impl Into<String>, record: impl Into<RecordId>) -> Self {
        Self::new(Operation::Insert, table.into(), Some(record.into()))
    }

    /// A changed record; takes `before` and `after`.
    #[must_use]
    pub fn update(table: impl Into<String>, record: impl Into<RecordId>) -> Self {
        Self::new(Operation::Update, table.into(), Some(record.into()))
    }

    /// A removed record; takes `before`.
    #[must_use]
    pub fn delete(table: impl Into<String>, record: impl Into<RecordId>) -> Self {
        Self::new(Operation::Delete, table.into(), Some(record.into()))
    }

    /// A record as it stands now, told once when a table's audit begins; takes `after`.
    #[must_use]
    pub fn snapshot(table: impl Into<String>, record: impl Into<RecordId>) -> Self {
        Self::new(Operation::Snapshot, table.into(), Some(record.into()))
    }

    /// Somebody looked at a record; images may be left out.
    #[must_use]
    pub fn access(table: impl Into<String>, record: impl Into<RecordId>) -> Self {
        Self::new(Operation::Access, table.into(), Some(record.into()))
    }

    /// All records of a table removed at once.
    #[must_use]
    pub fn truncate(table: impl Into<String>) -> Self {
        Self::new(Operation::Truncate, table.into(), None)
    }

    /// The schema of a table changed.
    #[must_use]
    pub fn ddl(table: impl Into<String>) -> Self {
        Self::new(Operation::Ddl, table.into(), None)
    }

    fn new(operation: Operation, table: String, record: Option<RecordId>) -> Self {
        Self {
            operation,
            table,
            record,
            id: Uuid::now_v7().to_string(),
            occurred_at: SystemTime::now(),
            seq: None,
            source: None,
            tenant: None,
            transaction: None,
            before: None,
            after: None,
            unknown: Vec::new(),
            by: None,
            context: None,
            labels: None,
            trace: None,
            broken: None,
        }
    }

    /// The record before the change: anything that serialises.
    ///
    /// serde writes numbers as Rust holds them; where every digit of a decimal counts, give [`Self::before_json`] the
    /// text your database has.
    #[must_use]
    pub fn before(mut self, image: &impl Serialize) -> Self {
        self.before = self.written("before", to_raw_value(image));
        self
    }

    /// The record after the change; see [`Self::before`].
    #[must_use]
    pub fn after(mut self, image: &impl Serialize) -> Self {
        self.after = self.written("after", to_raw_value(image));
        self
    }

    /// The record before the change, as JSON text that is sent digit for digit.
    #[must_use]
    pub fn before_json(mut self, image: impl Into<String>) -> Self {
        self.before = self.written("before", RawValue::from_string(image.into()));
        self
    }

    /// The record after the change, as JSON text that is sent digit for digit.
    #[must_use]
    pub fn after_json(mut self, image: impl Into<String>) -> Self {
        self.after = self.written("after", RawValue::from_string(image.into()));
        self
    }

    /// Who did it: an e-mail address, an [`crate::Actor`], or any shape of your own.
    #[must_use]
    pub fn by(mut self, actor: impl Serialize) -> Self {
        self.by = self.written("by", to_raw_value(&actor));
        self
    }

    /// From where and why: a [`crate::Context`], or any object of your own.
    #[must_use]
    pub fn context(mut self, context: impl Serialize) -> Self {
        self.context = self.written("context", to_raw_value(&context));
        self
    }

    /// Names for the ids in the images, as they are at this moment: an object.
    #[must_use]
    pub fn labels(mut self, labels: impl Serialize) -> Self {
        self.labels = self.written("labels", to_raw_value(&labels));
        self
    }

    /// The transaction it is part of.
    #[must_use]
    pub fn transaction(mut self, transaction: impl Into<String>) -> Self {
        self.transaction = Some(transaction.into());
        self
    }

    /// The customer it belongs to.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The service or database that owns the record; else the publisher's.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Its number among the changes of its source; else the publisher's next, when it has a [`crate::Sequence`].
    #[must_use]
    pub fn seq(mut self, seq: u64) -> Self {
        self.seq = Some(seq);
        self
    }

    /// A value of the images that could not be seen (a column that was not read), by JSON Pointer.
    #[must_use]
    pub fn unknown(mut self, pointer: impl Into<String>) -> Self {
        self.unknown.push(pointer.into());
        self
    }

    /// When it happened, where that is not now; kept to the microsecond.
    #[must_use]
    pub fn occurred_at(mut self, time: SystemTime) -> Self {
        self.occurred_at = time;
        self
    }

    /// Its id, where an outbox or a log has one already: never the same for two changes of a source.
    #[must_use]
    pub fn event_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// The trace the change is made in: `traceparent` and `tracestate` of W3C Trace Context, as a propagator of
    /// OpenTelemetry writes them; an empty state is none. They go with the message as attributes, not into the event, and the
    /// worker's spans join that trace. What is malformed or has no room in the message is left out: the event matters more.
    #[must_use]
    pub fn trace(mut self, traceparent: &str, tracestate: &str) -> Self {
        self.trace = TraceContext::new(traceparent, tracestate);
        self
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The message body, as [`crate::Publisher`] sends it: the native event, version 1.
    ///
    /// For an outbox: write it in the transaction that makes the change, send it after.
    ///
    /// # Errors
    /// When a part cannot be written, or the operation lacks what it needs.
    pub fn encode(&self) -> Result<String, BuildError> {
        if let Some((part, source)) = &self.broken {
            return Err(BuildError::Part { part, source: Arc::clone(source) });
        }
        if self.table.is_empty() {
            return Err(BuildError::NoTable);
        }
        let needs_image = !matches!(self.operation, Operation::Truncate | Operation::Ddl | Operation::Access);
        if needs_image && is_absent(self.before.as_deref()) && is_absent(self.after.as_deref()) {
            return Err(BuildError::NoImage);
        }
        let occurred_at = jiff::Timestamp::try_from(self.occurred_at).map_err(|_| BuildError::Time)?;
        let wire = Wire {
            v: 1,
            event_id: &self.id,
            seq: self.seq,
            source: self.source.as_deref(),
            tenant: self.tenant.as_deref(),
            transaction: self.transaction.as_deref(),
            table_name: &self.table,
            record_id: self.record.as_ref(),
            operation: self.operation,
            occurred_at: format!("{occurred_at:.6}"),
            before: self.before.as_deref(),
            after: self.after.as_deref(),
            unknown: &self.unknown,
            by: self.by.as_deref(),
            labels: self.labels.as_deref(),
            context: self.context.as_deref(),
        };
        let body = serde_json::to_string(&wire)
            .map_err(|source| BuildError::Part { part: "event", source: Arc::new(source) })?;
        // SQS refuses these two characters; JSON can escape them.
        if body.contains(['\u{FFFE}', '\u{FFFF}']) {
            return Ok(body.replace('\u{FFFE}', "\\ufffe").replace('\u{FFFF}', "\\uffff"));
        }
        Ok(body)
    }

    /// Fills in what the publisher knows and the event does not say.
    pub(crate) fn complete(&mut self, source: Option<&str>, sequence: Option<&Sequence>) {
        if self.source.is_none() {
            self.source = source.map(str::to_owned);
        }
        if self.seq.is_none() {
            self.seq = sequence.map(Sequence::next);
        }
    }

    /// The trace it was made in.
    pub(crate) fn trace_context(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    /// What must stay in order on a FIFO target: `table/record`.
    pub(crate) fn order_key(&self) -> String {
        let mut key = self.table.clone();
        for part in self.record.iter().flat_map(RecordId::parts) {
            key.push('/');
            key.push_str(part);
        }
        key
    }

    fn written(
        &mut self,
        part: &'static str,
        result: Result<Box<RawValue>, serde_json::Error>,
    ) -> Option<Box<RawValue>> {
        match result {
            Ok(text) => Some(text),
            Err(error) => {
                self.broken.get_or_insert((part, Arc::new(error)));
                None
            }
        }
    }
}

impl fmt::Debug for ChangeEvent {
    /// Without images, actor and context: an event that lands in a log must not take them there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeEvent")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

fn is_absent(image: Option<&RawValue>) -> bool {
    image.is_none_or(|image| image.get() == "null")
}

/// The keys in the order of the documentation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    v: u8,
    event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a str>,
    table_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<&'a RecordId>,
    operation: Operation,
    occurred_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unknown: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(event: &ChangeEvent) -> Value {
        serde_json::from_str(&event.encode().unwrap()).unwrap()
    }

    #[test]
    fn an_event_has_id_and_time_from_the_start_and_keeps_them() {
        let event = ChangeEvent::update("users", "u1").after(&json!({"a": 1}));
        let (first, second) = (parsed(&event), parsed(&event.clone()));
        assert_eq!(first, second);
        let id: Uuid = first["eventId"].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        let time = first["occurredAt"].as_str().unwrap();
        assert_eq!((time.len(), &time[19..20], &time[26..]), (27, ".", "Z"), "{time}");
    }

    #[test]
    fn every_part_stands_under_its_key() {
        let event = ChangeEvent::update("users", ["org1", "u1"])
            .before(&json!({"a": 1}))
            .after(&json!({"a": 2}))
            .by(crate::Actor { kind: Some("user".into()), on_behalf_of: Some("x".into()), ..Default::default() })
            .context(crate::Context { request_id: Some("r1".into()), ..Default::default() })
            .labels(json!({"u1": "Ada"}))
            .transaction("tx-9")
            .tenant("acme")
            .source("billing-api")
            .seq(u64::MAX)
            .unknown("/bio")
            .event_id("e1")
            .occurred_at(SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1));
        let expected = json!({
            "v": 1, "eventId": "e1", "seq": u64::MAX, "source": "billing-api", "tenant": "acme", "transaction": "tx-9",
            "tableName": "users", "recordId": ["org1", "u1"], "operation": "update",
            "occurredAt": "1970-01-01T00:00:00.000001Z", "before": {"a": 1}, "after": {"a": 2}, "unknown": ["/bio"],
            "by": {"type": "user", "onBehalfOf": "x"}, "labels": {"u1": "Ada"}, "context": {"requestId": "r1"},
        });
        assert_eq!(parsed(&event), expected);
        assert_eq!(parsed(&ChangeEvent::delete("t", 7_u64).before(&1).event_id("e"))["recordId"], "7");
        assert_eq!(parsed(&ChangeEvent::truncate("t")).get("recordId"), None);
    }

    #[test]
    fn json_text_keeps_every_digit() {
        let text = r#"{"n": 12345678901234567890.10, "e":1E400}"#;
        let body = ChangeEvent::insert("t", "1").after_json(text).encode().unwrap();
        assert!(body.contains(text), "{body}");
    }

    #[test]
    fn characters_that_sqs_refuses_are_escaped() {
        let body = ChangeEvent::insert("t", "1").after(&"a\u{FFFE}b\u{FFFF}").encode().unwrap();
        assert!(body.contains(r#""a\ufffeb\uffff""#), "{body}");
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["after"], "a\u{FFFE}b\u{FFFF}");
    }

    #[test]
    fn what_cannot_be_written_is_an_error_that_shows_no_value() {
        let event = ChangeEvent::update("t", "1").before_json("{\"secret\": tru").after(&1);
        let error = event.encode().unwrap_err();
        assert!(matches!(error, BuildError::Part { part: "before", .. }), "{error:?}");
        assert!(!format!("{error} {event:?}").contains("secret"));
        assert!(matches!(ChangeEvent::update("t", "1").encode(), Err(BuildError::NoImage)));
        assert!(matches!(ChangeEvent::insert("t", "1").after(&None::<u8>).encode(), Err(BuildError::NoImage)));
        assert!(matches!(ChangeEvent::truncate("").encode(), Err(BuildError::NoTable)));
    }
}
