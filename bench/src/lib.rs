//! The seeded load generator: the same events for the same seed, on every machine.

mod load;

pub use load::{Envelope, Load, Settings};
