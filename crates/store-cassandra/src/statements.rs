//! The queries, prepared once in each session.

use afterimage_store::VERSIONS_MAX;
use scylla::client::session::Session;
use scylla::errors::PrepareError;
use scylla::statement::Consistency as Level;
use scylla::statement::prepared::PreparedStatement;

use crate::Config;
use crate::rows::Kind;

/// Prepared statements. Their markers are filled by [`crate::rows`] and [`crate::read`].
pub(crate) struct Statements {
    insert_entry: PreparedStatement,
    insert_record_bucket: PreparedStatement,
    insert_table_name: PreparedStatement,
    insert_term_bucket: PreparedStatement,
    insert_term_hour: PreparedStatement,
    insert_journal_bucket: PreparedStatement,
    insert_record: PreparedStatement,
    insert_term: PreparedStatement,
    insert_journal: PreparedStatement,
    pub(crate) entries: PreparedStatement,
    pub(crate) identities: PreparedStatement,
    pub(crate) entry_from: PreparedStatement,
    pub(crate) next_source: PreparedStatement,
    pub(crate) table_names: PreparedStatement,
    pub(crate) record_buckets: ByDirection,
    pub(crate) term_buckets: ByDirection,
    pub(crate) term_hours: ByDirection,
    pub(crate) record_rows: ByDirection,
    pub(crate) term_rows: ByDirection,
}

/// One query in both directions.
pub(crate) struct ByDirection {
    pub(crate) descending: PreparedStatement,
    pub(crate) ascending: PreparedStatement,
}

/// The columns of an [`afterimage_store::OrderKey`].
const ORDER_KEY: &str = "occurred_at, position, event_id, input_digest, revision, published_at";

/// Rows in one page of an answer, where [`crate::read`] does not ask for fewer.
const PAGE_ROWS: i32 = 1_000;
/// Versions of one event in one page: all that are asked for.
const VERSIONS_PAGE_ROWS: i32 = VERSIONS_MAX as i32;
/// The columns that tell the versions of one event apart.
const VERSION_KEY: &str = "input_digest, revision, published_at";
/// The columns that name one index.
const TERM_KEY: &str = "tenant, kind, source, table_name, term";
const IS_TERM: &str = "tenant = ? AND kind = ? AND source = ? AND table_name = ? AND term = ?";

impl Statements {
    pub(crate) async fn prepare(session: &Session, config: &Config) -> Result<Self, PrepareError> {
        let make = Preparer { session, config };
        let version = format!("{VERSION_KEY}, kept");
        let versions = format!("tenant = ? AND source = ? AND event_id = ? LIMIT {VERSIONS_MAX}");
        let rows = format!("({ORDER_KEY}) >= (?, ?, ?, ?, ?, ?) AND ({ORDER_KEY}) < (?, ?, ?, ?, ?, ?)");
        Ok(Self {
            insert_entry: make
                .insert("contents", "tenant, source, event_id, input_digest, revision, published_at, kept")
                .await?,
            insert_record_bucket: make
                .insert("record_buckets", "tenant, table_name, record_id, source, bucket, shard")
                .await?,
            insert_table_name: make.insert("table_names", "tenant, source, table_name").await?,
            insert_term_bucket: make.insert("term_buckets", &format!("{TERM_KEY}, bucket, level")).await?,
            insert_term_hour: make.insert("term_hours", &format!("{TERM_KEY}, bucket, hour, shard")).await?,
            insert_journal_bucket: make.insert("journal_buckets", "bucket, worker, shard").await?,
            insert_record: make
                .insert(
                    "rows_by_record",
                    &format!("tenant, source, table_name, record_id, bucket, shard, {ORDER_KEY}, kept"),
                )
                .await?,
            insert_term: make
                .insert("rows_by_term", &format!("{TERM_KEY}, level, bucket, shard, {ORDER_KEY}, kept"))
                .await?,
            insert_journal: make
                .insert(
                    "journal",
                    "worker, bucket, shard, arrived_at, tenant, source, event_id, input_digest, revision, published_at",
                )
                .await?,
            entries: make.select(&version, "contents", &versions, VERSIONS_PAGE_ROWS).await?,
            identities: make.select(VERSION_KEY, "contents", &versions, VERSIONS_PAGE_ROWS).await?,
            entry_from: make
                .select(
                    &version,
                    "contents",
                    "tenant = ? AND source = ? AND event_id = ? AND revision = ? AND input_digest >= ? LIMIT 1",
                    1,
                )
                .await?,
            next_source: make
                .select(
                    "source",
                    "record_buckets",
                    "tenant = ? AND table_name = ? AND record_id = ? AND source >= ? LIMIT 1",
                    1,
                )
                .await?,
            table_names: make.select("source, table_name", "table_names", "tenant = ?", PAGE_ROWS).await?,
            record_buckets: make
                .both_directions(
                    "bucket, shard",
                    "record_buckets",
                    "tenant = ? AND table_name = ? AND record_id = ? AND source = ? AND bucket >= ? AND bucket <= ?",
                    ["source ASC, bucket DESC", "source DESC, bucket ASC"],
                    "",
                )
                .await?,
            term_buckets: make
                .both_directions(
                    "bucket, level",
                    "term_buckets",
                    &format!("{IS_TERM} AND bucket >= ? AND bucket <= ?"),
                    ["bucket DESC", "bucket ASC"],
                    "",
                )
                .await?,
            term_hours: make
                .both_directions(
                    "hour, shard",
                    "term_hours",
                    &format!("{IS_TERM} AND bucket = ? AND hour >= ? AND hour <= ?"),
                    ["hour DESC", "hour ASC"],
                    "",
                )
                .await?,
            record_rows: make
                .both_directions(
                    &format!("{ORDER_KEY}, kept"),
                    "rows_by_record",
                    &format!(
                        "tenant = ? AND source = ? AND table_name = ? AND record_id = ? AND bucket = ? AND shard = ? \
                         AND {rows}"
                    ),
                    ["occurred_at DESC", "occurred_at ASC"],
                    "LIMIT ?",
                )
                .await?,
            term_rows: make
                .both_directions(
                    &format!("{ORDER_KEY}, kept"),
                    "rows_by_term",
                    &format!("{IS_TERM} AND level = ? AND bucket = ? AND shard = ? AND {rows}"),
                    ["occurred_at DESC", "occurred_at ASC"],
                    "LIMIT ?",
                )
                .await?,
        })
    }

