use rusqlite::{Connection, Transaction, TransactionBehavior};

use afterimage_store::StoreError;

use crate::error::store_error;

/// The schema this version reads and writes: `PRAGMA user_version` of the file.
pub const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// One step for each version; a step that was released is never changed.
const STEPS: &[(&str, &str)] = &[("create tables", CREATE)];

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

/// Brings the file to [`SCHEMA_VERSION`], in one transaction that other processes wait for. Returns the steps taken.
pub(crate) fn migrate(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store_error)?;
    let found = version(&transaction).map_err(store_error)?;
    if found > SCHEMA_VERSION {
        return Err(too_new(found));
    }
    let steps = take_steps(&transaction, found).map_err(store_error)?;
    transaction.commit().map_err(store_error)?;
    Ok(steps)
}

fn take_steps(transaction: &Transaction<'_>, found: i64) -> rusqlite::Result<Vec<String>> {
    let mut taken = Vec::new();
    for (version, (name, sql)) in (1..).zip(STEPS).skip_while(|(version, _)| *version <= found) {
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", version)?;
        taken.push(format!("{version}: {name}"));
    }
    Ok(taken)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
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
