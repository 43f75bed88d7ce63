//! FIFO queues of one worker, on our endpoint or on ElasticMQ, and what is in them.

use afterimage_embedded_queue::EmbeddedQueue;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry};

/// Most bytes of a batch together.
const BATCH_BYTES_MAX: usize = 1 << 20;

pub(crate) struct FifoQueues {
    pub(crate) client: Client,
    pub(crate) changes: String,
    pub(crate) dead: String,
}

impl FifoQueues {
    pub(crate) async fn start() -> (EmbeddedQueue, Self) {
        let endpoint = EmbeddedQueue::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let queues = Self::at(&endpoint.endpoint()).await;
        (endpoint, queues)
    }

    /// Nothing when skipping was asked for. Not having a server is a failure: silence would look like success.
    #[allow(clippy::print_stdout, reason = "a skipped test says so")]
    pub(crate) async fn on_elasticmq() -> Option<Self> {
        if let Ok(endpoint) = std::env::var("AFTERIMAGE_TEST_SQS_ENDPOINT") {
            return Some(Self::at(&endpoint).await);
        }
        assert!(
            std::env::var("AFTERIMAGE_TEST_SKIP_SERVERS").is_ok_and(|skip| skip == "1"),
            "AFTERIMAGE_TEST_SQS_ENDPOINT is not set: start ElasticMQ with tests/servers/elasticmq.sh and set it to its \
             URL, or set AFTERIMAGE_TEST_SKIP_SERVERS=1"
        );
        println!("SKIPPED: AFTERIMAGE_TEST_SKIP_SERVERS=1 and no AFTERIMAGE_TEST_SQS_ENDPOINT");
        None
    }

    async fn at(endpoint: &str) -> Self {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"));
        let client = Client::from_conf(config.build());
        let unique = format!("{}-{}", std::process::id(), std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos());
        let mut urls = Vec::new();
        for name in ["changes", "dead"] {
            let create = client.create_queue().queue_name(format!("{name}-{unique}.fifo"));
            let create = create.attributes(QueueAttributeName::FifoQueue, "true");
            urls.push(create.send().await.unwrap().queue_url.unwrap());
        }
        let [changes, dead] = urls.try_into().unwrap();
        Self { client, changes, dead }
    }

    /// Sends messages: group, deduplication id and body of each, in order.
    pub(crate) async fn send(&self, messages: impl IntoIterator<Item = (String, String, String)>) {
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let (mut entries, mut bytes) = (Vec::new(), 0);
            while entries.len() < 10
                && let Some((group, id, body)) = messages.next_if(|(_, _, body)| bytes + body.len() <= BATCH_BYTES_MAX)
            {
                bytes += body.len();
                let entry = SendMessageBatchRequestEntry::builder().id(entries.len().to_string()).message_body(body);
                entries.push(entry.message_group_id(group).message_deduplication_id(id).build().unwrap());
            }
            let sent = self.client.send_message_batch().queue_url(&self.changes).set_entries(Some(entries));
            assert!(sent.send().await.unwrap().failed.is_empty());
        }
    }

    /// Takes every dead letter out, with all its attributes: a group hands out no more while one of its letters is held.
    pub(crate) async fn dead_letters(&self) -> Vec<Message> {
        let mut letters = Vec::new();
        loop {
            let asked = self.client.receive_message().queue_url(&self.dead).max_number_of_messages(10);
            let asked = asked.message_attribute_names("All");
            let asked = asked.message_system_attribute_names(MessageSystemAttributeName::All);
            let answer = asked.send().await.unwrap().messages.unwrap_or_default();
            if answer.is_empty() {
                return letters;
            }
            for letter in answer {
                let delete = self.client.delete_message().queue_url(&self.dead);
                delete.set_receipt_handle(letter.receipt_handle.clone()).send().await.unwrap();
                letters.push(letter);
            }
        }
    }
}
