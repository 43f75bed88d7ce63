//! The store.

use std::sync::Arc;

use afterimage_event::RecordKey;
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

impl MongoStore {
    async fn record_rows(&self, record: &RecordKey, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        Reader::open(&self.connection).await?.index_rows(questions::of_record(record, range)).await
    }

    async fn table_rows(&self, table: &TableKey, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        Reader::open(&self.connection).await?.index_rows(questions::of_table(table, range)).await
    }
}

#[async_trait]
impl Lookup for MongoStore {
    async fn sources(&self, tenant: &str, table: &str, record_id: &[String]) -> Result<Vec<String>, StoreError> {
        Reader::open(&self.connection).await?.sources(questions::with_record(tenant, table, record_id)).await
    }

    async fn tables(&self, _: &str) -> Result<Vec<TableKey>, StoreError> {
        Err(StoreError::Misconfigured { reason: "not built yet".to_owned() })
    }

    async fn rows(&self, index: &Index, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        match index {
            Index::Record(record) => self.record_rows(record, range).await,
            Index::Table(table) => self.table_rows(table, range).await,
            _ => Err(StoreError::Misconfigured { reason: "not built yet".to_owned() }),
        }
    }

    async fn versions(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<Identity>>, StoreError> {
        let contents = self.contents(tenant, source, event_ids).await?;
        Ok(contents.into_iter().map(|rows| rows.into_iter().map(|row| row.identity).collect()).collect())
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
