//! The pages, asked as HTTP asks them, on a store in memory.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod document;
mod limits;
mod problems;
mod questions;
mod schema;
mod server;
mod support;
