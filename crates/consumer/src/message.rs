//! A message, as a queue hands it out.

use std::sync::Arc;
use std::time::Duration;

use afterimage_event::{Origin, Timestamp};

use crate::budget::Permit;
use crate::trace::Trace;

/// What a held message costs besides its text: its place in the tables, its handle, allocator overhead.
const OVERHEAD_BYTES: usize = 2048;

/// How much of a message's text may be held at once: the body, and entries made of it (an update whose every value
/// changed keeps both images in its changes), as they wait and as a driver's request.
const TEXT_FACTOR: usize = 3;

/// Longest that SQS keeps a message, 14 days
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>).
pub const RETENTION_MAX: Duration = Duration::from_secs(14 * 24 * 3600);

/// The right to extend, release or delete one delivery of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The message: the same over redeliveries.
    pub message_id: Arc<str>,
    /// The delivery: every receive gives a new one, and only the newest is sure to work.
    pub receipt: Arc<str>,
}

/// One delivery of a message.
#[derive(Debug)]
pub struct Message {
    /// Which message, and which delivery of it.
    pub handle: Handle,
    /// The body.
    pub body: String,
    /// What its sender attached, as it was sent.
    pub attributes: Vec<Attribute>,
    /// When the queue accepted it.
    pub sent_at: Timestamp,
    /// How often it was received, this time included, as far as the queue knows.
    pub receive_count: u32,
    /// The group: of an order on FIFO queues, of a share of the consumers on standard ones.
    pub group_id: Option<String>,
    /// The place in its FIFO group, on FIFO queues.
    pub sequence_number: Option<String>,
    /// What the queue knew it by when it refused to take it twice, on FIFO queues.
    pub deduplication_id: Option<String>,
    /// Its share of the memory budget: returned when the message drops. Queues that hand out small messages only
    /// need none.
    pub permit: Option<Permit>,
    /// How it is traced.
    pub trace: Trace,
}

impl Message {
    /// The message, as a decoder reads it. An origin that cannot be read is none: the message is then told as itself.
    #[must_use]
    pub fn told(&self) -> afterimage_event::Message<'_> {
        let origin = self.attributes.iter().find(|attribute| attribute.name == Origin::ATTRIBUTE);
        afterimage_event::Message {
            body: &self.body,
            message_id: &self.handle.message_id,
            sent_at: self.sent_at,
            sequence_number: self.sequence_number.as_deref(),
            group_id: self.group_id.as_deref(),
            origin: origin.and_then(Attribute::as_text).and_then(|text| Origin::parse(text).ok()),
        }
    }

    /// What a clock says, or the latest that it can be while a queue hands this message out. A worker whose clock is months
    /// ahead must not take what has just come for something whose retention is over: that would be lost without a trace.
    #[must_use]
    pub fn at_most(&self, clock: Timestamp) -> Timestamp {
        clock.min(self.sent_at.saturating_add_micros(RETENTION_MAX.as_micros() as i64))
    }

    /// Bytes to reckon with while it is held: body, what is made of it, and overhead.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        Self::weight_of(self.body.len(), self.attributes.iter().map(Attribute::len_bytes).sum())
    }

    /// [`Self::weight_bytes`] of a message with so much text and so many bytes of attributes.
    #[must_use]
    pub fn weight_of(body_bytes: usize, attribute_bytes: usize) -> usize {
        body_bytes * TEXT_FACTOR + attribute_bytes + OVERHEAD_BYTES
    }
}

/// A message attribute, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// `String`, `Number` or `Binary`, with an optional custom label behind a dot.
    pub data_type: String,
    /// Its value.
    pub value: AttributeValue,
}

/// The value of a message attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// Of `String` and `Number`.
    Text(String),
    /// Of `Binary`.
    Bytes(Vec<u8>),
}

impl Attribute {
    /// A `String` attribute.
    #[must_use]
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), data_type: "String".to_owned(), value: AttributeValue::Text(value.into()) }
    }

    /// Its value, when it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Bytes(_) => None,
        }
    }

    /// What it adds to the size of a message: name, type and value count alike
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        let value = match &self.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Bytes(bytes) => bytes.len(),
        };
        self.name.len() + self.data_type.len() + value
    }
}
