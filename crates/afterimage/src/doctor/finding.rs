//! What a check found, and what to change.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It works, and should not be relied on.
    Warning,
    /// Changes are lost, or will be, or nothing works.
    Failure,
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: &'static str,
    /// How bad it is.
    pub(crate) level: Level,
    /// What is there.
    pub(crate) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), change: None }
    }

    pub(crate) fn warning(check: &'static str, found: impl Into<String>, change: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, found: found.into(), change: Some(change.into()) }
    }

    pub(crate) fn failure(check: &'static str, found: impl Into<String>, change: impl Into<String>) -> Self {
        Self { check, level: Level::Failure, found: found.into(), change: Some(change.into()) }
    }

    /// For the log of a worker, which goes on whatever was found.
    pub(crate) fn log(&self) {
        let Self { check, found, change, level } = self;
        if *level > Level::Ok {
            tracing::warn!(check, change = change.as_deref().unwrap_or_default(), "{found}");
        }
    }
}
