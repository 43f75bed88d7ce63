//! What only the demo needs: a shop that changes, and its story told in the terminal.

pub(crate) mod narrator;
pub(crate) mod shop;
