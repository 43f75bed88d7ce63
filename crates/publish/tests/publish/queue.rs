//! Against the embedded queue.

use std::collections::BTreeMap;

use afterimage_embedded_queue::{EmbeddedQueue, Options};
use afterimage_publish::{BuildError, ChangeEvent, Publisher, Reason, Sequence};
use serde_json::Value;

use crate::server::client;

async fn start(bytes_max: usize) -> (EmbeddedQueue, aws_sdk_sqs::Client, String) {
    let queue = EmbeddedQueue::start_with(([127, 0, 0, 1], 0).into(), Options { bytes_max, ..Options::default() })
        .await
        .unwrap();
    let sqs = client(&queue.endpoint());
    let url = sqs.create_queue().queue_name("changes").send().await.unwrap().queue_url.unwrap();
    (queue, sqs, url)
}

/// Receives and deletes until `count` events came; how often each id came, and the bodies.
async fn drain(sqs: &aws_sdk_sqs::Client, url: &str, count: usize) -> (BTreeMap<String, usize>, Vec<Value>) {
    let (mut ids, mut bodies) = (BTreeMap::new(), Vec::new());
    while bodies.len() < count {
        let receive = sqs.receive_message().queue_url(url).max_number_of_messages(10).wait_time_seconds(5);
        let messages = receive.send().await.unwrap().messages.expect("fewer events than expected");
        for message in messages {
            let delete = sqs.delete_message().queue_url(url).receipt_handle(message.receipt_handle().unwrap());
            delete.send().await.unwrap();
            let body: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            *ids.entry(body["eventId"].as_str().unwrap().to_owned()).or_default() += 1;
            bodies.push(body);
        }
    }
    let rest = sqs.receive_message().queue_url(url).send().await.unwrap();
    assert_eq!(rest.messages, None, "more events than expected");
    (ids, bodies)
}

fn event(record: usize, bytes: usize) -> ChangeEvent {
    ChangeEvent::insert("users", record as u64).after(&"x".repeat(bytes))
}

#[tokio::test]
async fn events_arrive_once_each_with_source_and_dense_numbers() {
    let (_queue, sqs, url) = start(10_000_000).await;
    let publisher = Publisher::to_queue(sqs.clone(), &url).source("billing-api").sequence(Sequence::starting_at(7));
    publisher.clone().publish(event(0, 10)).await.unwrap();
    publisher.publish_many((1..25).map(|record| event(record, 10))).await.unwrap();
    let (ids, bodies) = drain(&sqs, &url, 25).await;
    assert_eq!(ids.len(), 25);
    let seqs: Vec<_> = bodies.iter().map(|body| body["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (7..32).collect::<Vec<_>>());
    assert!(bodies.iter().all(|body| body["source"] == "billing-api"));
}

#[tokio::test]
async fn an_event_takes_its_trace_along_as_attributes_where_there_is_room_for_it() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (_queue, sqs, url) = start(10_000_000).await;
    let publisher = Publisher::to_queue(sqs.clone(), &url).bytes_max(1_000);
    let fitting = event(1, 10).trace(PARENT, "a=1");
    let tight = 1_000 - event(2, 0).encode().unwrap().len();
    let events = [fitting, event(2, tight).trace(PARENT, ""), event(3, 10).trace("no parent", "a=1"), event(4, 10)];
    publisher.publish_many(events).await.unwrap();
    let mut traces = BTreeMap::new();
    while traces.len() < 4 {
        let receive = sqs.receive_message().queue_url(&url).max_number_of_messages(10).message_attribute_names("All");
        for message in receive.wait_time_seconds(5).send().await.unwrap().messages.expect("all four are accepted") {
            let body: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            let attributes = message.message_attributes.unwrap_or_default();
            let text = |name: &str| Some(attributes.get(name)?.string_value()?.to_owned());
            traces.insert(body["recordId"].as_str().unwrap().to_owned(), (text("traceparent"), text("tracestate")));
        }
    }
    let expected = [
        ("1", (Some(PARENT.to_owned()), Some("a=1".to_owned()))),
        ("2", (None, None)),
        ("3", (None, None)),
        ("4", (None, None)),
    ];
    assert_eq!(traces, expected.map(|(record, trace)| (record.to_owned(), trace)).into());
}

#[tokio::test]
async fn batches_stay_within_the_mebibyte_that_sqs_takes() {
    let (_queue, sqs, url) = start(100_000_000).await;
    let publisher = Publisher::to_queue(sqs.clone(), &url);
    let sizes = [400_000, 400_000, 400_000, 1_000_000, 10, 1_048_300, 10];
    publisher.publish_many(sizes.into_iter().enumerate().map(|(n, bytes)| event(n, bytes))).await.unwrap();
    let (ids, _) = drain(&sqs, &url, sizes.len()).await;
    assert_eq!(ids.len(), sizes.len());
}

#[tokio::test]
async fn what_cannot_be_sent_is_named_and_the_rest_is_accepted() {
    let (_queue, sqs, url) = start(10_000_000).await;
    let publisher = Publisher::to_queue(sqs.clone(), &url).bytes_max(5_000);
    let events = [event(0, 10), event(1, 5_000), ChangeEvent::update("users", "u2"), event(3, 10)];
    let failures = publisher.publish_many(events).await.unwrap_err().failures;
    assert_eq!(failures.iter().map(|failure| failure.index).collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(failures[0].reason, Reason::TooLarge { bytes: 5_001.., bytes_max: 5_000 }), "{failures:?}");
    assert!(matches!(failures[1].reason, Reason::Build(BuildError::NoImage)), "{failures:?}");
    let (_, bodies) = drain(&sqs, &url, 2).await;
    assert_eq!(bodies.iter().map(|body| &body["recordId"]).collect::<Vec<_>>(), ["0", "3"]);
}

#[tokio::test]
async fn a_failed_request_names_every_event_and_publishing_them_again_is_enough() {
    let (_queue, sqs, url) = start(10_000_000).await;
    let elsewhere = url.replace("changes", "later");
    let publisher = Publisher::to_queue(sqs.clone(), &elsewhere).sequence(Sequence::starting_at(1));
    let error = publisher.publish_many((0..15).map(|record| event(record, 10))).await.unwrap_err();
    assert_eq!(error.to_string(), "15 events not known to be accepted");
    for (n, failure) in error.failures.iter().enumerate() {
        match &failure.reason {
            Reason::Refused { code, .. } if n < 10 => assert_eq!(code, "AWS.SimpleQueueService.NonExistentQueue"),
            Reason::NotSent if n >= 10 => {}
            reason => panic!("event {n}: {reason:?}"),
        }
    }
    sqs.create_queue().queue_name("later").send().await.unwrap();
    publisher.publish_many(error.into_events()).await.unwrap();
    let (ids, bodies) = drain(&sqs, &elsewhere, 15).await;
    assert_eq!(ids.len(), 15);
    let seqs: Vec<_> = bodies.iter().map(|body| body["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=15).collect::<Vec<_>>(), "the numbers of the first attempt");
}
