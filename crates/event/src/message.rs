//! What the queue gives, and how it is to be read.

use std::fmt;
use std::sync::Arc;

use afterimage_json::Pointer;

use crate::{Format, Limits, Origin, Timestamp};

/// A message, as a queue gives it.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Its body.
    pub body: &'a str,
    /// Its SQS message id.
    pub message_id: &'a str,
    /// SQS `SentTimestamp`.
    pub sent_at: Timestamp,
    /// SQS `SequenceNumber`, on FIFO queues.
    pub sequence_number: Option<&'a str>,
    /// SQS `MessageGroupId`, on FIFO queues.
    pub group_id: Option<&'a str>,
    /// What the attribute [`Origin::ATTRIBUTE`] says, on a message that was a dead letter once. It goes before the
    /// four fields above.
    pub origin: Option<Origin>,
}

/// How the messages of one queue are read.
#[derive(Clone)]
pub struct Settings {
    /// The format of every event, in whatever envelope; `None` tells each by its shape.
    pub format: Option<Format>,
    /// The source of events that name none.
    pub source: String,
    /// The tenant of events that name none.
    pub tenant: String,
    /// ARNs of the SNS topics that are believed. Empty: all, and messages that came without SNS. Not empty: each message
    /// must be a notification of one of them, so raw delivery is refused, since it does not say whence it came.
    pub allow_topics: Vec<String>,
    /// Where records have their keys.
    pub record_keys: Arc<dyn RecordKeys>,
    /// Bounds of a message.
    pub limits: Limits,
}

/// The name of a tenant or source where nothing names one.
pub const DEFAULT_NAME: &str = "default";

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: None,
            source: DEFAULT_NAME.to_owned(),
            tenant: DEFAULT_NAME.to_owned(),
            allow_topics: Vec::new(),
            record_keys: Arc::new(NoRecordKeys),
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("format", &self.format)
            .field("source", &self.source)
            .field("tenant", &self.tenant)
            .field("allow_topics", &self.allow_topics)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Where the records of each table have their keys, for events that do not say it.
pub trait RecordKeys: Send + Sync {
    /// Pointers into an image, one for each part of the key; none: `id`, else `_id`.
    fn pointers(&self, source: &str, table: &str) -> &[Pointer];
}

/// No table has a key of its own.
#[derive(Clone, Copy, Debug)]
pub struct NoRecordKeys;

impl RecordKeys for NoRecordKeys {
    fn pointers(&self, _source: &str, _table: &str) -> &[Pointer] {
        &[]
    }
}
