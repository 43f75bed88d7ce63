//! Receipt handles
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>).

use aws_sdk_sqs::types::QueueAttributeName as Name;

use crate::queue::{Queue, handle, refusal};
use crate::server::Sqs;

async fn refused_delete(queue: &Queue, handle: &str) -> String {
    refusal(queue.client.delete_message().queue_url(&queue.url).receipt_handle(handle).send().await)
}

pub(crate) async fn deleting_again_succeeds(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    queue.send("x").await;
    let message = queue.take_one().await;
    queue.delete(&message).await;
    queue.delete(&message).await;
    queue.until_counts([0, 0, 0]).await;
}

/// It succeeds, and may or may not delete (same page). The latest handle does delete.
pub(crate) async fn deleting_with_an_older_handle_succeeds(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "600")]).await;
    queue.send("x").await;
    let first = queue.take_one().await;
    queue.give_back(&first).await;
    let again = queue.take_one().await;
    queue.delete(&first).await;
    queue.delete(&again).await;
    queue.until_counts([0, 0, 0]).await;
}

pub(crate) async fn garbage_is_no_handle(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    assert_eq!(refused_delete(&queue, "garbage").await, "ReceiptHandleIsInvalid");
    let change = queue.client.change_message_visibility().queue_url(&queue.url).receipt_handle("garbage");
    assert_eq!(refusal(change.visibility_timeout(1).send().await), "ReceiptHandleIsInvalid");
}

pub(crate) async fn the_handle_of_another_queue_is_refused(sqs: Sqs) {
    let (queue, other) = (sqs.queue(&[]).await, sqs.queue(&[]).await);
    other.send("x").await;
    let message = other.take_one().await;
    assert_eq!(refused_delete(&queue, handle(&message)).await, "ReceiptHandleIsInvalid");
    other.until_counts([0, 1, 0]).await;
}
