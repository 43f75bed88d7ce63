//! From a service to the trail, through real servers and the real binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a test that cannot go on fails")]

mod doctor;
mod pipeline;
mod sns;
