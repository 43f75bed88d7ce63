//! Tables are announced before their first entry is stored.
//!
//! Which tables there are could be asked of the entries: MongoDB answers `distinct` by jumping from value to value of an
//! index. But it does so for one field at a time, so that sources take a request for each table, and the planner of
//! `DocumentDB` supports `distinct` from 8.0 on only
//! (<https://docs.aws.amazon.com/documentdb/latest/developerguide/query-planner-v3.html>): what comes before may walk every
//! entry. A collection with one small document for each table is one request on any server, and a person can read it; it
//! costs a worker one insert for each table that it sees for the first time since it was started.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use afterimage_event::RecordKey;
use afterimage_store::{Entry, TableKey};

/// Tables that are remembered. Beyond that all are forgotten, and announced again when they are seen again.
const TABLES_MAX: usize = 10_000;

/// The tables that this process has announced.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    tables: Mutex<HashSet<TableKey>>,
}

impl Announced {
    /// The tables of these entries that are not known to be announced, each once.
    pub(crate) fn missing(&self, entries: &[Arc<Entry>]) -> Vec<TableKey> {
        let mut seen = BTreeSet::new();
        let first = entries.iter().filter(|entry| {
            let RecordKey { tenant, source, table, .. } = &entry.record;
            seen.insert((tenant.as_str(), source.as_str(), table.as_str()))
        });
        let tables: Vec<TableKey> = first.map(|entry| table_of(entry)).collect();
        let known = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.into_iter().filter(|table| !known.contains(table)).collect()
    }

    /// This one is announced now.
    pub(crate) fn add(&self, table: TableKey) {
        let mut known = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TABLES_MAX {
            known.clear();
        }
        known.insert(table);
    }
}

/// The table of an entry.
pub(crate) fn table_of(entry: &Entry) -> TableKey {
    let RecordKey { tenant, source, table, .. } = &entry.record;
    TableKey { tenant: tenant.clone(), source: source.clone(), table: table.clone() }
}
