//! The comparisons: the same queue server, the same messages, processes that run in turn.

mod cpu;
mod memory;
mod process;
mod report;
mod rows;
mod server;
mod worker;

pub(crate) use cpu::{CpuArgs, run as cpu};
pub(crate) use memory::{MemoryArgs, run as memory};
