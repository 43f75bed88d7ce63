//! The embedded queue, seen through the real SDK.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a test that cannot go on fails")]

mod common;
mod messages;
mod queues;
mod visibility;
