use std::path::{Path, PathBuf};
use std::thread;

use afterimage_store::{AppendError, StoreError};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::dictionary::Dictionary;
use crate::error::store_error;
use crate::files::{Files, Found};
use crate::schema;
use crate::write::{Batch, Results, unavailable, write};

/// Appends that may wait for the writer; the next one waits for room.
const QUEUE: usize = 256;
/// Most entries of one transaction: more would gain little and make each of them wait longer.
const GROUP_ENTRIES_MAX: usize = 2_000;
/// Most bytes of one transaction, for the size of the WAL.
const GROUP_BYTES_MAX: usize = 32 << 20;

enum Job {
    Append(Batch, oneshot::Sender<Results>),
    Migrate(oneshot::Sender<Result<Vec<String>, StoreError>>),
    Close(oneshot::Sender<()>),
}

/// The thread that writes: the only one, so that processes wait for each other's commits and never within one.
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Writes to this connection, and to one that `open` makes when the files of this one are no longer at the path.
    pub(crate) fn start(
        connection: Connection,
        path: &Path,
        open: impl Fn() -> Result<Connection, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let mut desk = Desk { path: path.to_owned(), open: Box::new(open), sheet: None };
        desk.lay(connection);
        let name = path.file_name().map_or_else(|| "sqlite".into(), |name| name.to_string_lossy());
        thread::Builder::new()
            .name(format!("write {name}"))
            .spawn(move || run(desk, queue))
            .map_err(|error| StoreError::Unavailable { reason: format!("no thread for the writer: {error}") })?;
        Ok(Self { jobs })
    }

    pub(crate) async fn append(&self, batch: Batch) -> Results {
        let entries = batch.entries.len();
        let (reply, answer) = oneshot::channel();
        let answered = match self.jobs.send(Job::Append(batch, reply)).await {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        answered.unwrap_or_else(|| {
            let closed = AppendError::Unavailable { reason: CLOSED.to_owned() };
            vec![Err(closed); entries]
        })
    }

    pub(crate) async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let closed = || StoreError::Unavailable { reason: CLOSED.to_owned() };
        self.jobs.send(Job::Migrate(reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Waits for what was asked before, and lets go of the file.
    pub(crate) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.jobs.send(Job::Close(reply)).await.is_ok() {
            // An answer that does not come means that the thread has ended, which is what was asked.
            let _ended = answer.await;
        }
    }
}

const CLOSED: &str = "the store is closed";
/// What was committed went into a file that nobody finds any more.
const GONE: &str = "sqlite: the file, or its WAL, was removed or replaced while it was being written";
const REMOVED: &str = "the file was removed or emptied while it was open: put it back, or restart to begin a new one";
const REPLACED: &str = "the file was replaced while it was open, and the WAL beside it is of the one before: put that one \
                        back, or remove the files that end in -wal and -shm, before anything else opens it";

/// What the thread writes on.
struct Desk {
    path: PathBuf,
    open: Box<dyn Fn() -> Result<Connection, StoreError> + Send>,
    sheet: Option<Sheet>,
}

/// An open file, and what is known of it.
struct Sheet {
    connection: Connection,
    files: Files,
    dictionary: Dictionary,
    /// Its schema was looked at.
    usable: bool,
}

impl Desk {
    fn lay(&mut self, connection: Connection) -> &mut Sheet {
        let files = Files::of(&connection, &self.path);
        self.sheet.insert(Sheet { connection, files, dictionary: Dictionary::default(), usable: false })
    }

    /// The file at the path, opened again where it is another one now.
    fn sheet(&mut self) -> Result<&mut Sheet, StoreError> {
        if let Some(sheet) = &self.sheet {
            let gone = |what: &str| {
                Err(StoreError::Unavailable { reason: format!("sqlite: {}: {what}", self.path.display()) })
            };
            match sheet.files.look() {
                Found::Same => {}
                // What only the removed WAL holds goes into the file, and the next commit begins a new one.
                Found::OtherWal => {
                    sheet.fold()?;
                    self.sheet = None;
                }
                Found::Other => self.sheet = None,
                Found::Nothing => return gone(REMOVED),
                Found::OtherWithOldWal => return gone(REPLACED),
            }
        }
        if self.sheet.is_none() {
            let connection = (self.open)()?;
            self.lay(connection);
        }
        self.sheet.as_mut().ok_or_else(|| StoreError::Unavailable { reason: CLOSED.to_owned() })
    }
}

fn run(mut desk: Desk, mut queue: mpsc::Receiver<Job>) {
    let mut kept = None;
    while let Some(job) = kept.take().or_else(|| queue.blocking_recv()) {
        match job {
            Job::Append(batch, reply) => {
                let mut group = vec![(batch, reply)];
                kept = gather(&mut queue, &mut group);
                append(&mut desk, group);
            }
            Job::Migrate(reply) => {
                let taken = desk.sheet().and_then(|sheet| schema::migrate(&mut sheet.connection));
                // Whoever asked may have gone.
                let _unheard = reply.send(taken);
            }
            Job::Close(reply) => {
                queue.close();
                drop(desk);
                let _unheard = reply.send(());
                return;
            }
        }
    }
}

/// Takes what waits already, up to the bounds of a group; returns a job of another kind, for later.
fn gather(queue: &mut mpsc::Receiver<Job>, group: &mut Vec<(Batch, oneshot::Sender<Results>)>) -> Option<Job> {
    let size = |batch: &Batch| batch.entries.iter().map(|entry| entry.content.len()).sum::<usize>();
    let (mut entries, mut bytes) =
        group.iter().fold((0, 0), |(n, b), (batch, _)| (n + batch.entries.len(), b + size(batch)));
    while entries < GROUP_ENTRIES_MAX && bytes < GROUP_BYTES_MAX {
        match queue.try_recv() {
            Ok(Job::Append(batch, reply)) => {
                entries += batch.entries.len();
                bytes += size(&batch);
                group.push((batch, reply));
            }
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
    None
}

fn append(desk: &mut Desk, group: Vec<(Batch, oneshot::Sender<Results>)>) {
    let batches: Vec<&Batch> = group.iter().map(|(batch, _)| batch).collect();
    let results = desk.sheet().and_then(|sheet| sheet.append(&batches)).unwrap_or_else(|error| {
        let reason = match error {
            StoreError::Unavailable { reason } => reason,
            other => other.to_string(),
        };
        batches.iter().map(|batch| unavailable(batch, &reason)).collect()
    });
    for ((_, reply), results) in group.into_iter().zip(results) {
        // Whoever asked may have gone; the entries are stored all the same.
        let _unheard = reply.send(results);
    }
}

impl Sheet {
    fn append(&mut self, batches: &[&Batch]) -> Result<Vec<Results>, StoreError> {
        if !self.usable {
            schema::check(&self.connection)?;
        }
        let results = write(&mut self.connection, &mut self.dictionary, batches);
        // A transaction that failed may have met a schema that another process has moved on.
        self.usable = !results.iter().flatten().any(|result| matches!(result, Err(AppendError::Unavailable { .. })));
        if self.usable && self.files.look() != Found::Same {
            return Err(StoreError::Unavailable { reason: GONE.to_owned() });
        }
        Ok(results)
    }

    /// Copies the whole WAL into the file, and has it begin anew.
    fn fold(&self) -> Result<(), StoreError> {
        let fold = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        let is_busy: bool = fold.map_err(store_error)?;
        if is_busy { Err(StoreError::Unavailable { reason: GONE.to_owned() }) } else { Ok(()) }
    }
}
