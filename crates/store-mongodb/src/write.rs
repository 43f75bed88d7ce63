//! Storing entries.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use afterimage_store::{AppendError, Arrival, Entry, StoreError, TableKey};
use futures_util::future::join_all;
use mongodb::Collection;
use mongodb::bson::RawDocumentBuf;
use mongodb::error::ErrorKind;
use tokio::time::Instant;

use crate::announce::{Announced, table_of};
use crate::connection::{Connection, entries as collection, tables};
use crate::document;
use crate::errors::{Failure, of_write};

/// Largest document a server takes. <https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-BSON-Document-Size>
pub(crate) const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// Largest message a server takes: `maxMessageSizeBytes`. <https://www.mongodb.com/docs/manual/reference/command/hello/>
const MESSAGE_BYTES_MAX: usize = 48_000_000;
/// Most writes in one command: `maxWriteBatchSize`, at the same place.
const WRITES_MAX: usize = 100_000;

/// Documents of one insert. Far below what servers take: more do not make it cheaper.
const BATCH_DOCUMENTS_MAX: usize = 1_000;
/// Bytes of one insert; one larger document goes alone.
const BATCH_BYTES_MAX: usize = 8 << 20;

const _: () = assert!(BATCH_BYTES_MAX + DOCUMENT_BYTES_MAX < MESSAGE_BYTES_MAX && BATCH_DOCUMENTS_MAX <= WRITES_MAX);

/// Whatever it takes, an append ends after so many request time-outs: the insert, what of it is repeated, and what comes
/// before it the first time: a look at the schema, the announcement of tables.
const APPEND_TIMEOUTS: u32 = 3;

/// The writing half of the store.
#[derive(Default)]
pub(crate) struct Writer {
    announced: Announced,
    documents_sent: AtomicU64,
    bytes_sent: AtomicU64,
    requests_sent: AtomicU64,
}

/// What was sent since the store was made, repetitions within the driver not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Documents, the announcements of tables too.
    pub documents: u64,
    /// Their size as BSON.
    pub bytes: u64,
    /// Inserts that carried them.
    pub requests: u64,
}

impl Writer {
    pub(crate) fn sent(&self) -> Sent {
        Sent {
            documents: self.documents_sent.load(Ordering::Relaxed),
            bytes: self.bytes_sent.load(Ordering::Relaxed),
            requests: self.requests_sent.load(Ordering::Relaxed),
        }
    }

    pub(crate) async fn append(
        &self,
        connection: &Connection,
        entries: &[Arc<Entry>],
        arrival: &Arrival,
    ) -> Vec<Result<(), AppendError>> {
        let deadline = Instant::now() + connection.config().request_timeout * APPEND_TIMEOUTS;
        // Nothing is inserted into a database that nobody migrated: it would have no indexes.
        let database = match connection.ready().await {
            Ok(database) => database,
            Err(error) => return entries.iter().map(|_| Err(unavailable(&error))).collect(),
        };
        let (collection, tables) = (collection(&database), tables(&database));
        let to = |collection| Request { writer: self, collection, connection, deadline };
        let unannounced = self.announce(&to(&tables), entries).await;
        let mut outcomes: Vec<Result<(), Failure>> = Vec::with_capacity(entries.len());
        let mut documents = Vec::with_capacity(entries.len());
        for (place, entry) in entries.iter().enumerate() {
            let failed = if unannounced.is_empty() { None } else { unannounced.get(&table_of(entry)) };
            let made = match failed {
                Some(failure) => Err(failure.clone()),
                None => document(document::write(entry, arrival, DOCUMENT_BYTES_MAX)),
            };
            let outcome = match made {
                Ok(document) => {
                    documents.push((place, document));
                    // Until the server says otherwise.
                    Failure::late()
                }
                Err(failure) => failure,
            };
            outcomes.push(Err(outcome));
        }
        for (place, outcome) in to(&collection).send_all(documents).await {
            outcomes[place] = outcome;
        }
        outcomes.into_iter().map(|outcome| outcome.map_err(Failure::into_append)).collect()
    }

    /// Announces the tables that are new to this process; those for which that failed. Nothing is stored of these: a
    /// durable entry must be found by every question.
    async fn announce(&self, request: &Request<'_>, entries: &[Arc<Entry>]) -> HashMap<TableKey, Failure> {
        let tables = self.announced.missing(entries);
        let mut failed: HashMap<TableKey, Failure> = HashMap::new();
        let mut documents = Vec::with_capacity(tables.len());
        for (place, table) in tables.iter().enumerate() {
            let failure = match document(document::of_table(table)) {
                Ok(document) => {
                    documents.push((place, document));
                    Failure::late()
                }
                Err(failure) => failure,
            };
            failed.insert(table.clone(), failure);
        }
        for (place, outcome) in request.send_all(documents).await {
            let table = &tables[place];
            match outcome {
                Ok(()) => {
                    failed.remove(table);
                    self.announced.add(table.clone());
                }
                Err(failure) => {
                    failed.insert(table.clone(), failure);
                }
            }
        }
        failed
    }
}

/// The document, or why no server takes it.
fn document(bson: Vec<u8>) -> Result<RawDocumentBuf, Failure> {
    let bytes = bson.len();
    if bytes > DOCUMENT_BYTES_MAX {
        return Err(Failure::Refused(format!("it has {bytes} bytes as a document, the limit is {DOCUMENT_BYTES_MAX}")));
    }
    RawDocumentBuf::from_bytes(bson).map_err(|_| Failure::Refused("it makes no well-formed document".to_owned()))
}

fn unavailable(error: &StoreError) -> AppendError {
    let reason = match error {
        StoreError::Unavailable { reason } | StoreError::Misconfigured { reason } => reason.clone(),
        other => other.to_string(),
    };
    AppendError::Unavailable { reason }
}

