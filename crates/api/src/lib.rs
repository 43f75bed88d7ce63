//! The questions over HTTP: what users and programs ask, under `/v1`.
//!
//! | page | what it is |
//! |---|---|
//! | `/v1/…` | the questions: see `/docs` |
//! | `/v1/openapi.json` | the OpenAPI 3.1 document |
//! | `/docs` | the same to read |
//! | `/healthz`, `/readyz`, `/metrics` | see [`health_pages`] |
//!
//! Each question is one `Operation`: the same description routes a request, checks its parameters and becomes
//! the document, so none of them can say what another does not.

mod access;
mod call;
mod docs;
mod export;
mod health;
mod observe;
mod openapi;
mod operation;
mod problem;
mod query;
mod questions;
mod reader;
mod request_id;
mod router;
mod server;

pub use access::{Guard, Noted, Who};
pub use afterimage_access::{Reader, Role};
pub use call::Limits;
pub use health::{Verdict, Vitals, health_pages};
pub use problem::{PROBLEM_JSON, Problem, ProblemKind};
pub use reader::{Anonymous, Asked, Gate};
pub use router::{Service, router};
pub use server::Server;
