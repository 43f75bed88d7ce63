use super::CursorError;
use crate::StoreError;
use crate::content::ContentError;

/// A question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrailError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No source has this record, or table.
    #[error("no entry of this record")]
    NoSuchRecord,
    /// Several sources have this record or table, and the question names none.
    #[error("several sources have it, name one of them: {}", .sources.join(", "))]
    SeveralSources {
        /// Their names, in text order.
        sources: Vec<String>,
    },
    /// The page size is out of range.
    #[error("expected a limit from 1 to {max}, got {got}")]
    Limit {
        /// What was asked for.
        got: usize,
        /// The highest one.
        max: usize,
    },
    /// The cursor does not belong to this question.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// A record, table or source was asked for by name that may not be seen.
    #[error("this reader may not see that; ask for a grant of the table or record")]
    NotGranted,
    /// The question makes no sense.
    #[error("{reason}")]
    Question {
        /// What is wrong, and what to ask instead.
        reason: String,
    },
    /// A patch would touch what is not known.
    #[error("no patch can be made: {reason}")]
    PatchRefused {
        /// Why, naming pointers and never values.
        reason: String,
    },
    /// The record existed, but the trail does not hold what it looked like.
    #[error("the state cannot be told: {reason}")]
    StateUnknown {
        /// Why, without values.
        reason: String,
    },
}

impl TrailError {
    /// Stored content that cannot be read, named by its event id.
    pub(crate) fn damaged(event_id: &str, error: &ContentError) -> Self {
        Self::Store(StoreError::Damaged { reason: format!("content of event `{event_id}`: {error}") })
    }
}