    /// The insert for rows of this kind.
    pub(crate) fn insert(&self, kind: Kind<'_>) -> &PreparedStatement {
        match kind {
            Kind::Entry => &self.insert_entry,
            Kind::RecordBucket => &self.insert_record_bucket,
            Kind::TableName => &self.insert_table_name,
            Kind::TermBucket(_) | Kind::AnyTermBucket(_) => &self.insert_term_bucket,
            Kind::TermHour(_) => &self.insert_term_hour,
            Kind::JournalBucket => &self.insert_journal_bucket,
            Kind::Record => &self.insert_record,
            Kind::Wide(_) | Kind::Narrow(_) => &self.insert_term,
            Kind::Journal => &self.insert_journal,
        }
    }
}

struct Preparer<'a> {
    session: &'a Session,
    config: &'a Config,
}

impl Preparer<'_> {
    async fn insert(&self, table: &str, columns: &str) -> Result<PreparedStatement, PrepareError> {
        let markers = vec!["?"; columns.split(',').count()].join(", ");
        let keyspace = &self.config.keyspace;
        let cql = format!("INSERT INTO {keyspace}.{table} ({columns}) VALUES ({markers}) USING TIMESTAMP ?");
        self.prepare(&cql, self.config.consistency.write(), PAGE_ROWS).await
    }

    async fn select(
        &self,
        columns: &str,
        table: &str,
        rest: &str,
        page: i32,
    ) -> Result<PreparedStatement, PrepareError> {
        let cql = format!("SELECT {columns} FROM {}.{table} WHERE {rest}", self.config.keyspace);
        self.prepare(&cql, self.config.consistency.read(), page).await
    }

    async fn both_directions(
        &self,
        columns: &str,
        table: &str,
        filter: &str,
        [descending, ascending]: [&str; 2],
        limit: &str,
    ) -> Result<ByDirection, PrepareError> {
        let rest = |order: &str| format!("{filter} ORDER BY {order} {limit}");
        Ok(ByDirection {
            descending: self.select(columns, table, &rest(descending), PAGE_ROWS).await?,
            ascending: self.select(columns, table, &rest(ascending), PAGE_ROWS).await?,
        })
    }

    async fn prepare(&self, cql: &str, level: Level, page: i32) -> Result<PreparedStatement, PrepareError> {
        let mut statement = self.session.prepare(cql).await?;
        statement.set_consistency(level);
        // Every insert may be repeated (see crate::schema), so the driver may try another node after a time-out.
        statement.set_is_idempotent(true);
        statement.set_page_size(page);
        Ok(statement)
    }
}
