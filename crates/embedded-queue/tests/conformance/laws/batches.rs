//! Batches
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html>).

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    QueueAttributeName as Name, SendMessageBatchRequestEntry,
};

use crate::queue::{Queue, handle, refusal};
use crate::server::Sqs;

/// Most bytes of a batch together
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>).
const MEBIBYTE: usize = 1_048_576;

fn entry(id: &str, body: impl Into<String>) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

/// Id, code without a prefix, and whose fault.
fn failures(failed: &[BatchResultErrorEntry]) -> Vec<(&str, &str, bool)> {
    let bare = |code: &'_ str| code.rfind('.').map_or(0, |dot| dot + 1);
    failed.iter().map(|entry| (entry.id(), &entry.code()[bare(entry.code())..], entry.sender_fault())).collect()
}

async fn refused_batch(queue: &Queue, entries: Vec<SendMessageBatchRequestEntry>) -> String {
    refusal(queue.client.send_message_batch().queue_url(&queue.url).set_entries(Some(entries)).send().await)
}

pub(crate) async fn sends_fail_one_by_one(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let late = SendMessageBatchRequestEntry::builder().id("late").message_body("x").delay_seconds(901).build().unwrap();
    let batch = queue.client.send_message_batch().queue_url(&queue.url);
    let batch = batch.entries(entry("one", "1")).entries(late).entries(entry("two", "2"));
    let result = batch.send().await.unwrap();
    assert_eq!(failures(&result.failed), [("late", "InvalidParameterValue", true)]);
    let sent: Vec<_> = result.successful.iter().map(|sent| sent.id()).collect();
    assert_eq!(sent, ["one", "two"]);
    // Each success is that of its own entry: MD5s of "1" and "2".
    let md5s: Vec<_> = result.successful.iter().map(|sent| sent.md5_of_message_body()).collect();
    assert_eq!(md5s, ["c4ca4238a0b923820dcc509a6f75849b", "c81e728d9d4c2f636f067f89cc14862c"]);
    queue.until_counts([2, 0, 0]).await;
}

pub(crate) async fn deletes_fail_one_by_one(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "600")]).await;
    queue.send("x").await;
    let message = queue.take_one().await;
    let mut batch = queue.client.delete_message_batch().queue_url(&queue.url);
    for (id, handle) in [("bad", "garbage"), ("good", handle(&message))] {
        batch = batch.entries(DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap());
    }
    let result = batch.send().await.unwrap();
    assert_eq!(failures(&result.failed), [("bad", "ReceiptHandleIsInvalid", true)]);
    assert_eq!(result.successful.iter().map(|done| done.id()).collect::<Vec<_>>(), ["good"]);
    queue.until_counts([0, 0, 0]).await;
}

pub(crate) async fn changes_of_visibility_fail_one_by_one(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "600")]).await;
    for body in ["a", "b"] {
        queue.send(body).await;
    }
    let messages = queue.take(2).await;
    let mut batch = queue.client.change_message_visibility_batch().queue_url(&queue.url);
    for (id, handle, timeout_s) in
        [("bad", "garbage", 0), ("good", handle(&messages[0]), 0), ("long", handle(&messages[1]), 43_201)]
    {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id).receipt_handle(handle);
        batch = batch.entries(entry.visibility_timeout(timeout_s).build().unwrap());
    }
    let result = batch.send().await.unwrap();
    let mut failed = failures(&result.failed);
    failed.sort_unstable();
    assert_eq!(failed, [("bad", "ReceiptHandleIsInvalid", true), ("long", "InvalidParameterValue", true)]);
    assert_eq!(result.successful.iter().map(|done| done.id()).collect::<Vec<_>>(), ["good"]);
    queue.until_counts([1, 1, 0]).await;
}

pub(crate) async fn a_batch_without_entries_is_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    assert_eq!(refused_batch(&queue, vec![]).await, "EmptyBatchRequest");
}

pub(crate) async fn a_batch_of_eleven_is_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let eleven = (0..11).map(|n| entry(&n.to_string(), "x")).collect();
    assert_eq!(refused_batch(&queue, eleven).await, "TooManyEntriesInBatchRequest");
    queue.until_counts([0, 0, 0]).await;
}

pub(crate) async fn two_entries_of_one_id_are_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    assert_eq!(refused_batch(&queue, vec![entry("a", "x"), entry("a", "y")]).await, "BatchEntryIdsNotDistinct");
    queue.until_counts([0, 0, 0]).await;
}

pub(crate) async fn an_id_with_odd_characters_is_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    assert_eq!(refused_batch(&queue, vec![entry("a b", "x")]).await, "InvalidBatchEntryId");
}

pub(crate) async fn a_batch_of_a_mebibyte_is_accepted(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let half = "x".repeat(MEBIBYTE / 2);
    let batch = queue.client.send_message_batch().queue_url(&queue.url);
    let result = batch.entries(entry("a", &half)).entries(entry("b", &half)).send().await.unwrap();
    assert_eq!((result.successful.len(), failures(&result.failed)), (2, vec![]));
}

pub(crate) async fn a_batch_of_more_than_a_mebibyte_is_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let half = "x".repeat(MEBIBYTE / 2);
    let entries = vec![entry("a", &half), entry("b", &half), entry("c", "x")];
    assert_eq!(refused_batch(&queue, entries).await, "BatchRequestTooLong");
    queue.until_counts([0, 0, 0]).await;
}
