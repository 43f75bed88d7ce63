use afterimage_event::{Op, Position, RecordKey, Timestamp};
use afterimage_store::{
    ContentRow, Digest, Direction, Identity, IndexRow, OrderKey, RowRange, StoreError, TableKey, VERSIONS_MAX,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use crate::error::store_error;
use crate::write::texts_to_json;

const SCOPE: &str = "(SELECT id FROM scope WHERE tenant = ?1 AND source = ?2)";

pub(crate) fn sources(
    connection: &Connection,
    tenant: &str,
    table: &str,
    record_id: &[String],
) -> Result<Vec<String>, StoreError> {
    let read = || -> rusqlite::Result<Vec<String>> {
        connection
            .prepare_cached(
                "SELECT scope.source FROM scope
                 JOIN record_table ON record_table.scope = scope.id AND record_table.name = ?2
                 WHERE scope.tenant = ?1 AND EXISTS (
                     SELECT 1 FROM entry_by_record
                     WHERE record_table = record_table.id AND record_id = ?3)
                 ORDER BY scope.source",
            )?
            .query_map(params![tenant, table, texts_to_json(record_id)], |row| text(row, 0))?
            .collect()
    };
    read().map_err(store_error)
}

/// Which index, and the part of it that belongs to one record or table.
pub(crate) enum Partition<'a> {
    Record(&'a RecordKey),
    Table(&'a TableKey),
}

impl Partition<'_> {
    fn names(&self) -> (&str, &str, &str) {
        match self {
            Self::Record(RecordKey { tenant, source, table, .. }) => (tenant, source, table),
            Self::Table(TableKey { tenant, source, table }) => (tenant, source, table),
        }
    }
}

pub(crate) fn rows(
    connection: &Connection,
    partition: &Partition<'_>,
    range: &RowRange,
) -> Result<Vec<IndexRow>, StoreError> {
    try_rows(connection, partition, range).map_err(store_error)
}

fn try_rows(connection: &Connection, partition: &Partition<'_>, range: &RowRange) -> rusqlite::Result<Vec<IndexRow>> {
    let (tenant, source, name) = partition.names();
    let table: Option<i64> = connection
        .prepare_cached(&format!("SELECT id FROM record_table WHERE scope = {SCOPE} AND name = ?3"))?
        .query_row(params![tenant, source, name], |row| row.get(0))
        .optional()?;
    let Some(table) = table else { return Ok(Vec::new()) };

    let mut query = Query::new(partition, table);
    query.bounds(range);
    let mut statement = connection.prepare_cached(&query.sql(range))?;
    let values: Vec<&dyn ToSql> = query.values.iter().map(AsRef::as_ref).collect();
    let key = |record_id| RecordKey {
        tenant: tenant.to_owned(),
        source: source.to_owned(),
        table: name.to_owned(),
        record_id,
    };
    statement.query_map(values.as_slice(), |row| index_row(row, key(texts(row, 12)?)))?.collect()
}

const KEY: &str = "i.occurred_at, i.position, i.event_id, i.input_digest, i.revision, i.published_at";

/// A query over one index: a handful of spellings, so that each is prepared once and walks the index from where the
/// range begins.
struct Query {
    index: &'static str,
    conditions: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
}

impl Query {
    fn new(partition: &Partition<'_>, table: i64) -> Self {
        let mut query = Self { index: "entry_by_table", conditions: Vec::new(), values: Vec::new() };
        query.condition("i.record_table = ", Box::new(table));
        if let Partition::Record(record) = partition {
            query.index = "entry_by_record";
            query.condition("i.record_id = ", Box::new(texts_to_json(&record.record_id)));
        }
        query
    }

    fn condition(&mut self, left: &str, value: Box<dyn ToSql>) {
        self.values.push(value);
        self.conditions.push(format!("{left}?{}", self.values.len()));
    }

    fn bounds(&mut self, range: &RowRange) {
        // A place in the order that lies within the time asked for is the narrower bound on its side; were both given,
        // SQLite might walk from the wider one.
        let past = range.past.as_ref().filter(|past| match range.direction {
            Direction::Ascending => range.from.is_none_or(|from| past.occurred_at >= from),
            Direction::Descending => range.to.is_none_or(|to| past.occurred_at < to),
        });
        let replaces = |direction| past.is_some() && range.direction == direction;
        if let Some(from) = range.from.filter(|_| !replaces(Direction::Ascending)) {
            self.condition("i.occurred_at >= ", Box::new(from.as_micros()));
        }
        if let Some(to) = range.to.filter(|_| !replaces(Direction::Descending)) {
            self.condition("i.occurred_at < ", Box::new(to.as_micros()));
        }
        if let Some(past) = past {
            self.beyond(past, range.direction);
        }
    }

    fn beyond(&mut self, past: &OrderKey, direction: Direction) {
        let first = self.values.len() + 1;
        let identity = &past.identity;
        self.values.push(Box::new(past.occurred_at.as_micros()));
        self.values.push(Box::new(past.position.clone()));
        self.values.push(Box::new(identity.event_id.clone()));
        self.values.push(Box::new(identity.input_digest.0.to_vec()));
        self.values.push(Box::new(identity.revision));
        self.values.push(Box::new(identity.published_at.as_micros()));
        let holders: Vec<String> = (first..first + 6).map(|number| format!("?{number}")).collect();
        let sign = match direction {
            Direction::Ascending => '>',
            Direction::Descending => '<',
        };
        self.conditions.push(format!("({KEY}) {sign} ({})", holders.join(", ")));
    }

    fn sql(&mut self, range: &RowRange) -> String {
        let order = match range.direction {
            Direction::Ascending => KEY.to_owned(),
            Direction::Descending => KEY.replace(',', " DESC,") + " DESC",
        };
        self.values.push(Box::new(i64::try_from(range.limit).unwrap_or(i64::MAX)));
        // CROSS JOIN: the index is walked in order, entries are looked up by number.
        format!(
            "SELECT {KEY}, e.op, e.position_domain, e.changed, e.before_digest, e.after_digest, e.expires_at, e.record_id
             FROM {} i CROSS JOIN entry e ON e.id = i.entry
             WHERE {} ORDER BY {order} LIMIT ?{}",
            self.index,
            self.conditions.join(" AND "),
            self.values.len()
        )
    }
}

pub(crate) fn contents(
    connection: &Connection,
    tenant: &str,
    source: &str,
    event_ids: &[String],
) -> Result<Vec<Vec<ContentRow>>, StoreError> {
    let sql = format!(
        "SELECT v.input_digest, -v.precedence, v.published_at, e.stored_at, e.content
         FROM entry_by_event v CROSS JOIN entry e ON e.id = v.entry
         WHERE v.scope = {SCOPE} AND v.event_id = ?3
         ORDER BY v.precedence, v.input_digest, v.published_at LIMIT {VERSIONS_MAX}"
    );
    let read = || {
        let mut statement = connection.prepare_cached(&sql)?;
        let versions = |id: &String| -> rusqlite::Result<Vec<ContentRow>> {
            statement.query_map(params![tenant, source, id], |row| content_row(row, id))?.collect()
        };
        event_ids.iter().map(versions).collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(store_error)
}

pub(crate) fn version_from(
    connection: &Connection,
    (tenant, source): (&str, &str),
    event_id: &str,
    revision: u32,
    from: Digest,
) -> Result<Option<ContentRow>, StoreError> {
    let sql = format!(
        "SELECT v.input_digest, -v.precedence, v.published_at, e.stored_at, e.content
         FROM entry_by_event v CROSS JOIN entry e ON e.id = v.entry
         WHERE v.scope = {SCOPE} AND v.event_id = ?3 AND v.precedence = ?4 AND v.input_digest >= ?5
         ORDER BY v.input_digest, v.published_at LIMIT 1"
    );
    let read = || {
        connection
            .prepare_cached(&sql)?
            .query_row(params![tenant, source, event_id, -i64::from(revision), from.0.to_vec()], |row| {
                content_row(row, event_id)
            })
            .optional()
    };
    read().map_err(store_error)
}

fn content_row(row: &Row<'_>, event_id: &str) -> rusqlite::Result<ContentRow> {
    Ok(ContentRow {
        identity: Identity {
            event_id: event_id.to_owned(),
            input_digest: digest(row, 0)?.ok_or_else(|| damaged(0))?,
            revision: row.get(1)?,
            published_at: moment(row, 2)?.ok_or_else(|| damaged(2))?,
        },
        stored_at: moment(row, 3)?.ok_or_else(|| damaged(3))?,
        content: text(row, 4)?,
    })
}

fn index_row(row: &Row<'_>, record: RecordKey) -> rusqlite::Result<IndexRow> {
    let op: u8 = row.get(6)?;
    Ok(IndexRow {
        record,
        identity: Identity {
            event_id: text(row, 2)?,
            input_digest: digest(row, 3)?.ok_or_else(|| damaged(3))?,
            revision: row.get(4)?,
            published_at: moment(row, 5)?.ok_or_else(|| damaged(5))?,
        },
        op: *Op::ALL.get(usize::from(op)).ok_or_else(|| damaged(6))?,
        occurred_at: moment(row, 0)?.ok_or_else(|| damaged(0))?,
        position: position(row)?,
        changed: texts(row, 8)?,
        before_digest: digest(row, 9)?,
        after_digest: digest(row, 10)?,
        provenance: afterimage_store::Provenance::default(),
        expires_at: moment(row, 11)?,
    })
}

/// The number stands in the sort key behind its length, the domain beside the entry.
fn position(row: &Row<'_>) -> rusqlite::Result<Option<Position>> {
    let Some(domain) = row.get::<_, Option<String>>(7)? else { return Ok(None) };
    let sort_key = row.get_ref(1)?.as_blob().map_err(|_| damaged(1))?;
    let digits = sort_key.get(1..).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(|| damaged(1))?;
    Position::new(domain, digits).map(Some).ok_or_else(|| damaged(1))
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    row.get(column)
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(column)?;
    micros.map(|micros| Timestamp::from_micros(micros).map_err(|_| damaged(column))).transpose()
}

fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Digest>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(bytes) => bytes.try_into().map(|bytes| Some(Digest(bytes))).map_err(|_| damaged(column)),
        _ => Err(damaged(column)),
    }
}

