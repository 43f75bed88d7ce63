//! What traces cost a worker: a queue that hands out messages in tens, the real pipeline, a store that keeps nothing.
//!
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/trace_cost 200000
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/trace_cost 200000 http://127.0.0.1:4318 [00 | 01]
//!
//! With an endpoint traces are on; `00`: their senders do not record them. The difference of two counts of messages is the
//! cost of the messages between.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot be made ends")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use afterimage_consumer::dead_letter::DeadLetter;
use afterimage_consumer::{
    Ask, Attribute, Counts, Delete, Handle, ItemError, Limits, Message, Metrics, Pipeline, Queue, QueueError,
    QueueKind, Receipt, Trace, Tracing, Worker,
};
use afterimage_diff::Rules;
use afterimage_event::{Settings, Timestamp};
use afterimage_store::{AppendError, Arrival, Entry, Store, StoreError};
use afterimage_telemetry::{Build, TraceSettings, Traces};
use async_trait::async_trait;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

struct Tens {
    messages: u64,
    next: AtomicU64,
    flags: String,
}

impl Tens {
    fn message(&self, n: u64) -> Message {
        let parent = format!("00-{:032x}-{:016x}-{}", n + 1, n + 1, self.flags);
        Message {
            handle: Handle { message_id: format!("m{n}").into(), receipt: "r".into() },
            body: format!(
                r#"{{"eventId":"e{n}","tableName":"users","recordId":"{n}","operation":"update","occurredAt":"2026-01-09T10:00:05Z","by":"ada@example.com","before":{{"id":{n},"status":"pending","note":"the same in both images"}},"after":{{"id":{n},"status":"paid","note":"the same in both images"}}}}"#
            ),
            attributes: vec![Attribute::text("traceparent", parent)],
            sent_at: Timestamp::from_micros(1_767_952_805_000_000).unwrap(),
            receive_count: 1,
            group_id: None,
            sequence_number: None,
            deduplication_id: None,
            permit: None,
            trace: Trace::default(),
        }
    }
}

#[async_trait]
impl Queue for Tens {
    fn kind(&self) -> QueueKind {
        QueueKind::Standard
    }

    async fn receive(&self, _: Ask, _: &CancellationToken) -> Result<Receipt, QueueError> {
        let first = self.next.fetch_add(10, Ordering::Relaxed);
        let messages = (first..first + 10).filter(|n| *n < self.messages).map(|n| self.message(n)).collect();
        Ok(Receipt { answered_at: Instant::now(), messages })
    }

    async fn delete(&self, deletes: &[Delete]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        Ok(vec![Ok(()); deletes.len()])
    }

    async fn change_visibility(&self, handles: &[Handle], _: u32) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        Ok(vec![Ok(()); handles.len()])
    }

    async fn send_dead_letters(&self, letters: &[DeadLetter]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        Ok(vec![Ok(()); letters.len()])
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        Ok(Counts { visible: 0, in_flight: 0, delayed: 0 })
    }
}

struct Nothing;

#[async_trait]
impl Store for Nothing {
    fn kind(&self) -> &'static str {
        "nothing"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn append(&self, entries: &[Arc<Entry>], _: &Arrival) -> Vec<Result<(), AppendError>> {
        entries.iter().map(|_| Ok(())).collect()
    }

    async fn close(&self) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let messages: u64 = args.next().and_then(|count| count.parse().ok()).expect("how many messages?");
    let endpoint = args.next();
    let flags = args.next().unwrap_or_else(|| "01".to_owned());
    let registry = Registry::new();
    let queue = Tens { messages, next: AtomicU64::new(0), flags };
    let limits = Limits { exit_when_idle: Some(Duration::from_millis(10)), pollers_max: 4, ..Limits::default() };
    let pipeline = Arc::new(Pipeline::new(Settings::default(), Rules::default()));
    let metrics = Metrics::register(&registry).unwrap();
    let store = Arc::new(Nothing);
    let mut worker = Worker::new(limits, Duration::from_secs(5), Arc::new(queue), store, pipeline, metrics).unwrap();
    let traces = endpoint.map(|endpoint| {
        let settings = TraceSettings::read(Some(("endpoint", &endpoint)), |name| std::env::var(name).ok());
        let build = Build { version: "0", revision: "0" };
        Traces::start(settings.unwrap().unwrap(), build, "cost", &registry).unwrap()
    });
    if let Some(traces) = &traces {
        worker = worker.traced(Tracing::new(traces.tracer(), "http://127.0.0.1/1/changes", "nothing"));
    }
    let began = Instant::now();
    let books = worker.run(CancellationToken::new()).await.books;
    println!("{} messages in {:.3} s", books.deleted, began.elapsed().as_secs_f64());
    if let Some(traces) = traces {
        traces.finish(Duration::from_secs(10)).await;
        for family in registry.gather().iter().filter(|family| family.name() == "afterimage_trace_spans_total") {
            for metric in family.get_metric() {
                println!("{} {}", metric.get_label()[0].value(), metric.get_counter().get_value());
            }
        }
    }
}
