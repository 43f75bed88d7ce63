//! From the queue to the store: pollers, leases, grouping, deletes, dead letters.
//!
//! [`Worker`] takes messages from a [`Queue`], turns them into entries with a [`Processor`], makes these durable in a store,
//! and deletes the messages then, and only then: a [`Delete`] is made from proof.
//!
//! What to do is decided by [`Core`], a state machine without I/O, clock or randomness of its own; the driver in [`Worker`]
//! carries it out. A simulation can take the driver's place, and does so in the tests of this crate.
//!
//! # Memory
//! What is in flight is bounded by [`Limits::messages_max`] and [`Limits::bytes_max`], in three layers:
//! 1. The core starts a receive only if what it may bring, by those seen lately, fits beside what is held.
//! 2. [`SqsQueue`] reads the body of an answer only after the [`Budget`] had room for it: four times its length while it
//!    is read and parsed, three times while its messages are held. Until then it stays with the sender and in the kernel.
//!    So a queue that turns from small to large messages finds however many receives under way, and no room for more
//!    than the budget. Nobody waits for room while holding some, hence waiting ends.
//! 3. Entries may be many times larger than their message (thousands of events of 40 bytes). What exceeds the threefold
//!    comes from a second budget of 32 MiB; a message that finds no room there waits, and is processed alone.
//!
//! A permit lives in its message and ends with it: when everything is durable the body goes, and the handle alone waits for
//! its delete. What is outside the budgets is bounded by number: read buffers (at most 400 KiB a connection), handles, and
//! what the allocator keeps. `tests/memory.rs` measures the sum.

mod budget;
mod core;
pub mod dead_letter;
pub mod dead_letters;
mod depth;
mod driver;
mod health;
mod message;
mod pipeline;
mod process;
mod proof;
mod queue;
mod sqs;
mod telemetry;
mod trace;

pub use crate::core::{Action, Arrival, Books, CallId, Core, Finish, Input, Limits, LimitsError, Note, Status, Time};
pub use budget::{Budget, Permit};
pub use depth::{Depth, Watched};
pub use driver::{End, Worker};
pub use health::{Health, Unhealthy};
pub use message::{Attribute, AttributeValue, Handle, Message, RETENTION_MAX};
pub use pipeline::Pipeline;
pub use process::{Processed, Processor, Rejection};
pub use proof::Delete;
pub use queue::{
    Ask, BATCH_MAX, Counts, ItemError, LEASE_TOTAL_MAX, MESSAGE_BYTES_MAX, Queue, QueueError, QueueErrorKind,
    QueueKind, Receipt, WAIT_MAX,
};
pub use sqs::{SqsQueue, SqsSettings, explain};
pub use telemetry::Metrics;
pub use trace::{MessageSpan, Trace, Traced, Tracing};
