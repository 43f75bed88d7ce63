//! The questions, answered from any store.
//!
//! A store gives back rows in order. What they mean is decided here, once for all stores:
//!
//! * of the stored versions of one (tenant, source, event id) the highest revision supersedes all lower ones; at that
//!   revision each digest of the data is one entry, shown where its earliest publishing put it; several digests flag
//!   each other as `conflict`;
//! * what has expired is not shown;
//! * neighbours in the order of a record that tie, or whose positions contradict the clock, are flagged.

mod answer;
mod bursts;
mod chain;
mod changes;
mod columns;
mod counts;
mod cursor;
mod error;
mod export;
mod feed;
mod filter;
mod flags;
mod fold;
mod gaps;
mod grants;
mod history;
mod merge;
mod patches;
mod select;
mod standing;
mod state;
mod states;
mod walk;

pub use answer::{EntryView, Flag, Page, PositionView, StateView};
pub use bursts::{BurstRule, Bursts, ParseWindowError, window_micros};
pub use columns::Columns;
pub use counts::{Count, Counts};
pub use cursor::CursorError;
pub use error::TrailError;
pub use export::{Export, ExportError, ExportFormat, ParseExportFormatError};
pub use feed::{FeedChange, FeedItem};
pub use filter::{Dimension, Filter, OWN_SOURCE, PERIOD_DEFAULT_MICROS, ParseDimensionError, Period};
pub use gaps::GapView;
pub use grants::{Grant, Grants};
pub use history::{LIMIT_DEFAULT, LIMIT_MAX, Listing};
pub use patches::{PatchView, RecordStep};
pub use states::{RECORDS_AT_ONCE_MAX, RecordState, StateStep};

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use afterimage_event::Timestamp;

use crate::Lookup;

/// Most index rows that one call looks at. A call that reaches it gives back what it has, and a cursor to go on.
pub const ROWS_EXAMINED_MAX: usize = 10_000;

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The trail: questions on top of a [`crate::Store`].
#[derive(Clone)]
pub struct Trail {
    store: Arc<dyn Lookup>,
    clock: Clock,
    grants: Grants,
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").field("store", &self.store.kind()).finish_non_exhaustive()
    }
}

/// A record somebody asks for: the source may be left open when only one has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordQuery {
    /// The tenant.
    pub tenant: String,
    /// The source, if it is known.
    pub source: Option<String>,
    /// The table.
    pub table: String,
    /// The parts of the record's key; none for what concerns the whole table (truncate, ddl).
    pub record_id: Vec<String>,
}

impl Trail {
    /// The trail in this store, by the clock of this machine.
    #[must_use]
    pub fn new(store: Arc<dyn Lookup>) -> Self {
        Self::with_clock(store, || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros(0)
                .map_or_else(|_| unreachable!("1970 can be shown"), |t| t.saturating_add_micros(micros))
        })
    }

    /// The trail in this store, by another clock: what has expired depends on it.
    #[must_use]
    pub fn with_clock(store: Arc<dyn Lookup>, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { store, clock: Arc::new(clock), grants: Grants::everything() }
    }

    /// The same trail for somebody who may see no more than this. Every question asked of it obeys: what is not granted
    /// by name is [`TrailError::NotGranted`], and lists, counts, feeds and exports leave it out.
    #[must_use]
    pub fn for_reader(&self, grants: Grants) -> Self {
        Self { grants, ..self.clone() }
    }

    /// What may be seen through it.
    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
