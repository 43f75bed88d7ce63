use afterimage_event::{Op, Position, RecordKey};
use afterimage_store::{Direction, Identity, Index, IndexRow, OrderKey, Provenance, RowRange, StoreError, TableKey};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::store_error;
use crate::lookups::facet_code;
use crate::read::{SCOPE, damaged, digest, moment, text};
use crate::write::{op_code, texts_to_json};

pub(crate) fn rows(connection: &Connection, index: &Index, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
    try_rows(connection, index, range).map_err(store_error)
}

fn try_rows(connection: &Connection, index: &Index, range: &RowRange) -> rusqlite::Result<Vec<IndexRow>> {
    let Some(owner) = owner(connection, index)? else { return Ok(Vec::new()) };
    let mut query = Query::new(index, owner);
    query.bounds(range);
    let mut statement = connection.prepare_cached(&query.sql(range))?;
    statement.query_map(rusqlite::params_from_iter(&query.values), index_row)?.collect()
}

/// The number of whom an index belongs to, a table or a tenant; `None` where that has no entries.
fn owner(connection: &Connection, index: &Index) -> rusqlite::Result<Option<i64>> {
    let table = |tenant: &str, source: &str, table: &str| {
        connection
            .prepare_cached(&format!("SELECT id FROM record_table WHERE scope = {SCOPE} AND name = ?3"))?
            .query_row(params![tenant, source, table], |row| row.get(0))
            .optional()
    };
    match index {
        Index::Record(RecordKey { tenant, source, table: name, .. })
        | Index::Table(TableKey { tenant, source, table: name })
        | Index::Op(TableKey { tenant, source, table: name }, _)
        | Index::Field(TableKey { tenant, source, table: name }, _) => table(tenant, source, name),
        Index::Facet { tenant, .. } => connection
            .prepare_cached("SELECT min(id) FROM scope WHERE tenant = ?1")?
            .query_row([tenant], |row| row.get(0)),
    }
}

const KEY: &str = "i.occurred_at, i.position, i.event_id, i.input_digest, i.revision, i.published_at";

/// A query over one index: a handful of spellings, so that each is prepared once and walks the index from where the
/// range begins.
struct Query {
    index: &'static str,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    fn new(index: &Index, owner: i64) -> Self {
        let table = match index {
            Index::Record(_) => "entry_by_record",
            Index::Table(_) => "entry_by_table",
            Index::Op(..) | Index::Field(..) => "entry_by_name",
            Index::Facet { .. } => "entry_by_facet",
        };
        let mut query = Self { index: table, conditions: Vec::new(), values: Vec::new() };
        match index {
            Index::Facet { .. } => query.condition("i.tenant = ", owner),
            _ => query.condition("i.record_table = ", owner),
        }
        match index {
            Index::Record(record) => query.condition("i.record_id = ", texts_to_json(&record.record_id)),
            Index::Table(_) => {}
            Index::Op(_, op) => query.condition("i.name = ", op_code(*op)),
            Index::Field(_, name) => query.condition("i.name = ", name.clone()),
            Index::Facet { facet, term, .. } => {
                query.condition("i.facet = ", facet_code(*facet));
                query.condition("i.term = ", term.clone());
            }
        }
        query
    }

    fn condition(&mut self, left: &str, value: impl Into<Value>) {
        self.values.push(value.into());
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
            self.condition("i.occurred_at >= ", from.as_micros());
        }
        if let Some(to) = range.to.filter(|_| !replaces(Direction::Descending)) {
            self.condition("i.occurred_at < ", to.as_micros());
        }
        if let Some(past) = past {
            self.beyond(past, range.direction);
        }
    }

    fn beyond(&mut self, past: &OrderKey, direction: Direction) {
        let first = self.values.len() + 1;
        let identity = &past.identity;
        self.values.extend([
            past.occurred_at.as_micros().into(),
            past.position.clone().into(),
            identity.event_id.clone().into(),
            identity.input_digest.0.to_vec().into(),
            identity.revision.into(),
            identity.published_at.as_micros().into(),
        ]);
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
        self.values.push(i64::try_from(range.limit).unwrap_or(i64::MAX).into());
        // CROSS JOIN: the index is walked in order, all else is looked up by number.
        format!(
            "SELECT {KEY}, e.op, e.position_domain, e.changed, e.before_digest, e.after_digest, e.expires_at,
                s.tenant, s.source, t.name, e.record_id, p.actors, p.request, p.transaction_id, p.migration
             FROM {} i CROSS JOIN entry e ON e.id = i.entry LEFT JOIN provenance p ON p.entry = i.entry
                CROSS JOIN record_table t ON t.id = i.record_table CROSS JOIN scope s ON s.id = t.scope
             WHERE {} ORDER BY {order} LIMIT ?{}",
            self.index,
            self.conditions.join(" AND "),
            self.values.len()
        )
    }
}

