//! An SQS endpoint of this process, the queues of one worker, and what is in them.

use std::collections::HashMap;

use afterimage_embedded_queue::EmbeddedQueue;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, QueueAttributeName, SendMessageBatchRequestEntry};

/// Most bytes of a batch together.
const BATCH_BYTES_MAX: usize = 1 << 20;

pub(crate) struct Queues {
    pub(crate) endpoint: EmbeddedQueue,
    pub(crate) client: Client,
    pub(crate) changes: String,
    pub(crate) dead: String,
}

impl Queues {
    pub(crate) async fn start() -> Self {
        let endpoint = EmbeddedQueue::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        Self::with(endpoint).await
    }

    pub(crate) async fn with(endpoint: EmbeddedQueue) -> Self {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(endpoint.endpoint())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"));
        let client = Client::from_conf(config.build());
        for name in ["changes", "dead"] {
            client.create_queue().queue_name(name).send().await.unwrap();
        }
        let (changes, dead) = (endpoint.queue_url("changes"), endpoint.queue_url("dead"));
        Self { endpoint, client, changes, dead }
    }

    pub(crate) async fn send(&self, bodies: impl IntoIterator<Item = String>) {
        let mut bodies = bodies.into_iter().peekable();
        while bodies.peek().is_some() {
            let (mut entries, mut bytes) = (Vec::new(), 0);
            while entries.len() < 10
                && let Some(body) = bodies.next_if(|body| bytes + body.len() <= BATCH_BYTES_MAX)
            {
                bytes += body.len();
                let entry = SendMessageBatchRequestEntry::builder().id(entries.len().to_string()).message_body(body);
                entries.push(entry.build().unwrap());
            }
            let sent = self.client.send_message_batch().queue_url(&self.changes).set_entries(Some(entries));
            assert!(sent.send().await.unwrap().failed.is_empty());
        }
    }

    pub(crate) async fn counts(&self, url: &str) -> (u64, u64) {
        counts(&self.client, url).await
    }

    /// Every dead letter, with all its attributes.
    pub(crate) async fn dead_letters(&self) -> Vec<Message> {
        let mut letters = Vec::new();
        loop {
            let asked = self.client.receive_message().queue_url(&self.dead).max_number_of_messages(10);
            let answer = asked.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
            if answer.is_empty() {
                return letters;
            }
            letters.extend(answer);
        }
    }
}

/// What SQS counts: messages that are visible, and those somebody holds.
pub(crate) async fn counts(client: &Client, url: &str) -> (u64, u64) {
    let names =
        [QueueAttributeName::ApproximateNumberOfMessages, QueueAttributeName::ApproximateNumberOfMessagesNotVisible];
    let asked = client.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec())).send();
    let counts: HashMap<_, _> = asked.await.unwrap().attributes.unwrap();
    (counts[&names[0]].parse().unwrap(), counts[&names[1]].parse().unwrap())
}
