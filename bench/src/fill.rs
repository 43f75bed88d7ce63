//! Sends events to a queue, in tens.

use anyhow::ensure;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use tokio::task::JoinSet;

/// Most entries and bytes of a batch
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>).
const ENTRIES_MAX: usize = 10;
const BATCH_BYTES_MAX: usize = 1_048_576;
/// Batches under way at once.
const BATCHES_MAX: usize = 8;

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

/// Sends every body. An event that was not accepted is an error: a comparison needs all of them.
pub(crate) async fn fill(sqs: &Client, queue_url: &str, bodies: impl Iterator<Item = String>) -> anyhow::Result<Sent> {
    let mut sent = Sent::default();
    let mut batches = JoinSet::new();
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    for body in bodies {
        if batch.len() == ENTRIES_MAX || batch_bytes + body.len() > BATCH_BYTES_MAX {
            batches.spawn(send(sqs.clone(), queue_url.to_owned(), std::mem::take(&mut batch)));
            batch_bytes = 0;
            if batches.len() == BATCHES_MAX
                && let Some(result) = batches.join_next().await
            {
                result??;
            }
        }
        batch_bytes += body.len();
        sent.bytes += body.len() as u64;
        sent.events += 1;
        batch.push(body);
    }
    if !batch.is_empty() {
        batches.spawn(send(sqs.clone(), queue_url.to_owned(), batch));
    }
    while let Some(result) = batches.join_next().await {
        result??;
    }
    Ok(sent)
}

async fn send(sqs: Client, queue_url: String, bodies: Vec<String>) -> anyhow::Result<()> {
    let entries = bodies.into_iter().enumerate();
    let entries = entries
        .map(|(n, body)| SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body).build())
        .collect::<Result<Vec<_>, _>>()?;
    let answer = sqs.send_message_batch().queue_url(queue_url).set_entries(Some(entries)).send().await?;
    let failed = answer.failed.first().map(|failed| failed.code.clone());
    ensure!(failed.is_none(), "the queue refused {} events: {failed:?}", answer.failed.len());
    Ok(())
}
