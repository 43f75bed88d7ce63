//! What is done with received messages: `DeleteMessage`, `ChangeMessageVisibility`, and their batches.

use std::borrow::Cow;

use serde::Deserialize;

use super::batch::{Done, Results, check_ids};
use super::{Request, answer, in_range, nothing};
use crate::clock::Millis;
use crate::error::Error;
use crate::queue::Queue;
use crate::settings::VISIBILITY_TIMEOUT_S_MAX;

/// A receipt handle, and what is wanted of it: one request, or an entry of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Release<'a> {
    /// Of a single request.
    #[serde(borrow, default)]
    queue_url: Cow<'a, str>,
    /// Of a batch entry.
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    receipt_handle: Cow<'a, str>,
    visibility_timeout: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<'a> {
    #[serde(borrow)]
    queue_url: Cow<'a, str>,
    #[serde(borrow, default)]
    entries: Vec<Release<'a>>,
}

type Operation = fn(&Release<'_>, &mut Queue, Millis) -> Result<(), Error>;

/// `DeleteMessage`.
pub(crate) fn delete(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    one(request, delete_entry)
}

/// `DeleteMessageBatch`.
pub(crate) fn delete_batch(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    batch(request, delete_entry)
}

/// `ChangeMessageVisibility`.
pub(crate) fn change_visibility(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    one(request, change_entry)
}

/// `ChangeMessageVisibilityBatch`.
pub(crate) fn change_visibility_batch(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    batch(request, change_entry)
}

fn delete_entry(entry: &Release<'_>, queue: &mut Queue, now: Millis) -> Result<(), Error> {
    queue.delete(now, entry.receipt_handle.parse()?)
}

fn change_entry(entry: &Release<'_>, queue: &mut Queue, now: Millis) -> Result<(), Error> {
    let timeout_s = entry.visibility_timeout.ok_or(Error::MissingParameter("VisibilityTimeout"))?;
    let timeout_s = in_range("VisibilityTimeout", timeout_s, 0, VISIBILITY_TIMEOUT_S_MAX)?;
    queue.change_visibility(now, entry.receipt_handle.parse()?, timeout_s * 1000)
}

fn one(request: &Request<'_>, operation: Operation) -> Result<Vec<u8>, Error> {
    let entry: Release<'_> = request.parse()?;
    let queue = request.broker.queue(&entry.queue_url)?;
    if request.faults.loses_delete() {
        return nothing();
    }
    let mut state = queue.state();
    operation(&entry, &mut state, request.broker.clock.now())?;
    queue.wake(&state);
    nothing()
}

fn batch(request: &Request<'_>, operation: Operation) -> Result<Vec<u8>, Error> {
    let batch: Batch<'_> = request.parse()?;
    let queue = request.broker.queue(&batch.queue_url)?;
    check_ids(batch.entries.iter().map(|entry| &*entry.id))?;
    let now = request.broker.clock.now();
    let mut results = Results::new();
    let mut state = queue.state();
    for entry in &batch.entries {
        let done = match (request.faults.fails_entry(), request.faults.loses_delete()) {
            (true, _) => Err(Error::Injected),
            (false, true) => Ok(()),
            (false, false) => operation(entry, &mut state, now),
        };
        results.push(&entry.id, done.map(|()| Done { id: &entry.id }));
    }
    queue.wake(&state);
    drop(state);
    answer(&results)
}
