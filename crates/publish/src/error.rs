//! What can go wrong, event by event.

use std::fmt;
use std::sync::Arc;

use crate::ChangeEvent;

/// An event cannot be written as it was built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A part does not serialise, or is no JSON where JSON text was given.
    #[error("`{part}` cannot be written as JSON")]
    Part {
        /// The event's key: `before`, `after`, `by`, `context`, `labels`.
        part: &'static str,
        /// What serde says.
        source: Arc<serde_json::Error>,
    },
    /// The operation needs an image.
    #[error("the event needs an image: call before() or after()")]
    NoImage,
    /// The table has no name.
    #[error("the table name is empty")]
    NoTable,
    /// The time lies outside the years that RFC 3339 can show.
    #[error("occurred_at lies outside the years 0001 to 9999")]
    Time,
}

/// Why an event is not known to be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It cannot be written; publishing it again cannot help.
    #[error("the event cannot be written")]
    Build(#[source] BuildError),
    /// It is longer than the topic or queue takes; publishing it again cannot help.
    #[error("the event has {bytes} bytes, the target takes {bytes_max}: send less of the record")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// SNS or SQS refused it, for the last time after retries where it was not the event's fault.
    #[error("refused by the target with {code}")]
    Refused {
        /// The error code of SNS or SQS.
        code: String,
        /// Their explanation.
        message: String,
    },
    /// The request ended without an answer: it may have been accepted. Publishing it again is harmless.
    #[error("no answer for the event, it may have been accepted: publish it again")]
    Unknown(#[source] Option<Arc<dyn std::error::Error + Send + Sync>>),
    /// Not tried, because an earlier request failed as a whole, or, on a FIFO target, an earlier event of the record.
    #[error("not sent, because sending an earlier event failed: publish it again after that")]
    NotSent,
}

/// An event that is not known to be accepted.
#[derive(Debug)]
pub struct Failure {
    /// Its place among the events given, from 0.
    pub index: usize,
    /// The event, to be published again: its id, time and number stay as they are.
    pub event: ChangeEvent,
    /// Why.
    pub reason: Reason,
}

/// Some events are not known to be accepted; all others are.
#[derive(Debug)]
#[must_use]
pub struct Unaccepted {
    /// In the order they were given; never empty.
    pub failures: Vec<Failure>,
}

impl Unaccepted {
    /// The events, to be published again.
    #[must_use]
    pub fn into_events(self) -> Vec<ChangeEvent> {
        self.failures.into_iter().map(|failure| failure.event).collect()
    }
}

impl fmt::Display for Unaccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = self.failures.len();
        write!(f, "{events} event{} not known to be accepted", if events == 1 { "" } else { "s" })
    }
}

impl std::error::Error for Unaccepted {
    /// The first failure's reason.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.failures.first().map(|failure| &failure.reason as &(dyn std::error::Error + 'static))
    }
}
