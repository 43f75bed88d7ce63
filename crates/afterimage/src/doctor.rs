//! Is a deployment fit to keep the promise? Looks at queue, dead letters, topics, store and clock, and says what to change.
//!
//! Judgements are apart from calls: `queue`, `topic` and `policy` judge what was read; `look` reads it.

mod clock;
mod finding;
mod look;
mod policy;
mod probe;
mod queue;
mod store;
mod topic;

pub(crate) use finding::{Finding, Level};
pub(crate) use look::Looker;
pub(crate) use probe::probe;
pub(crate) use store::{look_at_store, unusable};
