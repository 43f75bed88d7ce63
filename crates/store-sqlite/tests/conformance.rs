//! SQLite keeps the laws of every store.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;

use afterimage_store::Store;
use afterimage_store::conformance::Suite;
use afterimage_store_sqlite::{Options, SqliteStore};

async fn suite() -> Suite {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("trail.db"), &Options::default()).unwrap();
    store.migrate().await.unwrap();
    Suite::new(Arc::new(store)).holding(folder)
}

afterimage_store::conformance_tests!(suite);
