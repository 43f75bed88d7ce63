use rusqlite::{Connection, Transaction, TransactionBehavior};

use afterimage_store::StoreError;

use crate::error::store_error;
use crate::lookups;

/// The schema this version reads and writes: `PRAGMA user_version` of the file.
pub const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// A step from one schema to the next.
struct Step {
    name: &'static str,
    sql: &'static str,
    /// What is made of entries that are stored already.
    fill: fn(&Connection) -> Result<(), StoreError>,
}

/// One step for each version; a step that was released is never changed.
const STEPS: &[Step] = &[
    Step { name: "create tables", sql: CREATE, fill: |_| Ok(()) },
    Step {
        name: "find entries by operation, changed name, actor, request, transaction and migration",
        sql: CREATE_LOOKUPS,
        fill: lookups::fill,
    },
];

/// Indexes are tables WITHOUT ROWID whose key is the whole row, in the order that questions read them. Content stands
/// last in `entry`, so that index columns are read without it.
const CREATE: &str = "
CREATE TABLE scope (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    UNIQUE (tenant, source)
) STRICT;

CREATE TABLE record_table (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL REFERENCES scope (id),
    name TEXT NOT NULL,
    UNIQUE (scope, name)
) STRICT;

CREATE TABLE worker (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- The next entry.id. A table of its own, so that ids are not used again when the newest entries are purged.
CREATE TABLE journal (next_entry INTEGER NOT NULL) STRICT;
INSERT INTO journal VALUES (1);

CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    worker INTEGER NOT NULL REFERENCES worker (id),
    stored_at INTEGER NOT NULL,       -- times are microseconds since 1970
    record_id TEXT NOT NULL,          -- JSON array
    op INTEGER NOT NULL,
    position_domain TEXT,
    changed TEXT NOT NULL,            -- JSON array
    before_digest BLOB,
    after_digest BLOB,
    expires_at INTEGER,
    content TEXT NOT NULL
) STRICT;

