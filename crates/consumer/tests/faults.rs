//! The whole worker, over the wire, against a queue that misbehaves: whatever goes wrong, in the end each event is in the
//! store exactly once, the queue is empty, the dead letters hold the poison and nothing else, and the books balance.
//!
//! A failure names the faults as text, seed included: the same text gives the same faults again.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails and says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use afterimage_consumer::{Books, Finish, Limits, Metrics, Pipeline, SqsQueue, SqsSettings, Worker};
use afterimage_diff::Rules;
use afterimage_embedded_queue::{EmbeddedQueue, Fault, Faults};
use afterimage_event::Settings;
use afterimage_store::{MemoryStore, Store};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

/// Events sent in a run, each a message of its own.
const EVENTS: usize = 1500;
/// One message in so many is poison beside them.
const POISON_EVERY: usize = 100;
/// The shortest lease there may be: what was lost on the way comes again after it.
const LEASE: Duration = Duration::from_secs(10);

fn update(n: usize) -> String {
    format!(
        r#"{{"eventId":"ev-{n}","tableName":"users","recordId":"u{n}","operation":"update","occurredAt":"2026-01-09T10:00:05Z","before":{{"n":{n},"s":"a"}},"after":{{"n":{n},"s":"b"}}}}"#
    )
}

fn poison(n: usize) -> String {
    format!("{{poison {n}")
}

struct Bench {
    endpoint: EmbeddedQueue,
    config: Builder,
    client: Client,
    queue_url: String,
    dlq_url: String,
}

impl Bench {
    async fn new() -> Self {
        let endpoint = EmbeddedQueue::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(endpoint.endpoint());
        let client = Client::from_conf(config.clone().build());
        let [queue_url, dlq_url] = ["q", "q-dlq"].map(|name| endpoint.queue_url(name));
        for name in ["q", "q-dlq"] {
            client.create_queue().queue_name(name).send().await.unwrap();
        }
        Self { endpoint, config, client, queue_url, dlq_url }
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

    /// A worker until it finds nothing more to do.
    async fn work(&self, store: Arc<dyn Store>) -> (Finish, Books) {
        let limits = Limits {
            pollers_max: 8,
            bytes_max: 32 << 20,
            wait: Duration::from_secs(1),
            lease: LEASE,
            has_dead_letter_queue: true,
            exit_when_idle: Some(Duration::from_secs(2)),
            ..Limits::default()
        };
        let settings = SqsSettings {
            queue_url: self.queue_url.clone(),
            dlq_url: Some(self.dlq_url.clone()),
            wait: limits.wait,
            bytes_max: limits.bytes_max,
            connections_max: limits.pollers_max,
        };
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let pipeline = Arc::new(Pipeline::new(Settings::default(), Rules::default()));
        let queue = Arc::new(SqsQueue::new(self.config.clone(), settings));
        let worker = Worker::new(limits, Duration::from_secs(5), queue, store, pipeline, metrics).unwrap();
        let end = worker.run(CancellationToken::new()).await;
        (end.finish, end.books)
    }

    /// Visible, in flight, delayed.
    async fn left(&self) -> [String; 3] {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.queue_url);
        let counts = request.set_attribute_names(Some(names.to_vec())).send().await.unwrap().attributes.unwrap();
        names.map(|name| counts[&name].clone())
    }

    /// The bodies of all dead letters, each as often as it is there.
    async fn dead_letters(&self) -> BTreeMap<String, usize> {
        let mut letters = BTreeMap::new();
        loop {
            let request = self.client.receive_message().queue_url(&self.dlq_url).max_number_of_messages(10);
            let received = request.visibility_timeout(600).send().await.unwrap().messages.unwrap_or_default();
            if received.is_empty() {
                return letters;
            }
            for letter in received {
                *letters.entry(letter.body.unwrap()).or_default() += 1;
            }
        }
    }
}

