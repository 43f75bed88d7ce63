//! Named places at which a test may end a worker, and a clock that a test may set wrong.
//!
//! Without the feature `armed` everything here is empty and compiles to nothing. With it, a process obeys two variables:
//!
//! | variable | effect |
//! |---|---|
//! | `AFTERIMAGE_FAILPOINT=after_store=3` | the process ends when it comes to that place for the third time: at once, as by SIGKILL |
//! | `AFTERIMAGE_CLOCK_SKEW_S=-3600` | the worker's wall clock is so many seconds off |

#[cfg(feature = "armed")]
mod armed;

/// A place where ending is of interest: between two steps that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Messages have arrived, nothing is done about them.
    AfterReceive,
    /// Entries are durable, their messages not deleted.
    AfterStore,
    /// A SQLite transaction is written and not committed.
    BeforeCommit,
    /// Content is durable, its index rows are not sent.
    BetweenContentAndIndex,
    /// A dead letter is sent, its message not deleted.
    AfterDeadLetter,
    /// Messages are deleted, the worker does not know it yet.
    AfterDelete,
    /// The worker was told to stop and has begun to.
    DuringDrain,
}

impl Point {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::AfterReceive,
        Self::AfterStore,
        Self::BeforeCommit,
        Self::BetweenContentAndIndex,
        Self::AfterDeadLetter,
        Self::AfterDelete,
        Self::DuringDrain,
    ];

    /// Its name in `AFTERIMAGE_FAILPOINT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfterReceive => "after_receive",
            Self::AfterStore => "after_store",
            Self::BeforeCommit => "before_commit",
            Self::BetweenContentAndIndex => "between_content_and_index",
            Self::AfterDeadLetter => "after_dead_letter",
            Self::AfterDelete => "after_delete",
            Self::DuringDrain => "during_drain",
        }
    }
}

/// The process has come to this place; it may be the last thing it does.
#[inline]
pub fn reach(point: Point) {
    #[cfg(feature = "armed")]
    armed::reach(point);
    #[cfg(not(feature = "armed"))]
    let _nothing = point;
}

/// By how many microseconds the wall clock is to be wrong.
#[inline]
#[must_use]
pub fn clock_skew_micros() -> i64 {
    #[cfg(feature = "armed")]
    return armed::clock_skew_micros();
    #[cfg(not(feature = "armed"))]
    0
}
