//! Sending and receiving, through the real SDK.

use crate::common::{counts, create, receive, send, start, start_with};
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchError;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

const MD5_OF_BODY: &str = "edc192c9d5e13dc04907a0610d792a55";
const MD5_OF_ATTRIBUTES: &str = "9dc84a923e39e28cb85528b38670e540";

fn entry(id: &str, body: impl Into<String>) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

#[tokio::test]
async fn a_body_comes_back_as_it_was_sent() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[]).await;
    for body in ["plain", "{\"a\": \"\\u0041 \\\\ \\\"\"}\n\t\r", "ü € 😀 \u{FFFD}", " "] {
        send(&sqs, &url, body).await;
        let [message] = &receive(&sqs, &url).await[..] else { panic!("one message") };
        assert_eq!(message.body(), Some(body));
    }
}

#[tokio::test]
async fn md5s_are_those_that_other_sdks_check() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[]).await;
    let binary =
        MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([1, 2, 255])).build().unwrap();
    let sent = sqs
        .send_message()
        .queue_url(&url)
        .message_body("hello \"wörld\"")
        .message_attributes("b.text", text("x"))
        .message_attributes("a_bytes", binary)
        .send()
        .await
        .unwrap();
    // Both by Python's hashlib, the second over the documented layout of names, types and values.
    assert_eq!(sent.md5_of_message_body(), Some(MD5_OF_BODY));
    assert_eq!(sent.md5_of_message_attributes(), Some(MD5_OF_ATTRIBUTES));

    let request = sqs.receive_message().queue_url(&url).visibility_timeout(0);
    let all = request.message_attribute_names("All").send().await.unwrap().messages.unwrap();
    assert_eq!(all[0].md5_of_body(), Some(MD5_OF_BODY));
    assert_eq!(all[0].md5_of_message_attributes(), Some(MD5_OF_ATTRIBUTES));
    assert_eq!(all[0].message_attributes().unwrap()["a_bytes"].binary_value().unwrap().as_ref(), [1, 2, 255]);

    let request = sqs.receive_message().queue_url(&url).visibility_timeout(0);
    let some = request.message_attribute_names("b.*").send().await.unwrap().messages.unwrap();
    assert_eq!(some[0].message_attributes().unwrap().keys().collect::<Vec<_>>(), ["b.text"]);
    assert_ne!(some[0].md5_of_message_attributes(), Some(MD5_OF_ATTRIBUTES));

    let none = receive(&sqs, &url).await;
    assert_eq!((none[0].message_attributes(), none[0].md5_of_message_attributes()), (None, None));
}

#[tokio::test]
async fn system_attributes_come_when_asked_for() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[(QueueAttributeName::VisibilityTimeout, "0")]).await;
    send(&sqs, &url, "x").await;
    assert_eq!(receive(&sqs, &url).await[0].attributes(), None);
    let request = sqs.receive_message().queue_url(&url).message_system_attribute_names(MessageSystemAttributeName::All);
    let messages = request.send().await.unwrap().messages.unwrap();
    let attributes = messages[0].attributes().unwrap();
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], "2");
    let sent_at: u64 = attributes[&MessageSystemAttributeName::SentTimestamp].parse().unwrap();
    let first: u64 = attributes[&MessageSystemAttributeName::ApproximateFirstReceiveTimestamp].parse().unwrap();
    assert!(sent_at <= first && sent_at > 1_700_000_000_000, "{sent_at} {first}");
}

#[tokio::test]
async fn entries_of_a_batch_fail_one_by_one() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[(QueueAttributeName::MaximumMessageSize, "1024")]).await;
    let batch = sqs
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("good", "x"))
        .entries(entry("bad", "\u{FFFE}"))
        .entries(entry("long", "x".repeat(1025)))
        .entries(entry("fits", "x".repeat(1024)));
    let result = batch.send().await.unwrap();
    assert_eq!(result.successful.iter().map(|sent| &sent.id[..]).collect::<Vec<_>>(), ["good", "fits"]);
    let failed: Vec<_> = result.failed.iter().map(|fail| (&fail.id[..], &fail.code[..], fail.sender_fault)).collect();
    assert_eq!(failed, [("bad", "InvalidMessageContents", true), ("long", "InvalidParameterValue", true)]);
    assert_eq!(counts(&sqs, &url).await, [2, 0, 0]);
}

#[tokio::test]
async fn a_batch_beyond_a_limit_is_refused_whole_and_typed() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[]).await;
    let refused = async |entries: Vec<SendMessageBatchRequestEntry>| {
        let batch = sqs.send_message_batch().queue_url(&url).set_entries(Some(entries));
        batch.send().await.unwrap_err().into_service_error()
    };
    let numbered = |count: usize| (0..count).map(|n| entry(&n.to_string(), "x")).collect();
    let error = refused(vec![]).await;
    assert!(error.is_empty_batch_request(), "{error:?}");
    let error = refused(numbered(11)).await;
    assert!(error.is_too_many_entries_in_batch_request(), "{error:?}");
    let error = refused(vec![entry("a", "x"), entry("a", "y")]).await;
    assert!(error.is_batch_entry_ids_not_distinct(), "{error:?}");
    let error = refused(vec![entry("a b", "x")]).await;
    assert!(error.is_invalid_batch_entry_id(), "{error:?}");
    let half = "x".repeat(524_288);
    let error = refused(vec![entry("a", &half), entry("b", &half), entry("c", "x")]).await;
    assert!(matches!(error, SendMessageBatchError::BatchRequestTooLong(_)), "{error:?}");
    assert_eq!(counts(&sqs, &url).await, [0, 0, 0]);

    // One full mebibyte passes, and so does one whose every character is an escape on the wire.
    let batch = sqs.send_message_batch().queue_url(&url).entries(entry("a", &half)).entries(entry("b", &half));
    assert!(batch.send().await.unwrap().failed.is_empty());
    send(&sqs, &url, &"\"".repeat(1_048_576)).await;
    assert_eq!(counts(&sqs, &url).await, [3, 0, 0]);
}

#[tokio::test]
async fn what_is_held_is_bounded_in_bytes() {
    let (_queue, sqs) =
        start_with(afterimage_embedded_queue::Options { bytes_max: 100_000, ..Default::default() }).await;
    let url = create(&sqs, "q", &[]).await;
    let body = "x".repeat(20_000);
    let mut sent = 0;
    let error = loop {
        match sqs.send_message().queue_url(&url).message_body(&body).send().await {
            Ok(_) => sent += 1,
            Err(error) => break error.into_service_error(),
        }
    };
    assert!(error.is_request_throttled(), "{error:?}");
    assert!((1..=5).contains(&sent), "{sent}");
    let batch = sqs.send_message_batch().queue_url(&url).entries(entry("a", &body));
    let failed = batch.send().await.unwrap().failed;
    assert_eq!((&failed[0].code[..], failed[0].sender_fault), ("RequestThrottled", false));

    sqs.purge_queue().queue_url(&url).send().await.unwrap();
    send(&sqs, &url, &body).await;
}
