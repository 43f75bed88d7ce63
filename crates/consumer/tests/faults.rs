//! The whole worker, over the wire, against a queue that misbehaves: whatever goes wrong, in the end each event is in the
//! store exactly once, the queue is empty, the dead letters hold the poison and nothing else, and the books balance.
//!
//! A failure names the faults as text, seed included: the same text gives the same faults again.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails and says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::{Books, Finish, Limits, Metrics, Pipeline, SqsQueue, SqsSettings, Worker};
use afterimage_diff::Rules;
use afterimage_embedded_queue::{EmbeddedQueue, Fault, FaultCounts, Faults};
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

/// Runs a load under these faults, checks what must hold after every load, and gives what went wrong how often.
async fn prove(text: &str) -> (Books, FaultCounts) {
    let faults: Faults = text.parse().unwrap();
    let bench = Bench::new().await;
    let poison: BTreeSet<String> = (0..EVENTS / POISON_EVERY).map(poison).collect();
    let mut bodies: Vec<String> = (0..EVENTS).map(update).collect();
    for (n, body) in poison.iter().enumerate() {
        bodies.insert(n * POISON_EVERY, body.clone());
    }
    // Sending must not be disturbed, except in its order: that is what `reorder` does.
    bench.endpoint.set_faults(
        text.split(',')
            .filter(|part| part.starts_with("reorder") || part.starts_with("seed"))
            .collect::<Vec<_>>()
            .join(",")
            .parse()
            .unwrap(),
    );
    bench.send(&bodies).await;
    bench.endpoint.set_faults(faults);

    let store = Arc::new(MemoryStore::default());
    let (finish, books) = bench.work(Arc::clone(&store) as Arc<dyn Store>).await;
    let counts = bench.endpoint.fault_counts();
    bench.endpoint.set_faults(Faults::none());
    println!("{text}\n  {books:?}\n  {counts:?}");

    assert_eq!(finish, Finish::Idle, "{text}");
    assert!(books.balance() && books.pending == 0 && books.in_flight == 0, "{text}: {books:?}");
    assert_eq!(bench.left().await, ["0", "0", "0"], "{text}");
    let ids: Vec<String> = (0..EVENTS).map(|n| format!("ev-{n}")).collect();
    let contents = store.contents("default", "default", &ids).await.unwrap();
    let wrong: Vec<_> = ids.iter().zip(&contents).filter(|(_, versions)| versions.len() != 1).collect();
    assert!(wrong.is_empty(), "{text}: not stored exactly once: {wrong:?}");
    let letters = bench.dead_letters().await;
    assert_eq!(letters.keys().cloned().collect::<BTreeSet<_>>(), poison, "{text}");
    (books, counts)
}

/// [`prove`], and that every fault of the text really happened.
async fn prove_each(text: &str) -> Books {
    let (books, counts) = prove(text).await;
    for fault in
        Fault::ALL.iter().filter(|fault| text.split(',').any(|part| part.starts_with(&format!("{}=", fault.name()))))
    {
        assert!(counts.of(*fault) > 0, "{text}: {fault:?} never happened: {counts:?}");
    }
    books
}

macro_rules! proofs {
    ($($(#[$doc:meta])* $law:ident: $text:literal;)+) => {
        $($(#[$doc])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $law() {
            prove_each($text).await;
        })+
    };
}

proofs! {
    refusals_cost_no_event: "seed=1,throttle=0.04,rate-exceeded=0.04,error-500=0.04,error-503=0.04,bare-500=0.04,bare-503=0.04";
    cuts_before_a_request_cost_no_event: "seed=2,cut-before=0.2";
    cuts_after_a_request_cost_no_event: "seed=3,cut-after=0.05";
    cut_and_garbled_answers_cost_no_event: "seed=4,cut-body=0.03,garbled-body=0.03";
    black_holes_cost_no_event: "seed=5,black-hole-before=0.02,black-hole-after=0.02";
    slowness_costs_no_event: "seed=6,latency=0.5:0ms..50ms,slow-body=0.5:20ms..50ms";
    an_outage_costs_no_event: "seed=7,outage=1#60..90";
    duplicates_are_stored_once: "seed=8,duplicate=0.3";
    stale_handles_delete_in_the_end: "seed=9,stale-handle=0.05";
    failed_entries_are_tried_again: "seed=10,failed-entry=0.2";
    lost_deletes_are_done_again: "seed=11,lost-delete=0.05";
    reordered_messages_are_all_stored: "seed=12,reorder=0.5:0ms..2s";
}

/// Everything at once, from several seeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_faults_together_cost_no_event() {
    const ALL: &str = "throttle=0.02,rate-exceeded=0.02,error-500=0.02,error-503=0.02,bare-500=0.02,bare-503=0.02,\
        cut-before=0.02,cut-after=0.01,cut-body=0.01,garbled-body=0.01,black-hole-before=0.003,black-hole-after=0.003,\
        latency=0.1:0ms..50ms,slow-body=0.1:0ms..50ms,outage=1#120..150,duplicate=0.05,stale-handle=0.01,\
        failed-entry=0.05,lost-delete=0.02,reorder=0.3:0ms..1s";
    let runs = [101, 102, 103].map(|seed| tokio::spawn(async move { prove(&format!("seed={seed},{ALL}")).await }));
    for run in runs {
        let (_, counts) = run.await.unwrap();
        assert!(counts.total() > 100, "{counts:?}");
    }
}
