//! Reading rows back, in order.

mod bucket;
mod directory;
mod levels;
mod row;

use std::sync::atomic::{AtomicU64, Ordering};

use afterimage_event::{RecordKey, Timestamp};
use afterimage_store::{ContentRow, Digest, Direction, Identity, Index, IndexRow, RowRange, StoreError, TableKey};
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use self::bucket::{Partition, Span};
use self::directory::{Buckets, Directory};
use self::row::Row;
use crate::connection::Connection;
use crate::errors::Failure;
use crate::rows::stored_at;
use crate::session::Live;
use crate::statements::{ByDirection, Selects};
use crate::term::TermKey;

/// Events whose contents are asked for at the same time.
const CONTENTS_AT_ONCE: usize = 16;
/// Events whose versions are asked for at the same time: some hundred bytes each.
const VERSIONS_AT_ONCE: usize = 64;
/// Buckets read at the same time, once one after the other has brought too few rows.
const BUCKETS_AT_ONCE: usize = 8;
/// Sources a record may have: far more than anybody has services.
const SOURCES_MAX: usize = 10_000;

/// What reading took since the store was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Requests: one for each page of rows.
    pub requests: u64,
    /// Rows that came back, those of directories included.
    pub rows: u64,
}

/// Counts [`Asked`].
#[derive(Default)]
pub(crate) struct Meter {
    requests: AtomicU64,
    rows: AtomicU64,
}

impl Meter {
    pub(crate) fn asked(&self) -> Asked {
        Asked { requests: self.requests.load(Ordering::Relaxed), rows: self.rows.load(Ordering::Relaxed) }
    }
}

/// The reading half of the store, for one call.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    session: &'a Session,
    selects: &'a Selects,
    connection: &'a Connection,
    meter: &'a Meter,
}

impl<'a> Reader<'a> {
    pub(crate) async fn open(live: &'a Live, connection: &'a Connection, meter: &'a Meter) -> Result<Self, StoreError> {
        Ok(Self { session: &live.session, selects: connection.selects(live).await?, connection, meter })
    }

    /// Skips from source to source in the record's directory.
    pub(crate) async fn sources(
        self,
        tenant: &str,
        table: &str,
        record_id: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let mut sources: Vec<String> = Vec::new();
        // The least text that is greater than another is that text with a NUL behind it.
        let mut least = String::new();
        while sources.len() < SOURCES_MAX {
            let values = (tenant, table, record_id, least.as_str());
            let (rows, _) = self.page::<(String,)>(&self.selects.next_source, &values, PagingState::start()).await?;
            let Some((source,)) = rows.into_iter().next() else { break };
            least = format!("{source}\0");
            sources.push(source);
        }
        if sources.len() < 2 {
            return Ok(sources);
        }
        // A directory row may stand alone, when the worker that wrote it came no further.
        let one = RowRange { from: None, to: None, past: None, direction: Direction::Descending, limit: 1 };
        let has_rows = sources.iter().map(|source| {
            let (tenant, table) = (tenant.to_owned(), table.to_owned());
            let record = RecordKey { tenant, source: source.clone(), table, record_id: record_id.to_vec() };
            let one = &one;
            async move { self.rows(&Index::Record(record), one).await.map(|rows| !rows.is_empty()) }
        });
        let has_rows = try_join_all(has_rows).await?;
        Ok(sources.into_iter().zip(has_rows).filter_map(|(source, has)| has.then_some(source)).collect())
    }

    pub(crate) async fn tables(self, tenant: &str) -> Result<Vec<TableKey>, StoreError> {
        let names: Vec<(String, String)> = self.all_pages(&self.selects.table_names, &(tenant,)).await?;
        let key = |(source, table)| TableKey { tenant: tenant.to_owned(), source, table };
        Ok(names.into_iter().map(key).collect())
    }

    pub(crate) async fn rows(self, index: &Index, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        let Some(span) = Span::of(range) else { return Ok(Vec::new()) };
        let index_rows = |rows: Vec<Row>, partition| rows.into_iter().map(move |row| row.into_index_row(partition));
        match TermKey::new(index.clone()) {
            Ok(key) => index_rows(levels::rows(self, &key, &span, range.limit).await?, Partition::Wide(&key)).collect(),
            Err(record) => {
                let buckets = Buckets::new(self, Directory::Record(&record), &span, range.limit);
                let partition = Partition::Record(&record);
                index_rows(self.walk(buckets, partition, &span, range.limit).await?, partition).collect()
            }
        }
    }

    /// Walks buckets in order until there are enough rows.
    async fn walk(
        self,
        mut buckets: Buckets<'_>,
        partition: Partition<'_>,
        span: &Span,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let mut found: Vec<Row> = Vec::new();
        let mut at_once = 1;
        while found.len() < limit {
            let next = buckets.next(at_once).await?;
            if next.is_empty() {
                break;
            }
            let missing = limit - found.len();
            let reads = next.iter().map(|bucket| bucket::read(self, partition, span, bucket, missing));
            found.extend(try_join_all(reads).await?.into_iter().flatten());
            // Sparse buckets are read several at a time; a dense one fills the page alone.
            at_once = (at_once * 2).min(BUCKETS_AT_ONCE);
        }
        found.truncate(limit);
        Ok(found)
    }

