//! The queries, prepared once in each session.

use afterimage_store::VERSIONS_MAX;
use scylla::client::session::Session;
use scylla::errors::PrepareError;
use scylla::statement::Consistency as Level;
use scylla::statement::prepared::PreparedStatement;
use tokio::try_join;

use crate::Config;
use crate::rows::Kind;

/// What storing needs: one insert for each kind of row. Their markers are filled by [`crate::rows`].
pub(crate) struct Inserts {
    entry: PreparedStatement,
    record_bucket: PreparedStatement,
    table_name: PreparedStatement,
    term_bucket: PreparedStatement,
    term_hour: PreparedStatement,
    journal_bucket: PreparedStatement,
    record: PreparedStatement,
    term: PreparedStatement,
    journal: PreparedStatement,
}

/// What questions need. Their markers are filled by [`crate::read`].
pub(crate) struct Selects {
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

impl Inserts {
    /// All at once: one by one they would take nine answers of a cluster that is slow to give one, and a worker whose store
    /// is back is waiting.
    pub(crate) async fn prepare(session: &Session, config: &Config) -> Result<Self, PrepareError> {
        let make = Preparer { session, config };
        let record = format!("tenant, source, table_name, record_id, bucket, shard, {ORDER_KEY}, kept");
        let term = format!("{TERM_KEY}, level, bucket, shard, {ORDER_KEY}, kept");
        let journal =
            "worker, bucket, shard, arrived_at, tenant, source, event_id, input_digest, revision, published_at";
        let (entry, record_bucket, table_name, term_bucket, term_hour, journal_bucket, record, term, journal) = try_join!(
            make.insert("contents", "tenant, source, event_id, input_digest, revision, published_at, kept"),
            make.insert("record_buckets", "tenant, table_name, record_id, source, bucket, shard"),
            make.insert("table_names", "tenant, source, table_name"),
            make.insert("term_buckets", &format!("{TERM_KEY}, bucket, level")),
            make.insert("term_hours", &format!("{TERM_KEY}, bucket, hour, shard")),
            make.insert("journal_buckets", "bucket, worker, shard"),
            make.insert("rows_by_record", &record),
            make.insert("rows_by_term", &term),
            make.insert("journal", journal),
        )?;
        Ok(Self { entry, record_bucket, table_name, term_bucket, term_hour, journal_bucket, record, term, journal })
    }

