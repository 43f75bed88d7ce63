//! The promise of the worker, tested from the outside: its laws one by one, and against a
//! real queue.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics fails and says where; skipped tests say so"
)]

mod calls;
mod driver;
mod elasticmq;
mod fakes;
mod fifo_load;
mod gate;
mod laws;
mod letters;
#[path = "../pair/mod.rs"]
mod pair;
mod rig;
