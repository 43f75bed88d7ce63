//! What the core is told, and what it wants done.

use std::sync::Arc;
use std::time::Duration;

use afterimage_store::{AppendError, Durable, Entry, StoreError};

use crate::budget::Permit;
use crate::dead_letter::{DeadLetter, DeadLettered};
use crate::message::{Handle, Message};
use crate::process::Processed;
use crate::proof::Delete;
use crate::queue::{Counts, ItemError, QueueError};
use crate::trace::Traced;

/// A moment: time since the worker's start, on a clock that never goes back.
pub type Time = Duration;

/// One thing asked for; its answer names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(super) u64);

impl CallId {
    /// No call: they are counted from 1.
    pub(super) const NONE: Self = Self(0);
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Time passed.
    Tick,
    /// [`Action::Receive`] is answered. The leases run from `leased_at`.
    Received {
        /// Which call.
        call: CallId,
        /// When the answer began to arrive.
        leased_at: Time,
        /// What it brought.
        result: Result<Vec<Arrival>, QueueError>,
    },
    /// [`Action::Process`] is answered.
    Processed {
        /// Which call.
        call: CallId,
        /// What the message came to.
        processed: Processed,
        /// Memory set aside for it.
        room: Option<Permit>,
    },
    /// [`Action::Store`] is answered: one outcome for each entry, in order.
    Stored {
        /// Which call.
        call: CallId,
        /// One for each entry.
        results: Vec<Result<Durable, AppendError>>,
    },
    /// [`Action::Ping`] is answered.
    Pinged {
        /// Which call.
        call: CallId,
        /// Does the store answer?
        result: Result<(), StoreError>,
    },
    /// [`Action::Delete`], [`Action::Extend`] or [`Action::Release`] is answered.
    Answered {
        /// Which call.
        call: CallId,
        /// One for each item, in order.
        result: Result<Vec<Result<(), ItemError>>, QueueError>,
    },
    /// [`Action::DeadLetter`] is answered.
    DeadLettered {
        /// Which call.
        call: CallId,
        /// One for each letter, in order.
        result: Result<Vec<Result<DeadLettered, ItemError>>, QueueError>,
    },
    /// [`Action::Count`] is answered.
    Counted {
        /// Which call.
        call: CallId,
        /// How much the queue holds.
        result: Result<Counts, QueueError>,
    },
    /// A call ended without an answer: whoever carried it out failed. Its outcome is unknown.
    Lost {
        /// Which call.
        call: CallId,
    },
    /// Stop: take no more, finish or give back, end.
    Stop,
}

/// One message of a receive, and what it was turned into.
#[derive(Debug)]
pub struct Arrival {
    /// The message.
    pub message: Arc<Message>,
    /// What it came to; absent when it was not begun: the worker was stopping, or there was no room for what it might
    /// come to.
    pub processed: Option<Processed>,
    /// Memory set aside for what it came to, where that is more than was reckoned with; given back with it.
    pub room: Option<Permit>,
}

/// What to do. Calls with a [`CallId`] are answered exactly once, in any order.
#[derive(Debug)]
pub enum Action {
    /// Receive up to ten messages.
    Receive {
        /// Which call.
        call: CallId,
        /// How long the queue may wait for one.
        wait: Duration,
    },
    /// Give up the waiting of all receives; an answer that has begun to arrive is read to its end.
    CancelReceives,
    /// Turn a message into entries, waiting for room first. One at a time.
    Process {
        /// Which call.
        call: CallId,
        /// The message.
        message: Arc<Message>,
    },
    /// Make entries durable.
    Store {
        /// Which call.
        call: CallId,
        /// The entries.
        entries: Vec<Arc<Entry>>,
        /// Their messages, as far as these are recorded.
        traced: Vec<Traced>,
    },
    /// Ask the store whether it answers.
    Ping {
        /// Which call.
        call: CallId,
    },
    /// Delete messages, at most ten.
    Delete {
        /// Which call.
        call: CallId,
        /// The messages, each with its proof.
        deletes: Vec<Delete>,
    },
    /// Extend leases, at most ten.
    Extend {
        /// Which call.
        call: CallId,
        /// The leases.
        handles: Vec<Handle>,
        /// Until so many seconds from now.
        visibility_s: u32,
    },
    /// Give messages back at once, at most ten.
    Release {
        /// Which call.
        call: CallId,
        /// The leases.
        handles: Vec<Handle>,
    },
    /// Send dead letters, at most ten.
    DeadLetter {
        /// Which call.
        call: CallId,
        /// The letters.
        letters: Vec<DeadLetter>,
    },
    /// Ask how much the queue holds.
    Count {
        /// Which call.
        call: CallId,
    },
    /// Something to be logged and counted.
    Note(Note),
    /// The worker has ended: nothing is held, nothing will follow.
    Finish(Finish),
}

/// Why a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was told to stop.
    Stopped,
    /// The queue stayed empty for as long as it was told to wait.
    Idle,
}

/// Something worth a log line and a count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The store stopped answering: polling stops.
    StoreDown {
        /// What it said.
        reason: String,
    },
    /// The store answers again (or for the first time).
    StoreUp {
        /// After how long.
        after: Duration,
    },
    /// A receive failed.
    ReceiveFailed {
        /// The queue's word.
        error: QueueError,
    },
    /// The queue took a message from this worker, or a newer delivery replaced this one.
    LeaseLost {
        /// Which.
        message_id: Arc<str>,
        /// The queue's code.
        code: String,
    },
    /// A message was held for as long as may be, and given back.
    HeldTooLong {
        /// Which.
        message_id: Arc<str>,
    },
    /// A message went to the dead letters.
    DeadLettered {
        /// Which.
        message_id: Arc<str>,
        /// The reason's code.
        code: &'static str,
    },
    /// A message that cannot be stored was left to the queue's redrive policy.
    LeftToRedrive {
        /// Which.
        message_id: Arc<str>,
        /// The reason's code.
        code: &'static str,
        /// Where and what, without values.
        reason: String,
    },
    /// Items of a batch call failed and are tried again.
    Retried {
        /// `delete`, `extend` or `dead_letter`.
        operation: &'static str,
        /// The queue's code.
        code: String,
        /// How many items.
        items: usize,
    },
    /// A message that is no event.
    Control {
        /// Which.
        message_id: Arc<str>,
        /// Its kind.
        kind: &'static str,
    },
    /// The worker stops.
    Stopping {
        /// Messages held.
        held: usize,
    },
}