fn texts(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    let json = row.get_ref(column)?.as_str().map_err(|_| damaged(column))?;
    serde_json::from_str(json).map_err(|_| damaged(column))
}

/// What stands there is nothing this schema writes.
fn damaged(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnIndex(column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use afterimage_store::conformance::moment;

    /// What SQLite says it will do, step by step.
    fn plan(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        statement.query_map(values, |row| row.get(3)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn every_range_is_walked_from_its_bound_without_sorting() {
        let mut connection = Connection::open_in_memory().unwrap();
        crate::schema::migrate(&mut connection).unwrap();
        let record = RecordKey { tenant: "t".into(), source: "s".into(), table: "t".into(), record_id: vec![] };
        let table = TableKey { tenant: "t".into(), source: "s".into(), table: "t".into() };
        let identity =
            Identity { event_id: "e".into(), input_digest: Digest([0; 16]), revision: 0, published_at: moment(0) };
        let past = OrderKey { occurred_at: moment(5), position: vec![], identity };
        for partition in [Partition::Record(&record), Partition::Table(&table)] {
            for direction in [Direction::Ascending, Direction::Descending] {
                for (past, from, to) in
                    [(Some(&past), Some(1), Some(9)), (None, Some(1), Some(9)), (Some(&past), None, None)]
                {
                    let range = RowRange {
                        from: from.map(moment),
                        to: to.map(moment),
                        past: past.cloned(),
                        direction,
                        limit: 10,
                    };
                    let mut query = Query::new(&partition, 1);
                    query.bounds(&range);
                    let sql = query.sql(&range);
                    let values: Vec<&dyn ToSql> = query.values.iter().map(AsRef::as_ref).collect();
                    let plan = plan(&connection, &sql, &values);
                    assert!(plan[0].starts_with("SEARCH i USING PRIMARY KEY (record_table=?"), "{plan:?}");
                    assert!(plan[0].contains("occurred_at"), "{plan:?}");
                    if past.is_some() {
                        assert!(plan[0].contains("(occurred_at,position,event_id"), "{plan:?}");
                    }
                    assert_eq!(plan[1..], ["SEARCH e USING INTEGER PRIMARY KEY (rowid=?)"], "{sql}");
                }
            }
        }
    }
}
