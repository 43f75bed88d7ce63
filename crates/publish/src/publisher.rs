//! The publisher.

use std::collections::VecDeque;
use std::time::Duration;

use crate::batch::{self, Fifo, Parcel};
use crate::error::{Failure, Reason, Unaccepted};
use crate::target::{Outcome, RequestError, Target};
use crate::{ChangeEvent, Sequence};

/// Times an entry is sent that is refused by no fault of its own (throttling, a failure inside AWS).
const ATTEMPTS_MAX: u32 = 4;
/// The pause before such an entry is sent again; it doubles with every attempt.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends events to an SNS topic or an SQS queue.
///
/// Cheap to clone; clones share the sequence. On a FIFO target (its name ends in `.fifo`) events of one record are kept
/// in order: the group is `table/record`, and the event's id makes a second send of it one message.
#[derive(Clone, Debug)]
pub struct Publisher {
    target: Target,
    source: Option<String>,
    sequence: Option<Sequence>,
    bytes_max: usize,
}

impl Publisher {
    /// To a topic, by its ARN. Needs `sns:Publish`.
    #[must_use]
    pub fn to_topic(client: aws_sdk_sns::Client, arn: impl Into<String>) -> Self {
        Self::to(Target::Topic { client, arn: arn.into() })
    }

    /// To a queue, by its URL. Needs `sqs:SendMessage`.
    #[must_use]
    pub fn to_queue(client: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self::to(Target::Queue { client, url: url.into() })
    }

    fn to(target: Target) -> Self {
        Self { bytes_max: target.bytes_max(), target, source: None, sequence: None }
    }

    /// The source of events that name none.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Numbers events that have no number, when they are published.
    #[must_use]
    pub fn sequence(mut self, sequence: Sequence) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The longest message, in bytes, that the topic or queue takes, where that is not the default: 256 KiB for a
    /// topic, 1 MiB for a queue. A batch is held to the same length.
    #[must_use]
    pub const fn bytes_max(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Publishes one event; returns when SNS or SQS has accepted it.
    ///
    /// # Errors
    /// When it is not known to be accepted; the event comes back, and may be published again.
    pub async fn publish(&self, event: ChangeEvent) -> Result<(), Unaccepted> {
        self.publish_many([event]).await
    }

    /// Publishes events in tens, in the order given; returns when each is accepted or failed.
    ///
    /// Only what failed by no fault of the event is sent again, a few times, with growing pauses. When a request fails as a
    /// whole, after the SDK's own retries, the rest is not tried.
    ///
    /// # Errors
    /// Names the events that are not known to be accepted, each with its reason; all others are accepted.
    pub async fn publish_many(&self, events: impl IntoIterator<Item = ChangeEvent>) -> Result<(), Unaccepted> {
        let mut run = Run::new(self, events);
        while !run.pending.is_empty() {
            let batch = batch::next(&mut run.pending, self.bytes_max);
            let result = self.target.send(&batch).await;
            let pause = run.settle(batch, result);
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
        }
        run.finish()
    }
}

/// One call of [`Publisher::publish_many`].
struct Run {
    /// Each event until it is accepted or reported.
    events: Vec<Option<ChangeEvent>>,
    pending: VecDeque<Parcel>,
    failures: Vec<Failure>,
}

impl Run {
    fn new(publisher: &Publisher, events: impl IntoIterator<Item = ChangeEvent>) -> Self {
        let mut run = Self { events: Vec::new(), pending: VecDeque::new(), failures: Vec::new() };
        let is_fifo = publisher.target.is_fifo();
        for (index, mut event) in events.into_iter().enumerate() {
            event.complete(publisher.source.as_deref(), publisher.sequence.as_ref());
            let fifo = is_fifo.then(|| Fifo::new(&event.order_key(), event.id()));
            let encoded = event.encode();
            let trace = event.trace_context().cloned();
            run.events.push(Some(event));
            match encoded {
                Ok(body) if body.len() <= publisher.bytes_max => {
                    let room = publisher.bytes_max - body.len();
                    let trace = trace.filter(|trace| trace.len_bytes() <= room);
                    run.pending.push_back(Parcel { index, body, trace, fifo, attempts: 0 });
                }
                Ok(body) => {
                    run.fail(index, Reason::TooLarge { bytes: body.len(), bytes_max: publisher.bytes_max });
                }
                Err(error) => run.fail(index, Reason::Build(error)),
            }
        }
        run
    }

    /// Books what became of a batch; returns how long to wait before the next.
    fn settle(&mut self, batch: Vec<Parcel>, result: Result<Vec<Outcome>, RequestError>) -> Option<Duration> {
        let outcomes = match result {
            Ok(outcomes) => outcomes,
            Err(error) => {
                for parcel in batch {
                    self.fail(parcel.index, error.reason());
                }
                for parcel in std::mem::take(&mut self.pending) {
                    self.fail(parcel.index, Reason::NotSent);
                }
                return None;
            }
        };
        let mut again = Vec::new();
        for (mut parcel, outcome) in batch.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Accepted => self.events[parcel.index] = None,
                Outcome::Refused(reason) => self.fail(parcel.index, reason),
                Outcome::Failed(_) if parcel.attempts + 1 < ATTEMPTS_MAX => {
                    parcel.attempts += 1;
                    again.push(parcel);
                }
                Outcome::Failed(reason) => {
                    self.fail(parcel.index, reason);
                    self.hold_back(parcel.fifo.as_ref());
                }
            }
        }
        let attempts = again.iter().map(|parcel| parcel.attempts).max();
        while let Some(parcel) = again.pop() {
            self.pending.push_front(parcel);
        }
        attempts.map(|attempts| PAUSE * 2_u32.pow(attempts - 1))
    }

    /// Reports what waits in the group of a failed event: it must not overtake an event that may be published again.
    fn hold_back(&mut self, fifo: Option<&Fifo>) {
        let Some(fifo) = fifo else { return };
        for parcel in std::mem::take(&mut self.pending) {
            if parcel.fifo.as_ref().is_some_and(|other| other.group_id == fifo.group_id) {
                self.fail(parcel.index, Reason::NotSent);
            } else {
                self.pending.push_back(parcel);
            }
        }
    }

    fn fail(&mut self, index: usize, reason: Reason) {
        if let Some(event) = self.events[index].take() {
            self.failures.push(Failure { index, event, reason });
        }
    }

    fn finish(mut self) -> Result<(), Unaccepted> {
        self.failures.sort_by_key(|failure| failure.index);
        if self.failures.is_empty() { Ok(()) } else { Err(Unaccepted { failures: self.failures }) }
    }
}
