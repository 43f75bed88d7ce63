//! The publisher against the embedded queue, and against servers that misbehave.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a test that cannot go on fails")]

mod queue;
mod retries;
mod server;
