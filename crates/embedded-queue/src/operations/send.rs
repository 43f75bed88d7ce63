//! `SendMessage`, `SendMessageBatch`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::batch::{Results, check_ids};
use super::{Request, answer};
use crate::attributes::Md5Hex;
use crate::clock::Millis;
use crate::error::Error;
use crate::message::{Checked, Draft, Parcel};
use crate::queue::Queue;

/// Most bytes that the messages of a batch have together
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>).
const BATCH_BYTES_MAX: usize = 1_048_576;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatch<'a> {
    #[serde(borrow)]
    queue_url: Cow<'a, str>,
    #[serde(borrow, default)]
    entries: Vec<Draft<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    message_id: Uuid,
    #[serde(rename = "MD5OfMessageBody")]
    body_md5: Md5Hex,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<Md5Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
}

/// `SendMessage`.
pub(crate) fn one(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let mut draft: Draft<'_> = request.parse()?;
    let queue = request.broker.queue(&draft.queue_url)?;
    let terms = queue.state().settings().terms();
    let mut parcel = draft.check(terms)?.accept(&request.broker.memory)?;
    parcel.delay += request.faults.holds_back_ms(terms.fifo);
    let now = request.broker.clock.now();
    let mut state = queue.state();
    let sent = send(now, &mut state, None, parcel)?;
    queue.wake(&state);
    drop(state);
    answer(&sent)
}

/// `SendMessageBatch`.
pub(crate) fn batch(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let mut batch: SendMessageBatch<'_> = request.parse()?;
    let queue = request.broker.queue(&batch.queue_url)?;
    check_ids(batch.entries.iter().map(|entry| entry.id.as_str()))?;
    let terms = queue.state().settings().terms();
    for entry in &batch.entries {
        // SQS names the code of a single send otherwise.
        entry.check_identity(terms).map_err(|error| Error::InvalidParameterValue(error.to_string()))?;
    }
    // Checked, and their MD5s computed, before the queue is locked.
    let checked: Vec<Result<_, Error>> = batch.entries.iter_mut().map(|entry| entry.check(terms)).collect();
    let batch_bytes = checked.iter().flatten().map(|message| message.size_bytes).sum();
    if batch_bytes > BATCH_BYTES_MAX {
        return Err(Error::BatchRequestTooLong(batch_bytes));
    }
    let accept = |message: Checked<'_>| {
        if request.faults.fails_entry() {
            return Err(Error::Injected);
        }
        let mut parcel = message.accept(&request.broker.memory)?;
        parcel.delay += request.faults.holds_back_ms(terms.fifo);
        Ok(parcel)
    };
    let accepted: Vec<Result<_, Error>> = checked.into_iter().map(|result| result.and_then(accept)).collect();
    let now = request.broker.clock.now();
    let mut results = Results::new();
    let mut state = queue.state();
    for (entry, result) in batch.entries.iter().zip(accepted) {
        let sent = result.and_then(|parcel| send(now, &mut state, Some(&entry.id), parcel));
        results.push(&entry.id, sent);
    }
    queue.wake(&state);
    drop(state);
    answer(&results)
}

/// The MD5s are those of what was sent, also when it repeats another message: SDKs check them.
fn send<'a>(now: Millis, state: &mut Queue, id: Option<&'a str>, parcel: Parcel) -> Result<Sent<'a>, Error> {
    let (body_md5, attributes_md5) = (parcel.message.body_md5, parcel.message.attributes_md5);
    let sent = state.send(now, parcel)?;
    let sequence_number = sent.sequence.map(|sequence| sequence.to_string());
    Ok(Sent { id, message_id: sent.id, body_md5, attributes_md5, sequence_number })
}
