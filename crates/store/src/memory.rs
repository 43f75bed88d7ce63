//! The trail in memory: what a store does, in the plainest way. For tests, and the model that others are held against.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use afterimage_event::{RecordKey, Timestamp};
use async_trait::async_trait;

use crate::{
    AppendError, Arrival, ContentRow, Digest, Direction, Entry, Identity, Index, IndexRow, Lookup, OrderKey, RowRange,
    Store, StoreError, TableKey, VERSIONS_MAX, version_order,
};

type Fault = Box<dyn Fn(&Entry) -> Option<AppendError> + Send>;
type EventKey = (String, String, String);

/// A store in memory.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    versions: BTreeMap<EventKey, Vec<ContentRow>>,
    indexes: BTreeMap<Index, BTreeMap<OrderKey, IndexRow>>,
    appends: usize,
    fault: Option<Fault>,
    outage: Option<String>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, asks this of every entry before it is stored: `Some` is its result, and it is not stored.
    pub fn fail_appends(&self, fault: impl Fn(&Entry) -> Option<AppendError> + Send + 'static) {
        self.lock().fault = Some(Box::new(fault));
    }

    /// From now on nothing is answered, for this reason; `None` ends it.
    pub fn set_outage(&self, reason: Option<&str>) {
        self.lock().outage = reason.map(str::to_owned);
    }

    /// Entries stored, each identity once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().versions.values().map(Vec::len).sum()
    }

    /// Is nothing stored?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries handed to `append` so far, however often and with whatever result.
    #[must_use]
    pub fn appends(&self) -> usize {
        self.lock().appends
    }

    /// Takes the index rows of an entry away again, as if its writer had stopped half way.
    #[cfg(test)]
    pub(crate) fn lose_index_rows(&self, entry: &Entry) {
        let mut state = self.lock();
        let key = entry.order_key();
        for index in entry.indexes() {
            if let Some(rows) = state.indexes.get_mut(&index) {
                rows.remove(&key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answering(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.lock();
        match &state.outage {
            Some(reason) => Err(StoreError::Unavailable { reason: reason.clone() }),
            None => Ok(state),
        }
    }
}

impl State {
    fn append(&mut self, entry: &Entry, stored_at: Timestamp) -> Result<(), AppendError> {
        self.appends += 1;
        if let Some(reason) = &self.outage {
            return Err(AppendError::Unavailable { reason: reason.clone() });
        }
        if let Some(error) = self.fault.as_ref().and_then(|fault| fault(entry)) {
            return Err(error);
        }
        let RecordKey { tenant, source, .. } = &entry.record;
        let versions =
            self.versions.entry((tenant.clone(), source.clone(), entry.identity.event_id.clone())).or_default();
        if versions.iter().any(|version| version.identity == entry.identity) {
            return Ok(());
        }
        versions.push(ContentRow { identity: entry.identity.clone(), stored_at, content: entry.content.clone() });
        versions.sort_by(|a, b| version_order(&a.identity, &b.identity));
        for index in entry.indexes() {
            self.indexes.entry(index).or_default().insert(entry.order_key(), IndexRow::from(entry));
        }
        Ok(())
    }
}

fn in_range(rows: Option<&BTreeMap<OrderKey, IndexRow>>, range: &RowRange) -> Vec<IndexRow> {
    let Some(rows) = rows else { return Vec::new() };
    let fits = |(key, _): &(&OrderKey, &IndexRow)| {
        range.from.is_none_or(|from| key.occurred_at >= from) && range.to.is_none_or(|to| key.occurred_at < to)
    };
    let past = range.past.as_ref();
    let cloned = |(_, row): (&OrderKey, &IndexRow)| row.clone();
    match range.direction {
        Direction::Ascending => {
            let start = past.map_or(Bound::Unbounded, Bound::Excluded);
            rows.range((start, Bound::Unbounded)).filter(fits).take(range.limit).map(cloned).collect()
        }
        Direction::Descending => {
            let end = past.map_or(Bound::Unbounded, Bound::Excluded);
            rows.range((Bound::Unbounded, end)).rev().filter(fits).take(range.limit).map(cloned).collect()
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.answering().map(|_| Vec::new())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.answering().map(|_| ())
    }

    async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<(), AppendError>> {
        let mut state = self.lock();
        entries.iter().map(|entry| state.append(entry, arrival.at)).collect()
    }

    async fn close(&self) {}
}

#[async_trait]
impl Lookup for MemoryStore {
    async fn sources(&self, tenant: &str, table: &str, record_id: &[String]) -> Result<Vec<String>, StoreError> {
        let state = self.answering()?;
        let sources = state.indexes.keys().filter_map(|index| match index {
            Index::Record(record) => Some(record),
            _ => None,
        });
        let same =
            |record: &&RecordKey| record.tenant == tenant && record.table == table && record.record_id == record_id;
        Ok(sources.filter(same).map(|record| record.source.clone()).collect())
    }

    async fn tables(&self, tenant: &str) -> Result<Vec<TableKey>, StoreError> {
        let state = self.answering()?;
        let tables = state.indexes.keys().filter_map(|index| match index {
            Index::Table(table) if table.tenant == tenant => Some(table.clone()),
            _ => None,
        });
        Ok(tables.collect())
    }

    async fn rows(&self, index: &Index, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        Ok(in_range(self.answering()?.indexes.get(index), range))
    }

    async fn contents(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<ContentRow>>, StoreError> {
        let state = self.answering()?;
        let versions = |id: &String| state.versions.get(&(tenant.to_owned(), source.to_owned(), id.clone()));
        let first = |rows: &Vec<ContentRow>| rows.iter().take(VERSIONS_MAX).cloned().collect();
        Ok(event_ids.iter().map(|id| versions(id).map(first).unwrap_or_default()).collect())
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

    async fn version_from(
        &self,
        tenant: &str,
        source: &str,
        event_id: &str,
        revision: u32,
        from: Digest,
    ) -> Result<Option<ContentRow>, StoreError> {
        let state = self.answering()?;
        let versions = state.versions.get(&(tenant.to_owned(), source.to_owned(), event_id.to_owned()));
        let fits = |identity: &Identity| identity.revision == revision && identity.input_digest >= from;
        Ok(versions.and_then(|rows| rows.iter().find(|row| fits(&row.identity))).cloned())
    }
}
