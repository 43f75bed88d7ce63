//! The reference model keeps the laws it is the model for.

use std::sync::Arc;

use afterimage_store::MemoryStore;
use afterimage_store::conformance::Suite;

async fn suite() -> Suite {
    Suite::new(Arc::new(MemoryStore::new()))
}

afterimage_store::conformance_tests!(suite);