/// Runs a load under these faults, checks what must hold after every load, and that each fault really happened.
async fn prove(text: &str) {
    let began = Instant::now();
    let faults: Faults = text.parse().unwrap();
    let bench = Bench::new().await;
    let poison: BTreeSet<String> = (0..EVENTS / POISON_EVERY).map(poison).collect();
    let mut bodies: Vec<String> = (0..EVENTS).map(update).collect();
    for (n, body) in poison.iter().enumerate() {
        bodies.insert(n * POISON_EVERY, body.clone());
    }
    // Sending is disturbed only in its order.
    bench.endpoint.set_faults(only(text, &["seed", "reorder"]));
    bench.send(&bodies).await;
    bench.endpoint.set_faults(faults);

    let store = Arc::new(MemoryStore::default());
    let (finish, books) = bench.work(Arc::clone(&store) as Arc<dyn Store>).await;
    let counts = bench.endpoint.fault_counts();
    bench.endpoint.set_faults(Faults::none());
    println!("{text}: {:?}\n  {books:?}\n  {counts:?}", began.elapsed());

    assert_eq!(finish, Finish::Idle, "{text}");
    assert!(books.balance() && books.pending == 0 && books.in_flight == 0, "{text}: {books:?}");
    assert_eq!(bench.left().await, ["0", "0", "0"], "{text}");
    let ids: Vec<String> = (0..EVENTS).map(|n| format!("ev-{n}")).collect();
    let contents = store.contents("default", "default", &ids).await.unwrap();
    let wrong: Vec<_> = ids.iter().zip(&contents).filter(|(_, versions)| versions.len() != 1).collect();
    assert!(wrong.is_empty(), "{text}: not stored exactly once: {wrong:?}");
    let letters = bench.dead_letters().await;
    assert_eq!(letters.keys().cloned().collect::<BTreeSet<_>>(), poison, "{text}");
    let idle =
        Fault::ALL.iter().filter(|fault| names(text).any(|name| name == fault.name()) && counts.of(**fault) == 0);
    assert_eq!(idle.collect::<Vec<_>>(), [&Fault::Throttle; 0], "{text}: these never happened: {counts:?}");
}

/// What stands before each `=`.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter_map(|part| Some(part.split_once('=')?.0))
}

/// The parts of the text with these names.
fn only(text: &str, kept: &[&str]) -> Faults {
    let parts = text.split(',').zip(names(text)).filter(|(_, name)| kept.contains(name));
    parts.map(|(part, _)| part).collect::<Vec<_>>().join(",").parse().unwrap()
}

/// Runs these loads at the same time, since they mostly wait: for leases to end and calls to be given up.
async fn prove_all(texts: Vec<String>) {
    let runs: Vec<_> =
        texts.into_iter().map(|text| (text.clone(), tokio::spawn(async move { prove(&text).await }))).collect();
    let mut broken = Vec::new();
    for (text, run) in runs {
        if run.await.is_err() {
            broken.push(text);
        }
    }
    assert!(broken.is_empty(), "an event was lost, or a fault never happened (see above), with {broken:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_costs_an_event() {
    let texts = [
        "seed=1,throttle=0.04,rate-exceeded=0.04,error-500=0.04,error-503=0.04,bare-500=0.04,bare-503=0.04",
        "seed=2,cut-before=0.2",
        "seed=3,cut-after=0.05",
        "seed=4,cut-body=0.03,garbled-body=0.03",
        "seed=5,black-hole-before=1#30..36,black-hole-after=1#60..66",
        "seed=6,latency=0.5:0ms..50ms,slow-body=0.5:20ms..50ms",
        "seed=7,outage=1#60..90",
        "seed=8,duplicate=0.3",
        "seed=9,stale-handle=0.05",
        "seed=10,failed-entry=0.2",
        "seed=11,lost-delete=0.05",
        "seed=12,reorder=0.5:0ms..2s",
    ];
    prove_all(texts.map(str::to_owned).to_vec()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_faults_together_cost_no_event_from_any_seed() {
    const ALL: &str = "throttle=0.02,rate-exceeded=0.02,error-500=0.02,error-503=0.02,bare-500=0.02,bare-503=0.02,\
        cut-before=0.02,cut-after=0.02,cut-body=0.02,garbled-body=0.02,black-hole-before=1#40..42,black-hole-after=1#80..82,\
        latency=0.1:0ms..50ms,slow-body=0.1:0ms..50ms,outage=1#120..150,duplicate=0.05,stale-handle=0.01,\
        failed-entry=0.05,lost-delete=0.02,reorder=0.3:0ms..1s";
    prove_all([101, 102, 103].map(|seed| format!("seed={seed},{ALL}")).to_vec()).await;
}
