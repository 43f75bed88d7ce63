use afterimage_event::{Op, Timestamp};
use serde::Serialize;

use super::answer::shown;
use super::filter::unbuilt;
use super::{Listing, Page, RecordQuery, StateView, Trail, TrailError};

/// A state that a record had, and the entry that made it.
#[derive(Clone, Debug, Serialize)]
pub struct StateStep {
    /// Event id of the entry.
    pub id: String,
    /// What was done.
    #[serde(serialize_with = "shown")]
    pub op: Op,
    /// When.
    #[serde(serialize_with = "shown")]
    pub occurred_at: Timestamp,
    /// What the record looked like from then on; absent where the trail cannot tell, see `reason`.
    #[serde(flatten)]
    pub state: Option<StateView>,
    /// Why the state cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One of several records at one time.
#[derive(Clone, Debug, Serialize)]
pub struct RecordState {
    /// The source.
    pub source: Option<String>,
    /// The table.
    pub table: String,
    /// The parts of the record's key.
    pub record_id: Vec<String>,
    /// Its state; absent where there is none to tell, see `reason`.
    #[serde(flatten)]
    pub state: Option<StateView>,
    /// Why the state cannot be told: no such record, several sources, no image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Most records of one [`Trail::states_at`].
pub const RECORDS_AT_ONCE_MAX: usize = 100;

impl Trail {
    /// Every state that a record had, newest first unless asked otherwise.
    ///
    /// # Errors
    /// [`TrailError`].
    pub async fn states(&self, _query: &RecordQuery, _listing: &Listing) -> Result<Page<StateStep>, TrailError> {
        unbuilt()
    }

    /// Several records as they stood at one time, in the order asked for. One that cannot be told does not fail the others.
    ///
    /// # Errors
    /// [`TrailError`] when the store fails, a record may not be seen, or there are more than [`RECORDS_AT_ONCE_MAX`].
    pub async fn states_at(&self, _records: &[RecordQuery], _at: Timestamp) -> Result<Vec<RecordState>, TrailError> {
        unbuilt()
    }
}
