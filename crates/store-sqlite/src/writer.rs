use std::path::Path;
use std::thread;

use afterimage_store::{AppendError, StoreError};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::dictionary::Dictionary;
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
    pub(crate) fn start(connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let name = path.file_name().map_or_else(|| "sqlite".into(), |name| name.to_string_lossy());
        thread::Builder::new()
            .name(format!("write {name}"))
            .spawn(move || run(connection, queue))
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

fn run(mut connection: Connection, mut queue: mpsc::Receiver<Job>) {
    let mut dictionary = Dictionary::default();
    let mut usable = false;
    let mut kept = None;
    while let Some(job) = kept.take().or_else(|| queue.blocking_recv()) {
        match job {
            Job::Append(batch, reply) => {
                let mut group = vec![(batch, reply)];
                kept = gather(&mut queue, &mut group);
                append(&mut connection, &mut dictionary, &mut usable, group);
            }
            Job::Migrate(reply) => {
                // Whoever asked may have gone.
                let _unheard = reply.send(schema::migrate(&mut connection));
            }
            Job::Close(reply) => {
                queue.close();
                drop(connection);
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

fn append(
    connection: &mut Connection,
    dictionary: &mut Dictionary,
    usable: &mut bool,
    group: Vec<(Batch, oneshot::Sender<Results>)>,
) {
    let batches: Vec<&Batch> = group.iter().map(|(batch, _)| batch).collect();
    let checked = if *usable { Ok(()) } else { schema::check(connection) };
    let results = match checked {
        Ok(()) => {
            let results = write(connection, dictionary, &batches);
            // A transaction that failed may have met a schema that another process has moved on.
            *usable = !results.iter().flatten().any(|result| matches!(result, Err(AppendError::Unavailable { .. })));
            results
        }
        Err(error) => batches.iter().map(|batch| unavailable(batch, &error.to_string())).collect(),
    };
    for ((_, reply), results) in group.into_iter().zip(results) {
        // Whoever asked may have gone; the entries are stored all the same.
        let _unheard = reply.send(results);
    }
}
