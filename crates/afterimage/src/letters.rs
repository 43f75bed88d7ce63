//! Dead letters as a person asks about them: what each says of itself, how it is read now, whether the trail has it.

mod facts;
mod filter;
mod outline;
mod reading;
mod trail;

pub(crate) use facts::Facts;
pub(crate) use filter::{Filter, Selection};
pub(crate) use outline::outline;
pub(crate) use reading::{EventNow, Reader, Reading};
pub(crate) use trail::{InTrail, TrailState, in_trail};

/// A letter that says nothing of this.
pub(crate) const UNSAID: &str = "-";
