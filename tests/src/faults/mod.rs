//! Real workers, a real queue, a real store, and what befalls them. See `docs/reliability.md`.

mod cassandra;
mod disk;
mod fleet;
mod guard;
mod order;
mod page;
mod proxy;
mod queue;
mod report;
mod rig;
mod store;
mod stream;
mod truth;

pub use cassandra::Cassandra;
pub use disk::{Disk, disk_of};
pub use fleet::{Fleet, LEASE};
pub use proxy::{Mode, Proxy};
pub use queue::QueueKind;
pub use report::{Report, last, render};
pub use rig::{Fault, Form, Plan, Rig};
pub use store::StoreKind;
