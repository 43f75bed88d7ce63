//! What goes into a queue's operations and comes out of them.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Millis;
use crate::handle::ReceiptHandle;
use crate::message::Message;

/// What is known of a message beside its content; it goes with it to a dead-letter queue.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) deduplication_id: Option<Arc<str>>,
    pub(crate) sent_at: Millis,
    /// Receives across all queues.
    pub(crate) receives: u64,
    pub(crate) first_received_at: Option<Millis>,
    /// The ARN of the queue a redrive policy moved it from.
    pub(crate) dead_letter_source: Option<Arc<str>>,
}

impl Record {
    /// What a move task makes of it: a new message, with an id and age of its own
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>).
    pub(crate) fn renewed(self, now: Millis) -> Self {
        let deduplication_id = self.deduplication_id;
        Self {
            id: Uuid::new_v4(),
            deduplication_id,
            sent_at: now,
            receives: 0,
            first_received_at: None,
            dead_letter_source: None,
        }
    }
}

/// The place of a message in a FIFO queue: 20 digits, rising also from a queue to the next of its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(super) fn next(self, now: Millis) -> Self {
        Self((self.0 + 1).max(now * 10_000))
    }
}

impl fmt::Display for Sequence {
    /// SQS's own begin with 188 as well, and are more than 64 bits hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "188{:017}", self.0)
    }
}

/// What a send is answered with: the message's own identity, or that of the one it repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) id: Uuid,
    /// Of FIFO queues.
    pub(crate) sequence: Option<Sequence>,
}

/// What a receive asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ask<'a> {
    /// Messages, at most.
    pub(crate) count: usize,
    /// How long they are hidden.
    pub(crate) timeout: Millis,
    /// `ReceiveRequestAttemptId`; FIFO queues only.
    pub(crate) attempt: Option<&'a str>,
    /// Receives after which a message goes to the dead-letter queue instead, and this queue's ARN.
    pub(crate) redrive: Option<(u64, &'a Arc<str>)>,
}

/// A message handed out.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) message: Arc<Message>,
    pub(crate) handle: ReceiptHandle,
    pub(crate) record: Record,
    /// Of FIFO queues.
    pub(crate) sequence: Option<Sequence>,
}

/// What one receive takes from the queue.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) received: Vec<Received>,
    /// Messages that were received too often: now the dead-letter queue's.
    pub(crate) dead: Vec<(Arc<Message>, Record)>,
}

/// The three counts of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Also those that wait behind others of their group.
    pub(crate) visible: usize,
    pub(crate) in_flight: usize,
    pub(crate) delayed: usize,
}