    /// The insert for rows of this kind.
    pub(crate) fn of(&self, kind: Kind<'_>) -> &PreparedStatement {
        match kind {
            Kind::Entry => &self.entry,
            Kind::RecordBucket => &self.record_bucket,
            Kind::TableName => &self.table_name,
            Kind::TermBucket(_) | Kind::AnyTermBucket(_) => &self.term_bucket,
            Kind::TermHour(_) => &self.term_hour,
            Kind::JournalBucket => &self.journal_bucket,
            Kind::Record => &self.record,
            Kind::Wide(_) | Kind::Narrow(_) => &self.term,
            Kind::Journal => &self.journal,
        }
    }
}

impl Selects {
    /// In two rounds: the futures of all of them at once are more than a thread's stack takes in a debug build.
    pub(crate) async fn prepare(session: &Session, config: &Config) -> Result<Self, PrepareError> {
        let make = Preparer { session, config };
        let version = format!("{VERSION_KEY}, kept");
        let versions = format!("tenant = ? AND source = ? AND event_id = ? LIMIT {VERSIONS_MAX}");
        let from = "tenant = ? AND source = ? AND event_id = ? AND revision = ? AND input_digest >= ? LIMIT 1";
        let source_from = "tenant = ? AND table_name = ? AND record_id = ? AND source >= ? LIMIT 1";
        let by_record =
            "tenant = ? AND table_name = ? AND record_id = ? AND source = ? AND bucket >= ? AND bucket <= ?";
        let rows = format!("({ORDER_KEY}) >= (?, ?, ?, ?, ?, ?) AND ({ORDER_KEY}) < (?, ?, ?, ?, ?, ?)");
        let of_record = format!(
            "tenant = ? AND source = ? AND table_name = ? AND record_id = ? AND bucket = ? AND shard = ? AND {rows}"
        );
        let of_term = format!("{IS_TERM} AND level = ? AND bucket = ? AND shard = ? AND {rows}");
        let row = format!("{ORDER_KEY}, kept");
        let by_time = ["occurred_at DESC", "occurred_at ASC"];
        let (entries, identities, entry_from, next_source, table_names) = try_join!(
            make.select(&version, "contents", &versions, VERSIONS_PAGE_ROWS),
            make.select(VERSION_KEY, "contents", &versions, VERSIONS_PAGE_ROWS),
            make.select(&version, "contents", from, 1),
            make.select("source", "record_buckets", source_from, 1),
            make.select("source, table_name", "table_names", "tenant = ?", PAGE_ROWS),
        )?;
        let (record_buckets, term_buckets, term_hours, record_rows, term_rows) = try_join!(
            make.both_directions(
                "bucket, shard",
                "record_buckets",
                by_record,
                ["source ASC, bucket DESC", "source DESC, bucket ASC"],
                "",
            ),
            make.both_directions(
                "bucket, level",
                "term_buckets",
                &format!("{IS_TERM} AND bucket >= ? AND bucket <= ?"),
                ["bucket DESC", "bucket ASC"],
                "",
            ),
            make.both_directions(
                "hour, shard",
                "term_hours",
                &format!("{IS_TERM} AND bucket = ? AND hour >= ? AND hour <= ?"),
                ["hour DESC", "hour ASC"],
                "",
            ),
            make.both_directions(&row, "rows_by_record", &of_record, by_time, "LIMIT ?"),
            make.both_directions(&row, "rows_by_term", &of_term, by_time, "LIMIT ?"),
        )?;
        Ok(Self {
            entries,
            identities,
            entry_from,
            next_source,
            table_names,
            record_buckets,
            term_buckets,
            term_hours,
            record_rows,
            term_rows,
        })
    }
}

#[derive(Clone, Copy)]
struct Preparer<'a> {
    session: &'a Session,
    config: &'a Config,
}

impl<'a> Preparer<'a> {
    fn insert(
        self,
        table: &str,
        columns: &str,
    ) -> impl Future<Output = Result<PreparedStatement, PrepareError>> + use<'a> {
        let markers = vec!["?"; columns.split(',').count()].join(", ");
        let keyspace = &self.config.keyspace;
        let cql = format!("INSERT INTO {keyspace}.{table} ({columns}) VALUES ({markers}) USING TIMESTAMP ?");
        self.prepare(cql, self.config.consistency.write(), PAGE_ROWS)
    }

    fn select(
        self,
        columns: &str,
        table: &str,
        rest: &str,
        page: i32,
    ) -> impl Future<Output = Result<PreparedStatement, PrepareError>> + use<'a> {
        let cql = format!("SELECT {columns} FROM {}.{table} WHERE {rest}", self.config.keyspace);
        self.prepare(cql, self.config.consistency.read(), page)
    }

    fn both_directions(
        self,
        columns: &str,
        table: &str,
        filter: &str,
        orders: [&str; 2],
        limit: &str,
    ) -> impl Future<Output = Result<ByDirection, PrepareError>> + use<'a> {
        let [descending, ascending] =
            orders.map(|order| self.select(columns, table, &format!("{filter} ORDER BY {order} {limit}"), PAGE_ROWS));
        async {
            let (descending, ascending) = try_join!(descending, ascending)?;
            Ok(ByDirection { descending, ascending })
        }
    }

    async fn prepare(self, cql: String, level: Level, page: i32) -> Result<PreparedStatement, PrepareError> {
        let mut statement = self.session.prepare(cql).await?;
        statement.set_consistency(level);
        // Every insert may be repeated (see crate::schema), so the driver may try another node after a time-out.
        statement.set_is_idempotent(true);
        statement.set_page_size(page);
        Ok(statement)
    }
}
