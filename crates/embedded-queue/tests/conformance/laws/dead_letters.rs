//! Dead-letter queues
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>), and back
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>).

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Name};
use tokio::time::{Duration, Instant, sleep};

use crate::queue::{Queue, body, refusal, system};
use crate::server::Sqs;

/// A queue with its dead-letter queue, where messages go that were received so often.
async fn pair(sqs: &Sqs, receives_max: u32) -> (Queue, Queue) {
    let dead = sqs.queue(&[]).await;
    let policy = dead.as_dead_letter_queue(receives_max).await;
    (sqs.queue(&[(Name::RedrivePolicy, &policy), (Name::VisibilityTimeout, "1")]).await, dead)
}

/// Receives from `queue` until a message lies in `dead`; gives both receives.
async fn until_dead(queue: &Queue, dead: &Queue) -> Vec<aws_sdk_sqs::types::Message> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        // A message moves when it would be received once too often, so somebody must ask for it.
        queue.receive(1, 1).await;
        let letters = dead.receive(1, 0).await;
        if !letters.is_empty() {
            return letters;
        }
        assert!(Instant::now() < deadline, "no message became a dead letter");
    }
}

pub(crate) async fn what_is_received_too_often_moves_and_tells_where_from(sqs: Sqs) {
    let (queue, dead) = pair(&sqs, 2).await;
    let sent = queue.send("poison").await;
    for receives in ["1", "2"] {
        assert_eq!(system(&queue.take_one().await, System::ApproximateReceiveCount), receives);
    }
    let letter = until_dead(&queue, &dead).await.remove(0);
    assert_eq!((letter.message_id(), body(&letter)), (sent.message_id(), "poison"));
    assert_eq!(system(&letter, System::DeadLetterQueueSourceArn), queue.arn().await);
    queue.until_counts([0, 0, 0]).await;
}

pub(crate) async fn a_redrive_policy_needs_a_queue_to_point_to(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let policy = queue.as_dead_letter_queue(1).await.replace(&queue.name, &sqs.unique());
    let request = sqs.client.set_queue_attributes().queue_url(&queue.url).attributes(Name::RedrivePolicy, policy);
    let code = refusal(request.send().await);
    assert!(["InvalidParameterValue", "NonExistentQueue", "QueueDoesNotExist"].contains(&&code[..]), "{code}");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListDeadLetterSourceQueues.html>.
pub(crate) async fn the_sources_of_a_dead_letter_queue_are_listed(sqs: Sqs) {
    let (queue, dead) = pair(&sqs, 1).await;
    let listed = sqs.client.list_dead_letter_source_queues().queue_url(&dead.url).send().await.unwrap();
    assert_eq!(listed.queue_urls(), [queue.url]);
}

/// Each goes where it came from, and counts its receives from the beginning: else it would be a dead letter again.
pub(crate) async fn a_move_task_brings_messages_back_afresh(sqs: Sqs) {
    let (queue, dead) = pair(&sqs, 1).await;
    queue.send("poison").await;
    queue.take_one().await;
    let letter = until_dead(&queue, &dead).await.remove(0);
    dead.give_back(&letter).await;
    let dead_arn = dead.arn().await;
    let started = sqs.client.start_message_move_task().source_arn(&dead_arn).send().await.unwrap();
    assert!(started.task_handle().is_some_and(|handle| !handle.is_empty()), "{started:?}");
    let back = queue.take_one().await;
    assert_eq!((body(&back), system(&back, System::ApproximateReceiveCount)), ("poison", "1"));
    dead.until_counts([0, 0, 0]).await;

    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let listed = sqs.client.list_message_move_tasks().source_arn(&dead_arn).send().await.unwrap();
        let task = listed.results().first().expect("the task is listed");
        if task.status() == Some("COMPLETED") {
            assert_eq!((task.source_arn(), task.approximate_number_of_messages_moved()), (Some(&dead_arn[..]), 1));
            return;
        }
        assert!(Instant::now() < deadline, "{task:?}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>: the source must be
/// the dead-letter queue of another.
pub(crate) async fn a_move_task_needs_a_dead_letter_queue(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let request = sqs.client.start_message_move_task().source_arn(queue.arn().await);
    let code = refusal(request.send().await);
    assert!(["InvalidParameterValue", "UnsupportedOperation"].contains(&&code[..]), "{code}");
}
