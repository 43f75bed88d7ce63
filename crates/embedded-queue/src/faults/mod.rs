//! Faults on demand: what a queue far away does now and then, done here when asked for, the same way for the same seed.
//!
//! A [`Rule`] says which [`Fault`], how likely, for which [`Operation`], from which request to which. [`Faults`] are rules
//! with a seed; they also have a text form for command lines:
//!
//! ```
//! use afterimage_embedded_queue::Faults;
//!
//! let faults: Faults = "seed=7,throttle=0.05,cut-after=0.01@DeleteMessageBatch,latency=1:20ms..80ms".parse()?;
//! assert_eq!(faults.to_string().parse::<Faults>()?, faults);
//! # Ok::<(), afterimage_embedded_queue::FaultsError>(())
//! ```
//!
//! Whether a rule strikes is decided by the seed, the rule and the number of the request alone. Each rule counts for itself
//! the requests (or messages, see [`Fault`]) that it concerns, from 1. So one client that asks one thing after the
//! other meets the same faults at the same requests on every run; with many clients at once, the n-th request meets
//! the same fault, and which request is the n-th is theirs to decide.

mod fault;
mod injector;
mod operation;
mod response;
mod rule;
mod text;
mod wire;

pub use fault::Fault;
pub use injector::FaultCounts;
pub use operation::Operation;
pub use rule::{Faults, Rule};
pub use text::FaultsError;

pub(crate) use injector::{Injector, RequestFaults};
pub(crate) use response::carry_out;
pub(crate) use wire::{Connection, Listener};
