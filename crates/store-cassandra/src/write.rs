//! Storing entries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use afterimage_failpoint::{Point, reach};
use afterimage_store::{AppendError, Arrival, Entry, StoreError};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use scylla::statement::batch::{Batch, BatchType};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::batch::{Group, group};
use crate::cluster::Replicas;
use crate::connection::Connection;
use crate::errors::Failure;
use crate::plan::{Indexed, Places, Plan};
use crate::rows::Row;
use crate::session::Live;
use crate::statements::Inserts;

/// Longest partition key, and longest clustering key, that both databases take (an unsigned 16-bit length), less room
/// for a position and the numbers and lengths beside the texts.
const KEY_BYTES_MAX: usize = 65_535 - 512;

/// Whatever it takes, an append ends after so many request time-outs: two phases, and one to wait for a turn.
const APPEND_TIMEOUTS: u32 = 3;

/// Unit of the limit of bytes in flight: a semaphore counts to 2³² at most.
const BYTES_UNIT: usize = 1024;

/// The writing half of the store.
pub(crate) struct Writer {
    places: Places,
    requests: Semaphore,
    bytes: Semaphore,
    bytes_units: u32,
    rows_sent: AtomicU64,
    requests_sent: AtomicU64,
}

/// What was sent since the store was made, repetitions within the driver not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Rows, over all tables.
    pub rows: u64,
    /// Requests that carried them.
    pub requests: u64,
}

impl Writer {
    pub(crate) fn new(config: &crate::Config) -> Self {
        let bytes_units = u32::try_from(config.bytes_in_flight_max.div_ceil(BYTES_UNIT)).unwrap_or(u32::MAX);
        let bytes_units = bytes_units.min(Semaphore::MAX_PERMITS as u32);
        Self {
            places: Places::new(config.rows_per_shard),
            requests: Semaphore::new(config.requests_in_flight_max.min(Semaphore::MAX_PERMITS)),
            bytes: Semaphore::new(bytes_units as usize),
            bytes_units,
            rows_sent: AtomicU64::new(0),
            requests_sent: AtomicU64::new(0),
        }
    }

    pub(crate) fn sent(&self) -> Sent {
        Sent { rows: self.rows_sent.load(Ordering::Relaxed), requests: self.requests_sent.load(Ordering::Relaxed) }
    }

    /// First the contents and the directory rows, then the index rows of those entries whose content is there.
    pub(crate) async fn append(
        &self,
        connection: &Connection,
        entries: &[Arc<Entry>],
        arrival: &Arrival,
    ) -> Vec<Result<(), AppendError>> {
        let deadline = Instant::now() + connection.config().request_timeout * APPEND_TIMEOUTS;
        let checked = entries.iter().map(|entry| check(entry, arrival, connection.config()).err());
        let mut failures = Failures(checked.collect());
        if failures.are_total() {
            return failures.into_results();
        }
        let live = match connection.live().await {
            Ok(live) => live,
            Err(error) => return failures.fail_all(&error),
        };
        let request = match connection.inserts(&live).await {
            Ok(inserts) => Request { writer: self, connection, live: &live, inserts, deadline },
            Err(error) => return failures.fail_all(&error),
        };
        let entries: Vec<Indexed<'_>> = entries.iter().map(Indexed::new).collect();
        let plan = Plan::new(&self.places, &entries, arrival, |index| failures.0[index].is_none());
        let first = plan.first_rows();
        let failed = request.send_all(&first).await;
        plan.remember(&failed);
        for (row, failure) in failed {
            plan.dependents(row).iter().for_each(|index| failures.fail(*index, &failure));
        }
        reach(Point::BetweenContentAndIndex);
        let (rows, owners) = plan.index_rows(|index| failures.0[index].is_none());
        for (row, failure) in request.send_all(&rows).await {
            failures.fail(owners[row], &failure);
        }
        failures.into_results()
    }
}

/// What became of the entries so far.
struct Failures(Vec<Option<AppendError>>);

impl Failures {
    fn are_total(&self) -> bool {
        self.0.iter().all(Option::is_some)
    }

    /// Keeps the first failure of an entry, but a refusal over any other: asking again will not help.
    fn fail(&mut self, index: usize, failure: &Failure) {
        let failed = &mut self.0[index];
        let is_worse = matches!(failure, Failure::Refused(_)) && !matches!(failed, Some(AppendError::Refused { .. }));
        if failed.is_none() || is_worse {
            *failed = Some(failure.clone().into_append());
        }
    }

    /// Nothing could be sent.
    fn fail_all(mut self, error: &StoreError) -> Vec<Result<(), AppendError>> {
        let reason = match error {
            StoreError::Unavailable { reason } | StoreError::Misconfigured { reason } => reason.clone(),
            other => other.to_string(),
        };
        for failed in self.0.iter_mut().filter(|failed| failed.is_none()) {
            *failed = Some(AppendError::Unavailable { reason: reason.clone() });
        }
        self.into_results()
    }

    fn into_results(self) -> Vec<Result<(), AppendError>> {
        self.0.into_iter().map(|failed| failed.map_or(Ok(()), Err)).collect()
    }
}

