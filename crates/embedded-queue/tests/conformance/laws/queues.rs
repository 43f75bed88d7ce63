//! Queues and their attributes
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>).

use std::collections::BTreeSet;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use tokio::time::{Duration, Instant, sleep};

use crate::queue::refusal;
use crate::server::Sqs;

pub(crate) async fn a_queue_is_found_by_its_name(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let found = sqs.client.get_queue_url().queue_name(&queue.name).send().await.unwrap();
    assert_eq!(found.queue_url(), Some(&queue.url[..]));
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html>: a page has a token for the
/// next only where `MaxResults` was given. New queues are listed a little later at AWS.
pub(crate) async fn queues_are_listed_by_prefix_in_pages(sqs: Sqs) {
    let prefix = sqs.unique();
    sqs.queue(&[]).await;
    let mut expected = BTreeSet::new();
    for n in 0..5 {
        expected.insert(sqs.named(&format!("{prefix}-{n}"), &[]).await.url);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (mut listed, mut token) = (BTreeSet::new(), None);
        loop {
            let request = sqs.client.list_queues().queue_name_prefix(&prefix).max_results(2);
            let page = request.set_next_token(token).send().await.unwrap();
            assert!(page.queue_urls().len() <= 2, "{page:?}");
            listed.extend(page.queue_urls().iter().cloned());
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        if listed == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{listed:?} are listed, not {expected:?}");
        sleep(Duration::from_millis(500)).await;
    }
}

pub(crate) async fn what_does_not_exist_is_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let nowhere = format!("{}-nowhere", queue.url);
    let code = "NonExistentQueue";
    let client = &sqs.client;
    let bare = |code: String| code.replace("QueueDoesNotExist", "NonExistentQueue");
    assert_eq!(bare(refusal(client.get_queue_url().queue_name(sqs.unique()).send().await)), code);
    assert_eq!(bare(refusal(client.receive_message().queue_url(&nowhere).send().await)), code);
    assert_eq!(bare(refusal(client.send_message().queue_url(&nowhere).message_body("x").send().await)), code);
    assert_eq!(bare(refusal(client.get_queue_attributes().queue_url(&nowhere).send().await)), code);
    assert_eq!(bare(refusal(client.purge_queue().queue_url(&nowhere).send().await)), code);
}

/// SDKs match on types of errors: the header `x-amzn-query-error` must be as the JSON protocol wants it
/// (<https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#x-amzn-query-error-header>).
pub(crate) async fn errors_arrive_typed(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let missing = sqs.client.get_queue_url().queue_name(sqs.unique()).send().await.unwrap_err().into_service_error();
    assert!(missing.is_queue_does_not_exist(), "{missing:?}");
    let empty = sqs.client.send_message_batch().queue_url(&queue.url).set_entries(Some(vec![])).send().await;
    let empty = empty.unwrap_err().into_service_error();
    assert!(empty.is_empty_batch_request(), "{empty:?}");
}

pub(crate) async fn creating_again_is_harmless(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::DelaySeconds, "5")]).await;
    assert_eq!(sqs.named(&queue.name, &[(Name::DelaySeconds, "5")]).await.url, queue.url);
    assert_eq!(sqs.named(&queue.name, &[]).await.url, queue.url);
}

pub(crate) async fn creating_again_otherwise_is_refused(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::DelaySeconds, "5")]).await;
    let request = sqs.client.create_queue().queue_name(&queue.name).attributes(Name::DelaySeconds, "6");
    let code = refusal(request.send().await);
    assert!(["QueueAlreadyExists", "QueueNameExists"].contains(&&code[..]), "{code}");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>.
