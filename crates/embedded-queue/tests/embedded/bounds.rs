//! Where the embedded queue begins and ends: its addresses, its memory, its shutdown.

use std::time::Duration;

use afterimage_embedded_queue::{EmbeddedQueue, Operation, Options};
use serde_json::{Value, json};

use crate::raw::{Outcome, ask, ask_for};

async fn start(options: Options) -> EmbeddedQueue {
    let queue = EmbeddedQueue::start_with(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let made = ask(&queue, Operation::CreateQueue, json!({"QueueName": "q"})).await.answer().json();
    assert_eq!(made["QueueUrl"], json!(queue.queue_url("q")), "the URL is known before the queue is made");
    queue
}

async fn send(queue: &EmbeddedQueue, body: &str) -> Result<(), Value> {
    let body = json!({"QueueUrl": "q", "MessageBody": body});
    let answer = ask(queue, Operation::SendMessage, body).await.answer();
    if answer.status == 200 { Ok(()) } else { Err(answer.json()["__type"].clone()) }
}

#[tokio::test]
async fn what_is_held_is_bounded_in_bytes() {
    let queue = start(Options { bytes_max: 100_000, ..Options::default() }).await;
    let body = "x".repeat(20_000);
    let mut sent = 0;
    let refused = loop {
        match send(&queue, &body).await {
            Ok(()) => sent += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, "com.amazonaws.sqs#RequestThrottled");
    assert!((1..=5).contains(&sent), "{sent}");
    let entries = json!([{"Id": "a", "MessageBody": body}]);
    let batch = json!({"QueueUrl": "q", "Entries": entries});
    let failed = ask(&queue, Operation::SendMessageBatch, batch).await.answer().json()["Failed"][0].clone();
    assert_eq!((&failed["Code"], &failed["SenderFault"]), (&json!("RequestThrottled"), &json!(false)));

    ask(&queue, Operation::PurgeQueue, json!({"QueueUrl": "q"})).await.answer();
    assert_eq!(send(&queue, &body).await, Ok(()));
}

#[tokio::test]
async fn shutdown_ends_long_polls_with_an_answer() {
    let queue = start(Options::default()).await;
    let body = json!({"QueueUrl": "q", "WaitTimeSeconds": 20});
    let poll = tokio::spawn(ask_for(Duration::from_secs(60), queue.address(), Operation::ReceiveMessage, body));
    tokio::time::sleep(Duration::from_millis(50)).await;
    queue.shutdown().await;
    match poll.await.unwrap() {
        Outcome::Answer(answer) => assert_eq!((answer.status, answer.json()), (200, json!({}))),
        // It came too late to be accepted.
        Outcome::Cut(came) => assert_eq!(came, None),
        Outcome::Silence => panic!("the poll never ended"),
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name() {
    let queue = start(Options::default()).await;
    let answer = ask(&queue, Operation::RemovePermission, json!({"QueueUrl": "q", "Label": "x"})).await.answer();
    assert_eq!((answer.status, &answer.json()["__type"]), (400, &json!("com.amazonaws.sqs#UnsupportedOperation")));
}
