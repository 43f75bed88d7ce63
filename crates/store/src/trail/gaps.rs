use afterimage_event::Timestamp;
use serde::Serialize;

use super::answer::shown;
use super::filter::unbuilt;
use super::{Listing, Page, RecordQuery, Trail, TrailError};
use crate::TableKey;

/// A place where the image a change started from is not the one that the last change left: somebody wrote past the audit,
/// or an event is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapView {
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The parts of the record's key.
    pub record_id: Vec<String>,
    /// The entry before the gap: its event id.
    pub after_id: Option<String>,
    /// When that one happened.
    #[serde(serialize_with = "super::answer::shown_option")]
    pub after_at: Option<Timestamp>,
    /// The entry behind the gap: its event id.
    pub before_id: String,
    /// When that one happened.
    #[serde(serialize_with = "shown")]
    pub before_at: Timestamp,
    /// What does not fit, in words.
    pub reason: String,
}

impl Trail {
    /// The gaps of one record, newest first unless asked otherwise.
    ///
    /// # Errors
    /// [`TrailError`].
    pub async fn gaps(&self, _query: &RecordQuery, _listing: &Listing) -> Result<Page<GapView>, TrailError> {
        unbuilt()
    }

    /// The gaps of all records of a table whose entry behind the gap lies in the period.
    ///
    /// # Errors
    /// [`TrailError`].
    pub async fn table_gaps(&self, _table: &TableKey, _listing: &Listing) -> Result<Page<GapView>, TrailError> {
        unbuilt()
    }
}
