//! The queue: the embedded one as a process of its own, and how to reach any.

use std::net::SocketAddr;

use afterimage_embedded_queue::{EmbeddedQueue, Faults, Options};
use anyhow::Context as _;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::signal::unix::{SignalKind, signal};

/// The SDK as a plain user has it, but for the endpoint, which is the URL's host, and credentials that nobody checks.
pub(crate) async fn client(queue_url: &str) -> anyhow::Result<Client> {
    let scheme = queue_url.find("://").context("a queue URL begins with http:// or https://")?;
    let host_end = queue_url[scheme + 3..].find('/').map_or(queue_url.len(), |end| scheme + 3 + end);
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
        .endpoint_url(&queue_url[..host_end])
        .load()
        .await;
    Ok(Client::new(&config))
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn serve(listen: SocketAddr, bytes_max: usize, faults: Faults) -> anyhow::Result<()> {
    let queue = EmbeddedQueue::start_with(listen, Options { bytes_max, faults }).await?;
    println!("{}", queue.endpoint());
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    queue.shutdown().await;
    Ok(())
}

/// An empty queue of that name; its URL.
pub(crate) async fn create(sqs: &Client, name: &str) -> anyhow::Result<String> {
    let request = sqs.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, "120");
    request.send().await?.queue_url.context("the queue server gave no URL")
}

/// Messages visible, in flight and delayed.
pub(crate) async fn depth(sqs: &Client, url: &str) -> anyhow::Result<u64> {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    let request = sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
    let attributes = request.send().await?.attributes.context("the queue server gave no attributes")?;
    names.iter().map(|name| Ok(attributes.get(name).context("a count is missing")?.parse::<u64>()?)).sum()
}