/// Refuses beforehand what the servers would refuse, so that one entry never spoils a batch.
fn check(entry: &Entry, arrival: &Arrival, config: &crate::Config) -> Result<(), AppendError> {
    let refused = |reason: String| Err(AppendError::Refused { reason });
    if entry.content.len() > config.content_bytes_max {
        let (bytes, limit) = (entry.content.len(), config.content_bytes_max);
        return refused(format!("its content has {bytes} bytes, the limit is {limit}"));
    }
    let record = &entry.record;
    let record_id: usize = record.record_id.iter().map(|part| part.len() + 4).sum();
    let names = record.tenant.len() + record.source.len() + record.table.len() + record_id;
    let bytes = names + entry.identity.event_id.len();
    if bytes > KEY_BYTES_MAX {
        return refused(format!(
            "tenant, source, table, record id and event id have {bytes} bytes together, the limit is {KEY_BYTES_MAX}"
        ));
    }
    if arrival.worker.len() > KEY_BYTES_MAX {
        return Err(AppendError::Unavailable { reason: "the worker's name is too long".to_owned() });
    }
    Ok(())
}

/// What every request of one append shares.
struct Request<'a> {
    writer: &'a Writer,
    connection: &'a Connection,
    live: &'a Live,
    inserts: &'a Inserts,
    deadline: Instant,
}

impl Request<'_> {
    /// Sends all rows; returns those that failed, by their place in the list.
    async fn send_all(&self, rows: &[Row<'_>]) -> Vec<(usize, Failure)> {
        let state = self.live.session.get_cluster_state();
        let replicas = Replicas::of(&state, &self.connection.config().keyspace);
        let groups = group(rows, |row| replicas.set_of(row, self.inserts.of(row.kind)));
        let mut answered = vec![false; rows.len()];
        let mut failed = Vec::new();
        let mut running: FuturesUnordered<_> = groups.iter().map(|group| self.send(rows, group)).collect();
        while let Ok(Some((group, outcome))) = tokio::time::timeout_at(self.deadline, running.next()).await {
            group.rows.iter().for_each(|row| answered[*row] = true);
            failed.extend(outcome);
        }
        let late = Failure::Connection("no answer in time".to_owned());
        let unanswered = (0..rows.len()).filter(|row| !answered[*row]);
        failed.extend(unanswered.map(|row| (row, late.clone())));
        if failed.iter().any(|(_, failure)| matches!(failure, Failure::Connection(_))) {
            self.connection.failed(&late);
        }
        failed
    }

    /// Sends one group when its turn comes. A refused batch is sent again row by row, to find the one at fault.
    async fn send<'g>(&self, rows: &[Row<'_>], group: &'g Group) -> (&'g Group, Vec<(usize, Failure)>) {
        let units = u32::try_from(group.bytes.div_ceil(BYTES_UNIT)).unwrap_or(u32::MAX).min(self.writer.bytes_units);
        // Neither semaphore is ever closed.
        let _request = self.writer.requests.acquire().await;
        let _bytes = self.writer.bytes.acquire_many(units).await;
        let failure = match self.execute(rows, &group.rows).await {
            Ok(()) => return (group, Vec::new()),
            Err(failure) => failure,
        };
        let mut failed = Vec::new();
        if matches!(failure, Failure::Refused(_)) && group.rows.len() > 1 {
            for row in &group.rows {
                if let Err(failure) = self.execute(rows, &[*row]).await {
                    failed.push((*row, failure));
                }
            }
        } else {
            failed.extend(group.rows.iter().map(|row| (*row, failure.clone())));
        }
        (group, failed)
    }

    async fn execute(&self, rows: &[Row<'_>], places: &[usize]) -> Result<(), Failure> {
        let session = &self.live.session;
        self.writer.rows_sent.fetch_add(places.len() as u64, Ordering::Relaxed);
        self.writer.requests_sent.fetch_add(1, Ordering::Relaxed);
        let result = if let [one] = places {
            session.execute_unpaged(self.inserts.of(rows[*one].kind), rows[*one]).await
        } else {
            let mut batch = Batch::new(BatchType::Unlogged);
            batch.set_consistency(self.connection.config().consistency.write());
            batch.set_is_idempotent(true);
            let values: Vec<Row<'_>> = places.iter().map(|place| rows[*place]).collect();
            batch.statements = values.iter().map(|row| self.inserts.of(row.kind).clone().into()).collect();
            session.batch(&batch, values).await
        };
        match result {
            Ok(_) => {
                self.connection.succeeded();
                Ok(())
            }
            Err(error) => Err(Failure::from(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_outweighs_what_may_pass_whichever_was_told_first() {
        let late = Failure::Connection("late".to_owned());
        let refused = Failure::Refused("too large".to_owned());
        for told in [[&late, &refused], [&refused, &late]] {
            let mut failures = Failures(vec![None, None]);
            told.into_iter().for_each(|failure| failures.fail(1, failure));
            let results = failures.into_results();
            assert!(matches!(&results[..], [Ok(()), Err(AppendError::Refused { .. })]), "{results:?}");
        }
    }
}
