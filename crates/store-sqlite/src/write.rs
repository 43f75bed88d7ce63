use std::sync::Arc;

use afterimage_event::Op;
use afterimage_failpoint::{Point, reach};
use afterimage_store::{AppendError, Arrival, Entry};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql, TransactionBehavior, params};

use crate::dictionary::{Dictionary, TableNumbers};
use crate::error::reason;
use crate::lookups::{Key, Lookups};

/// Largest content taken, far above what a message can hold: SQLite itself ends at 10^9 bytes
/// (<https://sqlite.org/limits.html>), and an entry must fit into memory several times.
const CONTENT_BYTES_MAX: usize = 256 << 20;

/// Entries of one append.
pub(crate) struct Batch {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) arrival: Arrival,
}

pub(crate) type Results = Vec<Result<(), AppendError>>;

/// Stores batches in one transaction; one list of results for each. When the transaction fails, none of it is stored.
pub(crate) fn write(connection: &mut Connection, dictionary: &mut Dictionary, batches: &[&Batch]) -> Vec<Results> {
    match try_write(connection, dictionary, batches) {
        Ok(results) => results,
        Err(error) => {
            dictionary.forget();
            // No entry is at fault: what fails here is the file, the disk or a lock.
            let reason = reason(&error);
            batches.iter().map(|batch| unavailable(batch, &reason)).collect()
        }
    }
}

/// The same failure for every entry of a batch.
pub(crate) fn unavailable(batch: &Batch, reason: &str) -> Results {
    batch.entries.iter().map(|_| Err(AppendError::Unavailable { reason: reason.to_owned() })).collect()
}

fn try_write(
    connection: &mut Connection,
    dictionary: &mut Dictionary,
    batches: &[&Batch],
) -> rusqlite::Result<Vec<Results>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let first: i64 = transaction.prepare_cached("SELECT next_id FROM journal")?.query_row([], |row| row.get(0))?;
    let mut next = first;
    let mut results = Vec::with_capacity(batches.len());
    {
        let mut inserts = Inserts::prepare(&transaction)?;
        for batch in batches {
            let worker = dictionary.worker(&transaction, &batch.arrival.worker)?;
            let mut stored = Vec::with_capacity(batch.entries.len());
            for entry in &batch.entries {
                if entry.content.len() > CONTENT_BYTES_MAX {
                    let reason = format!("content of {} bytes, at most {CONTENT_BYTES_MAX} fit", entry.content.len());
                    stored.push(Err(AppendError::Refused { reason }));
                    continue;
                }
                let table = dictionary.table(&transaction, &entry.record)?;
                let arrival = Place { id: next, worker, stored_at: batch.arrival.at.as_micros() };
                next += i64::from(inserts.insert(entry, table, &arrival)?);
                stored.push(Ok(()));
            }
            results.push(stored);
        }
        if next > first {
            transaction.prepare_cached("UPDATE journal SET next_id = ?1")?.execute([next])?;
        }
    }
    reach(Point::BeforeCommit);
    transaction.commit()?;
    Ok(results)
}

/// Where an entry goes, and when it came.
struct Place {
    id: i64,
    worker: i64,
    stored_at: i64,
}

struct Inserts<'c> {
    by_event: CachedStatement<'c>,
    entry: CachedStatement<'c>,
    by_record: CachedStatement<'c>,
    by_table: CachedStatement<'c>,
    lookups: Lookups<'c>,
}

impl<'c> Inserts<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            by_event: connection
                .prepare_cached("INSERT OR IGNORE INTO entry_by_event VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?,
            entry: connection
                .prepare_cached("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?,
            by_record: connection
                .prepare_cached("INSERT OR IGNORE INTO entry_by_record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?,
            by_table: connection
                .prepare_cached("INSERT OR IGNORE INTO entry_by_table VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?,
            lookups: Lookups::prepare(connection)?,
        })
    }

    /// Stores an entry that is not there yet; false when it is.
    fn insert(&mut self, entry: &Entry, numbers: TableNumbers, place: &Place) -> rusqlite::Result<bool> {
        let key = Key::of(entry);
        let precedence = -i64::from(key.revision);
        let is_new = self.by_event.execute(params![
            numbers.scope,
            key.event_id,
            precedence,
            key.input_digest,
            key.published_at,
            place.id
        ])? > 0;
        if !is_new {
            return Ok(false);
        }
        let record_id = texts_to_json(&entry.record.record_id);
        let before_digest = entry.before_digest.as_ref().map(|digest| &digest.0[..]);
        let after_digest = entry.after_digest.as_ref().map(|digest| &digest.0[..]);
        self.entry.execute(params![
            place.id,
            place.worker,
            place.stored_at,
            record_id,
            op_code(entry.op),
            entry.position.as_ref().map(|position| position.domain.as_str()),
            texts_to_json(&entry.changed),
            before_digest,
            after_digest,
            entry.expires_at.map(|moment| moment.as_micros()),
            Text(&entry.content),
        ])?;
        self.by_record.execute(params![
            numbers.table,
            record_id,
            key.occurred_at,
            key.position,
            key.event_id,
            key.input_digest,
            key.revision,
            key.published_at,
            place.id
        ])?;
        self.by_table.execute(params![
            numbers.table,
            key.occurred_at,
            key.position,
            key.event_id,
            key.input_digest,
            key.revision,
            key.published_at,
            place.id
        ])?;
        self.lookups.insert(entry, &key, numbers, place.id)?;
        Ok(true)
    }
}

