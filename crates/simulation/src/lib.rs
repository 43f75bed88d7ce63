//! Whole fleets of workers from a seed, thousands a second.
//!
//! The consumer's decisions ([`afterimage_consumer::Core`], the very code that runs in production) meet a simulated queue,
//! store, network and clock. A [`Plan`] follows from a seed: how large the fleet is, its bounds, which kinds of
//! [`Fault`] are on. A run follows from its plan, event by event, so a seed that breaks a [`Law`] breaks it again, and can
//! tell its [`Story`].
//!
//! Laws are checked while the run goes on: a delete at the moment at which it is asked for and at the moment at which the
//! queue carries it out, the books of each worker after each of its turns. A [`Mutant`] is a planted defect; the tests of
//! this crate show that each is caught.

mod agenda;
mod corpus;
mod fault;
mod fleet;
mod law;
mod mutant;
mod network;
mod notary;
mod plan;
mod queue;
mod report;
mod shadow;
mod simulator;
mod store;
mod story;
mod tally;
mod wire;
mod worker;
mod world;

pub use fault::{Fault, Faults};
pub use law::{Law, Violation};
pub use mutant::Mutant;
pub use plan::{Plan, Scene, Supply};
pub use report::Report;
pub use simulator::Simulator;
pub use story::Story;
pub use tally::{Count, Tally};
