//! FIFO queues
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html>).

use aws_sdk_sqs::types::{
    MessageSystemAttributeName as System, QueueAttributeName as Name, SendMessageBatchRequestEntry,
};

use crate::queue::{bodies, body, refusal, system};
use crate::server::Sqs;

pub(crate) async fn a_group_comes_in_the_order_it_was_sent(sqs: Sqs) {
    let queue = sqs.fifo(&[(Name::VisibilityTimeout, "600")]).await;
    let entry = |n: usize| {
        let entry = SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(n.to_string());
        entry.message_group_id("g").message_deduplication_id(n.to_string()).build().unwrap()
    };
    let batch = queue.client.send_message_batch().queue_url(&queue.url);
    batch.set_entries(Some((0..5).map(entry).collect())).send().await.unwrap();
    for n in 5..8 {
        queue.send_to("g", &n.to_string()).await;
    }
    for n in 0..8 {
        // Deleting one frees the next.
        let message = queue.take_one().await;
        assert_eq!(body(&message), n.to_string());
        assert_eq!(system(&message, System::MessageGroupId), "g");
        queue.delete(&message).await;
    }
}

pub(crate) async fn several_of_a_group_come_in_one_receive(sqs: Sqs) {
    let queue = sqs.fifo(&[(Name::VisibilityTimeout, "600")]).await;
    let sent: Vec<String> = (0..4).map(|n| n.to_string()).collect();
    for body in &sent {
        queue.send_to("g", body).await;
    }
    assert_eq!(bodies(&queue.receive(10, 20).await), sent);
}

pub(crate) async fn a_group_in_flight_is_blocked_and_others_are_not(sqs: Sqs) {
    let queue = sqs.fifo(&[(Name::VisibilityTimeout, "600")]).await;
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
        queue.send_to(group, body).await;
    }
    let first = queue.take_one().await;
    let second = queue.take_one().await;
    // Which group comes first is not promised; the head of each is.
    let mut heads = [body(&first), body(&second)];
    heads.sort_unstable();
    assert_eq!(heads, ["a1", "b1"]);
    assert!(queue.is_silent().await, "a2 came while a1 was in flight");
    let head_of_a = if body(&first) == "a1" { &first } else { &second };
    queue.delete(head_of_a).await;
    assert_eq!(body(&queue.take_one().await), "a2");
}

