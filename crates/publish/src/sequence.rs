//! Numbers for the changes of one source.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Hands out 1, 2, 3, …: the `seq` of a source's events, which orders them where their times tie and shows what is
/// missing.
///
/// Clones share one count. The numbers of one source must come from one place:
/// - A service of one process keeps the last number used with its data and starts at the next
///   ([`Sequence::starting_at`]). Starting again at 1 contradicts what the trail has, which then marks entries
///   `clock_regression`.
/// - A service of several processes gives each its own source name, or takes numbers from its database and sets them
///   with [`crate::ChangeEvent::seq`], or sends none: `seq` is optional.
///
/// A number is used up even when its event cannot be published: the gap is what shows that a change is missing.
#[derive(Clone, Debug)]
pub struct Sequence(Arc<AtomicU64>);

impl Sequence {
    /// A sequence whose first number is `first`.
    #[must_use]
    pub fn starting_at(first: u64) -> Self {
        Self(Arc::new(AtomicU64::new(first)))
    }

    /// The next number.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
