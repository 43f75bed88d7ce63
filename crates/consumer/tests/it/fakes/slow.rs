//! A store that takes everything, after a while, and keeps nothing.

use std::sync::Arc;
use std::time::Duration;

use afterimage_store::{AppendError, Arrival, Entry, Store, StoreError};
use async_trait::async_trait;

/// The store, with the time that an append takes; [`Duration::MAX`] never answers.
pub(crate) struct Slow(pub(crate) Duration);

#[async_trait]
impl Store for Slow {
    fn kind(&self) -> &'static str {
        "slow"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn append(&self, entries: &[Arc<Entry>], _: &Arrival) -> Vec<Result<(), AppendError>> {
        tokio::time::sleep(self.0).await;
        entries.iter().map(|_| Ok(())).collect()
    }

    async fn close(&self) {}
}
