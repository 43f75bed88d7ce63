//! How a store fails.

/// A store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It did not answer, or not in time, or said it cannot now. Nothing is known about the outcome; ask again.
    #[error("the store did not answer: {reason}")]
    Unavailable {
        /// What the driver said, without payloads.
        reason: String,
    },
    /// It will never work as configured: credentials, keyspace, schema version, consistency. Says what to change.
    #[error("{reason}")]
    Misconfigured {
        /// What is wrong and what to do.
        reason: String,
    },
    /// What is stored cannot be read back.
    #[error("stored data is damaged: {reason}")]
    Damaged {
        /// Where, and what was expected.
        reason: String,
    },
}

/// One entry could not be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The store did not answer, or not in time, or refuses everybody. No fault of the entry; the outcome is unknown
    /// and the same append may be repeated.
    #[error("the store did not answer: {reason}")]
    Unavailable {
        /// What the driver said, without payloads.
        reason: String,
    },
    /// The store will never take this entry (too big, say). It belongs with the dead letters.
    #[error("the store refuses this entry: {reason}")]
    Refused {
        /// What the store said, without payloads.
        reason: String,
    },
}
