//! The laws that every store keeps: one function for each, so that a broken one is named.
//!
//! A backend's tests make a [`Suite`] on a migrated store and let [`conformance_tests!`](crate::conformance_tests) write
//! one test for each law:
//!
//! ```text
//! async fn suite() -> Suite {
//!     Suite::new(my_store().await)
//! }
//! afterimage_store::conformance_tests!(suite);
//! ```
//!
//! Each law works in a tenant of its own, new for each run: one store may serve all of them, and be used again.

mod brute;
mod identity;
mod indexes;
mod limits;
mod lists;
mod order;
mod paging;
mod random;
mod records;
mod state;
mod telling;
mod walks;
mod world;

pub use identity::{
    a_corrected_replay_supersedes, an_event_published_again_is_one_entry, an_id_used_again_and_again_is_read_in_bounds,
    one_id_with_other_data_is_kept_beside_the_first, published_twice_in_one_moment_is_one_entry,
    told_in_any_order_is_the_same_trail, told_twice_is_one_entry, versions_of_many_events_are_read_at_once,
};
pub use indexes::{
    an_index_of_nobody_is_empty, each_version_has_a_row_in_its_indexes, equal_terms_stay_apart,
    every_index_is_ranged_exactly, odd_terms_are_found, tables_are_listed, versions_are_the_identities_of_contents,
    wide_updates_stand_under_their_operation,
};
pub use limits::{
    a_hot_record_is_read_back_right, a_hot_table_is_read_back_right, big_images_come_back_whole,
    odd_names_come_back_as_they_were, sources_are_listed_and_asked_for, what_has_expired_is_not_shown,
};
pub use lists::{bursts_are_the_windows_that_are_too_full, counts_are_exact, lists_hold_exactly_what_fits};
pub use order::{history_is_in_order, rows_are_ranged_exactly, table_rows_span_the_records_of_a_table};
pub use paging::{
    a_walk_survives_what_arrives_meanwhile, cursors_are_bound_to_their_filters, pages_of_every_size_join,
};
pub use random::random_histories_read_as_the_model_does;
pub use records::{
    gaps_are_where_something_was_not_told, patches_lead_from_one_state_to_the_other, states_are_those_the_record_had,
};
pub use state::{
    a_truncate_empties_the_table, images_policies_tell_what_they_can, migrating_again_changes_nothing,
    state_is_that_of_the_last_entry_up_to_then,
};
pub use telling::{Telling, moment};
pub use walks::{
    a_list_survives_what_arrives_meanwhile, cursors_of_lists_are_bound_to_their_filters, flags_do_not_depend_on_pages,
};

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use afterimage_event::{RecordKey, Timestamp};

use crate::{Arrival, Direction, Entry, EntryView, Listing, Lookup, RecordQuery, Trail};

/// Looks into a backend: are the partitions that hold this record and its table within their bounds?
pub type PartitionCheck =
    Arc<dyn Fn(RecordKey) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// A store under test, and how hard to test it.
#[derive(Clone)]
pub struct Suite {
    store: Arc<dyn Lookup>,
    run: String,
    hot_entries: usize,
    random_rounds: usize,
    partitions: Option<PartitionCheck>,
    held: Vec<Arc<dyn Any + Send + Sync>>,
}

/// The clock by which the suite reads: after everything in it happened.
const READ_AT_SECONDS: i64 = 10_000_000;

impl Suite {
    /// A suite on a store that was migrated.
    #[must_use]
    pub fn new(store: Arc<dyn Lookup>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = format!("{:x}-{:x}", since.as_nanos(), fastrand::u32(..));
        Self { store, run, hot_entries: 20_000, random_rounds: 8, partitions: None, held: Vec::new() }
    }

    /// How many changes make a record or a table hot; 20,000 if not said.
    #[must_use]
    pub fn hot_entries(self, hot_entries: usize) -> Self {
        Self { hot_entries, ..self }
    }

    /// How many random histories to compare; 8 if not said.
    #[must_use]
    pub fn random_rounds(self, random_rounds: usize) -> Self {
        Self { random_rounds, ..self }
    }

    /// Looks at the partitions of hot records and tables in this way.
    #[must_use]
    pub fn partitions(self, check: PartitionCheck) -> Self {
        Self { partitions: Some(check), ..self }
    }

