//! The bounds of a worker, and its pace.

use std::time::Duration;

use crate::queue::{LEASE_TOTAL_MAX, QueueKind, WAIT_MAX};

/// Which part of the store's time-out an answer may take without being slow: half of what stores give one request, of which they
/// need three at most.
const SLOW_PART: u32 = 6;

/// The bounds of a worker, and its pace. Every field has a default that suits SQS.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most messages held at once.
    pub messages_max: usize,
    /// Most bytes that held messages may take up, as they are in memory.
    pub bytes_max: usize,
    /// Most receives waiting at once.
    pub pollers_max: usize,
    /// How long a receive waits for a message.
    pub wait: Duration,
    /// For how long a message is leased, and extended, at a time.
    pub lease: Duration,
    /// A message that cannot be finished for so long is given back, well before the queue ends the lease for good.
    pub hold_max: Duration,
    /// Entries that close a group.
    pub group_entries_max: usize,
    /// Bytes of entries that close a group.
    pub group_bytes_max: usize,
    /// How long a group stays open for more.
    pub group_linger: Duration,
    /// Most groups being stored at once.
    pub groups_max: usize,
    /// A group whose answer takes longer was slow: fewer are sent at once. [`crate::Worker::new`] sets it by
    /// [`Limits::with_store_timeout`].
    pub store_slow: Duration,
    /// How long a batch of deletes stays open for more.
    pub delete_linger: Duration,
    /// Most calls of one kind (delete, extend, release, dead letters) at once.
    pub calls_max: usize,
    /// From a stop to the end of the process.
    pub grace: Duration,
    /// End when the queue has been empty for so long.
    pub exit_when_idle: Option<Duration>,
    /// Is there a queue for dead letters? Without one they are left to the redrive policy.
    pub has_dead_letter_queue: bool,
    /// Whether the queue keeps an order, and so must the worker. [`crate::Worker::new`] takes it from its queue.
    pub kind: QueueKind,
    /// The worker's name, for dead letters.
    pub worker: String,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_max: 4096,
            bytes_max: 96 << 20,
            pollers_max: 64,
            wait: WAIT_MAX,
            lease: Duration::from_secs(60),
            hold_max: Duration::from_secs(11 * 3600),
            group_entries_max: 256,
            group_bytes_max: 2 << 20,
            group_linger: Duration::from_millis(3),
            groups_max: 8,
            store_slow: Duration::from_millis(2_500),
            delete_linger: Duration::from_millis(100),
            calls_max: 16,
            grace: Duration::from_secs(25),
            exit_when_idle: None,
            has_dead_letter_queue: false,
            kind: QueueKind::Standard,
            worker: "worker".to_owned(),
        }
    }
}

/// Limits that contradict each other, or the queue's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} must be {expected}")]
pub struct LimitsError {
    /// Which.
    pub setting: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

impl Limits {
    /// The same for a store that has so long for an append: it is slow when it takes a sixth of that.
    #[must_use]
    pub fn with_store_timeout(self, store_timeout: Duration) -> Self {
        Self { store_slow: store_timeout / SLOW_PART, ..self }
    }

    /// How long a batch of deletes stays open: on FIFO queues not at all, since a group goes on when it is deleted, and what one
    /// group of entries made durable is deleted together anyway.
    pub(super) fn delete_linger(&self) -> Duration {
        match self.kind {
            QueueKind::Standard => self.delete_linger,
            QueueKind::Fifo => Duration::ZERO,
        }
    }

    /// Refuses limits that could not work.
    ///
    /// # Errors
    /// [`LimitsError`] names the first setting that is wrong.
    pub fn check(&self) -> Result<(), LimitsError> {
        let rules = [
            (self.messages_max >= 10, "messages_max", "at least 10: one full receive"),
            (self.bytes_max >= 16 << 20, "bytes_max", "at least 16 MiB: one receive may bring ten messages of 1 MiB"),
            (self.pollers_max >= 1, "pollers_max", "at least 1"),
            (self.wait <= WAIT_MAX, "wait", "at most 20 s"),
            (self.lease >= Duration::from_secs(10), "lease", "at least 10 s: half of it must suffice to extend it"),
            (self.hold_max <= LEASE_TOTAL_MAX, "hold_max", "at most 12 h: the queue ends leases then"),
            (self.lease <= self.hold_max, "lease", "at most hold_max, the longest a message is held (11 h unless set)"),
            (self.group_entries_max >= 1, "group_entries_max", "at least 1"),
            (self.groups_max >= 1, "groups_max", "at least 1"),
            (self.calls_max >= 1, "calls_max", "at least 1"),
            (self.delete_linger <= Duration::from_millis(200), "delete_linger", "at most 200 ms"),
        ];
        match rules.into_iter().find(|(holds, _, _)| !holds) {
            Some((_, setting, expected)) => Err(LimitsError { setting, expected }),
            None => Ok(()),
        }
    }
}