pub(crate) async fn what_is_given_back_precedes_its_successors(sqs: Sqs) {
    let queue = sqs.fifo(&[(Name::VisibilityTimeout, "600")]).await;
    for body in ["1", "2", "3"] {
        queue.send_to("g", body).await;
    }
    let first = queue.take_one().await;
    queue.give_back(&first).await;
    let again = queue.drain(3).await;
    assert_eq!(bodies(&again), ["1", "2", "3"]);
    assert_eq!(system(&again[0], System::ApproximateReceiveCount), "2");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-key-terms.html>: for five minutes, and after
/// the message has been received and deleted.
pub(crate) async fn a_deduplication_id_counts_once_even_after_the_delete(sqs: Sqs) {
    let queue = sqs.fifo(&[(Name::VisibilityTimeout, "600")]).await;
    let send = async |body: &str| {
        let request = queue.client.send_message().queue_url(&queue.url).message_body(body).message_group_id("g");
        request.message_deduplication_id("once").send().await.unwrap()
    };
    let original = send("first").await;
    let duplicate = send("second").await;
    assert_eq!(duplicate.message_id(), original.message_id());
    assert_eq!(duplicate.sequence_number(), original.sequence_number());
    let message = queue.take_one().await;
    assert_eq!((body(&message), system(&message, System::MessageDeduplicationId)), ("first", "once"));
    queue.delete(&message).await;
    send("third").await;
    assert!(queue.is_silent().await);
}

/// `ContentBasedDeduplication`, a SHA-256 of the body:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html>.
pub(crate) async fn equal_bodies_count_once_where_content_deduplicates(sqs: Sqs) {
    let queue = sqs.fifo(&[(Name::ContentBasedDeduplication, "true"), (Name::VisibilityTimeout, "600")]).await;
    let mut ids = Vec::new();
    for body in ["x", "x", "y"] {
        let request = queue.client.send_message().queue_url(&queue.url).message_body(body).message_group_id("g");
        ids.push(request.send().await.unwrap().message_id);
    }
    assert_eq!(ids[0], ids[1]);
    let messages = queue.drain(2).await;
    assert_eq!(bodies(&messages), ["x", "y"]);
    // sha256sum of "x".
    let sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    assert_eq!(system(&messages[0], System::MessageDeduplicationId), sha256);
    assert!(queue.is_silent().await);
}

/// Same page.
pub(crate) async fn a_message_without_deduplication_is_refused(sqs: Sqs) {
    let queue = sqs.fifo(&[]).await;
    let request = queue.client.send_message().queue_url(&queue.url).message_body("x").message_group_id("g");
    assert_eq!(refusal(request.send().await), "InvalidParameterValue");
}

/// `MessageGroupId`: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>.
pub(crate) async fn a_message_without_a_group_is_refused(sqs: Sqs) {
    let queue = sqs.fifo(&[]).await;
    let request = queue.client.send_message().queue_url(&queue.url).message_body("x").message_deduplication_id("1");
    assert_eq!(refusal(request.send().await), "MissingParameter");
}

/// `SequenceNumber`, same page: 128 bits, and increasing within a group.
pub(crate) async fn sequence_numbers_increase(sqs: Sqs) {
    let queue = sqs.fifo(&[(Name::VisibilityTimeout, "600")]).await;
    let mut sent = Vec::new();
    for n in 0..5 {
        let number = queue.send_to("g", &n.to_string()).await.sequence_number.expect("a FIFO queue numbers messages");
        sent.push(number.parse::<u128>().unwrap());
    }
    assert!(sent.is_sorted_by(|a, b| a < b), "{sent:?}");
    let received = queue.drain(5).await;
    let received: Vec<u128> =
        received.iter().map(|message| system(message, System::SequenceNumber).parse().unwrap()).collect();
    assert_eq!(received, sent);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>: the dead-letter queue
/// of a FIFO queue is a FIFO queue.
pub(crate) async fn a_dead_letter_keeps_its_group(sqs: Sqs) {
    let dead = sqs.fifo(&[]).await;
    let policy = dead.as_dead_letter_queue(1).await;
    let queue = sqs.fifo(&[(Name::RedrivePolicy, &policy), (Name::VisibilityTimeout, "1")]).await;
    queue.send_to("g", "poison").await;
    queue.send_to("g", "next").await;
    let poison = queue.take_one().await;
    assert_eq!(body(&poison), "poison");
    // Once the poison has moved, its group goes on.
    let next = queue.take_one().await;
    assert_eq!(body(&next), "next");
    queue.delete(&next).await;
    let letter = dead.take_one().await;
    assert_eq!(body(&letter), "poison");
    // Its deduplication id may become another: at AWS it is the message's id then
    // (https://github.com/awsdocs/amazon-sqs-developer-guide/pull/54).
    assert_eq!(system(&letter, System::MessageGroupId), "g");
    assert_eq!(system(&letter, System::DeadLetterQueueSourceArn), queue.arn().await);
}

/// `DelaySeconds`: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>.
pub(crate) async fn a_message_has_no_delay_of_its_own(sqs: Sqs) {
    let queue = sqs.fifo(&[]).await;
    let request = queue.client.send_message().queue_url(&queue.url).message_body("x").message_group_id("g");
    assert_eq!(refusal(request.message_deduplication_id("1").delay_seconds(1).send().await), "InvalidParameterValue");
}

/// `FifoQueue`: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>.
pub(crate) async fn a_name_and_an_attribute_make_a_queue_fifo(sqs: Sqs) {
    let name = sqs.unique();
    let request = sqs.client.create_queue().queue_name(&name).attributes(Name::FifoQueue, "true");
    assert_eq!(refusal(request.send().await), "InvalidParameterValue");
    let request = sqs.client.create_queue().queue_name(format!("{name}.fifo"));
    assert_eq!(refusal(request.send().await), "InvalidParameterValue");
    assert_eq!(sqs.fifo(&[]).await.attribute(Name::FifoQueue).await, "true");
}
