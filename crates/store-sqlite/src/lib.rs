//! The trail in one SQLite file: the embedded default.
//!
//! * One file in WAL mode with `synchronous=FULL`: a commit is on the disk when it is acknowledged
//!   (<https://sqlite.org/pragma.html#pragma_synchronous>).
//! * One writer thread; appends that wait for it together share a transaction, and so its one flush to the disk.
//! * Readers have connections of their own and never wait for the writer (<https://sqlite.org/wal.html>).
//!
//! A file that is removed or replaced while it is open takes nothing more: what is written to it counts as not stored, and is
//! written again once a file stands at the path.
//!
//! Several processes may use one file, on one machine: WAL needs shared memory, so no network file system.
//!
//! An entry is one row of `entry`, in order of arrival, and small rows in indexes: one by event (what makes two tellings
//! one), one by record, one by table; one by operation or, for an update, one for each name that changed; one for each
//! actor, request, transaction and migration, and then one in `provenance` that lists these. `entry.id` grows with every commit and is never used again, with `worker` and
//! `stored_at` beside it: that is the arrival journal.

mod dictionary;
mod error;
mod files;
mod lookups;
mod read;
mod rows;
mod schema;
mod store;
mod write;
mod writer;

pub use schema::SCHEMA_VERSION;
pub use store::{Options, SqliteStore};
