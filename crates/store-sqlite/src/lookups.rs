//! Index rows by which entries are found beside their record and table, and the one row that says who made an entry.

use afterimage_event::Position;
use afterimage_store::{Entry, Facet, Provenance, StoreError};
use rusqlite::{CachedStatement, Connection, ToSql, params};

use crate::dictionary::{Dictionary, TableNumbers};
use crate::error::store_error;
use crate::write::{op_code, texts_to_json};

/// The columns of an entry's place in every index.
pub(crate) struct Key<'e> {
    pub(crate) occurred_at: i64,
    pub(crate) position: Vec<u8>,
    pub(crate) event_id: &'e str,
    pub(crate) input_digest: &'e [u8],
    pub(crate) revision: u32,
    pub(crate) published_at: i64,
}

impl<'e> Key<'e> {
    pub(crate) fn of(entry: &'e Entry) -> Self {
        let identity = &entry.identity;
        Self {
            occurred_at: entry.occurred_at.as_micros(),
            position: entry.position.as_ref().map(Position::sort_key).unwrap_or_default(),
            event_id: &identity.event_id,
            input_digest: &identity.input_digest.0,
            revision: identity.revision,
            published_at: identity.published_at.as_micros(),
        }
    }
}

/// The number a facet is stored as: its place in [`Facet::ALL`], which only grows.
pub(crate) fn facet_code(facet: Facet) -> i64 {
    Facet::ALL.iter().zip(0..).find(|(known, _)| **known == facet).map_or(-1, |(_, code)| code)
}

/// Inserts what schema 2 added.
pub(crate) struct Lookups<'c> {
    by_name: CachedStatement<'c>,
    by_facet: CachedStatement<'c>,
    provenance: CachedStatement<'c>,
}

impl<'c> Lookups<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            by_name: connection
                .prepare_cached("INSERT OR IGNORE INTO entry_by_name VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?,
            by_facet: connection.prepare_cached(
                "INSERT OR IGNORE INTO entry_by_facet VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?,
            provenance: connection.prepare_cached("INSERT INTO provenance VALUES (?1, ?2, ?3, ?4, ?5)")?,
        })
    }

    pub(crate) fn insert(
        &mut self,
        entry: &Entry,
        key: &Key<'_>,
        numbers: TableNumbers,
        id: i64,
    ) -> rusqlite::Result<()> {
        match entry.fields() {
            Some(fields) => {
                for field in &fields {
                    self.insert_name(field, key, numbers, id)?;
                }
            }
            None => self.insert_name(&op_code(entry.op), key, numbers, id)?,
        }
        for facet in Facet::ALL {
            for term in entry.terms(facet) {
                self.by_facet.execute(params![
                    numbers.tenant,
                    facet_code(facet),
                    term,
                    key.occurred_at,
                    key.position,
                    key.event_id,
                    key.input_digest,
                    key.revision,
                    key.published_at,
                    id,
                    numbers.table,
                ])?;
            }
        }
        self.insert_provenance(&entry.provenance, id)
    }

    fn insert_name(&mut self, name: &dyn ToSql, key: &Key<'_>, numbers: TableNumbers, id: i64) -> rusqlite::Result<()> {
        self.by_name.execute(params![
            numbers.table,
            name,
            key.occurred_at,
            key.position,
            key.event_id,
            key.input_digest,
            key.revision,
            key.published_at,
            id,
        ])?;
        Ok(())
    }

    /// Nothing, where nothing is known.
    fn insert_provenance(&mut self, provenance: &Provenance, id: i64) -> rusqlite::Result<()> {
        let Provenance { actors, request, transaction, migration } = provenance;
        if *provenance != Provenance::default() {
            let actors = (!actors.is_empty()).then(|| texts_to_json(actors));
            self.provenance.execute(params![id, actors, request, transaction, migration])?;
        }
        Ok(())
    }
}

/// Makes the rows of entries stored before there were any, from their content: one entry in memory at a time.
pub(crate) fn fill(connection: &Connection) -> Result<(), StoreError> {
    let mut dictionary = Dictionary::default();
    let mut lookups = Lookups::prepare(connection).map_err(store_error)?;
    let mut entries = connection.prepare("SELECT id, content FROM entry ORDER BY id").map_err(store_error)?;
    let mut rows = entries.query([]).map_err(store_error)?;
    while let Some(row) = rows.next().map_err(store_error)? {
        let stored = || Ok((row.get(0)?, row.get(1)?));
        let (id, content): (i64, String) = stored().map_err(store_error)?;
        let entry = Entry::from_content(content)
            .map_err(|error| StoreError::Damaged { reason: format!("the content of entry {id}: {error}") })?;
        let numbers = dictionary.table(connection, &entry.record).map_err(store_error)?;
        lookups.insert(&entry, &Key::of(&entry), numbers, id).map_err(store_error)?;
    }
    Ok(())
}
