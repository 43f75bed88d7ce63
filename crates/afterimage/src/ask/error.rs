use afterimage_store::{StoreError, TrailError};

/// A question was not answered, and why, in one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The trail has no such record.
    #[error("{0}")]
    NoSuchRecord(String),
    /// It was not asked as it must be.
    #[error("{0}")]
    Question(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<TrailError> for AskError {
    fn from(error: TrailError) -> Self {
        match error {
            TrailError::NoSuchRecord => Self::NoSuchRecord(error.to_string()),
            TrailError::SeveralSources { sources } => Self::Failed(several_sources(&sources)),
            TrailError::Limit { .. } | TrailError::Cursor(_) | TrailError::Question { .. } => {
                Self::Question(error.to_string())
            }
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<StoreError> for AskError {
    fn from(error: StoreError) -> Self {
        TrailError::from(error).into()
    }
}

impl From<serde_json::Error> for AskError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for AskError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Several have it: what to add.
pub(super) fn several_sources(sources: &[String]) -> String {
    format!("several sources have it; add --source with one of: {}", sources.join(", "))
}
