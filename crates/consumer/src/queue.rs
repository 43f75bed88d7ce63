//! The boundary between the worker and the queue it takes messages from.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::dead_letter::DeadLetter;
use crate::message::{Handle, Message};
use crate::proof::Delete;

/// Most messages in a receive, and entries in a batch call
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>).
pub const BATCH_MAX: usize = 10;

/// Largest message, attributes included, and largest sum of a batch that is sent
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
pub const MESSAGE_BYTES_MAX: usize = 1_048_576;

/// Longest wait of a receive, in seconds
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>).
pub const WAIT_MAX: Duration = Duration::from_secs(20);

/// Longest that a message may be kept from others, counted from its receive
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>).
pub const LEASE_TOTAL_MAX: Duration = Duration::from_secs(12 * 3600);

/// Whether a queue keeps an order. Its URL says so: names of FIFO queues, and no others, end in `.fifo`
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// Any order, any message more than once.
    Standard,
    /// The order of sending within each message group.
    Fifo,
}

impl QueueKind {
    /// The kind of the queue with this URL.
    #[must_use]
    pub fn of_url(url: &str) -> Self {
        if url.ends_with(".fifo") { Self::Fifo } else { Self::Standard }
    }
}

/// A queue that leases messages out, and the dead-letter queue that belongs to it.
///
/// Contract:
/// - Batch calls take 1 to [`BATCH_MAX`] items and answer for each of them, in order. An item that the queue's answer
///   does not mention failed.
/// - Implementers bound each call in time and answer in the end; whoever waits need not.
/// - No call touches items of another call: one failed item fails alone.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Which kind of queue it is. A FIFO queue gives every message a group and a place.
    fn kind(&self) -> QueueKind {
        QueueKind::Standard
    }

    /// Leases up to `ask.messages_max` messages. `Ok` without messages says nothing about the queue being empty.
    ///
    /// When `cancel` fires before the answer has begun to arrive, the wait is given up and the answer is empty; an
    /// answer that has begun to arrive is always given in full.
    async fn receive(&self, ask: Ask, cancel: &CancellationToken) -> Result<Receipt, QueueError>;

    /// Deletes. Deleting what is deleted already succeeds.
    async fn delete(&self, deletes: &[Delete]) -> Result<Vec<Result<(), ItemError>>, QueueError>;

    /// Makes each message visible again after so many seconds from now; 0 gives it back at once.
    async fn change_visibility(
        &self,
        handles: &[Handle],
        visibility_s: u32,
    ) -> Result<Vec<Result<(), ItemError>>, QueueError>;

    /// Sends to the dead-letter queue, bodies and attributes as they are.
    async fn send_dead_letters(&self, letters: &[DeadLetter]) -> Result<Vec<Result<(), ItemError>>, QueueError>;

    /// How much the queue holds, approximately.
    async fn counts(&self) -> Result<Counts, QueueError>;
}

/// What to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// At most so many, 1 to [`BATCH_MAX`].
    pub messages_max: usize,
    /// How long the queue may wait for a message before it answers with none, in whole seconds.
    pub wait: Duration,
    /// For how long others will not see the messages, in whole seconds.
    pub lease: Duration,
}

/// What a receive brought.
#[derive(Debug)]
pub struct Receipt {
    /// When the answer began to arrive: the leases run from here.
    pub answered_at: Instant,
    /// The messages, at most as many as asked for.
    pub messages: Vec<Message>,
}

/// What a queue holds, approximately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that can be received.
    pub visible: u64,
    /// Messages somebody holds.
    pub in_flight: u64,
    /// Messages that become visible later.
    pub delayed: u64,
}

impl Counts {
    /// Holds nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// A call failed as a whole; what it did is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct QueueError {
    /// What to do about it.
    pub kind: QueueErrorKind,
    /// The queue's code, or one word for what happened on the way: a bounded label.
    pub code: String,
    /// What the queue or the network said, without payloads.
    pub reason: String,
}

impl QueueError {
    /// Is this identity not allowed what was asked? Another call may be.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.code.contains("AccessDenied")
    }
}

/// What to do about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueErrorKind {
    /// Not reached, no answer in time, throttled, its own fault: ask again later.
    Unavailable,
    /// Too many messages are in flight already: this is saturation, no failure.
    OverLimit,
    /// It will not work until somebody changes something: permissions, credentials, a queue that is not there.
    Misconfigured,
}

/// One item of a batch failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}")]
pub struct ItemError {
    /// The queue's code: a bounded label.
    pub code: String,
    /// Asking again cannot help: the handle is of an ended lease, or the item itself is wrong.
    pub is_final: bool,
}
