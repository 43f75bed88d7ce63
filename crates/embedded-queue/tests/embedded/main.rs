//! What only the embedded queue has: faults on demand, a bound on memory, an end that one may ask for.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a test that cannot go on fails")]

mod bounds;
mod faults;
mod raw;
