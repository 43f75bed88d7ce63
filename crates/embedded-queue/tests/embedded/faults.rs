//! Each fault is seen on the wire exactly as it is announced, where it is announced, and is counted.

use std::time::{Duration, Instant};

use afterimage_embedded_queue::{EmbeddedQueue, Fault, Faults, Operation, Options, Rule};
use serde_json::{Value, json};

use crate::raw::{Outcome, ask, ask_for};

/// An endpoint with the queue `q`, made before there are faults.
async fn start(faults: Faults) -> EmbeddedQueue {
    let queue = EmbeddedQueue::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let made = ask(&queue, Operation::CreateQueue, json!({"QueueName": "q"})).await;
    assert!(made.is_ok(), "{made:?}");
    queue.set_faults(faults);
    queue
}

fn always(fault: Fault) -> Faults {
    Faults::seeded(1).with(Rule::new(fault))
}

async fn send(queue: &EmbeddedQueue, body: &str) -> Outcome {
    ask(queue, Operation::SendMessage, json!({"QueueUrl": "q", "MessageBody": body})).await
}

async fn receive(queue: &EmbeddedQueue) -> Vec<Value> {
    let body = json!({"QueueUrl": "q", "MaxNumberOfMessages": 10, "AttributeNames": ["All"]});
    let answer = ask(queue, Operation::ReceiveMessage, body).await.answer();
    answer.json()["Messages"].as_array().cloned().unwrap_or_default()
}

fn handle(message: &Value) -> &Value {
    &message["ReceiptHandle"]
}

async fn delete(queue: &EmbeddedQueue, messages: &[Value]) -> Value {
    let entries: Vec<_> = messages
        .iter()
        .enumerate()
        .map(|(n, message)| json!({"Id": n.to_string(), "ReceiptHandle": handle(message)}))
        .collect();
    let body = json!({"QueueUrl": "q", "Entries": entries});
    ask(queue, Operation::DeleteMessageBatch, body).await.answer().json()
}

/// Visible and in flight, without faults.
async fn counts(queue: &EmbeddedQueue) -> (String, String) {
    queue.set_faults(Faults::none());
    let body = json!({"QueueUrl": "q", "AttributeNames": ["All"]});
    let shown = ask(queue, Operation::GetQueueAttributes, body).await.answer().json();
    let count = |name: &str| shown["Attributes"][name].as_str().unwrap().to_owned();
    (count("ApproximateNumberOfMessages"), count("ApproximateNumberOfMessagesNotVisible"))
}

async fn visible(queue: &EmbeddedQueue) -> String {
    counts(queue).await.0
}

#[tokio::test]
async fn without_rules_nothing_is_injected() {
    let queue = start(Faults::seeded(1)).await;
    for n in 0..20 {
        assert!(send(&queue, &n.to_string()).await.is_ok());
    }
    let received = [receive(&queue).await, receive(&queue).await].concat();
    assert_eq!(delete(&queue, &received[..10]).await["Failed"], Value::Null);
    assert_eq!(counts(&queue).await, ("0".to_owned(), "10".to_owned()));
    assert_eq!(queue.fault_counts().total(), 0);
}

#[tokio::test]
async fn refusals_have_the_status_shape_and_party_of_the_service_and_are_not_carried_out() {
    let cases = [
        (Fault::Throttle, 400, "com.amazonaws.sqs#RequestThrottled", "RequestThrottled;Sender"),
        (Fault::RateExceeded, 400, "com.amazon.coral.availability#ThrottlingException", "ThrottlingException;Sender"),
        (Fault::Error500, 500, "com.amazon.coral.service#InternalFailure", "InternalFailure;Receiver"),
        (Fault::Error503, 503, "com.amazon.coral.service#ServiceUnavailableException", "ServiceUnavailable;Receiver"),
    ];
    for (fault, status, shape, query_error) in cases {
        let queue = start(always(fault)).await;
        let answer = send(&queue, "x").await.answer();
        assert_eq!((answer.status, &answer.json()["__type"]), (status, &json!(shape)));
        assert!(answer.head.contains(&format!("x-amzn-query-error: {query_error}")), "{}", answer.head);
        assert_eq!(queue.fault_counts().of(fault), 1);
        assert_eq!(visible(&queue).await, "0");
    }
    for (fault, status) in [(Fault::Bare500, 500), (Fault::Bare503, 503)] {
        let queue = start(always(fault)).await;
        let answer = send(&queue, "x").await.answer();
        assert_eq!((answer.status, answer.body.len()), (status, 0));
        assert_eq!(queue.fault_counts().of(fault), 1);
        assert_eq!(visible(&queue).await, "0");
    }
}

