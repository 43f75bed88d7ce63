//! Short and long polling
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>).

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use tokio::task::JoinSet;

use crate::queue::{bodies, body};
use crate::server::Sqs;

/// Twice as many polls as messages: every message wakes one of them, none is left behind. A poll that is not woken ends
/// empty, and a message that wakes nobody is missing in the end: time is no part of the verdict.
pub(crate) async fn every_send_wakes_a_long_poll(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let mut polls = JoinSet::new();
    for _ in 0..8 {
        let queue = queue.clone();
        polls.spawn(async move { queue.receive(1, 20).await });
    }
    for n in 0..4 {
        queue.send(&n.to_string()).await;
    }
    let mut came = Vec::new();
    while came.len() < 4 {
        let messages = polls.join_next().await.expect("a message is left behind").unwrap();
        came.extend(messages.iter().map(|message| body(message).to_owned()));
    }
    came.sort();
    assert_eq!(came, ["0", "1", "2", "3"]);
}

pub(crate) async fn a_long_poll_of_an_empty_queue_ends_empty(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let began = Instant::now();
    assert!(queue.receive(10, 1).await.is_empty());
    // Never earlier; a little less where servers count in other clocks.
    assert!(began.elapsed() > Duration::from_millis(500), "{:?}", began.elapsed());
}

pub(crate) async fn a_request_may_poll_shorter_than_its_queue_says(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::ReceiveMessageWaitTimeSeconds, "20")]).await;
    let began = Instant::now();
    assert!(queue.receive(10, 0).await.is_empty());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

pub(crate) async fn the_wait_of_the_queue_counts_where_the_request_names_none(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::ReceiveMessageWaitTimeSeconds, "1")]).await;
    let began = Instant::now();
    let received = queue.client.receive_message().queue_url(&queue.url).send().await.unwrap();
    assert!(received.messages().is_empty());
    assert!(began.elapsed() > Duration::from_millis(500), "{:?}", began.elapsed());
}

pub(crate) async fn the_end_of_a_time_out_wakes_a_long_poll(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "1")]).await;
    queue.send("x").await;
    let first = queue.take_one().await;
    let again = queue.receive(10, 20).await;
    assert_eq!(again.first().map(|message| message.message_id()), Some(first.message_id()));
}

/// Delays: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-timers.html>.
pub(crate) async fn the_end_of_a_delay_wakes_a_long_poll(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::DelaySeconds, "900")]).await;
    queue.send("late").await;
    queue.client.send_message().queue_url(&queue.url).message_body("soon").delay_seconds(1).send().await.unwrap();
    assert_eq!(bodies(&queue.receive(10, 20).await), ["soon"]);
}
