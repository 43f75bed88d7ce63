//! The worker against a real queue server: everything between the SDK and the wire.

use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::dead_letter::{DEDUPLICATION_ID, DETAIL, ORIGIN, PLACE, REASON, WORKER};
use afterimage_consumer::{
    Ask, End, Finish, Handle, Limits, Metrics, Pipeline, Queue, QueueErrorKind, QueueKind, SqsQueue, SqsSettings,
    Worker,
};
use afterimage_diff::Rules;
use afterimage_event::Settings;
use afterimage_store::{Lookup, MemoryStore, Store};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Builder;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

/// The server, or nothing when skipping was asked for. Not having one is a failure: silence would look like success.
fn config() -> Option<Builder> {
    if let Ok(endpoint) = std::env::var("AFTERIMAGE_TEST_SQS_ENDPOINT") {
        let config = crate::pair::config(endpoint);
        return Some(config);
    }
    if std::env::var("AFTERIMAGE_TEST_SKIP_SERVERS").is_ok_and(|skip| skip == "1") {
        println!("SKIPPED: AFTERIMAGE_TEST_SKIP_SERVERS=1 and no AFTERIMAGE_TEST_SQS_ENDPOINT");
        return None;
    }
    panic!(
        "AFTERIMAGE_TEST_SQS_ENDPOINT is not set: start ElasticMQ with tests/servers/elasticmq.sh and set it to its URL, or \
         set AFTERIMAGE_TEST_SKIP_SERVERS=1"
    );
}

struct Bench {
    config: Builder,
    client: Client,
    queue_url: String,
    dlq_url: String,
}

impl Bench {
    /// Two queues of this test's own.
    async fn new(name: &str) -> Option<Self> {
        let config = config()?;
        let client = Client::from_conf(config.clone().build());
        let unique = format!("{name}-{}", fastrand::u64(..));
        let mut urls = Vec::new();
        for queue in [unique.clone(), format!("{unique}-dlq")] {
            let created = client.create_queue().queue_name(queue).send().await.expect("a queue is made");
            urls.push(created.queue_url.expect("a queue has a URL"));
        }
        let dlq_url = urls.pop().unwrap();
        Some(Self { config, client, queue_url: urls.pop().unwrap(), dlq_url })
    }

    /// The same, in FIFO.
    async fn fifo(name: &str) -> Option<Self> {
        let config = config()?;
        let client = Client::from_conf(config.clone().build());
        let unique = format!("{name}-{}", fastrand::u64(..));
        let mut urls = Vec::new();
        for queue in [format!("{unique}.fifo"), format!("{unique}-dlq.fifo")] {
            let request = client.create_queue().queue_name(queue).attributes(QueueAttributeName::FifoQueue, "true");
            urls.push(request.send().await.expect("a queue is made").queue_url.expect("a queue has a URL"));
        }
        let dlq_url = urls.pop().unwrap();
        Some(Self { config, client, queue_url: urls.pop().unwrap(), dlq_url })
    }

    /// Sends to groups: group, deduplication id, body.
    async fn send_to(&self, messages: &[(String, String, String)]) {
        for batch in messages.chunks(10) {
            let entries = batch
                .iter()
                .enumerate()
                .map(|(n, (group, deduplication, body))| {
                    SendMessageBatchRequestEntry::builder()
                        .id(n.to_string())
                        .message_body(body)
                        .message_group_id(group)
                        .message_deduplication_id(deduplication)
                        .build()
                })
                .collect::<Result<Vec<_>, _>>()
                .unwrap();
            let request = self.client.send_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
            assert!(request.send().await.unwrap().failed.is_empty());
        }
    }

    fn queue(&self) -> SqsQueue {
        let settings = SqsSettings {
            queue_url: self.queue_url.clone(),
            dlq_url: Some(self.dlq_url.clone()),
            wait: Duration::from_secs(20),
            bytes_max: 32 << 20,
            connections_max: 8,
        };
        SqsQueue::new(self.config.clone(), settings)
    }

    async fn send(&self, bodies: &[String]) {
        for batch in bodies.chunks(10) {
            let entries = batch
                .iter()
                .enumerate()
                .map(|(n, body)| SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body).build())
                .collect::<Result<Vec<_>, _>>()
                .unwrap();
            let request = self.client.send_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
            assert!(request.send().await.unwrap().failed.is_empty());
        }
    }

    async fn work(&self, store: Arc<dyn Store>, limits: Limits) -> End {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let pipeline = Arc::new(Pipeline::new(Settings::default(), Rules::default()));
        let queue = Arc::new(self.queue());
        let worker = Worker::new(limits, Duration::from_secs(10), queue, store, pipeline, metrics).unwrap();
        worker.run(CancellationToken::new()).await
    }

    async fn left(&self, url: &str) -> Vec<String> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.client.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
        let counts = request.send().await.unwrap().attributes.unwrap();
        names.iter().map(|name| counts[name].clone()).collect()
    }
}

