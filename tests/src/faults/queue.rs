//! The queue: in this process, where it outlives every worker, or a server of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use afterimage_embedded_queue::{EmbeddedQueue, Options};
use afterimage_event::Timestamp;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{
    Message, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::proxy::Proxy;
use super::stream::Stream;

/// Room for 10^5 messages and what is said about them.
const BYTES_MAX: usize = 2 << 30;
/// Deliveries after which the queue itself gives a message up: no healthy one comes near.
const RECEIVES_MAX: u32 = 50;

/// Which queue.
#[derive(Clone, Debug)]
pub enum QueueKind {
    /// Ours, in the process of the tests.
    Embedded,
    /// ElasticMQ at this endpoint.
    ElasticMq(String),
}

impl QueueKind {
    const fn name(&self, is_fifo: bool) -> &'static str {
        match (self, is_fifo) {
            (Self::Embedded, false) => "embedded",
            (Self::Embedded, true) => "embedded FIFO",
            (Self::ElasticMq(_), false) => "elasticmq",
            (Self::ElasticMq(_), true) => "elasticmq FIFO",
        }
    }
}

/// A message that the queue accepted.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) message_id: String,
    /// Its group and its place in it, on FIFO queues.
    pub(super) group_id: Option<String>,
    pub(super) sequence_number: Option<String>,
    /// It was accepted no earlier than this…
    pub(super) from: Timestamp,
    /// …and no later.
    pub(super) to: Timestamp,
}

/// A queue, its dead-letter queue, and the proxy between them and the workers.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) kind: &'static str,
    is_fifo: bool,
    client: Client,
    changes: String,
    dead: String,
    pub(super) proxy: Proxy,
    _embedded: Option<EmbeddedQueue>,
}

impl Queues {
    pub(super) async fn start(kind: &QueueKind, is_fifo: bool) -> Self {
        let (endpoint, embedded) = match kind {
            QueueKind::Embedded => {
                let options = Options { bytes_max: BYTES_MAX, ..Options::default() };
                let embedded = EmbeddedQueue::start_with(([127, 0, 0, 1], 0).into(), options).await.unwrap();
                (embedded.endpoint(), Some(embedded))
            }
            QueueKind::ElasticMq(endpoint) => (endpoint.trim_end_matches('/').to_owned(), None),
        };
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(&endpoint)
            .region(Region::from_static("us-east-1"))
            // A send that is repeated is another message.
            .retry_config(RetryConfig::disabled())
            .credentials_provider(Credentials::new("test", "test", None, None, "test"));
        let client = Client::from_conf(config.build());
        let unique = Uuid::new_v4();
        let create = |name: &str| {
            let create = client.create_queue();
            match is_fifo {
                false => create.queue_name(format!("faults-{name}-{unique}")),
                true => create
                    .queue_name(format!("faults-{name}-{unique}.fifo"))
                    .attributes(QueueAttributeName::FifoQueue, "true"),
            }
        };
        let dead = create("dead").send().await.unwrap().queue_url.unwrap();
        let arn = client.get_queue_attributes().queue_url(&dead).attribute_names(QueueAttributeName::QueueArn);
        let arn = arn.send().await.unwrap().attributes.unwrap().remove(&QueueAttributeName::QueueArn).unwrap();
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{RECEIVES_MAX}"}}"#);
        let changes = create("changes").attributes(QueueAttributeName::RedrivePolicy, policy);
        let changes = changes.send().await.unwrap().queue_url.unwrap();
        let server = endpoint.strip_prefix("http://").expect("an endpoint without TLS");
        let proxy = Proxy::start(server).await;
        Self { kind: kind.name(is_fifo), is_fifo, client, changes, dead, proxy, _embedded: embedded }
    }

    /// What a worker is told: the same queues, through the proxy.
    pub(super) fn args(&self) -> Vec<String> {
        let through = |url: &str| {
            let path = url.splitn(4, '/').nth(3).unwrap();
            format!("http://{}/{path}", self.proxy.address())
        };
        vec!["--queue-url".into(), through(&self.changes), "--dlq-url".into(), through(&self.dead)]
    }

    /// Sends all of it, so many messages a second.
    pub(super) async fn send(self: Arc<Self>, stream: Stream, per_s: u32, sent: Arc<Mutex<Vec<Sent>>>) {
        let started = Instant::now();
        let mut stream = stream.peekable();
        let mut number = 0_u32;
        while stream.peek().is_some() {
            sleep_until(started + Duration::from_secs(1) * number / per_s).await;
            let batch: Vec<_> = stream.by_ref().take(10).collect();
            number += batch.len() as u32;
            let entries = batch.iter().map(|message| {
                let number = message.number.to_string();
                SendMessageBatchRequestEntry::builder()
                    .id(&number)
                    .message_body(&message.body)
                    .set_message_group_id(self.is_fifo.then(|| message.group.to_string()))
                    .set_message_deduplication_id(self.is_fifo.then_some(number))
                    .build()
                    .unwrap()
            });
            let request =
                self.client.send_message_batch().queue_url(&self.changes).set_entries(Some(entries.collect()));
            let from = now();
            let answer = request.send().await.unwrap();
            let to = now();
            assert!(answer.failed.is_empty(), "{:?}", answer.failed);
            let mut accepted: HashMap<String, _> =
                answer.successful.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
            let mut sent = sent.lock().unwrap();
            // The queue counts in whole milliseconds.
            let from = from.saturating_add_micros(-(from.as_micros() % 1000));
            sent.extend(batch.iter().map(|message| {
                let accepted = accepted.remove(&message.number.to_string()).expect("an answer for each entry");
                let group_id = self.is_fifo.then(|| message.group.to_string());
                let SendMessageBatchResultEntry { message_id, sequence_number, .. } = accepted;
                Sent { message_id, group_id, sequence_number, from, to }
            }));
        }
    }

    /// Messages that are visible or held.
    pub(super) async fn depth(&self) -> u64 {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let asked = self.client.get_queue_attributes().queue_url(&self.changes);
        let counts = asked.set_attribute_names(Some(names.to_vec())).send().await.unwrap().attributes.unwrap();
        names.iter().map(|name| counts[name].parse::<u64>().unwrap()).sum()
    }

    /// Takes every dead letter out, in the order in which the queue hands them out.
    pub(super) async fn letters(&self) -> Vec<Message> {
        let mut letters = Vec::new();
        loop {
            let asked = self.client.receive_message().queue_url(&self.dead).max_number_of_messages(10);
            let asked = asked.message_system_attribute_names(MessageSystemAttributeName::All);
            let answer = asked.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
            if answer.is_empty() {
                return letters;
            }
            for letter in &answer {
                let delete = self.client.delete_message().queue_url(&self.dead);
                delete.set_receipt_handle(letter.receipt_handle.clone()).send().await.unwrap();
            }
            letters.extend(answer);
        }
    }

    pub(super) async fn remove(&self) {
        for url in [&self.changes, &self.dead] {
            self.client.delete_queue().queue_url(url).send().await.unwrap();
        }
    }
}

fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    Timestamp::from_micros(i64::try_from(micros).unwrap()).unwrap()
}
