//! An endpoint of its own for each test, and the real SDK to talk to it.

use afterimage_embedded_queue::{EmbeddedQueue, Options};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, QueueAttributeName};

pub(crate) async fn start() -> (EmbeddedQueue, Client) {
    start_with(Options::default()).await
}

pub(crate) async fn start_with(options: Options) -> (EmbeddedQueue, Client) {
    let queue = EmbeddedQueue::start_with(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(queue.endpoint())
        .build();
    (queue, Client::from_conf(config))
}

/// A new queue with these attributes; its URL.
pub(crate) async fn create(sqs: &Client, name: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
    let mut request = sqs.create_queue().queue_name(name);
    for (attribute, value) in attributes {
        request = request.attributes(attribute.clone(), *value);
    }
    request.send().await.unwrap().queue_url.unwrap()
}

pub(crate) async fn send(sqs: &Client, url: &str, body: &str) {
    sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
}

/// Up to ten messages at once, without waiting.
pub(crate) async fn receive(sqs: &Client, url: &str) -> Vec<Message> {
    let request = sqs.receive_message().queue_url(url).max_number_of_messages(10);
    request.send().await.unwrap().messages.unwrap_or_default()
}

/// Visible, in flight, delayed.
pub(crate) async fn counts(sqs: &Client, url: &str) -> [usize; 3] {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    let request = sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
    let attributes = request.send().await.unwrap().attributes.unwrap();
    names.map(|name| attributes[&name].parse().unwrap())
}
