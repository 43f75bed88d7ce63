use afterimage_event::Timestamp;
use afterimage_store::{ContentRow, Digest, Identity, StoreError, TableKey, VERSIONS_MAX};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::store_error;
use crate::write::texts_to_json;

pub(crate) const SCOPE: &str = "(SELECT id FROM scope WHERE tenant = ?1 AND source = ?2)";

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

const TABLES: &str = "SELECT scope.tenant, scope.source, record_table.name FROM scope
     CROSS JOIN record_table ON record_table.scope = scope.id
     WHERE scope.tenant = ?1 ORDER BY scope.source, record_table.name";

pub(crate) fn tables(connection: &Connection, tenant: &str) -> Result<Vec<TableKey>, StoreError> {
    let table = |row: &Row<'_>| Ok(TableKey { tenant: text(row, 0)?, source: text(row, 1)?, table: text(row, 2)? });
    let read = || -> rusqlite::Result<Vec<TableKey>> {
        connection.prepare_cached(TABLES)?.query_map([tenant], table)?.collect()
    };
    read().map_err(store_error)
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

pub(crate) fn versions(
    connection: &Connection,
    tenant: &str,
    source: &str,
    event_ids: &[String],
) -> Result<Vec<Vec<Identity>>, StoreError> {
    let sql = versions_sql();
    let read = || {
        let mut statement = connection.prepare_cached(&sql)?;
        let versions = |id: &String| -> rusqlite::Result<Vec<Identity>> {
            statement.query_map(params![tenant, source, id], |row| identity(row, id))?.collect()
        };
        event_ids.iter().map(versions).collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(store_error)
}

/// The index by event has all of it.
fn versions_sql() -> String {
    format!(
        "SELECT input_digest, -precedence, published_at FROM entry_by_event
         WHERE scope = {SCOPE} AND event_id = ?3
         ORDER BY precedence, input_digest, published_at LIMIT {VERSIONS_MAX}"
    )
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
        identity: identity(row, event_id)?,
        stored_at: moment(row, 3)?.ok_or_else(|| damaged(3))?,
        content: text(row, 4)?,
    })
}

fn identity(row: &Row<'_>, event_id: &str) -> rusqlite::Result<Identity> {
    Ok(Identity {
        event_id: event_id.to_owned(),
        input_digest: digest(row, 0)?.ok_or_else(|| damaged(0))?,
        revision: row.get(1)?,
        published_at: moment(row, 2)?.ok_or_else(|| damaged(2))?,
    })
}

pub(crate) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    row.get(column)
}

pub(crate) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(column)?;
    micros.map(|micros| Timestamp::from_micros(micros).map_err(|_| damaged(column))).transpose()
}

pub(crate) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Digest>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(bytes) => bytes.try_into().map(|bytes| Some(Digest(bytes))).map_err(|_| damaged(column)),
        _ => Err(damaged(column)),
    }
}

/// What stands there is nothing this schema writes.
pub(crate) fn damaged(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnIndex(column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::tests::plan;

    #[test]
    fn tables_and_versions_are_read_without_any_entry() {
        let mut connection = Connection::open_in_memory().unwrap();
        crate::schema::migrate(&mut connection).unwrap();
        let plan = |sql: &str, values: &[&str]| {
            let values: Vec<&dyn rusqlite::ToSql> = values.iter().map(|value| value as &dyn rusqlite::ToSql).collect();
            plan(&connection, sql, &values).join("; ")
        };
        assert_eq!(
            plan(TABLES, &["t"]),
            "SEARCH scope USING COVERING INDEX sqlite_autoindex_scope_1 (tenant=?); \
             SEARCH record_table USING COVERING INDEX sqlite_autoindex_record_table_1 (scope=?)"
        );
        let versions = plan(&versions_sql(), &["t", "s", "e"]);
        assert!(versions.starts_with("SEARCH entry_by_event USING PRIMARY KEY (scope=? AND event_id=?)"), "{versions}");
        assert!(!versions.contains("SEARCH entry ") && !versions.contains("TEMP B-TREE"), "{versions}");
    }
}