pub(crate) async fn attributes_are_kept_and_shown(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "77"), (Name::DelaySeconds, "5")]).await;
    let set = sqs.client.set_queue_attributes().queue_url(&queue.url).attributes(Name::DelaySeconds, "6");
    set.send().await.unwrap();
    assert_eq!(queue.attribute(Name::DelaySeconds).await, "6");
    let request = sqs.client.get_queue_attributes().queue_url(&queue.url).attribute_names(Name::All);
    let shown = request.send().await.unwrap().attributes.unwrap();
    assert_eq!(shown[&Name::VisibilityTimeout], "77");
    assert!(shown[&Name::QueueArn].ends_with(&format!(":{}", queue.name)), "{shown:?}");
    assert!(!shown.contains_key(&Name::RedrivePolicy), "{shown:?}");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>.
pub(crate) async fn attributes_out_of_range_are_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    for (name, value) in [
        (Name::DelaySeconds, "901"),
        (Name::VisibilityTimeout, "43201"),
        (Name::ReceiveMessageWaitTimeSeconds, "21"),
        (Name::MaximumMessageSize, "1023"),
        (Name::MessageRetentionPeriod, "59"),
    ] {
        let request = sqs.client.set_queue_attributes().queue_url(&queue.url).attributes(name.clone(), value);
        assert_eq!(refusal(request.send().await), "InvalidAttributeValue", "{name:?}");
    }
}

/// Same page.
pub(crate) async fn unknown_attributes_are_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let request = sqs.client.set_queue_attributes().queue_url(&queue.url).attributes("Nonsense".into(), "1");
    assert_eq!(refusal(request.send().await), "InvalidAttributeName");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>.
pub(crate) async fn parameters_out_of_range_are_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let receive = || sqs.client.receive_message().queue_url(&queue.url);
    for request in [
        receive().max_number_of_messages(0),
        receive().max_number_of_messages(11),
        receive().wait_time_seconds(21),
        receive().visibility_timeout(43_201),
    ] {
        let code = refusal(request.clone().send().await);
        assert!(["InvalidParameterValue", "ReadCountOutOfRange"].contains(&&code[..]), "{code}: {request:?}");
    }
    let late = sqs.client.send_message().queue_url(&queue.url).message_body("x").delay_seconds(901);
    assert_eq!(refusal(late.send().await), "InvalidParameterValue");
}

pub(crate) async fn a_queue_name_has_letters_digits_hyphens_and_underscores(sqs: Sqs) {
    for name in ["a b".to_owned(), "a.b".to_owned(), "x".repeat(81)] {
        assert_eq!(
            refusal(sqs.client.create_queue().queue_name(&name).send().await),
            "InvalidParameterValue",
            "{name}"
        );
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-monitoring-using-cloudwatch.html>: right a
/// minute after producers stop.
pub(crate) async fn counts_tell_visible_in_flight_and_delayed(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "600")]).await;
    for n in 0..5 {
        queue.send(&n.to_string()).await;
    }
    queue.client.send_message().queue_url(&queue.url).message_body("late").delay_seconds(900).send().await.unwrap();
    queue.take(2).await;
    queue.until_counts([3, 2, 1]).await;
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>.
pub(crate) async fn a_purge_empties_the_queue(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "600")]).await;
    for n in 0..3 {
        queue.send(&n.to_string()).await;
    }
    queue.take_one().await;
    queue.client.purge_queue().queue_url(&queue.url).send().await.unwrap();
    queue.until_counts([0, 0, 0]).await;
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-tags.html>.
pub(crate) async fn tags_are_set_shown_and_removed(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let tag = sqs.client.tag_queue().queue_url(&queue.url).tags("team", "a").tags("stage", "test");
    tag.send().await.unwrap();
    sqs.client.tag_queue().queue_url(&queue.url).tags("team", "b").send().await.unwrap();
    sqs.client.untag_queue().queue_url(&queue.url).tag_keys("stage").send().await.unwrap();
    let shown = sqs.client.list_queue_tags().queue_url(&queue.url).send().await.unwrap().tags.unwrap_or_default();
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), [("team".to_owned(), "b".to_owned())]);
}
