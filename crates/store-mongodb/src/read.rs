//! Answering questions.

use std::collections::{BTreeSet, HashMap, HashSet};

use afterimage_store::{ContentRow, Digest, Identity, IndexRow, StoreError, TableKey, VERSIONS_MAX, version_order};
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use mongodb::{Collection, Database};

use crate::connection::{Connection, entries, tables};
use crate::migrate::store_error;
use crate::questions::{self, Question};
use crate::rows;

/// Documents of versions read at once, beyond one for each event.
const VERSIONS_SPARE: usize = 4 * VERSIONS_MAX;

/// Reads from one database.
pub(crate) struct Reader<'c> {
    connection: &'c Connection,
    database: Database,
}

impl<'c> Reader<'c> {
    pub(crate) async fn open(connection: &'c Connection) -> Result<Self, StoreError> {
        Ok(Self { connection, database: connection.ready().await? })
    }

    pub(crate) async fn index_rows(&self, question: Question) -> Result<Vec<IndexRow>, StoreError> {
        let found = self.find(question).await?;
        found.iter().map(|document| rows::index_row(document)).collect()
    }

    /// The tables of a tenant that were announced, in their order.
    pub(crate) async fn tables(&self, tenant: &str) -> Result<Vec<TableKey>, StoreError> {
        let found = self.find_in(&tables(&self.database), questions::of_tables(tenant)).await?;
        let tables: Result<BTreeSet<TableKey>, StoreError> =
            found.iter().map(|document| rows::table(document)).collect();
        Ok(tables?.into_iter().collect())
    }

    /// The sources that have a record, in text order.
    pub(crate) async fn sources(&self, filter: Document) -> Result<Vec<String>, StoreError> {
        let limit = self.connection.config().request_timeout;
        let collection = entries(&self.database);
        let asked = collection.distinct("source", filter).max_time(limit).into_future();
        let found = self.connection.bounded(async { asked.await.map_err(store_error) }).await?;
        let sources: Option<BTreeSet<String>> = found.into_iter().map(source).collect();
        let damaged = || StoreError::Damaged { reason: "a `source` that is no text".to_owned() };
        Ok(sources.ok_or_else(damaged)?.into_iter().collect())
    }

    /// The first [`VERSIONS_MAX`] versions of each event.
    pub(crate) async fn contents(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<ContentRow>>, StoreError> {
        let ask = |ids: &[&str], documents_max| questions::of_events(tenant, source, ids, documents_max);
        self.first_versions(event_ids, ask, rows::content_row, |row| &row.identity).await
    }

    /// Their identities, read from the index alone.
    pub(crate) async fn versions(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<Identity>>, StoreError> {
        let ask = |ids: &[&str], documents_max| questions::of_identities(tenant, source, ids, documents_max);
        self.first_versions(event_ids, ask, rows::identity, |identity| identity).await
    }

    /// The first [`VERSIONS_MAX`] versions of each event: what `ask` finds of these ids, in their order, at most so many.
    async fn first_versions<T: Clone>(
        &self,
        event_ids: &[String],
        ask: impl Fn(&[&str], usize) -> Question,
        read: fn(&RawDocument) -> Result<T, StoreError>,
        identity: fn(&T) -> &Identity,
    ) -> Result<Vec<Vec<T>>, StoreError> {
        let mut versions: HashMap<&str, Vec<T>> = HashMap::new();
        let mut wanted: Vec<&str> = event_ids.iter().map(String::as_str).collect::<HashSet<_>>().into_iter().collect();
        while !wanted.is_empty() {
            let documents_max = wanted.len() + VERSIONS_SPARE;
            let found = self.find(ask(&wanted, documents_max)).await?;
            let mut last = None;
            for document in &found {
                let row = read(document)?;
                let id = wanted.iter().find(|id| **id == identity(&row).event_id);
                let Some(id) = id else { return Err(rows::damaged(document, "it was not asked for")) };
                last = Some(*id);
                versions.entry(id).or_default().push(row);
            }
            if found.len() < documents_max {
                break;
            }
            // Cut off. What comes before the last event is whole; of the last one enough may be there.
            let last = last.filter(|id| versions.get(id).is_none_or(|rows| rows.len() < VERSIONS_MAX));
            if let Some(last) = last {
                versions.remove(last);
            }
            wanted.retain(|id| !versions.contains_key(id));
        }
        let first = |mut rows: Vec<T>| {
            rows.sort_by(|a, b| version_order(identity(a), identity(b)));
            rows.truncate(VERSIONS_MAX);
            rows
        };
        let versions: HashMap<&str, Vec<T>> = versions.into_iter().map(|(id, rows)| (id, first(rows))).collect();
        Ok(event_ids.iter().map(|id| versions.get(id.as_str()).cloned().unwrap_or_default()).collect())
    }

    pub(crate) async fn version_from(
        &self,
        tenant: &str,
        source: &str,
        event_id: &str,
        revision: u32,
        from: Digest,
    ) -> Result<Option<ContentRow>, StoreError> {
        let found = self.find(questions::of_version(tenant, source, event_id, revision, from)).await?;
        found.first().map(|document| rows::content_row(document)).transpose()
    }

    async fn find(&self, question: Question) -> Result<Vec<RawDocumentBuf>, StoreError> {
        self.find_in(&entries(&self.database), question).await
    }

    async fn find_in(
        &self,
        collection: &Collection<RawDocumentBuf>,
        question: Question,
    ) -> Result<Vec<RawDocumentBuf>, StoreError> {
        let Question { filter, sort, limit, members } = question;
        let mut find = collection.find(filter).sort(sort).limit(limit);
        find = find.max_time(self.connection.config().request_timeout);
        if let Some(members) = members {
            find = find.projection(members);
        }
        self.connection
            .bounded(async { find.await.map_err(store_error)?.try_collect().await.map_err(store_error) })
            .await
    }
}

fn source(value: Bson) -> Option<String> {
    let document = RawDocumentBuf::try_from(&doc! { "source": value }).ok()?;
    crate::decode::text(document.get("source").ok()??)
}
