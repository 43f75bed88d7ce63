//! The entry, the store trait, the questions every store answers alike, and their conformance suite.

mod assemble;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod content;
mod context;
mod entry;
mod error;
mod index;
mod keep;
#[cfg(feature = "memory")]
mod memory;
mod rows;
mod store;
mod trail;

pub use entry::{Digest, Entry, Identity, OrderKey, ParseDigestError, version_order};
pub use error::{AppendError, StoreError};
pub use index::{FIELDS_INDEXED_MAX, Facet, Index, OWN_TERM, Provenance, TERM_BYTES_MAX, term};
pub use keep::{Kept, keep};
#[cfg(feature = "memory")]
pub use memory::MemoryStore;
pub use rows::{ContentRow, Direction, IndexRow, RowRange, TableKey};
pub use store::{Arrival, Durable, Ledger, Lookup, Store, VERSIONS_MAX};
pub use trail::{
    BurstRule, Bursts, Columns, Count, Counts, CursorError, Dimension, EntryView, Export, ExportError, ExportFormat,
    FeedChange, FeedItem, Filter, Flag, GapView, Grant, Grants, LIMIT_DEFAULT, LIMIT_MAX, Listing, OWN_SOURCE,
    PERIOD_DEFAULT_MICROS, Page, ParseDimensionError, ParseExportFormatError, ParseWindowError, PatchView, Period,
    PositionView, RECORDS_AT_ONCE_MAX, ROWS_EXAMINED_MAX, RecordQuery, RecordState, RecordStep, StateStep, StateView,
    Trail, TrailError, window_micros,
};