fn limits() -> Limits {
    Limits {
        pollers_max: 8,
        bytes_max: 32 << 20,
        has_dead_letter_queue: true,
        exit_when_idle: Some(Duration::from_secs(1)),
        worker: "w-test".to_owned(),
        ..Limits::default()
    }
}

fn update(n: usize) -> String {
    format!(
        r#"{{"eventId":"ev-{n}","tableName":"users","recordId":"u{n}","operation":"update","occurredAt":"2026-01-09T10:00:05Z","before":{{"n":{n},"s":"a"}},"after":{{"n":{n},"s":"b"}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_emptied_into_the_store_and_poison_into_the_dead_letters() {
    let Some(bench) = Bench::new("emptied").await else { return };
    let mut bodies: Vec<String> = (0..1000).map(update).collect();
    bodies.push(update(3)); // told twice
    bodies.push(update(1).replace(r#""s":"b""#, r#""s":"a""#).replace("ev-1", "ev-same"));
    bodies.push("{broken".to_owned());
    bench.send(&bodies).await;
    let store = Arc::new(MemoryStore::default());
    let end = bench.work(Arc::clone(&store) as Arc<dyn Store>, limits()).await;
    assert_eq!(end.finish, Finish::Idle);
    let books = end.books;
    assert_eq!((books.received, books.deleted, books.dead_lettered), (1003, 1003, 1), "{books:?}");
    assert_eq!((books.decoded, books.stored, books.unchanged, books.rejected), (1003, 1001, 1, 1), "{books:?}");
    assert_eq!(bench.left(&bench.queue_url).await, ["0", "0"]);
    let ids: Vec<String> = (0..1000).map(|n| format!("ev-{n}")).collect();
    let contents = store.contents("default", "default", &ids).await.unwrap();
    assert!(contents.iter().all(|versions| !versions.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_keeps_body_and_attributes_and_says_why() {
    let Some(bench) = Bench::new("letters").await else { return };
    let text = |value: &str| MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap();
    let bytes = MessageAttributeValue::builder()
        .data_type("Binary.custom")
        .binary_value(aws_sdk_sqs::primitives::Blob::new([0, 255]))
        .build()
        .unwrap();
    let sent = bench
        .client
        .send_message()
        .queue_url(&bench.queue_url)
        .message_body(r#"{"tableName":"users","operation":"explode"}"#)
        .message_attributes("traceparent", text("00-1"))
        .message_attributes("blob", bytes.clone())
        .send()
        .await
        .unwrap();
    bench.work(Arc::new(MemoryStore::default()), limits()).await;
    let received = bench
        .client
        .receive_message()
        .queue_url(&bench.dlq_url)
        .message_attribute_names("All")
        .wait_time_seconds(5)
        .send()
        .await
        .unwrap();
    let letter = received.messages.unwrap().remove(0);
    assert_eq!(letter.body(), Some(r#"{"tableName":"users","operation":"explode"}"#));
    let attributes = letter.message_attributes.unwrap();
    let value = |name: &str| attributes[name].string_value.clone().unwrap();
    assert_eq!(value("traceparent"), "00-1");
    assert_eq!(attributes["blob"], bytes);
    assert_eq!(value(REASON), "bad_value");
    assert_eq!(value(WORKER), "w-test");
    assert!(value(PLACE).contains("/operation") && !value(DETAIL).contains("explode"));
    assert!(value(ORIGIN).contains(sent.message_id().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_pass_through_a_small_budget() {
    let Some(bench) = Bench::new("large").await else { return };
    let padding = "x".repeat(900 << 10);
    for n in 0..15 {
        bench.send(&[update(n).replace(r#""s":"b""#, &format!(r#""s":"{padding}""#))]).await;
    }
    let books = bench.work(Arc::new(MemoryStore::default()), limits()).await.books;
    assert_eq!((books.deleted, books.stored, books.lease_lost), (15, 15, 0), "{books:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_answers_for_each_item() {
    let Some(bench) = Bench::new("items").await else { return };
    bench.send(&[update(1), update(2)]).await;
    let queue = bench.queue();
    let ask = Ask { messages_max: 10, wait: Duration::from_secs(1), lease: Duration::from_secs(30) };
    let mut handles: Vec<Handle> = Vec::new();
    while handles.len() < 2 {
        let receipt = queue.receive(ask, &CancellationToken::new()).await.unwrap();
        handles.extend(receipt.messages.iter().map(|message| message.handle.clone()));
        assert!(receipt.messages.iter().all(|message| message.receive_count == 1));
    }
    handles[1].receipt = "no such handle".into();
    let results = queue.change_visibility(&handles, 60).await.unwrap();
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
    assert!(results[1].as_ref().unwrap_err().is_final, "{results:?}");
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.visible, counts.in_flight), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_queue_is_a_misconfiguration_and_named() {
    let Some(mut bench) = Bench::new("missing").await else { return };
    bench.queue_url.push_str("-nowhere");
    let ask = Ask { messages_max: 10, wait: Duration::ZERO, lease: Duration::from_secs(30) };
    let error = bench.queue().receive(ask, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.kind, QueueErrorKind::Misconfigured, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_ends_when_it_is_cancelled() {
    let Some(bench) = Bench::new("cancelled").await else { return };
    let cancel = CancellationToken::new();
    let ask = Ask { messages_max: 10, wait: Duration::from_secs(20), lease: Duration::from_secs(30) };
    let queue = bench.queue();
    let receive = queue.receive(ask, &cancel);
    tokio::pin!(receive);
    tokio::select! {
        _ = &mut receive => panic!("an empty queue waits"),
        () = tokio::time::sleep(Duration::from_millis(500)) => cancel.cancel(),
    }
    assert!(receive.await.unwrap().messages.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_queue_is_emptied_and_its_dead_letters_keep_group_and_order() {
    let Some(bench) = Bench::fifo("groups").await else { return };
    let mut messages = Vec::new();
    for n in 0..600 {
        let (group, place) = (n % 6, n / 6);
        let body = if place % 10 == 3 { format!("{{broken {group} {place}") } else { update(n) };
        messages.push((format!("g{group}"), format!("d{n}"), body));
    }
    bench.send_to(&messages).await;
    let store = Arc::new(MemoryStore::default());
    let end = bench.work(Arc::clone(&store) as Arc<dyn Store>, limits()).await;
    let books = end.books;
    assert_eq!((books.received, books.deleted, books.dead_lettered, books.stored), (600, 600, 60, 540), "{books:?}");
    assert_eq!(bench.left(&bench.queue_url).await, ["0", "0"]);
    let mut letters: Vec<(String, String)> = Vec::new();
    while letters.len() < 60 {
        let request = bench.client.receive_message().queue_url(&bench.dlq_url).max_number_of_messages(10);
        let request =
            request.message_system_attribute_names(MessageSystemAttributeName::All).message_attribute_names("All");
        let received = request.wait_time_seconds(5).send().await.unwrap().messages.unwrap_or_default();
        assert!(!received.is_empty(), "{} letters", letters.len());
        for letter in received {
            let system = letter.attributes.unwrap();
            let group = system[&MessageSystemAttributeName::MessageGroupId].clone();
            let deduplication = &system[&MessageSystemAttributeName::MessageDeduplicationId];
            let attributes = letter.message_attributes.unwrap();
            let value = |name: &str| attributes[name].string_value.clone().unwrap();
            let original = value(DEDUPLICATION_ID);
            let origin = value(ORIGIN);
            assert!(deduplication.starts_with(&format!("{original}.")), "{deduplication}");
            assert!(origin.contains(&format!(";group={group}")) && origin.contains(";seq="), "{origin}");
            letters.push((group, letter.body.unwrap()));
            let request = bench.client.delete_message().queue_url(&bench.dlq_url);
            request.receipt_handle(letter.receipt_handle.unwrap()).send().await.unwrap();
        }
    }
    for group in 0..6 {
        let mine: Vec<&String> =
            letters.iter().filter(|(name, _)| *name == format!("g{group}")).map(|(_, body)| body).collect();
        let expected: Vec<String> = (0..10).map(|tens| format!("{{broken {group} {}", tens * 10 + 3)).collect();
        assert_eq!(mine, expected.iter().collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_fifo_queue_has_its_group_its_place_and_its_deduplication_id() {
    let Some(bench) = Bench::fifo("places").await else { return };
    bench.send_to(&[("g".into(), "d1".into(), update(1)), ("g".into(), "d2".into(), update(2))]).await;
    let queue = bench.queue();
    assert_eq!(queue.kind(), QueueKind::Fifo);
    let ask = Ask { messages_max: 10, wait: Duration::from_secs(1), lease: Duration::from_secs(30) };
    let messages = queue.receive(ask, &CancellationToken::new()).await.unwrap().messages;
    assert_eq!(messages.len(), 2);
    let place = |n: usize| messages[n].sequence_number.as_ref().unwrap().parse::<u128>().unwrap();
    assert!(place(0) < place(1));
    assert_eq!(messages.iter().map(|message| message.group_id.as_deref()).collect::<Vec<_>>(), [Some("g"); 2]);
    let ids: Vec<_> = messages.iter().map(|message| message.deduplication_id.as_deref()).collect();
    assert_eq!(ids, [Some("d1"), Some("d2")]);
    // Given back last first, the group comes again in order.
    let handles: Vec<Handle> = messages.iter().rev().map(|message| message.handle.clone()).collect();
    assert!(queue.change_visibility(&handles, 0).await.unwrap().iter().all(Result::is_ok));
    let again = queue.receive(ask, &CancellationToken::new()).await.unwrap().messages;
    let id = |message: &afterimage_consumer::Message| message.handle.message_id.to_string();
    assert_eq!(again.iter().map(id).collect::<Vec<_>>(), messages.iter().map(id).collect::<Vec<_>>());
}
