//! Time-outs, receipt handles, long polls and dead-letter queues, through the real SDK.

use std::time::Duration;

use crate::common::{counts, create, receive, send, start};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    QueueAttributeName,
};

#[tokio::test]
async fn the_end_of_a_time_out_wakes_a_long_poll() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[(QueueAttributeName::VisibilityTimeout, "1")]).await;
    send(&sqs, &url, "x").await;
    let first = receive(&sqs, &url).await;
    let poll = sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let again = poll.await.unwrap().messages.unwrap();
    assert_eq!(first[0].message_id(), again[0].message_id());
    assert_ne!(first[0].receipt_handle(), again[0].receipt_handle());
}

#[tokio::test]
async fn only_the_latest_handle_deletes() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[]).await;
    send(&sqs, &url, "x").await;
    let old = receive(&sqs, &url).await[0].receipt_handle().unwrap().to_owned();
    let change = sqs.change_message_visibility().queue_url(&url).receipt_handle(&old).visibility_timeout(0);
    change.send().await.unwrap();
    let new = receive(&sqs, &url).await[0].receipt_handle().unwrap().to_owned();
    let delete = async |handle: &str| {
        sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
        counts(&sqs, &url).await
    };
    assert_eq!(delete(&old).await, [0, 1, 0], "an old handle: answered with success, and nothing deleted");
    assert_eq!(delete(&new).await, [0, 0, 0]);
    assert_eq!(delete(&new).await, [0, 0, 0], "deleting again is no error");
}

#[tokio::test]
async fn entries_of_release_batches_fail_one_by_one() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[]).await;
    let other = create(&sqs, "other", &[]).await;
    for body in ["a", "b"] {
        send(&sqs, &url, body).await;
    }
    send(&sqs, &other, "c").await;
    let received = receive(&sqs, &url).await;
    let handles = [received[0].receipt_handle().unwrap(), received[1].receipt_handle().unwrap(), "nonsense"];
    let foreign = receive(&sqs, &other).await[0].receipt_handle().unwrap().to_owned();

    let mut batch = sqs.change_message_visibility_batch().queue_url(&url);
    for (id, handle) in ["0", "1", "2"].iter().zip(handles) {
        let timeout_s = if *id == "0" { 43_201 } else { 0 };
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder();
        batch = batch.entries(entry.id(*id).receipt_handle(handle).visibility_timeout(timeout_s).build().unwrap());
    }
    let result = batch.send().await.unwrap();
    let failed: Vec<_> = result.failed.iter().map(|fail| (&fail.id[..], &fail.code[..])).collect();
    assert_eq!(failed, [("0", "InvalidParameterValue"), ("2", "ReceiptHandleIsInvalid")]);
    assert_eq!(result.successful.len(), 1);
    assert_eq!(counts(&sqs, &url).await, [1, 1, 0]);

    let mut batch = sqs.delete_message_batch().queue_url(&url);
    for (id, handle) in ["0", "1", "2", "3"].iter().zip(handles.into_iter().chain([&foreign[..]])) {
        let entry = DeleteMessageBatchRequestEntry::builder().id(*id).receipt_handle(handle);
        batch = batch.entries(entry.build().unwrap());
    }
    let result = batch.send().await.unwrap();
    let failed: Vec<_> = result.failed.iter().map(|fail| (&fail.id[..], &fail.code[..], fail.sender_fault)).collect();
    assert_eq!(failed, [("2", "ReceiptHandleIsInvalid", true), ("3", "ReceiptHandleIsInvalid", true)]);
    assert_eq!(counts(&sqs, &url).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_change_of_visibility_needs_a_message_in_flight() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[]).await;
    send(&sqs, &url, "x").await;
    let handle = receive(&sqs, &url).await[0].receipt_handle().unwrap().to_owned();
    let change = |timeout_s| {
        let change = sqs.change_message_visibility().queue_url(&url).receipt_handle(&handle);
        change.visibility_timeout(timeout_s).send()
    };
    change(43_000).await.unwrap();
    change(0).await.unwrap();
    let error = change(30).await.unwrap_err().into_service_error();
    assert!(error.is_message_not_inflight(), "{error:?}");
}

#[tokio::test]
async fn a_long_poll_is_woken_by_a_send() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[]).await;
    // Twice as many pollers as messages: every message wakes one of them, none is left behind.
    let pollers: Vec<_> =
        (0..8).map(|_| tokio::spawn(sqs.receive_message().queue_url(&url).wait_time_seconds(20).send())).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = tokio::time::Instant::now();
    for n in 0..4 {
        send(&sqs, &url, &n.to_string()).await;
    }
    let mut bodies = Vec::new();
    let (sender, mut results) = tokio::sync::mpsc::unbounded_channel();
    for poller in pollers {
        let sender = sender.clone();
        tokio::spawn(async move { sender.send(poller.await.unwrap().unwrap()) });
    }
    while bodies.len() < 4 {
        let received = results.recv().await.unwrap().messages.expect("only a woken poll has answered by now");
        bodies.extend(received.into_iter().filter_map(|message| message.body));
    }
    assert!(started.elapsed() < Duration::from_secs(20), "woken, not timed out");
    bodies.sort();
    assert_eq!(bodies, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn the_end_of_a_delay_wakes_a_long_poll() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[(QueueAttributeName::DelaySeconds, "900")]).await;
    send(&sqs, &url, "late").await;
    sqs.send_message().queue_url(&url).message_body("soon").delay_seconds(1).send().await.unwrap();
    let poll = sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    assert_eq!(poll.await.unwrap().messages()[0].body(), Some("soon"));
    assert_eq!(counts(&sqs, &url).await, [0, 1, 1]);
}

#[tokio::test]
async fn what_is_received_too_often_moves_to_the_dead_letter_queue() {
    let (_queue, sqs) = start().await;
    let dead = create(&sqs, "dead", &[]).await;
    let policy = |count| {
        format!("{{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\",\"maxReceiveCount\":{count}}}")
    };
    let attributes =
        [(QueueAttributeName::RedrivePolicy, &policy("\"2\"")[..]), (QueueAttributeName::VisibilityTimeout, "0")];
    let url = create(&sqs, "q", &attributes).await;
    send(&sqs, &url, "poison").await;
    let id = receive(&sqs, &url).await[0].message_id.clone();
    assert_eq!(receive(&sqs, &url).await.len(), 1);
    assert!(receive(&sqs, &url).await.is_empty());
    assert_eq!((counts(&sqs, &url).await, counts(&sqs, &dead).await), ([0, 0, 0], [1, 0, 0]));
    let request = sqs.receive_message().queue_url(&dead);
    let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
    let moved = request.send().await.unwrap().messages.unwrap().remove(0);
    assert_eq!(moved.message_id, id);
    let attributes = moved.attributes.unwrap();
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], "3");
    let source = &attributes[&MessageSystemAttributeName::DeadLetterQueueSourceArn];
    assert_eq!(source, "arn:aws:sqs:us-east-1:000000000000:q");
}
