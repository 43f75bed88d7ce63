//! The store.

use std::sync::Arc;

use afterimage_store::{
    AppendError, Arrival, ContentRow, Digest, Entry, Identity, Index, IndexRow, Lookup, RowRange, Store, StoreError,
    TableKey,
};
use async_trait::async_trait;

use crate::connection::Connection;
use crate::errors::Failure;
use crate::read::{Asked, Meter, Reader};
use crate::session::{Live, bounded};
use crate::write::{Sent, Writer};
use crate::{Config, ConfigError, cluster, migrate};

/// The trail in a Cassandra or `ScyllaDB` cluster.
///
/// Opens its session when first asked something, and anew when the cluster came back under other addresses. Every
/// call ends in bounded time: after the connect time-out and three request time-outs for an append; a reading call
/// takes several requests, each of which ends after one.
pub struct CassandraStore {
    connection: Connection,
    writer: Writer,
    meter: Meter,
}

impl CassandraStore {
    /// A store that is not connected yet.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot work, whatever the cluster is like.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let writer = Writer::new(&config);
        Ok(Self { connection: Connection::new(config), writer, meter: Meter::default() })
    }

    /// How much was sent to the cluster by appends: rows and requests for each entry are what storing costs.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.writer.sent()
    }

    /// How much was asked of the cluster to answer questions: requests and rows for each entry are what reading costs.
    #[must_use]
    pub fn asked(&self) -> Asked {
        self.meter.asked()
    }

    async fn reader<'a>(&'a self, live: &'a Live) -> Result<Reader<'a>, StoreError> {
        Reader::open(live, &self.connection, &self.meter).await
    }
}

#[async_trait]
impl Store for CassandraStore {
    fn kind(&self) -> &'static str {
        self.connection.config().flavor.as_str()
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let live = self.connection.live().await?;
        migrate::migrate(&live.session, self.connection.config()).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let live = self.connection.live().await?;
        let config = self.connection.config();
        let checked = bounded(config.connect_timeout, migrate::check(&live.session, config)).await;
        self.connection.noticed(checked.as_ref().err());
        checked?;
        self.connection.succeeded();
        self.connection.inserts(&live).await.map(|_| ())
    }

    async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        let live = self.connection.live().await?;
        let refresh =
            async { live.session.refresh_metadata().await.map_err(|error| Failure::from(&error).into_store()) };
        bounded(self.connection.config().connect_timeout, refresh).await?;
        Ok(cluster::warnings(&live.session, self.connection.config()))
    }

    async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<(), AppendError>> {
        self.writer.append(&self.connection, entries, arrival).await
    }

    async fn close(&self) {
        self.connection.close();
    }
}

#[async_trait]
impl Lookup for CassandraStore {
    async fn sources(&self, tenant: &str, table: &str, record_id: &[String]) -> Result<Vec<String>, StoreError> {
        let live = self.connection.live().await?;
        self.reader(&live).await?.sources(tenant, table, record_id).await
    }

    async fn tables(&self, tenant: &str) -> Result<Vec<TableKey>, StoreError> {
        let live = self.connection.live().await?;
        self.reader(&live).await?.tables(tenant).await
    }

    async fn rows(&self, index: &Index, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        let live = self.connection.live().await?;
        self.reader(&live).await?.rows(index, range).await
    }

    async fn contents(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<ContentRow>>, StoreError> {
        let live = self.connection.live().await?;
        self.reader(&live).await?.contents(tenant, source, event_ids).await
    }

    async fn versions(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<Identity>>, StoreError> {
        let live = self.connection.live().await?;
        self.reader(&live).await?.versions(tenant, source, event_ids).await
    }

    async fn version_from(
        &self,
        tenant: &str,
        source: &str,
        event_id: &str,
        revision: u32,
        from: Digest,
    ) -> Result<Option<ContentRow>, StoreError> {
        let live = self.connection.live().await?;
        self.reader(&live).await?.version_from(tenant, source, event_id, revision, from).await
    }
}
