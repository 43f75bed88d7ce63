//! The publisher on SNS topics.

use std::collections::{HashMap, HashSet};

use afterimage_publish::{ChangeEvent, Publisher, Reason};
use afterimage_tests::{Aws, Need, server};
use aws_sdk_sqs::types::MessageSystemAttributeName;
use serde_json::Value;

#[tokio::test]
async fn what_is_published_to_a_topic_arrives_as_it_was_encoded() {
    let Some(endpoint) = server(Need::Moto) else { return };
    let aws = Aws::at(&endpoint);
    let fanout = aws.fanout(true, false).await;
    // 25 events make three batches, and the long ones more: a batch to a topic holds 256 KiB.
    let events: Vec<_> = (0..25)
        .map(|n| ChangeEvent::insert("users", n as u64).after(&"€".repeat(if n % 5 == 0 { 40_000 } else { 10 })))
        .collect();
    let expected: HashSet<String> = events.iter().map(|event| event.encode().unwrap()).collect();
    Publisher::to_topic(aws.sns.clone(), &fanout.topic_arn).publish_many(events).await.unwrap();
    let arrived: Vec<_> = aws.drain(&fanout.queue_url).await.into_iter().map(|message| message.body.unwrap()).collect();
    assert_eq!(arrived.len(), 25);
    assert!(arrived.into_iter().collect::<HashSet<_>>() == expected, "bodies differ");
}

#[tokio::test]
async fn a_topic_takes_256_kib_and_a_missing_one_nothing() {
    let Some(endpoint) = server(Need::Moto) else { return };
    let aws = Aws::at(&endpoint);
    let fanout = aws.fanout(true, false).await;
    let publisher = Publisher::to_topic(aws.sns.clone(), &fanout.topic_arn);
    let fitting = ChangeEvent::insert("users", "fits").after(&"x".repeat(261_900));
    let long = ChangeEvent::insert("users", "long").after(&"x".repeat(262_144));
    let failures = publisher.publish_many([long, fitting]).await.unwrap_err().failures;
    assert!(matches!(failures[..], [ref one] if one.index == 0 && matches!(one.reason, Reason::TooLarge { .. })));
    assert_eq!(aws.drain(&fanout.queue_url).await.len(), 1);

    let missing = Publisher::to_topic(aws.sns.clone(), format!("{}-missing", fanout.topic_arn));
    let failures = missing.publish(ChangeEvent::truncate("users")).await.unwrap_err().failures;
    assert!(matches!(&failures[0].reason, Reason::Refused { code, .. } if code.contains("NotFound")), "{failures:?}");
}

#[tokio::test]
async fn a_fifo_topic_keeps_records_in_order_and_an_event_once() {
    let Some(endpoint) = server(Need::Moto) else { return };
    let aws = Aws::at(&endpoint);
    let fanout = aws.fanout(true, true).await;
    let publisher = Publisher::to_topic(aws.sns.clone(), &fanout.topic_arn);
    let events: Vec<_> =
        (0..12).map(|n| ChangeEvent::insert("users", ["ann", "bob"][n % 2]).after(&n).seq(n as u64)).collect();
    publisher.publish_many(events.clone()).await.unwrap();
    publisher.publish_many(events).await.unwrap();
    let mut seqs = HashMap::<String, Vec<u64>>::new();
    for message in aws.drain(&fanout.queue_url).await {
        let event: Value = serde_json::from_str(message.body().unwrap()).unwrap();
        let group = message.attributes.unwrap().remove(&MessageSystemAttributeName::MessageGroupId).unwrap();
        seqs.entry(group).or_default().push(event["seq"].as_u64().unwrap());
    }
    let expected = [("users/ann", vec![0, 2, 4, 6, 8, 10]), ("users/bob", vec![1, 3, 5, 7, 9, 11])];
    assert_eq!(seqs, expected.map(|(group, seqs)| (group.to_owned(), seqs)).into());
}
