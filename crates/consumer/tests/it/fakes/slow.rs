//! A store that takes everything, after a while, and keeps nothing.

use std::sync::Arc;
use std::time::Duration;

use afterimage_event::RecordKey;
use afterimage_store::{AppendError, Arrival, ContentRow, Entry, IndexRow, RowRange, Store, StoreError, TableKey};
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

    async fn sources(&self, _: &str, _: &str, _: &[String]) -> Result<Vec<String>, StoreError> {
        unreachable!("a worker asks no questions")
    }

    async fn record_rows(&self, _: &RecordKey, _: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        unreachable!("a worker asks no questions")
    }

    async fn table_rows(&self, _: &TableKey, _: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        unreachable!("a worker asks no questions")
    }

    async fn contents(&self, _: &str, _: &str, _: &[String]) -> Result<Vec<Vec<ContentRow>>, StoreError> {
        unreachable!("a worker asks no questions")
    }

    async fn close(&self) {}
}