#[tokio::test]
async fn cuts_and_black_holes_come_before_the_request_is_carried_out_or_after_it_as_announced() {
    let cases = [
        (Fault::Outage, Outcome::Cut(None), "0"),
        (Fault::CutBefore, Outcome::Cut(None), "0"),
        (Fault::CutAfter, Outcome::Cut(None), "1"),
        (Fault::BlackHoleBefore, Outcome::Silence, "0"),
        (Fault::BlackHoleAfter, Outcome::Silence, "1"),
    ];
    for (fault, expected, carried_out) in cases {
        let queue = start(always(fault)).await;
        let patience = Duration::from_secs(if expected == Outcome::Silence { 1 } else { 30 });
        let body = json!({"QueueUrl": "q", "MessageBody": "x"});
        assert_eq!(ask_for(patience, queue.address(), Operation::SendMessage, body).await, expected, "{fault:?}");
        assert_eq!(queue.fault_counts().of(fault), 1);
        assert_eq!(visible(&queue).await, carried_out, "{fault:?}");
        // A black hole does not keep the endpoint from ending.
        queue.shutdown().await;
    }
}

#[tokio::test]
async fn a_cut_body_is_announced_in_full_and_half_of_it_comes() {
    let queue = start(Faults::none()).await;
    let whole = send(&queue, "x").await.answer().body.len();
    queue.set_faults(always(Fault::CutBody));
    assert_eq!(send(&queue, "x").await, Outcome::Cut(Some(whole / 2)));
    assert_eq!(queue.fault_counts().of(Fault::CutBody), 1);
    assert_eq!(visible(&queue).await, "2");
}

#[tokio::test]
async fn a_garbled_body_has_status_200_and_is_no_json() {
    let queue = start(always(Fault::GarbledBody)).await;
    let answer = send(&queue, "x").await.answer();
    assert_eq!((answer.status, answer.json()), (200, Value::Null));
    assert_eq!(visible(&queue).await, "1");
}

#[tokio::test]
async fn slow_bodies_and_latency_take_the_time_of_their_rule_and_answer_right() {
    let duration = Duration::from_millis(100);
    for fault in [Fault::SlowBody, Fault::Latency] {
        let queue = start(Faults::seeded(1).with(Rule::new(fault).lasting(duration..=duration))).await;
        let began = Instant::now();
        assert!(send(&queue, "x").await.is_ok());
        assert!(began.elapsed() >= duration, "{fault:?} {:?}", began.elapsed());
        assert_eq!(queue.fault_counts().of(fault), 1);
    }
}

#[tokio::test]
async fn latency_comes_on_top_of_another_fault_and_of_others_the_first_kind_strikes() {
    let faults = [Fault::Bare503, Fault::Latency, Fault::Throttle];
    let queue = start(faults.into_iter().fold(Faults::seeded(1), |faults, fault| {
        faults.with(Rule::new(fault).lasting(Duration::from_millis(1)..=Duration::from_millis(1)))
    }))
    .await;
    assert_eq!(send(&queue, "x").await.answer().status, 400);
    let counts = queue.fault_counts();
    assert_eq!(faults.map(|fault| counts.of(fault)), [0, 1, 1]);
}

#[tokio::test]
async fn an_outage_ends_after_as_many_attempts_as_its_rule_says() {
    let queue = start(Faults::seeded(1).with(Rule::new(Fault::Outage).numbers(2..5))).await;
    let mut answered = Vec::new();
    for n in 0..6 {
        answered.push(send(&queue, &n.to_string()).await.is_ok());
    }
    assert_eq!(answered, [true, false, false, false, true, true]);
    assert_eq!(queue.fault_counts().of(Fault::Outage), 3);
    assert_eq!(visible(&queue).await, "3");
}

#[tokio::test]
async fn a_duplicate_is_received_again_while_the_first_is_leased() {
    let queue = start(Faults::seeded(1).with(Rule::new(Fault::Duplicate).numbers(1..2))).await;
    send(&queue, "x").await;
    let (first, second) = (receive(&queue).await, receive(&queue).await);
    assert_eq!(first[0]["MessageId"], second[0]["MessageId"]);
    assert_eq!(second[0]["Attributes"]["ApproximateReceiveCount"], "2");
    assert!(receive(&queue).await.is_empty());
    assert_eq!(queue.fault_counts().of(Fault::Duplicate), 1);
    delete(&queue, &first).await;
    assert_eq!(counts(&queue).await.1, "1", "the second receive took the message over");
    delete(&queue, &second).await;
    assert_eq!(counts(&queue).await.1, "0");
}

#[tokio::test]
async fn a_stale_handle_deletes_nothing_and_cannot_extend() {
    let queue = start(always(Fault::StaleHandle)).await;
    send(&queue, "x").await;
    let received = receive(&queue).await;
    let deleted = delete(&queue, &received).await;
    assert_eq!(deleted["Successful"], json!([{"Id": "0"}]));
    let extend = json!({"QueueUrl": "q", "ReceiptHandle": handle(&received[0]), "VisibilityTimeout": 60});
    let extended = ask(&queue, Operation::ChangeMessageVisibility, extend).await.answer();
    assert_eq!((extended.status, &extended.json()["__type"]), (400, &json!("com.amazonaws.sqs#InvalidParameterValue")));
    assert_eq!(queue.fault_counts().of(Fault::StaleHandle), 1);
    assert_eq!(counts(&queue).await, ("0".to_owned(), "1".to_owned()));
}

