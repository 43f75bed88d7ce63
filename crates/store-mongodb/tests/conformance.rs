//! The laws that every store keeps, on a MongoDB server, each in a database of its own.

mod common;

use afterimage_store::conformance::Suite;
use common::TestDatabase;

/// The server that comes with the tests keeps no indexes: each question reads all entries, so a hot record is a small
/// one there. `AFTERIMAGE_TEST_MONGODB_HOT_ENTRIES=20000` is as hot as the suite makes it for others.
const HOT_ENTRIES: usize = 3_000;

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |number| number.parse().expect("a number"))
}

async fn suite() -> Option<Suite> {
    let database = TestDatabase::new()?;
    let suite = Suite::new(database.store().await)
        .hot_entries(number("AFTERIMAGE_TEST_MONGODB_HOT_ENTRIES", HOT_ENTRIES))
        .random_rounds(number("AFTERIMAGE_TEST_RANDOM_ROUNDS", 8));
    Some(suite.holding(database))
}

afterimage_store::conformance_tests!(suite);
