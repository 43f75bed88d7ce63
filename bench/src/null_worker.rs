//! The null worker: the bare SDK receives and deletes. What is above its cost is what a worker does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use nix::sys::resource::{UsageWho, getrusage};
use tokio::task::JoinSet;

/// What it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    messages: u64,
    cpu_s: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_million = self.cpu_s / self.messages as f64 * 1e6;
        write!(f, "{} messages, {:.3} CPU-s, {per_million:.1} CPU-s per million", self.messages, self.cpu_s)
    }
}

/// Receives and deletes until `messages` are deleted.
pub(crate) async fn run(sqs: &Client, queue_url: &str, pollers: usize, messages: u64) -> anyhow::Result<Report> {
    let deleted = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..pollers {
        tasks.spawn(poll(sqs.clone(), queue_url.to_owned(), Arc::clone(&deleted), messages));
    }
    // The first poller to see the last message deleted ends it; the others wait in long polls that nothing will end.
    tasks.join_next().await.context("at least one poller is needed")???;
    Ok(Report { messages: deleted.load(Ordering::Relaxed), cpu_s: cpu_s(UsageWho::RUSAGE_SELF)? })
}

async fn poll(sqs: Client, queue_url: String, deleted: Arc<AtomicU64>, messages: u64) -> anyhow::Result<()> {
    while deleted.load(Ordering::Relaxed) < messages {
        let receive = sqs.receive_message().queue_url(&queue_url).max_number_of_messages(10).wait_time_seconds(20);
        let received = receive.send().await?.messages.unwrap_or_default();
        if received.is_empty() {
            continue;
        }
        let count = received.len() as u64;
        let entries = received.into_iter().enumerate();
        let entries = entries
            .map(|(n, message)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
                entry.set_receipt_handle(message.receipt_handle).build()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let answer = sqs.delete_message_batch().queue_url(&queue_url).set_entries(Some(entries)).send().await?;
        anyhow::ensure!(answer.failed.is_empty(), "{} deletes failed", answer.failed.len());
        deleted.fetch_add(count, Ordering::Relaxed);
    }
    Ok(())
}

/// User and system time so far, in seconds.
pub(crate) fn cpu_s(who: UsageWho) -> anyhow::Result<f64> {
    let usage = getrusage(who)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