#[tokio::test]
async fn failed_entries_stand_in_a_200_and_are_nobodys_fault() {
    let queue =
        start(Faults::seeded(1).with(Rule::new(Fault::FailedEntry).numbers(2..3).on(Operation::SendMessageBatch)))
            .await;
    let entries: Vec<_> = (0..3).map(|n| json!({"Id": n.to_string(), "MessageBody": n.to_string()})).collect();
    let sent = ask(&queue, Operation::SendMessageBatch, json!({"QueueUrl": "q", "Entries": entries})).await.answer();
    assert_eq!(sent.status, 200);
    let failed = &sent.json()["Failed"];
    assert_eq!(failed.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&failed[0]["Id"], &failed[0]["Code"], &failed[0]["SenderFault"]),
        (&json!("1"), &json!("InternalError"), &json!(false))
    );

    queue.set_faults(Faults::seeded(1).with(Rule::new(Fault::FailedEntry).on(Operation::DeleteMessageBatch)));
    let received = receive(&queue).await;
    assert_eq!(received.iter().map(|message| &message["Body"]).collect::<Vec<_>>(), ["0", "2"]);
    assert_eq!(delete(&queue, &received).await["Failed"].as_array().map(Vec::len), Some(2));
    assert_eq!(queue.fault_counts().of(Fault::FailedEntry), 3);
    assert_eq!(counts(&queue).await.1, "2");
}

#[tokio::test]
async fn a_lost_delete_is_answered_with_success() {
    let queue = start(Faults::seeded(1).with(Rule::new(Fault::LostDelete).numbers(1..2))).await;
    for body in ["a", "b"] {
        send(&queue, body).await;
    }
    let received = receive(&queue).await;
    let deleted = delete(&queue, &received).await;
    assert_eq!(deleted["Successful"].as_array().map(Vec::len), Some(2));
    assert_eq!(queue.fault_counts().of(Fault::LostDelete), 1);
    assert_eq!(counts(&queue).await.1, "1");
}

#[tokio::test]
async fn a_message_that_is_held_back_is_overtaken() {
    let an_hour = Duration::from_secs(3600);
    let rule = Rule::new(Fault::Reorder).numbers(1..2).lasting(an_hour..=an_hour);
    let queue = start(Faults::seeded(1).with(rule)).await;
    send(&queue, "first").await;
    send(&queue, "second").await;
    let received = receive(&queue).await;
    assert_eq!(received.iter().map(|message| &message["Body"]).collect::<Vec<_>>(), ["second"]);
    assert_eq!(queue.fault_counts().of(Fault::Reorder), 1);
    let body = json!({"QueueUrl": "q", "AttributeNames": ["ApproximateNumberOfMessagesDelayed"]});
    let shown = ask(&queue, Operation::GetQueueAttributes, body).await.answer().json();
    assert_eq!(shown["Attributes"]["ApproximateNumberOfMessagesDelayed"], "1");
}

#[tokio::test]
async fn fifo_queues_neither_duplicate_nor_reorder() {
    let faults = Faults::seeded(1).with(Rule::new(Fault::Duplicate)).with(Rule::new(Fault::Reorder));
    let queue = EmbeddedQueue::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let made = json!({"QueueName": "q.fifo", "Attributes": {"FifoQueue": "true", "ContentBasedDeduplication": "true"}});
    assert!(ask(&queue, Operation::CreateQueue, made).await.is_ok());
    queue.set_faults(faults);
    for body in ["first", "second"] {
        let body = json!({"QueueUrl": "q.fifo", "MessageBody": body, "MessageGroupId": "g"});
        assert!(ask(&queue, Operation::SendMessage, body).await.is_ok());
    }
    let mut received = Vec::new();
    for _ in 0..2 {
        let body = json!({"QueueUrl": "q.fifo", "MaxNumberOfMessages": 10});
        let answer = ask(&queue, Operation::ReceiveMessage, body).await.answer().json();
        received.extend(answer["Messages"].as_array().into_iter().flatten().map(|message| message["Body"].clone()));
    }
    assert_eq!(received, ["first", "second"]);
    assert_eq!(queue.fault_counts().total(), 0);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answers() {
    let text = "throttle=0.2,bare-503=0.2,cut-before=0.1,garbled-body=0.1,failed-entry=0.3";
    let mut sequences = Vec::new();
    for seed in [7, 7, 8] {
        let faults = format!("seed={seed},{text}").parse().unwrap();
        let options = Options { faults, ..Options::default() };
        let queue = EmbeddedQueue::start_with(([127, 0, 0, 1], 0).into(), options).await.unwrap();
        let mut sequence = Vec::new();
        for _ in 0..60 {
            let outcome = ask(&queue, Operation::ListQueues, json!({})).await;
            sequence.push(match outcome {
                Outcome::Answer(answer) => (answer.status, answer.body),
                other => (0, format!("{other:?}").into_bytes()),
            });
        }
        sequences.push((sequence, queue.fault_counts()));
    }
    assert_eq!(sequences[0], sequences[1]);
    assert_ne!(sequences[0], sequences[2]);
}
