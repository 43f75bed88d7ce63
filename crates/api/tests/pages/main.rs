//! The pages, asked as HTTP asks them, on a store in memory.

mod document;
mod limits;
mod problems;
mod questions;
mod schema;
mod server;
mod support;
