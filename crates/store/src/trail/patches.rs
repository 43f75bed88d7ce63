use afterimage_event::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::shown;
use super::filter::unbuilt;
use super::{Flag, RecordQuery, Trail, TrailError};

/// What turns the record of one time into that of another.
#[derive(Clone, Debug, Serialize)]
pub struct PatchView {
    /// The time the patch starts from.
    #[serde(serialize_with = "shown")]
    pub from: Timestamp,
    /// The time it leads to.
    #[serde(serialize_with = "shown")]
    pub to: Timestamp,
    /// What must be done with the record as a whole before the patch can be: `none`, `create` (it does not exist at
    /// `from`; the patch then adds the whole document at ""), `delete` (it does not exist at `to`; no patch).
    pub record: RecordStep,
    /// RFC 6902, a JSON array; with `test` operations in front where it undoes something.
    pub patch: Box<RawValue>,
    /// What to know before applying it.
    pub flags: Vec<Flag>,
}

/// What happens to the record as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordStep {
    /// It is there at both times.
    None,
    /// It must be made.
    Create,
    /// It must be removed.
    Delete,
    /// It is there at neither.
    Absent,
}

impl Trail {
    /// What changed between two times: RFC 6902 from the state at `from` to the state at `to`.
    ///
    /// # Errors
    /// [`TrailError::PatchRefused`] where it would touch what is redacted or unknown; other [`TrailError`]s.
    pub async fn diff(&self, _query: &RecordQuery, _from: Timestamp, _to: Timestamp) -> Result<PatchView, TrailError> {
        unbuilt()
    }

    /// What to do to undo everything since a time: RFC 6902 from the state now to the state at `to`.
    ///
    /// # Errors
    /// [`TrailError::PatchRefused`] where it would touch what is redacted or unknown; other [`TrailError`]s.
    pub async fn revert(&self, _query: &RecordQuery, _to: Timestamp) -> Result<PatchView, TrailError> {
        unbuilt()
    }
}