    /// Keeps something alive as long as the suite: a folder, a server.
    #[must_use]
    pub fn holding(mut self, what: impl Any + Send + Sync) -> Self {
        self.held.push(Arc::new(what));
        self
    }

    fn tenant(&self, law: &str) -> String {
        format!("{law}-{}", self.run)
    }

    fn trail(&self) -> Trail {
        Trail::with_clock(Arc::clone(&self.store), || moment(READ_AT_SECONDS))
    }

    /// Stores entries and insists on it.
    async fn tell(&self, entries: &[Arc<Entry>]) {
        self.tell_at(entries, moment(READ_AT_SECONDS - 1)).await;
    }

    async fn tell_at(&self, entries: &[Arc<Entry>], at: Timestamp) {
        let arrival = Arrival { worker: format!("worker-{}", self.run), at };
        for chunk in entries.chunks(500) {
            let results = self.store.append(chunk, &arrival).await;
            assert_eq!(results.len(), chunk.len(), "one result for each entry");
            for result in results {
                result.expect("an entry that a store must take");
            }
        }
    }

    /// The whole history of a record, newest first, in pages of the largest size.
    async fn history(&self, query: &RecordQuery) -> Vec<EntryView> {
        self.pages(query, &Listing { limit: crate::LIMIT_MAX, ..Listing::default() }).await
    }

    async fn pages(&self, query: &RecordQuery, listing: &Listing) -> Vec<EntryView> {
        let trail = self.trail();
        let mut listing = listing.clone();
        let mut items = Vec::new();
        loop {
            let page = trail.history(query, &listing).await.expect("a page");
            assert!(page.items.len() <= listing.limit, "no more than asked for");
            items.extend(page.items);
            match page.next {
                Some(next) => listing.cursor = Some(next),
                None => return items,
            }
        }
    }

    async fn check_partitions(&self, record: RecordKey) {
        if let Some(check) = &self.partitions {
            check(record).await.expect("partitions within their bounds");
        }
    }
}

fn ids(items: &[EntryView]) -> Vec<&str> {
    items.iter().map(|item| item.id.as_str()).collect()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("an answer")
}

const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

/// Writes one test for each law of the suite. Takes the path of an `async fn() -> Suite`, or
/// `-> Option<Suite>` where it may have to be skipped; needs tokio with macros and the
/// multi-threaded runtime.
#[macro_export]
macro_rules! conformance_tests {
    ($suite:path) => {
        $crate::conformance_tests! { @tests $suite:
            told_twice_is_one_entry
            told_in_any_order_is_the_same_trail
            one_id_with_other_data_is_kept_beside_the_first
            a_corrected_replay_supersedes
            an_event_published_again_is_one_entry
            published_twice_in_one_moment_is_one_entry
            an_id_used_again_and_again_is_read_in_bounds
            versions_of_many_events_are_read_at_once
            history_is_in_order
            rows_are_ranged_exactly
            table_rows_span_the_records_of_a_table
            every_index_is_ranged_exactly
            equal_terms_stay_apart
            an_index_of_nobody_is_empty
            wide_updates_stand_under_their_operation
            odd_terms_are_found
            each_version_has_a_row_in_its_indexes
            tables_are_listed
            versions_are_the_identities_of_contents
            pages_of_every_size_join
            a_walk_survives_what_arrives_meanwhile
            cursors_are_bound_to_their_filters
            state_is_that_of_the_last_entry_up_to_then
            a_truncate_empties_the_table
            images_policies_tell_what_they_can
            what_has_expired_is_not_shown
            sources_are_listed_and_asked_for
            odd_names_come_back_as_they_were
            big_images_come_back_whole
            a_hot_record_is_read_back_right
            a_hot_table_is_read_back_right
            random_histories_read_as_the_model_does
            lists_hold_exactly_what_fits
            flags_do_not_depend_on_pages
            counts_are_exact
            bursts_are_the_windows_that_are_too_full
            a_list_survives_what_arrives_meanwhile
            cursors_of_lists_are_bound_to_their_filters
            states_are_those_the_record_had
            patches_lead_from_one_state_to_the_other
            gaps_are_where_something_was_not_told
            migrating_again_changes_nothing
        }
    };
    (@tests $suite:path: $($law:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                // Nothing, where whoever runs the tests asked to do without a server.
                if let Some(suite) = Option::<$crate::conformance::Suite>::from($suite().await) {
                    $crate::conformance::$law(&suite).await;
                }
            }
        )*
    };
}
