//! The store.

use std::sync::Arc;

use afterimage_store::{
    AppendError, Arrival, ContentRow, Digest, Entry, Identity, Index, IndexRow, Lookup, RowRange, Store, StoreError,
    TableKey,
};
use async_trait::async_trait;

use crate::connection::Connection;
use crate::read::Reader;
use crate::write::{Sent, Writer};
use crate::{Config, ConfigError, migrate, questions, topology};

/// The trail in a MongoDB database.
///
/// Connects when first asked something. Every call ends in bounded time: an append after three request time-outs at most,
/// a question after one for each request it takes.
pub struct MongoStore {
    connection: Connection,
    writer: Writer,
}

impl MongoStore {
    /// A store that is not connected yet.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot work, whatever the servers are like.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { connection: Connection::new(config), writer: Writer::default() })
    }

    /// How much was sent by appends.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.writer.sent()
    }
}

#[async_trait]
impl Store for MongoStore {
    fn kind(&self) -> &'static str {
        "mongodb"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let database = self.connection.database().await?;
        let config = self.connection.config();
        migrate::migrate(&database, &config.database, config.request_timeout).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let database = self.connection.database().await?;
        self.connection.check(&database).await
    }

    async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        let database = self.connection.database().await?;
        self.connection.bounded(topology::warnings(&database)).await
    }

    async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<(), AppendError>> {
        self.writer.append(&self.connection, entries, arrival).await
    }

    async fn close(&self) {
        self.connection.close().await;
    }
}

#[async_trait]
impl Lookup for MongoStore {
    async fn sources(&self, tenant: &str, table: &str, record_id: &[String]) -> Result<Vec<String>, StoreError> {
        Reader::open(&self.connection).await?.sources(questions::with_record(tenant, table, record_id)).await
    }

    async fn tables(&self, tenant: &str) -> Result<Vec<TableKey>, StoreError> {
        Reader::open(&self.connection).await?.tables(tenant).await
    }

    async fn rows(&self, index: &Index, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        Reader::open(&self.connection).await?.index_rows(questions::of_index(index, range)).await
    }

    async fn versions(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<Identity>>, StoreError> {
        Reader::open(&self.connection).await?.versions(tenant, source, event_ids).await
    }

    async fn contents(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<ContentRow>>, StoreError> {
        Reader::open(&self.connection).await?.contents(tenant, source, event_ids).await
    }

    async fn version_from(
        &self,
        tenant: &str,
        source: &str,
        event_id: &str,
        revision: u32,
        from: Digest,
    ) -> Result<Option<ContentRow>, StoreError> {
        Reader::open(&self.connection).await?.version_from(tenant, source, event_id, revision, from).await
    }
}