/// Documents of one insert, and whose they are.
#[derive(Debug, Default)]
struct Batch {
    places: Vec<usize>,
    documents: Vec<RawDocumentBuf>,
    bytes: usize,
}

impl Batch {
    fn has_room_for(&self, document: &RawDocumentBuf) -> bool {
        self.places.is_empty()
            || (self.places.len() < BATCH_DOCUMENTS_MAX && self.bytes + document.as_bytes().len() <= BATCH_BYTES_MAX)
    }

    fn push(&mut self, place: usize, document: RawDocumentBuf) {
        self.bytes += document.as_bytes().len();
        self.places.push(place);
        self.documents.push(document);
    }

    /// Those of its documents, by their place in it.
    fn only(&self, chosen: &[usize]) -> Self {
        let mut batch = Self::default();
        for index in chosen {
            batch.push(self.places[*index], self.documents[*index].clone());
        }
        batch
    }
}

/// As few batches as they fit into without changing their order.
fn batches(documents: Vec<(usize, RawDocumentBuf)>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (place, document) in documents {
        if !batches.last().is_some_and(|last| last.has_room_for(&document)) {
            batches.push(Batch::default());
        }
        let last = batches.len() - 1;
        batches[last].push(place, document);
    }
    batches
}

/// What every insert of one append into a collection shares.
struct Request<'a> {
    writer: &'a Writer,
    collection: &'a Collection<RawDocumentBuf>,
    connection: &'a Connection,
    deadline: Instant,
}

impl Request<'_> {
    /// Inserts these documents; what became of each, by its place.
    async fn send_all(&self, documents: Vec<(usize, RawDocumentBuf)>) -> Vec<(usize, Result<(), Failure>)> {
        join_all(batches(documents).into_iter().map(|batch| self.send(batch))).await.into_iter().flatten().collect()
    }

    /// Inserts a batch. What failed for a reason that may pass is sent once more, and what was refused as a whole one by
    /// one, to find the document at fault: an insert may always be repeated.
    async fn send(&self, batch: Batch) -> Vec<(usize, Result<(), Failure>)> {
        let mut outcomes = self.insert(&batch).await;
        let again: Vec<usize> = (0..outcomes.len())
            .filter(|index| match &outcomes[*index] {
                Err(Failure::Transient(_)) => true,
                Err(Failure::Refused(_)) => batch.places.len() > 1,
                _ => false,
            })
            .collect();
        let is_refused = |index: &usize| matches!(outcomes[*index], Err(Failure::Refused(_)));
        let batches: Vec<Vec<usize>> =
            if again.iter().any(is_refused) { again.iter().map(|index| vec![*index]).collect() } else { vec![again] };
        for chosen in batches.iter().filter(|chosen| !chosen.is_empty()) {
            for (index, outcome) in chosen.iter().zip(self.insert(&batch.only(chosen)).await) {
                outcomes[*index] = outcome;
            }
        }
        batch.places.into_iter().zip(outcomes).collect()
    }

    /// What became of each document of a batch, as far as the server said so.
    async fn insert(&self, batch: &Batch) -> Vec<Result<(), Failure>> {
        let Batch { places, documents, bytes } = batch;
        self.writer.documents_sent.fetch_add(places.len() as u64, Ordering::Relaxed);
        self.writer.bytes_sent.fetch_add(*bytes as u64, Ordering::Relaxed);
        self.writer.requests_sent.fetch_add(1, Ordering::Relaxed);
        let deadline = self.deadline.min(Instant::now() + self.connection.config().request_timeout);
        let insert = self.collection.insert_many(documents).ordered(false).into_future();
        let failed = match tokio::time::timeout_at(deadline, insert).await {
            Ok(Ok(_)) => {
                self.connection.answered();
                return vec![Ok(()); places.len()];
            }
            Ok(Err(error)) => error,
            Err(_) => {
                self.connection.not_answered();
                return vec![Err(Failure::late()); places.len()];
            }
        };
        let ErrorKind::InsertMany(insert) = &*failed.kind else {
            return vec![Err(Failure::from(&failed)); places.len()];
        };
        // Whatever the counts say: a document without an error of its own is stored, by as many as the write concern says.
        let stored = match &insert.write_concern_error {
            Some(_) => Err(Failure::from(&failed)),
            None => Ok(()),
        };
        let mut outcomes = vec![stored.clone(); places.len()];
        for error in insert.write_errors.iter().flatten() {
            if let Some(outcome) = outcomes.get_mut(error.index) {
                *outcome = of_write(error).and_then(|()| stored.clone());
            }
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;

    /// The places in each batch, of documents with so many bytes of content.
    fn places(contents_bytes: &[usize]) -> Vec<Vec<usize>> {
        let documents = contents_bytes.iter().map(|bytes| rawdoc! { "content": "x".repeat(*bytes) }).enumerate();
        batches(documents.collect()).into_iter().map(|batch| batch.places).collect()
    }

    #[test]
    fn an_insert_has_so_many_bytes_at_most_and_one_larger_document_goes_alone() {
        let third = BATCH_BYTES_MAX / 3 - 100;
        assert_eq!(places(&[third, third, third, third]), [vec![0, 1, 2], vec![3]]);
        assert_eq!(places(&[10, BATCH_BYTES_MAX + 1, 10, 10]), [vec![0], vec![1], vec![2, 3]]);
    }

    #[test]
    fn an_insert_has_so_many_documents_at_most() {
        let all = places(&[10; BATCH_DOCUMENTS_MAX + 1]);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [BATCH_DOCUMENTS_MAX, 1]);
        assert_eq!(places(&[]), [[0; 0]; 0]);
    }
}