/// Text bound as it stands.
struct Text<'a>(&'a str);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_bytes())))
    }
}

/// The number an operation is stored as: its place in [`Op::ALL`], which only grows.
pub(crate) fn op_code(op: Op) -> i64 {
    Op::ALL.iter().zip(0..).find(|(known, _)| **known == op).map_or(-1, |(_, code)| code)
}

/// A list of texts as a JSON array: one text for each list.
pub(crate) fn texts_to_json(texts: &[String]) -> String {
    // Texts always make JSON.
    serde_json::to_string(texts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use afterimage_store::conformance::{Telling, moment};

    fn batch(ids: std::ops::Range<usize>) -> Batch {
        let image = format!(r#"{{"text":"{}"}}"#, "x".repeat(2_000));
        let entry = |n| Telling::new("t", &format!("e{n}"), Op::Insert, 1).images("", &image).entry();
        Batch { entries: ids.map(entry).collect(), arrival: Arrival { worker: "w".into(), at: moment(1) } }
    }

    fn stored(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap()
    }

    /// Those that a question about their table finds.
    fn found(connection: &Connection) -> i64 {
        let joined = "SELECT count(*) FROM entry_by_table AS row
             JOIN record_table ON record_table.id = row.record_table JOIN scope ON scope.id = record_table.scope";
        connection.query_row(joined, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_full_disk_is_no_fault_of_the_entries_and_leaves_nothing_half_stored() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let mut dictionary = Dictionary::default();
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update(None, "max_page_count", pages + 20).unwrap();
        let (first, second) = (batch(0..10), batch(10..100));
        let results = write(&mut connection, &mut dictionary, &[&first, &second]);
        for result in results.iter().flatten() {
            assert!(
                matches!(result, Err(AppendError::Unavailable { reason }) if reason.contains("full")),
                "{result:?}"
            );
        }
        assert_eq!((results[0].len(), results[1].len(), stored(&connection)), (10, 90, 0));

        connection.pragma_update(None, "max_page_count", pages + 1_000).unwrap();
        let results = write(&mut connection, &mut dictionary, &[&first, &second]);
        assert!(results.iter().flatten().all(Result::is_ok), "{results:?}");
        assert_eq!((stored(&connection), found(&connection)), (100, 100));
    }

    #[test]
    fn a_commit_that_fails_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trail.db");
        let mut connection = Connection::open(&path).unwrap();
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        schema::migrate(&mut connection).unwrap();
        // Without a WAL a reader holds up nothing but the commit.
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT next_id FROM journal;").unwrap();
        let mut dictionary = Dictionary::default();
        for result in write(&mut connection, &mut dictionary, &[&batch(0..3)]).iter().flatten() {
            assert!(matches!(result, Err(AppendError::Unavailable { .. })), "{result:?}");
        }
        reader.execute_batch("COMMIT").unwrap();
        assert_eq!(stored(&connection), 0);
        let results = write(&mut connection, &mut dictionary, &[&batch(0..3)]);
        assert!(results.iter().flatten().all(Result::is_ok), "{results:?}");
        assert_eq!((stored(&connection), found(&connection)), (3, 3));
    }

    #[test]
    fn arrivals_are_numbered_once_and_for_all() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let mut dictionary = Dictionary::default();
        let newest = |connection: &Connection| -> i64 {
            connection.query_row("SELECT max(id) FROM entry", [], |row| row.get(0)).unwrap()
        };
        for results in write(&mut connection, &mut dictionary, &[&batch(0..5), &batch(3..8)]) {
            assert!(results.iter().all(Result::is_ok));
        }
        assert_eq!((stored(&connection), newest(&connection)), (8, 8));
        connection.execute("DELETE FROM entry WHERE id > 6", []).unwrap();
        write(&mut connection, &mut dictionary, &[&batch(20..21)]);
        assert_eq!(newest(&connection), 9);
    }
}
