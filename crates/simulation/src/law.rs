//! What must hold, and how it is told that it did not.

use std::fmt;

use afterimage_consumer::Time;

use crate::corpus::MessageNo;

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which law.
    pub law: Law,
    /// When, in virtual time.
    pub at: Time,
    /// What happened.
    pub what: String,
    /// The message that shows it, if it is one.
    pub message: Option<u32>,
}

/// The laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Law {
    /// A delete is asked for, and done, only when every entry of the message is durable, and poison is a dead letter: the
    /// worker has been told so.
    DurableBeforeDelete,
    /// Each event that has an entry has it once, with the content that an undisturbed run stores.
    OneEntryForEachEvent,
    /// The worker sends no healthy message to the dead letters, and poison with the right reason and the body unchanged.
    OnlyPoisonIsDeadLettered,
    /// Poison ends with the dead letters.
    PoisonIsKept,
    /// The redrive policy takes no healthy message when nothing but stores fail.
    NoDeliveryIsWasted,
    /// Messages held, deleted, received and given up are those that the worker's books say.
    BooksAreTrue,
    /// Both equations of the books hold.
    BooksBalance,
    /// Messages, bytes and calls stay within their bounds.
    Bounds,
    /// Extensions, deletes and releases use the newest handle, and no message is twice in a batch.
    NewestHandle,
    /// What a healthy worker holds does not come back while the queue works; what is given back is let go.
    LeasesAreKept,
    /// A worker that is told to stop ends within its grace period, holding nothing.
    StopsInTime,
    /// Once nothing goes wrong any more, everything gets done.
    EverythingGetsDone,
    /// The calls of a worker stay few.
    NoBusyLoop,
    /// Messages of a FIFO group are stored, dead-lettered and deleted in their order.
    GroupsKeepTheirOrder,
    /// FIFO groups that do not get on hold up no others.
    GroupsFlow,
    /// A worker that ends for want of work has been told that the queue is empty.
    IdleIsEmpty,
    /// The worker panicked.
    NoPanic,
}

impl Violation {
    pub(crate) fn of(law: Law, at: Time, what: impl Into<String>) -> Self {
        Self { law, at, what: what.into(), message: None }
    }

    pub(crate) fn about(law: Law, at: Time, message: MessageNo, what: &str) -> Self {
        Self { law, at, what: format!("m{message} {what}"), message: Some(message) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:.3} s: {}", self.law, self.at.as_secs_f64(), self.what)
    }
}
