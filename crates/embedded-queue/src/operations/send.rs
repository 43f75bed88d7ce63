//! `SendMessage`, `SendMessageBatch`.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::batch::{Results, check_ids};
use super::{Request, answer, in_range};
use crate::clock::Millis;
use crate::error::Error;
use crate::message::{Checked, Draft, Md5Hex, Message};
use crate::queue::{History, Queue};

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
}

/// `SendMessage`.
pub(crate) fn one(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let mut draft: Draft<'_> = request.parse()?;
    let queue = request.broker.queue(&draft.queue_url)?;
    let (message_bytes_max, delay) = limits(&queue.state());
    let delay = delay_of(&draft, delay)? + request.faults.holds_back_ms();
    let now = request.broker.clock.now();
    let message = Arc::new(draft.check(message_bytes_max)?.accept(now, &request.broker.memory)?);
    let mut state = queue.state();
    let sent = add(now, &mut state, None, message, delay);
    queue.wake(&state);
    drop(state);
    answer(&sent)
}

/// `SendMessageBatch`.
pub(crate) fn batch(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let mut batch: SendMessageBatch<'_> = request.parse()?;
    let queue = request.broker.queue(&batch.queue_url)?;
    check_ids(batch.entries.iter().map(|entry| entry.id.as_str()))?;
    let (message_bytes_max, delay) = limits(&queue.state());
    // Checked, and their MD5s computed, before the queue is locked.
    let checked: Vec<Result<_, Error>> = batch
        .entries
        .iter_mut()
        .map(|entry| {
            let delay = delay_of(entry, delay)? + request.faults.holds_back_ms();
            if request.faults.fails_entry() {
                return Err(Error::Injected);
            }
            Ok((entry.check(message_bytes_max)?, delay))
        })
        .collect();
    let batch_bytes = checked.iter().flatten().map(|(message, _)| message.size_bytes).sum();
    if batch_bytes > BATCH_BYTES_MAX {
        return Err(Error::BatchRequestTooLong(batch_bytes));
    }
    let now = request.broker.clock.now();
    let accept =
        |(message, delay): (Checked<'_>, Millis)| Ok((Arc::new(message.accept(now, &request.broker.memory)?), delay));
    let accepted: Vec<Result<_, Error>> = checked.into_iter().map(|result| result.and_then(accept)).collect();
    let mut results = Results::new();
    let mut state = queue.state();
    for (entry, result) in batch.entries.iter().zip(accepted) {
        let sent = result.map(|(message, delay)| add(now, &mut state, Some(&entry.id), message, delay));
        results.push(&entry.id, sent);
    }
    queue.wake(&state);
    drop(state);
    answer(&results)
}

fn limits(state: &Queue) -> (usize, Millis) {
    (state.settings.message_bytes_max(), state.settings.delay())
}

/// The message's own delay, else the queue's.
fn delay_of(draft: &Draft<'_>, default: Millis) -> Result<Millis, Error> {
    draft.delay_seconds.map_or(Ok(default), |delay_s| Ok(in_range("DelaySeconds", delay_s, 0, 900)? * 1000))
}

fn add<'a>(now: Millis, state: &mut Queue, id: Option<&'a str>, message: Arc<Message>, delay: Millis) -> Sent<'a> {
    let sent = Sent { id, message_id: message.id, body_md5: message.body_md5, attributes_md5: message.attributes_md5 };
    state.add(now, message, History::default(), delay);
    sent
}
