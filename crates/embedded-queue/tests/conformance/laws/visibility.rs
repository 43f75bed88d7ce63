//! Visibility time-outs
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Name};

use crate::queue::{Queue, handle, refusal, system};
use crate::server::Sqs;

/// Twelve hours.
const TOTAL_MAX_S: i32 = 43_200;

pub(crate) async fn a_received_message_is_hidden_and_comes_again_when_its_time_out_ends(sqs: Sqs) {
    let hidden = sqs.queue(&[(Name::VisibilityTimeout, "600")]).await;
    let shown = sqs.queue(&[(Name::VisibilityTimeout, "1")]).await;
    for queue in [&hidden, &shown] {
        queue.send("x").await;
        queue.take_one().await;
    }
    assert!(hidden.is_silent().await);
    assert_eq!(system(&shown.take_one().await, System::ApproximateReceiveCount), "2");
}

pub(crate) async fn a_change_to_zero_gives_back_at_once(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "600")]).await;
    queue.send("x").await;
    let first = queue.take_one().await;
    queue.give_back(&first).await;
    let again = queue.take_one().await;
    assert_eq!(again.message_id(), first.message_id());
    assert_ne!(handle(&again), handle(&first));
}

pub(crate) async fn an_extension_holds(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "4")]).await;
    queue.send("x").await;
    let message = queue.take_one().await;
    let change = queue.client.change_message_visibility().queue_url(&queue.url).receipt_handle(handle(&message));
    change.visibility_timeout(600).send().await.unwrap();
    assert!(queue.receive(10, 6).await.is_empty(), "it came again at its first time-out");
}

async fn refused_change(queue: &Queue, after: Duration, timeout_s: i32) -> String {
    let message = queue.take_one().await;
    tokio::time::sleep(after).await;
    let change = queue.client.change_message_visibility().queue_url(&queue.url).receipt_handle(handle(&message));
    refusal(change.visibility_timeout(timeout_s).send().await)
}

/// The twelve hours run from the receive: a second later, twelve hours more are too many.
pub(crate) async fn no_message_is_kept_longer_than_twelve_hours_in_all(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "600")]).await;
    queue.send("x").await;
    assert_eq!(refused_change(&queue, Duration::from_millis(1100), TOTAL_MAX_S).await, "InvalidParameterValue");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>.
pub(crate) async fn a_time_out_beyond_twelve_hours_is_refused(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "600")]).await;
    queue.send("x").await;
    assert_eq!(refused_change(&queue, Duration::ZERO, TOTAL_MAX_S + 1).await, "InvalidParameterValue");
}

/// `MessageNotInflight`, same page.
pub(crate) async fn a_change_needs_a_message_in_flight(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    queue.send("x").await;
    let message = queue.take_one().await;
    queue.give_back(&message).await;
    let change = queue.client.change_message_visibility().queue_url(&queue.url).receipt_handle(handle(&message));
    assert_eq!(refusal(change.visibility_timeout(30).send().await), "MessageNotInflight");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>.
pub(crate) async fn receives_are_counted_and_the_first_is_remembered(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "0")]).await;
    queue.send("x").await;
    let mut receives = Vec::new();
    for _ in 0..3 {
        receives.push(queue.take_one().await);
    }
    let counts: Vec<_> = receives.iter().map(|message| system(message, System::ApproximateReceiveCount)).collect();
    assert_eq!(counts, ["1", "2", "3"]);
    let firsts = receives.iter().map(|message| system(message, System::ApproximateFirstReceiveTimestamp));
    let firsts: Vec<u64> = firsts.map(|first| first.parse().unwrap()).collect();
    let sent: u64 = system(&receives[0], System::SentTimestamp).parse().unwrap();
    assert!(firsts.iter().all(|first| *first == firsts[0] && *first >= sent), "sent {sent}, received {firsts:?}");
}

/// Same page.
pub(crate) async fn the_sent_timestamp_is_in_milliseconds(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    queue.send("x").await;
    let sent: u128 = system(&queue.take_one().await, System::SentTimestamp).parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    assert!(now.abs_diff(sent) < 300_000, "sent {sent}, now {now}");
}
