//! What a service calls to tell the trail about a change.
//!
//! Three lines in your data layer, after the change is committed (or as it is, from an outbox):
//!
//! ```no_run
//! # async fn example(sns: aws_sdk_sns::Client, old: &str, new: &str) -> Result<(), afterimage_publish::Unaccepted> {
//! use afterimage_publish::{ChangeEvent, Publisher};
//!
//! let publisher = Publisher::to_topic(sns, "arn:aws:sns:eu-west-1:123456789012:changes").source("billing-api");
//!
//! let event = ChangeEvent::update("users", "u1").before(&old).after(&new).by("ada@example.com");
//! publisher.publish(event).await?;
//! # Ok(())
//! # }
//! ```
//!
//! An event has its id and its time from the moment it is made, so publishing it again after an error is harmless: the
//! trail keeps one entry of it. Errors are returned, never swallowed, and name the events that are not known to be
//! accepted.

mod batch;
mod error;
mod event;
mod parties;
mod publisher;
mod record_id;
mod sequence;
mod target;
mod trace;

pub use error::{BuildError, Failure, Reason, Unaccepted};
pub use event::ChangeEvent;
pub use parties::{Actor, Context};
pub use publisher::Publisher;
pub use record_id::RecordId;
pub use sequence::Sequence;
