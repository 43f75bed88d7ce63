use std::collections::HashMap;

use afterimage_event::RecordKey;
use rusqlite::{Connection, OptionalExtension, params};

/// Most names remembered of each kind; beyond it all are forgotten and read again.
const NAMES_MAX: usize = 16_384;

/// Numbers for names that repeat in every row. They are given once and never taken back, so what is remembered stays
/// true, but for a transaction that was rolled back.
#[derive(Default)]
pub(crate) struct Dictionary {
    tables: HashMap<String, HashMap<String, HashMap<String, TableNumbers>>>,
    workers: HashMap<String, i64>,
    remembered: usize,
}

#[derive(Clone, Copy)]
pub(crate) struct TableNumbers {
    /// The least scope of the tenant: scopes are never taken back, so it stays the least.
    pub(crate) tenant: i64,
    pub(crate) scope: i64,
    pub(crate) table: i64,
}

impl Dictionary {
    /// Forgets everything: what a rolled back transaction numbered is not there.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The numbers of a record's table, given now if it has none yet.
    pub(crate) fn table(&mut self, connection: &Connection, record: &RecordKey) -> rusqlite::Result<TableNumbers> {
        let RecordKey { tenant: tenant_name, source, table, .. } = record;
        let known =
            self.tables.get(tenant_name).and_then(|sources| sources.get(source)).and_then(|tables| tables.get(table));
        if let Some(numbers) = known {
            return Ok(*numbers);
        }
        let scope = number(
            connection,
            "SELECT id FROM scope WHERE tenant = ?1 AND source = ?2",
            "INSERT INTO scope (tenant, source) VALUES (?1, ?2)",
            params![tenant_name, source],
        )?;
        let tenant = connection
            .prepare_cached("SELECT min(id) FROM scope WHERE tenant = ?1")?
            .query_row([tenant_name], |row| row.get(0))?;
        let number = number(
            connection,
            "SELECT id FROM record_table WHERE scope = ?1 AND name = ?2",
            "INSERT INTO record_table (scope, name) VALUES (?1, ?2)",
            params![scope, table],
        )?;
        let numbers = TableNumbers { tenant, scope, table: number };
        self.make_room();
        self.tables
            .entry(tenant_name.clone())
            .or_default()
            .entry(source.clone())
            .or_default()
            .insert(table.clone(), numbers);
        Ok(numbers)
    }

    /// The number of a worker, given now if it has none yet.
    pub(crate) fn worker(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<i64> {
        if let Some(number) = self.workers.get(name) {
            return Ok(*number);
        }
        let number = number(
            connection,
            "SELECT id FROM worker WHERE name = ?1",
            "INSERT INTO worker (name) VALUES (?1)",
            params![name],
        )?;
        self.make_room();
        self.workers.insert(name.to_owned(), number);
        Ok(number)
    }

    fn make_room(&mut self) {
        if self.remembered >= NAMES_MAX {
            self.forget();
        }
        self.remembered += 1;
    }
}

fn number(connection: &Connection, find: &str, give: &str, names: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<i64> {
    let found = connection.prepare_cached(find)?.query_row(names, |row| row.get(0)).optional()?;
    match found {
        Some(number) => Ok(number),
        None => connection.prepare_cached(give)?.insert(names),
    }
}
