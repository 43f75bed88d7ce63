//! The trail in MongoDB (5.0 and later), or in Amazon `DocumentDB`.
//!
//! One document for each entry, inserted and never changed, and one compound index for each question. `document.rs` has
//! the document, `schema.rs` the indexes; `docs/stores/mongodb.md` shows both to those who ask in mongosh.
//!
//! Storing an event is one unordered insert: no read before it, no transaction, no update. A document whose `_id` is there
//! is an entry stored already. Only the first entry that a process has of a table costs a second insert, which announces
//! the table in a small collection: so that the tables there are can be listed without walking entries.

mod announce;
mod bson;
mod config;
mod connection;
mod decode;
mod document;
mod encode;
mod errors;
mod migrate;
mod names;
mod questions;
mod read;
mod rewrite;
mod rows;
mod schema;
mod store;
mod terms;
mod tls;
mod topology;
mod write;

pub use config::{Authentication, Config, ConfigError, Credentials, ParseAuthenticationError};
pub use store::MongoStore;
pub use tls::{Tls, TlsError};
pub use write::Sent;
