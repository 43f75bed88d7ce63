//! The questions over HTTP: what users and programs ask, under `/v1`.

mod problem;
mod reader;

pub use problem::{PROBLEM_JSON, Problem, ProblemKind};
pub use reader::{Anonymous, Asked, Gate, Reader, Role};
