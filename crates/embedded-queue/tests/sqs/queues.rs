//! Queues and the endpoint itself, through the real SDK.

use std::time::Duration;

use crate::common::{create, receive, send, start};
use aws_sdk_sqs::types::QueueAttributeName;

#[tokio::test]
async fn a_queue_is_found_by_its_name_and_listed() {
    let (queue, sqs) = start().await;
    let url = create(&sqs, "orders", &[]).await;
    create(&sqs, "users", &[]).await;
    assert_eq!(url, queue.queue_url("orders"));
    let found = sqs.get_queue_url().queue_name("orders").send().await.unwrap();
    assert_eq!(found.queue_url(), Some(&url[..]));
    let listed = sqs.list_queues().queue_name_prefix("o").send().await.unwrap();
    assert_eq!(listed.queue_urls(), [url]);
    assert_eq!(sqs.list_queues().send().await.unwrap().queue_urls().len(), 2);
}

#[tokio::test]
async fn a_missing_queue_is_a_typed_error_everywhere() {
    let (queue, sqs) = start().await;
    let url = create(&sqs, "gone", &[]).await;
    sqs.delete_queue().queue_url(&url).send().await.unwrap();
    let error = sqs.get_queue_url().queue_name("gone").send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
    let error = sqs.receive_message().queue_url(&url).send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
    let request = sqs.send_message().queue_url(queue.queue_url("never")).message_body("x");
    let error = request.send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
    assert_eq!(error.meta().code(), Some("AWS.SimpleQueueService.NonExistentQueue"));
}

#[tokio::test]
async fn attributes_are_checked_kept_and_shown() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[(QueueAttributeName::VisibilityTimeout, "77")]).await;
    let set = async |name: QueueAttributeName, value: &str| {
        sqs.set_queue_attributes().queue_url(&url).attributes(name, value).send().await
    };
    set(QueueAttributeName::Policy, "{}").await.unwrap();
    let error = set(QueueAttributeName::DelaySeconds, "901").await.unwrap_err().into_service_error();
    assert!(error.is_invalid_attribute_value(), "{error:?}");
    let error = set("Nonsense".into(), "1").await.unwrap_err().into_service_error();
    assert!(error.is_invalid_attribute_name(), "{error:?}");
    let nowhere = "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:nowhere\",\"maxReceiveCount\":1}";
    assert!(set(QueueAttributeName::RedrivePolicy, nowhere).await.is_err());

    let request = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
    let shown = request.send().await.unwrap().attributes.unwrap();
    assert_eq!(shown[&QueueAttributeName::VisibilityTimeout], "77");
    assert_eq!(shown[&QueueAttributeName::Policy], "{}");
    assert_eq!(shown[&QueueAttributeName::DelaySeconds], "0");
    assert_eq!(shown[&QueueAttributeName::QueueArn], "arn:aws:sqs:us-east-1:000000000000:q");
    assert!(!shown.contains_key(&QueueAttributeName::RedrivePolicy));
}

#[tokio::test]
async fn creating_again_is_harmless_unless_attributes_differ() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[(QueueAttributeName::DelaySeconds, "5")]).await;
    assert_eq!(create(&sqs, "q", &[]).await, url);
    assert_eq!(create(&sqs, "q", &[(QueueAttributeName::DelaySeconds, "5")]).await, url);
    let request = sqs.create_queue().queue_name("q").attributes(QueueAttributeName::DelaySeconds, "6");
    let error = request.send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_name_exists(), "{error:?}");
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name() {
    let (_queue, sqs) = start().await;
    let url = create(&sqs, "q", &[]).await;
    let request = sqs.remove_permission().queue_url(&url).label("x");
    let error = request.send().await.unwrap_err().into_service_error();
    assert!(error.is_unsupported_operation(), "{error:?}");
    assert!(sqs.create_queue().queue_name("q.fifo").send().await.is_err());
    let error = sqs.receive_message().queue_url(&url).max_number_of_messages(11).send().await.unwrap_err();
    assert_eq!(error.into_service_error().meta().code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn shutdown_ends_long_polls_with_an_answer() {
    let (queue, sqs) = start().await;
    let url = create(&sqs, "q", &[]).await;
    send(&sqs, &url, "x").await;
    assert_eq!(receive(&sqs, &url).await.len(), 1);
    let poll = tokio::spawn(sqs.receive_message().queue_url(&url).wait_time_seconds(20).send());
    tokio::time::sleep(Duration::from_millis(50)).await;
    queue.shutdown().await;
    // Also when the poll came too late to be accepted: it ends, and nothing was handed out.
    if let Ok(answer) = poll.await.unwrap() {
        assert_eq!(answer.messages, None);
    }
}
