//! An SQS endpoint in this process, for the demo and for tests.
//!
//! The real AWS SDK talks to it over loopback, by the JSON protocol (`x-amz-target: AmazonSQS.<Operation>`). Signatures are
//! not checked and nothing is written to disk: what it holds ends with the process. It is no queue for production.
//!
//! | as SQS documents it | |
//! |---|---|
//! | queues | create, delete, find, list by page, attributes with their ranges, tags, purge; standard and FIFO |
//! | messages | batches with failures entry by entry, attributes and their MD5s, trace header, character set, 1 MiB, delay, retention |
//! | receiving | long polls, visibility time-outs up to twelve hours, receive counts, 120,000 in flight |
//! | FIFO | order within groups, deduplication by id or body for five minutes in either scope, sequence numbers, expired handles, receives repeated by attempt id, a queue's own delay |
//! | dead letters | redrive and redrive-allow policies, their sources, move tasks with rate, cancel and failure |
//! | exact, where SQS approximates | the three counts; a short poll looks everywhere; standard queues deliver in the order of becoming visible |
//!
//! | otherwise than SQS | |
//! |---|---|
//! | accounts | one; `AddPermission` and `RemovePermission` are refused, `Policy` and the KMS attributes are kept and shown |
//! | time | takes effect at once: changed attributes, purges (again within 60 s), a name used again within 60 s |
//! | throughput | no quotas, and `FifoThroughputLimit` has no effect; no fair queues: a group id on a standard queue is shown |
//! | memory | messages and deduplication ids are bounded in bytes together; a send beyond is answered with `RequestThrottled` |
//! | move tasks | a cancelled one stops at once, without `CANCELLING`; only what is visible at the start is moved |
//!
//! Tests need not wait: [`EmbeddedQueue::advance`] pushes the queues' time forward. [`SnsNotification`] makes the bodies
//! that SNS would deliver.
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
mod sns;

pub use faults::{Fault, FaultCounts, Faults, FaultsError, Operation, Rule};
pub use server::{EmbeddedQueue, Options};
pub use sns::SnsNotification;