fn index_row(row: &Row<'_>) -> rusqlite::Result<IndexRow> {
    let op: u8 = row.get(6)?;
    Ok(IndexRow {
        record: RecordKey {
            tenant: text(row, 12)?,
            source: text(row, 13)?,
            table: text(row, 14)?,
            record_id: texts(row, 15)?.unwrap_or_default(),
        },
        identity: Identity {
            event_id: text(row, 2)?,
            input_digest: digest(row, 3)?.ok_or_else(|| damaged(3))?,
            revision: row.get(4)?,
            published_at: moment(row, 5)?.ok_or_else(|| damaged(5))?,
        },
        op: *Op::ALL.get(usize::from(op)).ok_or_else(|| damaged(6))?,
        occurred_at: moment(row, 0)?.ok_or_else(|| damaged(0))?,
        position: position(row)?,
        changed: texts(row, 8)?.unwrap_or_default(),
        before_digest: digest(row, 9)?,
        after_digest: digest(row, 10)?,
        provenance: Provenance {
            actors: texts(row, 16)?.unwrap_or_default(),
            request: row.get(17)?,
            transaction: row.get(18)?,
            migration: row.get(19)?,
        },
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

fn texts(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<String>>> {
    let json = row.get_ref(column)?.as_str_or_null().map_err(|_| damaged(column))?;
    json.map(serde_json::from_str).transpose().map_err(|_| damaged(column))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use afterimage_event::Timestamp;
    use afterimage_store::conformance::moment;
    use afterimage_store::{Digest, Facet};
    use rusqlite::ToSql;

    /// What SQLite says it will do, step by step.
    pub(crate) fn plan(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        statement.query_map(values, |row| row.get(3)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    fn ranges() -> Vec<RowRange> {
        let identity =
            Identity { event_id: "e".into(), input_digest: Digest([0; 16]), revision: 0, published_at: moment(0) };
        let past = OrderKey { occurred_at: moment(5), position: vec![], identity };
        let bounds: [(Option<&OrderKey>, Option<Timestamp>, Option<Timestamp>); 3] = [
            (Some(&past), Some(moment(1)), Some(moment(9))),
            (None, Some(moment(1)), Some(moment(9))),
            (Some(&past), None, None),
        ];
        let ranged =
            |direction| bounds.map(|(past, from, to)| RowRange { from, to, past: past.cloned(), direction, limit: 10 });
        [Direction::Ascending, Direction::Descending].into_iter().flat_map(ranged).collect()
    }

    #[test]
    fn every_range_of_every_index_is_walked_from_its_bound_without_sorting() {
        let mut connection = Connection::open_in_memory().unwrap();
        crate::schema::migrate(&mut connection).unwrap();
        let record = RecordKey { tenant: "t".into(), source: "s".into(), table: "t".into(), record_id: vec![] };
        let table = TableKey { tenant: "t".into(), source: "s".into(), table: "t".into() };
        let indexes = [
            (Index::Record(record), "record_table=? AND record_id=?"),
            (Index::Table(table.clone()), "record_table=?"),
            (Index::Op(table.clone(), Op::Insert), "record_table=? AND name=?"),
            (Index::Field(table, "f".into()), "record_table=? AND name=?"),
            (
                Index::Facet { tenant: "t".into(), facet: Facet::Actor, term: "a".into() },
                "tenant=? AND facet=? AND term=?",
            ),
        ];
        for (index, prefix) in &indexes {
            for range in ranges() {
                let mut query = Query::new(index, 1);
                query.bounds(&range);
                let sql = query.sql(&range);
                let values: Vec<&dyn ToSql> = query.values.iter().map(|value| value as &dyn ToSql).collect();
                let plan = plan(&connection, &sql, &values);
                assert!(plan[0].starts_with(&format!("SEARCH i USING PRIMARY KEY ({prefix} AND ")), "{plan:?}");
                assert!(plan[0].contains("occurred_at"), "{plan:?}");
                if range.past.is_some() {
                    assert!(plan[0].contains("(occurred_at,position,event_id"), "{plan:?}");
                }
                let by_number = ["e", "p", "t", "s"].map(|alias| {
                    let joined = if alias == "p" { " LEFT-JOIN" } else { "" };
                    format!("SEARCH {alias} USING INTEGER PRIMARY KEY (rowid=?){joined}")
                });
                assert_eq!(plan[1..], by_number, "{sql}");
            }
        }
    }
}
