//! A queue and its dead letters in an embedded queue of a test's own, and what reaches them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use afterimage_consumer::QueueKind;
use afterimage_embedded_queue::EmbeddedQueue;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;

pub(crate) struct Pair {
    pub(crate) kind: QueueKind,
    /// They are there as long as it is.
    pub(crate) endpoint: EmbeddedQueue,
    pub(crate) config: Builder,
    pub(crate) client: Client,
    pub(crate) queue_url: String,
    pub(crate) dlq_url: String,
}

/// What reaches a server of SQS's protocol that asks nobody who they are.
pub(crate) fn config(endpoint: impl Into<String>) -> Builder {
    aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
}

impl Pair {
    /// Queues of these names; those of FIFO queues end as they must.
    pub(crate) async fn start(kind: QueueKind, names: [&str; 2]) -> Self {
        let endpoint = EmbeddedQueue::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let config = config(endpoint.endpoint());
        let client = Client::from_conf(config.clone().build());
        let names = names.map(|name| match kind {
            QueueKind::Standard => name.to_owned(),
            QueueKind::Fifo => format!("{name}.fifo"),
        });
        for name in &names {
            let mut create = client.create_queue().queue_name(name);
            if kind == QueueKind::Fifo {
                create = create.attributes(QueueAttributeName::FifoQueue, "true");
            }
            create.send().await.unwrap();
        }
        let [queue_url, dlq_url] = names.map(|name| endpoint.queue_url(&name));
        Self { kind, endpoint, config, client, queue_url, dlq_url }
    }
}
