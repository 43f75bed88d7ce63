//! The store: does it answer, with a schema this version can use, and may it be relied on?

use std::sync::Arc;

use afterimage_store::{Lookup, StoreError};

use super::finding::Finding;

const CHECK: &str = "store";

/// What is to be said of a store. Nothing is written.
pub(crate) async fn look_at_store(store: &Arc<dyn Lookup>) -> Vec<Finding> {
    if let Err(error) = store.ping().await {
        return vec![unusable(error)];
    }
    let mut findings = vec![Finding::ok(CHECK, format!("{} answers, and its schema fits", store.kind()))];
    match store.warnings().await {
        Ok(warnings) => findings.extend(
            warnings
                .into_iter()
                .map(|found| Finding::warning(CHECK, found, "see this store's page in the documentation")),
        ),
        Err(error) => findings.push(unusable(error)),
    }
    findings
}

/// A store that cannot be opened, or does not answer as one.
pub(crate) fn unusable(error: StoreError) -> Finding {
    match error {
        StoreError::Unavailable { reason } => {
            let found = format!("does not answer: {reason}");
            Finding::failure(CHECK, found, "check its address, that it runs, and the network between")
        }
        StoreError::Misconfigured { reason } => {
            Finding::failure(CHECK, reason, "correct that; a missing schema is made by afterimage migrate")
        }
        error => Finding::failure(CHECK, error.to_string(), "name another, or restore it from a backup"),
    }
}
