//! What all batches have in common: distinct ids, at most ten entries, failures entry by entry.

use serde::Serialize;

use crate::error::Error;

/// Most entries of a batch
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
pub(crate) const ENTRIES_MAX: usize = 10;

/// What became of each entry.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Results<'a, T> {
    successful: Vec<T>,
    /// SQS leaves it out when nothing failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failed<'a> {
    id: &'a str,
    sender_fault: bool,
    code: &'static str,
    message: String,
}

/// An entry that succeeded and has nothing more to say.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Done<'a> {
    pub(crate) id: &'a str,
}

impl<'a, T> Results<'a, T> {
    pub(crate) fn new() -> Self {
        Self { successful: Vec::with_capacity(ENTRIES_MAX), failed: Vec::new() }
    }

    pub(crate) fn push(&mut self, id: &'a str, result: Result<T, Error>) {
        match result {
            Ok(success) => self.successful.push(success),
            Err(error) => self.failed.push(Failed {
                id,
                sender_fault: error.is_sender_fault(),
                code: error.names().0,
                message: error.to_string(),
            }),
        }
    }
}

/// Refuses what is wrong with a batch as a whole.
pub(crate) fn check_ids<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), Error> {
    match ids.len() {
        0 => return Err(Error::EmptyBatchRequest),
        count if count > ENTRIES_MAX => return Err(Error::TooManyEntriesInBatchRequest(count)),
        _ => {}
    }
    let id_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut seen: Vec<&str> = Vec::with_capacity(ENTRIES_MAX);
    for id in ids {
        if id.is_empty() || id.len() > 80 || !id.bytes().all(id_allowed) {
            return Err(Error::InvalidBatchEntryId);
        }
        if seen.contains(&id) {
            return Err(Error::BatchEntryIdsNotDistinct);
        }
        seen.push(id);
    }
    Ok(())
}