CREATE TABLE entry_by_event (
    scope INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    precedence INTEGER NOT NULL,      -- minus the revision: the highest revision comes first
    input_digest BLOB NOT NULL,
    published_at INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (scope, event_id, precedence, input_digest, published_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry_by_record (
    record_table INTEGER NOT NULL,
    record_id TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    position BLOB NOT NULL,           -- sorts as the number does
    event_id TEXT NOT NULL,
    input_digest BLOB NOT NULL,
    revision INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (record_table, record_id, occurred_at, position, event_id, input_digest, revision, published_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry_by_table (
    record_table INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    position BLOB NOT NULL,
    event_id TEXT NOT NULL,
    input_digest BLOB NOT NULL,
    revision INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (record_table, occurred_at, position, event_id, input_digest, revision, published_at)
) STRICT, WITHOUT ROWID;
";

/// The order of every index is the same. Terms stand in the rows themselves: most requests and transactions have few
/// entries, for which a number for each would cost more than it saves.
///
/// A worker of schema 1 that still runs would store entries that nobody finds by their names. It looked at the version
/// when it began; so the column with which it begins every transaction gets another name, and it stores nothing more.
const CREATE_LOOKUPS: &str = "
ALTER TABLE journal RENAME COLUMN next_entry TO next_id;

CREATE TABLE entry_by_name (
    record_table INTEGER NOT NULL,
    name ANY NOT NULL,                -- a changed name, or the number of an operation: no number equals a text
    occurred_at INTEGER NOT NULL,
    position BLOB NOT NULL,
    event_id TEXT NOT NULL,
    input_digest BLOB NOT NULL,
    revision INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (record_table, name, occurred_at, position, event_id, input_digest, revision, published_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry_by_facet (
    tenant INTEGER NOT NULL,          -- its least scope
    facet INTEGER NOT NULL,
    term TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    position BLOB NOT NULL,
    event_id TEXT NOT NULL,
    input_digest BLOB NOT NULL,
    revision INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    record_table INTEGER NOT NULL,
    PRIMARY KEY (tenant, facet, term, occurred_at, position, event_id, input_digest, revision, published_at)
) STRICT, WITHOUT ROWID;

-- Of entries of which any is known. Beside entry, not in it: a column added to that would stand behind the content.
CREATE TABLE provenance (
    entry INTEGER PRIMARY KEY,
    actors TEXT,                      -- JSON array
    request TEXT,
    transaction_id TEXT,
    migration TEXT
) STRICT;
";

/// Brings the file to [`SCHEMA_VERSION`], in one transaction that other processes wait for. Returns the steps taken.
pub(crate) fn migrate(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store_error)?;
    let found = version(&transaction).map_err(store_error)?;
    if found > SCHEMA_VERSION {
        return Err(too_new(found));
    }
    let steps = take_steps(&transaction, found)?;
    transaction.commit().map_err(store_error)?;
    Ok(steps)
}

fn take_steps(transaction: &Transaction<'_>, found: i64) -> Result<Vec<String>, StoreError> {
    let mut taken = Vec::new();
    for (version, step) in (1..).zip(STEPS).skip_while(|(version, _)| *version <= found) {
        transaction.execute_batch(step.sql).map_err(store_error)?;
        (step.fill)(transaction)?;
        transaction.pragma_update(None, "user_version", version).map_err(store_error)?;
        taken.push(format!("{version}: {}", step.name));
    }
    Ok(taken)
}

pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Refuses a file whose schema this version cannot use.
pub(crate) fn check(connection: &Connection) -> Result<(), StoreError> {
    match version(connection).map_err(store_error)? {
        SCHEMA_VERSION => Ok(()),
        found if found > SCHEMA_VERSION => Err(too_new(found)),
        found => Err(StoreError::Misconfigured {
            reason: format!(
                "the file has schema {found}, this version needs {SCHEMA_VERSION}; run `afterimage migrate`"
            ),
        }),
    }
}

fn too_new(found: i64) -> StoreError {
    StoreError::Misconfigured {
        reason: format!("the file has schema {found}, this version knows up to {SCHEMA_VERSION}; upgrade afterimage"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;

    use afterimage_event::{Actor, Op};
    use afterimage_store::conformance::{Telling, moment};
    use afterimage_store::{Arrival, Direction, Entry, Index, IndexRow, Lookup, RowRange, Store};

    use super::*;
    use crate::{Options, SqliteStore};

    /// Entries of every kind: by whom, in what, narrow and wide, published twice and corrected.
    fn entries() -> Vec<Arc<Entry>> {
        let wide: Vec<String> = (0..100).map(|n| format!("f{n}")).collect();
        let mut entries = Vec::new();
        for n in 0..40_usize {
            let op = Op::ALL[n % Op::ALL.len()];
            let tenant = ["acme", "zeta"][n % 2];
            let mut telling = Telling::new(tenant, &format!("e{n}"), op, (n / 3) as i64)
                .images(r#"{"a":1,"b":"\u0000"}"#, r#"{"a":2,"b":"ä"}"#)
                .source(["s", "other"][n % 3 % 2]);
            if n % 3 > 0 {
                let part = |text: &str| Some(text.to_owned());
                telling = telling
                    .actor(Actor { id: part("42"), email: part("a@b"), name: part("Ann"), ..Actor::default() })
                    .context(&format!(r#"{{"requestId":"{}","migration":{n}}}"#, "r".repeat(n * 10)));
            }
            if n % 4 > 0 {
                telling = telling.transaction(&format!("tx{}", n / 5)).position("77");
            }
            if n % 5 == 0 {
                telling = telling.op(Op::Update).changed_names(wide.iter().take(n + 40).map(String::as_str));
            }
            entries.extend([telling.entry(), telling.clone().published(999).entry(), telling.revision(3).entry()]);
        }
        entries
    }

    /// A file as a worker of schema 1 left it. Its tables hold the same rows now, under the same names.
    async fn file_of_schema_1(folder: &Path, entries: &[Arc<Entry>]) -> std::path::PathBuf {
        let (old, new) = (folder.join("old.db"), folder.join("new.db"));
        let store = SqliteStore::open(&new, &Options::default()).unwrap();
        store.migrate().await.unwrap();
        let arrival = Arrival { worker: "w".into(), at: moment(2_000) };
        assert!(store.append(entries, &arrival).await.iter().all(Result::is_ok));
        store.close().await;

        let connection = Connection::open(&old).unwrap();
        connection.execute_batch(CREATE).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.execute("ATTACH ?1 AS new", [new.to_str().unwrap()]).unwrap();
        connection.execute_batch("DELETE FROM journal").unwrap();
        for table in [
            "scope",
            "record_table",
            "worker",
            "journal",
            "entry",
            "entry_by_event",
            "entry_by_record",
            "entry_by_table",
        ] {
            connection.execute_batch(&format!("INSERT INTO main.{table} SELECT * FROM new.{table}")).unwrap();
        }
        old
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn entries_stored_by_schema_1_are_found_by_all_they_are_found_by_now() {
        let folder = tempfile::tempdir().unwrap();
        let mut entries = entries();
        let old = file_of_schema_1(folder.path(), &entries).await;
        let store = SqliteStore::open(&old, &Options::default()).unwrap();
        assert!(store.ping().await.unwrap_err().to_string().contains("run `afterimage migrate`"));
        assert_eq!(store.migrate().await.unwrap(), [format!("2: {}", STEPS[1].name)]);
        assert_eq!(store.migrate().await.unwrap(), Vec::<String>::new());

        // What comes after that stands beside it.
        let late = Telling::new("acme", "late", Op::Update, 5).images("", r#"{"a":3}"#).transaction("tx1").entry();
        let arrival = Arrival { worker: "w".into(), at: moment(3_000) };
        assert!(store.append(&[Arc::clone(&late)], &arrival).await[0].is_ok());
        entries.push(late);
        entries.sort_by_key(|entry| entry.order_key());
        let indexes: BTreeSet<Index> = entries.iter().flat_map(|entry| entry.indexes()).collect();
        for index in indexes {
            let range =
                RowRange { from: None, to: None, past: None, direction: Direction::Ascending, limit: entries.len() };
            let expected = entries.iter().filter(|entry| entry.indexes().contains(&index));
            let expected: Vec<IndexRow> = expected.map(|entry| IndexRow::from(&**entry)).collect();
            assert_eq!(store.rows(&index, &range).await.unwrap(), expected, "{index:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_step_that_fails_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let old = file_of_schema_1(folder.path(), &entries()).await;
        let mut connection = Connection::open(&old).unwrap();
        connection.execute("UPDATE entry SET content = '{' WHERE id = 7", []).unwrap();
        let refused = migrate(&mut connection).unwrap_err().to_string();
        assert!(refused.contains("entry 7"), "{refused}");
        assert_eq!(version(&connection).unwrap(), 1);
        connection.query_row("SELECT next_entry FROM journal", [], |_| Ok(())).unwrap();
    }

    /// It looked at the version when it began, and would store entries that lack half their rows.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_writer_of_schema_1_that_runs_on_stores_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let old = file_of_schema_1(folder.path(), &entries()).await;
        let writer = Connection::open(&old).unwrap();
        let begin = |writer: &Connection| -> rusqlite::Result<i64> {
            writer.prepare_cached("SELECT next_entry FROM journal")?.query_row([], |row| row.get(0))
        };
        begin(&writer).unwrap();
        migrate(&mut Connection::open(&old).unwrap()).unwrap();
        let refused = begin(&writer).unwrap_err().to_string();
        assert!(refused.contains("no such column: next_entry"), "{refused}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_writer_notices_that_the_schema_has_moved_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trail.db");
        let store = SqliteStore::open(&path, &Options::default()).unwrap();
        store.migrate().await.unwrap();
        let arrival = Arrival { worker: "w".into(), at: moment(2) };
        let append = async |id| {
            let result = store.append(&[Telling::new("t", id, Op::Access, 1).entry()], &arrival).await.remove(0);
            result.map_err(|error| error.to_string())
        };
        append("a").await.unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("ALTER TABLE journal RENAME COLUMN next_id TO another").unwrap();
        other.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        append("b").await.unwrap_err();
        let refused = append("c").await.unwrap_err();
        assert!(refused.contains("upgrade afterimage"), "{refused}");
    }
}
