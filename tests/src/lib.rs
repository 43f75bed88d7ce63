//! What runs the whole: real servers, the real binary. Helpers for the tests beside this.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod aws;
mod binary;
mod faults;
mod servers;

pub use aws::{Aws, Fanout};
pub use binary::{Afterimage, Finished};
pub use faults::{
    Cassandra, Disk, Fault, Fleet, Form, LEASE, Mode, Plan, Proxy, QueueKind, Report, Rig, StoreKind, disk_of, last,
    render,
};
pub use servers::{Need, server};
