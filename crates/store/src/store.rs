//! The boundary between the trail and the databases that keep it.

use std::sync::Arc;

use afterimage_event::Timestamp;
use async_trait::async_trait;

use crate::{AppendError, ContentRow, Digest, Entry, Identity, Index, IndexRow, RowRange, StoreError, TableKey};

/// Most versions of one event id that [`Lookup::contents`] gives back. Ids are not told apart for good by many tellings;
/// a producer that gives every event the id `undefined` must not make every question read all of them.
pub const VERSIONS_MAX: usize = 16;

/// Who stores, and when: for `stored_at` and the arrival journal. Outside the content, which knows neither.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The worker's name: unique among those that run now.
    pub worker: String,
    /// Its clock.
    pub at: Timestamp,
}

/// A database that keeps the trail. Every implementer passes [`crate::conformance`].
///
/// This is the half that a worker needs; [`Lookup`] is the one that answers questions.
///
/// **Durable** means: survives the crash of any one machine (of the process, for a store on one machine), and every
/// later read sees it.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Its name: a bounded metric label.
    fn kind(&self) -> &'static str;

    /// Brings the schema to this version: idempotent, safe from many workers at once. Returns the steps it took.
    async fn migrate(&self) -> Result<Vec<String>, StoreError>;

    /// Answers, with a schema this version can use?
    async fn ping(&self) -> Result<(), StoreError>;

    /// What works, but should not be relied on: too few copies, say. One line for each; asks the store.
    async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// Makes each entry durable, content before index rows; one result for each, in order. Entries that are there
    /// already succeed. Never overwrites anything.
    async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<(), AppendError>>;

    /// Puts everything down and lets go of it.
    async fn close(&self);
}

/// A store that can be asked. A worker knows the other half only: what it holds can not read.
///
/// It gives back rows in order; what they mean (which of several versions is shown, which flags an entry bears, what has
/// expired, who may see it) is decided once, above it, by [`crate::Trail`].
#[async_trait]
pub trait Lookup: Store {
    /// The sources that have this record, in text order.
    async fn sources(&self, tenant: &str, table: &str, record_id: &[String]) -> Result<Vec<String>, StoreError>;

    /// The tables that have entries, of every source of a tenant, in the order of [`TableKey`]. A table of which nothing
    /// but its name was stored yet may be among them.
    async fn tables(&self, tenant: &str) -> Result<Vec<TableKey>, StoreError>;

    /// Part of an index, in [`crate::OrderKey`] order: each entry that [`Entry::indexes`] puts there has one row for each
    /// of its versions.
    async fn rows(&self, index: &Index, range: &RowRange) -> Result<Vec<IndexRow>, StoreError>;

    /// The stored versions of each event: all digests, revisions and times of publishing, in the order of
    /// [`crate::version_order`] (highest revision first, then digest, then time of publishing), the first
    /// [`VERSIONS_MAX`] of each event; empty where there is none.
    async fn contents(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<ContentRow>>, StoreError>;

    /// The identities of [`Lookup::contents`], without reading the contents: what counting takes.
    async fn versions(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<Identity>>, StoreError>;

    /// The first version of an event, in the order of [`crate::version_order`], that has this revision and this digest
    /// or a later one: what the trail asks where [`Lookup::contents`] was cut off at [`VERSIONS_MAX`].
    ///
    /// The default suits a store whose `contents` is never cut off.
    async fn version_from(
        &self,
        tenant: &str,
        source: &str,
        event_id: &str,
        revision: u32,
        from: Digest,
    ) -> Result<Option<ContentRow>, StoreError> {
        let versions = self.contents(tenant, source, &[event_id.to_owned()]).await?.pop().unwrap_or_default();
        let fits = |row: &ContentRow| row.identity.revision == revision && row.identity.input_digest >= from;
        Ok(versions.into_iter().filter(fits).min_by(|a, b| crate::version_order(&a.identity, &b.identity)))
    }
}

/// Proof that an entry is durable. Only [`Ledger::append`] makes one.
#[derive(Debug)]
#[must_use = "a proof that nobody keeps allows nothing"]
pub struct Durable(());

/// The one way to append: turns a store's word into proofs.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
}

impl Ledger {
    /// A ledger on this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The store behind it.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Makes each entry durable: one proof or error for each, in order.
    ///
    /// # Panics
    /// When the store breaks its contract of one result for each entry.
    pub async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<Durable, AppendError>> {
        let results = self.store.append(entries, arrival).await;
        assert_eq!(results.len(), entries.len(), "a store answers for every entry it was given");
        results.into_iter().map(|result| result.map(|()| Durable(()))).collect()
    }
}
