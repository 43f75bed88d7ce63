//! A store that counts what it is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use afterimage_store::{
    AppendError, Arrival, ContentRow, Digest, Entry, Identity, Index, IndexRow, Lookup, RowRange, Store, StoreError,
    TableKey,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Tells what a store has read so far.
pub(crate) type Teller = Arc<dyn Fn() -> Read + Send + Sync>;

/// Counts calls and the rows they bring: index rows, contents, identities, names of tables and sources; or asks the store
/// itself, where it counts its requests.
pub(crate) struct Metered {
    store: Arc<dyn Lookup>,
    teller: Option<Teller>,
    calls: AtomicU64,
    rows: AtomicU64,
}

/// What was read so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Read {
    pub(crate) calls: u64,
    pub(crate) rows: u64,
}

impl Metered {
    pub(crate) fn new(store: Arc<dyn Lookup>, teller: Option<Teller>) -> Self {
        Self { store, teller, calls: AtomicU64::new(0), rows: AtomicU64::new(0) }
    }

    pub(crate) fn read(&self) -> Read {
        let counted = || Read { calls: self.calls.load(Ordering::Relaxed), rows: self.rows.load(Ordering::Relaxed) };
        self.teller.as_ref().map_or_else(counted, |teller| teller())
    }

    fn count<T>(&self, answer: Vec<T>, rows: impl Fn(&T) -> usize) -> Vec<T> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(answer.iter().map(rows).sum::<usize>() as u64, Ordering::Relaxed);
        answer
    }
}

#[async_trait]
impl Store for Metered {
    fn kind(&self) -> &'static str {
        self.store.kind()
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.store.migrate().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<(), AppendError>> {
        self.store.append(entries, arrival).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[async_trait]
impl Lookup for Metered {
    async fn sources(&self, tenant: &str, table: &str, record_id: &[String]) -> Result<Vec<String>, StoreError> {
        Ok(self.count(self.store.sources(tenant, table, record_id).await?, |_| 1))
    }

    async fn tables(&self, tenant: &str) -> Result<Vec<TableKey>, StoreError> {
        Ok(self.count(self.store.tables(tenant).await?, |_| 1))
    }

    async fn rows(&self, index: &Index, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        Ok(self.count(self.store.rows(index, range).await?, |_| 1))
    }

    async fn contents(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<ContentRow>>, StoreError> {
        Ok(self.count(self.store.contents(tenant, source, event_ids).await?, Vec::len))
    }

    async fn versions(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<Identity>>, StoreError> {
        Ok(self.count(self.store.versions(tenant, source, event_ids).await?, Vec::len))
    }

    async fn version_from(
        &self,
        tenant: &str,
        source: &str,
        event_id: &str,
        revision: u32,
        from: Digest,
    ) -> Result<Option<ContentRow>, StoreError> {
        let found = self.store.version_from(tenant, source, event_id, revision, from).await?;
        self.count(found.iter().collect(), |_| 1);
        Ok(found)
    }
}
