//! An SQS endpoint in this process, for the demo and for tests.
//!
//! The real AWS SDK talks to it over loopback: the JSON protocol (`x-amz-target: AmazonSQS.<Operation>`), standard and
//! FIFO queues, long polling, visibility time-outs, message attributes, dead-letter queues, retention, per-entry failures
//! and the published limits behave as SQS documents them. Signatures are not checked and nothing is written to disk: what
//! it holds ends with the process. It is no queue for production.
//!
//! Known differences from SQS: queues may be purged and re-created at once; messages come in the order they became
//! visible; no tags, permissions or move tasks; what is held (messages, and the deduplication ids of the last five
//! minutes) is bounded in bytes, and a send beyond that is answered with `RequestThrottled`.
//!
//! What a queue far away does now and then, it does when asked for ([`Faults`]): throttling, cut connections, duplicates,
//! deletes that delete nothing.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use afterimage_embedded_queue::EmbeddedQueue;
//!
//! let queue = EmbeddedQueue::start(([127, 0, 0, 1], 0).into()).await?;
//! println!("AWS_ENDPOINT_URL={}", queue.endpoint());
//! queue.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod attributes;
mod broker;
mod clock;
mod error;
mod faults;
mod handle;
mod memory;
mod message;
mod moves;
mod operations;
mod queue;
mod server;
mod settings;

pub use faults::{Fault, FaultCounts, Faults, FaultsError, Operation, Rule};
pub use server::{EmbeddedQueue, Options};
