use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use afterimage_store::{
    AppendError, Arrival, ContentRow, Digest, Entry, Identity, Index, IndexRow, Lookup, RowRange, Store, StoreError,
    TableKey,
};
use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::store_error;
use crate::files::{Files, Found};
use crate::read;
use crate::rows::rows;
use crate::schema;
use crate::write::Batch;
use crate::writer::Writer;

/// How to open the file.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most readers at once.
    pub readers: usize,
    /// How long to wait for another process's commit before the store counts as unavailable.
    pub busy_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { readers: 4, busy_timeout: Duration::from_secs(5) }
    }
}

/// Pages of the file. Content of a few KB fits into few of them, and a row in an index dirties no more than this.
const PAGE_BYTES: i64 = 4096;
/// Page cache of the writer, in KiB (negative by SQLite's convention): the upper levels of the indexes and their hot leaves.
const WRITER_CACHE_KIB: i64 = -16 * 1024;
/// Page cache of each reader, in KiB: the upper levels of the indexes of ten million entries, which every question walks down. With
/// 2 MiB they are fetched anew for each, and a question about an old record takes half as long again (`docs/scaling.md`).
const READER_CACHE_KIB: i64 = -16 * 1024;
/// Pages in the WAL before it is copied into the file: 32 MiB, so that a page that is hot is copied once for many commits.
const CHECKPOINT_PAGES: i64 = 8192;
/// Statements kept prepared on each connection: more than there are. Four indexes, two directions, few kinds of range.
const STATEMENTS: usize = 96;

/// The trail in one SQLite file. See the crate's documentation.
pub struct SqliteStore {
    writer: Writer,
    readers: Arc<Readers>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.readers.path).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file, and creates an empty one where there is none. It holds no tables before [`Store::migrate`].
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened, or is no SQLite file.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self, StoreError> {
        let path = path.as_ref();
        // Only here: a file that is gone later is not made anew, as if nothing had been in it.
        let connection =
            open_writer(path, options, OpenFlags::SQLITE_OPEN_CREATE).map_err(|error| cannot_open(path, error))?;
        let (again, patience) = (path.to_owned(), options.clone());
        let open =
            move || open_writer(&again, &patience, OpenFlags::empty()).map_err(|error| cannot_open(&again, error));
        Ok(Self {
            writer: Writer::start(connection, path, open)?,
            readers: Arc::new(Readers {
                path: path.to_owned(),
                busy_timeout: options.busy_timeout,
                permits: Semaphore::new(options.readers.max(1)),
                idle: Mutex::default(),
            }),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self
            .readers
            .permits
            .acquire()
            .await
            .map_err(|_| StoreError::Unavailable { reason: "the store is closed".to_owned() })?;
        let readers = Arc::clone(&self.readers);
        spawn_blocking(move || {
            let reader = readers.take()?;
            let answer = question(&reader.connection);
            readers.give_back(reader);
            answer
        })
        .await
        .map_err(|error| StoreError::Unavailable { reason: format!("the reader ended early: {error}") })?
    }
}

fn cannot_open(path: &Path, error: rusqlite::Error) -> StoreError {
    match store_error(error) {
        StoreError::Unavailable { reason } => {
            StoreError::Unavailable { reason: format!("cannot open `{}`: {reason}", path.display()) }
        }
        other => other,
    }
}

fn open_writer(path: &Path, options: &Options, create: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    use_wal(&connection, options.busy_timeout)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // The first read makes the WAL. One that fails is met again by whoever writes.
    let _made = schema::version(&connection);
    Ok(connection)
}

/// Turns the WAL on. While another process does the same, SQLite answers `busy` at once, whatever the busy timeout
/// (<https://sqlite.org/c3ref/busy_handler.html>).
fn use_wal(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let started = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && started.elapsed() < patience =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

/// Connections that only read.
struct Readers {
    path: PathBuf,
    busy_timeout: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<Reader>>,
}

struct Reader {
    connection: Connection,
    files: Files,
}

impl Readers {
    fn take(&self) -> Result<Reader, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(reader) = idle.filter(|reader| reader.files.look() == Found::Same) {
            return Ok(reader);
        }
        let connection = self.open().map_err(|error| cannot_open(&self.path, error))?;
        schema::check(&connection)?;
        let files = Files::of(&connection, &self.path);
        Ok(Reader { connection, files })
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "cache_size", READER_CACHE_KIB)?;
        Ok(connection)
    }

    fn give_back(&self, reader: Reader) {
        if !self.permits.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        }
    }

    fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.writer.migrate().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(schema::check).await
    }

    async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<(), AppendError>> {
        if entries.is_empty() {
            return Vec::new();
        }
        self.writer.append(Batch { entries: entries.to_vec(), arrival: arrival.clone() }).await
    }

    async fn close(&self) {
        // Readers first: the last connection to close folds the WAL into the file, and that one may write.
        self.readers.close();
        self.writer.close().await;
    }
}

#[async_trait]
impl Lookup for SqliteStore {
    async fn sources(&self, tenant: &str, table: &str, record_id: &[String]) -> Result<Vec<String>, StoreError> {
        let (tenant, table, record_id) = (tenant.to_owned(), table.to_owned(), record_id.to_vec());
        self.read(move |connection| read::sources(connection, &tenant, &table, &record_id)).await
    }

    async fn tables(&self, tenant: &str) -> Result<Vec<TableKey>, StoreError> {
        let tenant = tenant.to_owned();
        self.read(move |connection| read::tables(connection, &tenant)).await
    }

    async fn rows(&self, index: &Index, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        let (index, range) = (index.clone(), range.clone());
        self.read(move |connection| rows(connection, &index, &range)).await
    }

    async fn versions(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<Identity>>, StoreError> {
        let (tenant, source, event_ids) = (tenant.to_owned(), source.to_owned(), event_ids.to_vec());
        self.read(move |connection| read::versions(connection, &tenant, &source, &event_ids)).await
    }

    async fn contents(
        &self,
        tenant: &str,
        source: &str,
        event_ids: &[String],
    ) -> Result<Vec<Vec<ContentRow>>, StoreError> {
        let (tenant, source, event_ids) = (tenant.to_owned(), source.to_owned(), event_ids.to_vec());
        self.read(move |connection| read::contents(connection, &tenant, &source, &event_ids)).await
    }

    async fn version_from(
        &self,
        tenant: &str,
        source: &str,
        event_id: &str,
        revision: u32,
        from: Digest,
    ) -> Result<Option<ContentRow>, StoreError> {
        let (tenant, source, event_id) = (tenant.to_owned(), source.to_owned(), event_id.to_owned());
        self.read(move |connection| read::version_from(connection, (&tenant, &source), &event_id, revision, from)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_on_the_disk_when_it_is_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let connection =
            open_writer(&folder.path().join("trail.db"), &Options::default(), OpenFlags::SQLITE_OPEN_CREATE).unwrap();
        let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        // FULL; with NORMAL, a commit that was acknowledged could go with a power cut.
        assert_eq!(synchronous, 2);
    }
}
