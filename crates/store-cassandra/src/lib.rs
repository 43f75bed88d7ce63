//! The trail in Apache Cassandra (4.0 and later) or ScyllaDB (5.0 and later).
//!
//! Entries are found by index rows, and every partition of them stays small whatever the load: rows are spread over time
//! buckets by `occurred_at`, wide ones while an index is quiet and narrow ones while it is busy, and over shards that
//! workers fill one after the other. A directory of the buckets and shards that exist tells readers where to look.
//! `schema.rs` has the tables and says why they look as they do.
//!
//! Storing an event only ever inserts: no counters, no lightweight transactions, no reads.

mod address;
mod batch;
mod cluster;
mod config;
mod connection;
mod consistency;
mod errors;
mod migrate;
mod plan;
mod read;
mod rows;
mod schema;
mod session;
mod shards;
mod statements;
mod store;
mod term;
mod tls;
mod write;

#[cfg(test)]
mod test_entries;

pub use config::{Config, ConfigError, Credentials, Flavor, Replication, RowsPerShard};
pub use consistency::{Consistency, ParseConsistencyError};
pub use read::Asked;
pub use store::CassandraStore;
pub use tls::{Tls, TlsError};
pub use write::Sent;