    pub(crate) async fn contents(
        self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<ContentRow>>, StoreError> {
        let reads: Vec<_> = event_ids.iter().map(|id| self.contents_of(tenant, source, id)).collect();
        stream::iter(reads).buffered(CONTENTS_AT_ONCE).try_collect().await
    }

    async fn contents_of(self, tenant: &str, source: &str, event_id: &str) -> Result<Vec<ContentRow>, StoreError> {
        let rows = self.all_pages(&self.selects.entries, &(tenant, source, event_id)).await?;
        rows.into_iter().map(|row| content_row(event_id, row)).collect()
    }

    /// [`Self::contents`] without the contents: what the key says of each.
    pub(crate) async fn versions(
        self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<Identity>>, StoreError> {
        let reads: Vec<_> = event_ids.iter().map(|id| self.versions_of(tenant, source, id)).collect();
        stream::iter(reads).buffered(VERSIONS_AT_ONCE).try_collect().await
    }

    async fn versions_of(self, tenant: &str, source: &str, event_id: &str) -> Result<Vec<Identity>, StoreError> {
        let rows = self.all_pages(&self.selects.identities, &(tenant, source, event_id)).await?;
        rows.into_iter().map(|key| identity(event_id, key)).collect()
    }

    /// The first version with this revision and this digest or a later one.
    pub(crate) async fn version_from(
        self,
        tenant: &str,
        source: &str,
        event_id: &str,
        revision: u32,
        from: Digest,
    ) -> Result<Option<ContentRow>, StoreError> {
        let values = (tenant, source, event_id, i64::from(revision), from.0);
        let rows = self.all_pages(&self.selects.entry_from, &values).await?;
        rows.into_iter().next().map(|row| content_row(event_id, row)).transpose()
    }

    async fn all_pages<T>(
        self,
        statement: &PreparedStatement,
        values: &(dyn SerializeRow + Sync),
    ) -> Result<Vec<T>, StoreError>
    where
        T: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let mut all = Vec::new();
        let mut next = Some(PagingState::start());
        while let Some(state) = next {
            let (rows, following) = self.page(statement, values, state).await?;
            all.extend(rows);
            next = following;
        }
        Ok(all)
    }

    /// One page of a query, and where the next begins.
    async fn page<T>(
        self,
        statement: &PreparedStatement,
        values: &(dyn SerializeRow + Sync),
        state: PagingState,
    ) -> Result<(Vec<T>, Option<PagingState>), StoreError>
    where
        T: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let damaged = |error: &dyn std::fmt::Display| StoreError::Damaged { reason: error.to_string() };
        self.meter.requests.fetch_add(1, Ordering::Relaxed);
        let answer = self.session.execute_single_page(statement, values, state).await.map_err(|error| {
            let failure = Failure::from(&error);
            self.connection.failed(&failure);
            failure.into_store()
        });
        let (result, next) = answer?;
        self.connection.succeeded();
        let result = result.into_rows_result().map_err(|error| damaged(&error))?;
        let rows = result.rows::<T>().map_err(|error| damaged(&error))?;
        let rows = rows.collect::<Result<Vec<T>, _>>().map_err(|error| damaged(&error))?;
        self.meter.rows.fetch_add(rows.len() as u64, Ordering::Relaxed);
        Ok((
            rows,
            match next {
                PagingStateResponse::HasMorePages { state } => Some(state),
                PagingStateResponse::NoMorePages => None,
            },
        ))
    }

    fn directed(statements: &ByDirection, direction: Direction) -> &PreparedStatement {
        match direction {
            Direction::Descending => &statements.descending,
            Direction::Ascending => &statements.ascending,
        }
    }
}

/// Digest, revision and `published_at` of a version of an entry.
type VersionKey = (Vec<u8>, i64, i64);
/// The same, and `kept`.
type Version = (Vec<u8>, i64, i64, Option<(i64, String)>);

fn damaged() -> StoreError {
    StoreError::Damaged { reason: "a row of table contents is not as this release writes it".to_owned() }
}

fn identity(event_id: &str, (digest, revision, published_at): VersionKey) -> Result<Identity, StoreError> {
    Ok(Identity {
        event_id: event_id.to_owned(),
        input_digest: Digest(digest.try_into().map_err(|_| damaged())?),
        revision: revision.try_into().map_err(|_| damaged())?,
        published_at: Timestamp::from_micros(published_at).map_err(|_| damaged())?,
    })
}

fn content_row(event_id: &str, version: Version) -> Result<ContentRow, StoreError> {
    let (digest, revision, published_at, kept) = version;
    let (stored, content) = kept.ok_or_else(damaged)?;
    Ok(ContentRow {
        identity: identity(event_id, (digest, revision, published_at))?,
        stored_at: stored_at(stored).ok_or_else(damaged)?,
        content,
    })
}
