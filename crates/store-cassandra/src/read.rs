//! Reading rows back, in order.

mod bucket;
mod directory;
mod row;

use afterimage_event::{RecordKey, Timestamp};
use afterimage_store::{ContentRow, Digest, Direction, Identity, IndexRow, RowRange, StoreError, TableKey};
use futures_util::future::{join_all, try_join_all};
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use self::bucket::Span;
use self::directory::Buckets;
use crate::connection::Connection;
use crate::errors::Failure;
use crate::rows::stored_at;
use crate::session::Live;
use crate::statements::{ByDirection, Statements};

/// Events whose contents are asked for at the same time.
const CONTENTS_AT_ONCE: usize = 16;
/// Buckets read at the same time, once one after the other has brought too few rows.
const BUCKETS_AT_ONCE: usize = 8;
/// Sources a record may have: far more than anybody has services.
const SOURCES_MAX: usize = 10_000;

/// The reading half of the store, for one call.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    session: &'a Session,
    statements: &'a Statements,
    connection: &'a Connection,
}

/// What rows are asked of.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Record(&'a RecordKey),
    Table(&'a TableKey),
}

impl<'a> Reader<'a> {
    pub(crate) async fn open(live: &'a Live, connection: &'a Connection) -> Result<Self, StoreError> {
        Ok(Self { session: &live.session, statements: connection.statements(live).await?, connection })
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
            let (rows, _) = self.page::<(String,)>(&self.statements.next_source, &values, PagingState::start()).await?;
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
            async move { self.record_rows(&record, one).await.map(|rows| !rows.is_empty()) }
        });
        let has_rows = try_join_all(has_rows).await?;
        Ok(sources.into_iter().zip(has_rows).filter_map(|(source, has)| has.then_some(source)).collect())
    }

    pub(crate) async fn record_rows(self, record: &RecordKey, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        self.rows(Subject::Record(record), range).await
    }

    pub(crate) async fn table_rows(self, table: &TableKey, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        self.rows(Subject::Table(table), range).await
    }

    /// Walks the buckets in order until there are enough rows.
    async fn rows(self, subject: Subject<'_>, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        let Some(span) = Span::of(range) else { return Ok(Vec::new()) };
        let mut found: Vec<IndexRow> = Vec::new();
        let mut buckets = Buckets::new(self, subject, &span);
        let mut at_once = 1;
        while found.len() < range.limit {
            let next = buckets.next(at_once).await?;
            if next.is_empty() {
                break;
            }
            let missing = range.limit - found.len();
            let reads = next.iter().map(|bucket| bucket::read(self, subject, &span, bucket, missing));
            for rows in try_join_all(reads).await? {
                for row in rows {
                    found.push(row.into_index_row(subject)?);
                }
            }
            // Sparse buckets are read several at a time; a dense one fills the page alone.
            at_once = (at_once * 2).min(BUCKETS_AT_ONCE);
        }
        found.truncate(range.limit);
        Ok(found)
    }

    pub(crate) async fn contents(
        self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<ContentRow>>, StoreError> {
        let mut contents = Vec::with_capacity(event_ids.len());
        for some in event_ids.chunks(CONTENTS_AT_ONCE) {
            for versions in join_all(some.iter().map(|event_id| self.versions(tenant, source, event_id))).await {
                contents.push(versions?);
            }
        }
        Ok(contents)
    }

    async fn versions(self, tenant: &str, source: &str, event_id: &str) -> Result<Vec<ContentRow>, StoreError> {
        let rows = self.all_pages(&self.statements.entries, &(tenant, source, event_id)).await?;
        rows.into_iter().map(|row| content_row(event_id, row)).collect()
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
        let rows = self.all_pages(&self.statements.entry_from, &values).await?;
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

/// Digest, revision, `published_at` and `kept` of a version of an entry.
type Version = (Vec<u8>, i64, i64, Option<(i64, String)>);

fn content_row(event_id: &str, version: Version) -> Result<ContentRow, StoreError> {
    let damaged = || StoreError::Damaged { reason: "a row of table contents is not as this release writes it".into() };
    let (digest, revision, published_at, kept) = version;
    let (stored, content) = kept.ok_or_else(damaged)?;
    Ok(ContentRow {
        identity: Identity {
            event_id: event_id.to_owned(),
            input_digest: Digest(digest.try_into().map_err(|_| damaged())?),
            revision: revision.try_into().map_err(|_| damaged())?,
            published_at: Timestamp::from_micros(published_at).map_err(|_| damaged())?,
        },
        stored_at: stored_at(stored).ok_or_else(damaged)?,
        content,
    })
}
