//! Readers known by credentials, and questions that are recorded: `afterimage_access` behind [`crate::Gate`].

mod audit;
mod authenticate;

pub use audit::Noted;
pub use authenticate::{Guard, Who};
