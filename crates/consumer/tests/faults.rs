//! The whole worker, over the wire, against a queue that misbehaves: whatever goes wrong, in the end each event is in the
//! store exactly once, the queue is empty, the dead letters hold the poison and nothing else, and the books balance. On FIFO
//! queues, what is stored and what is dead stands in the order of its group as well.
//!
//! A failure names the faults as text, seed included: the same text gives the same faults again.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails and says where")]

mod pair;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use afterimage_consumer::{Books, Finish, Limits, Metrics, Pipeline, QueueKind, SqsQueue, SqsSettings, Worker};
use afterimage_diff::Rules;
use afterimage_embedded_queue::{Fault, Faults};
use afterimage_event::Settings;
use afterimage_store::{Lookup, MemoryStore, Store};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use pair::Pair;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

/// Events sent in a run, each a message of its own.
const EVENTS: usize = 600;
/// One message in so many is poison beside them.
const POISON_EVERY: usize = 40;
/// Groups that they are in, in turn, on a FIFO queue.
const GROUPS: usize = 25;
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

/// The number of an event or poison, by its name or body.
fn number(text: &str) -> usize {
    text.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

struct Bench(Pair);

impl Bench {
    async fn new(kind: QueueKind) -> Self {
        Self(Pair::start(kind, ["q", "q-dlq"]).await)
    }

    /// Sends bodies, each to its group.
    async fn send(&self, bodies: &[(usize, String)]) {
        for batch in bodies.chunks(10) {
            let entries = batch
                .iter()
                .enumerate()
                .map(|(n, (group, body))| {
                    let entry = SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body);
                    match self.0.kind {
                        QueueKind::Standard => entry.build(),
                        QueueKind::Fifo => {
                            entry.message_group_id(group.to_string()).message_deduplication_id(body_id(body)).build()
                        }
                    }
                })
                .collect::<Result<Vec<_>, _>>()
                .unwrap();
            let request = self.0.client.send_message_batch().queue_url(&self.0.queue_url).set_entries(Some(entries));
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
            queue_url: self.0.queue_url.clone(),
            dlq_url: Some(self.0.dlq_url.clone()),
            wait: limits.wait,
            bytes_max: limits.bytes_max,
            connections_max: limits.pollers_max,
        };
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let pipeline = Arc::new(Pipeline::new(Settings::default(), Rules::default()));
        let queue = Arc::new(SqsQueue::new(self.0.config.clone(), settings));
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
        let request = self.0.client.get_queue_attributes().queue_url(&self.0.queue_url);
        let counts = request.set_attribute_names(Some(names.to_vec())).send().await.unwrap().attributes.unwrap();
        names.map(|name| counts[&name].clone())
    }

    /// The bodies of all dead letters, in the order in which the queue hands them out.
    async fn dead_letters(&self) -> Vec<String> {
        let mut letters = Vec::new();
        loop {
            let request = self.0.client.receive_message().queue_url(&self.0.dlq_url).max_number_of_messages(10);
            let received = request.visibility_timeout(600).send().await.unwrap().messages.unwrap_or_default();
            if received.is_empty() {
                return letters;
            }
            for letter in received {
                letters.push(letter.body.unwrap());
                // Else the rest of its group would not be handed out.
                let delete = self.0.client.delete_message().queue_url(&self.0.dlq_url);
                delete.set_receipt_handle(letter.receipt_handle).send().await.unwrap();
            }
        }
    }
}

/// Runs a load under these faults, checks what must hold after every load, and that each fault really happened.
async fn prove(kind: QueueKind, text: &str) {
    let began = Instant::now();
    let faults: Faults = text.parse().unwrap();
    let bench = Bench::new(kind).await;
    let poison: BTreeSet<String> = (0..EVENTS / POISON_EVERY).map(poison).collect();
    let mut bodies: Vec<(usize, String)> = (0..EVENTS).map(|n| (n % GROUPS, update(n))).collect();
    for n in (0..poison.len()).rev() {
        // Two to a group that has some, with good ones before, between and behind them.
        bodies.insert(n * POISON_EVERY + POISON_EVERY / 2, (n % (poison.len() / 2), self::poison(n)));
    }
    // Sending is disturbed only in its order.
    bench.0.endpoint.set_faults(only(text, &["seed", "reorder"]));
    bench.send(&bodies).await;
    bench.0.endpoint.set_faults(faults);

    let store = Arc::new(MemoryStore::default());
    let stored = Arc::new(Mutex::new(Vec::new()));
    store.fail_appends({
        let stored = Arc::clone(&stored);
        move |entry| {
            stored.lock().unwrap().push(number(entry.identity.event_id.as_str()));
            None
        }
    });
    let (finish, books) = bench.work(Arc::clone(&store) as Arc<dyn Store>).await;
    let counts = bench.0.endpoint.fault_counts();
    bench.0.endpoint.set_faults(Faults::none());
    println!("{kind:?} {text}: {:?}\n  {books:?}\n  {counts:?}", began.elapsed());

    assert_eq!(finish, Finish::Idle, "{text}");
    assert!(books.balance() && books.pending == 0 && books.in_flight == 0, "{text}: {books:?}");
    assert_eq!(bench.left().await, ["0", "0", "0"], "{text}");
    let ids: Vec<String> = (0..EVENTS).map(|n| format!("ev-{n}")).collect();
    let contents = store.contents("default", "default", &ids).await.unwrap();
    let wrong: Vec<_> = ids.iter().zip(&contents).filter(|(_, versions)| versions.len() != 1).collect();
    assert!(wrong.is_empty(), "{text}: not stored exactly once: {wrong:?}");
    let letters = bench.dead_letters().await;
    assert_eq!(letters.iter().cloned().collect::<BTreeSet<_>>(), poison, "{text}");
    if kind == QueueKind::Fifo {
        assert_eq!(letters.len(), poison.len(), "{text}: a letter sent twice has the same deduplication id");
        let dead: Vec<usize> = letters.iter().map(|body| number(body)).collect();
        assert_in_order(text, &dead, |n| n % (poison.len() / 2));
        assert_in_order(text, &stored.lock().unwrap(), |n| n % GROUPS);
    }
    let idle =
        Fault::ALL.iter().filter(|fault| names(text).any(|name| name == fault.name()) && counts.of(**fault) == 0);
    assert_eq!(idle.collect::<Vec<_>>(), [&Fault::Throttle; 0], "{text}: these never happened: {counts:?}");
}

/// Does each come, for the first time, behind those before it in its group?
fn assert_in_order(text: &str, seen: &[usize], group_of: impl Fn(usize) -> usize) {
    let (mut firsts, mut latest) = (BTreeSet::new(), BTreeMap::new());
    for &n in seen.iter().filter(|n| firsts.insert(**n)) {
        let before = latest.insert(group_of(n), n);
        assert!(before.is_none_or(|before| before < n), "{text}: {n} came behind {before:?} of its group");
    }
}

/// A deduplication id for a body: what tells it from the others.
fn body_id(body: &str) -> String {
    body.chars().filter(char::is_ascii_alphanumeric).take(30).collect()
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
async fn prove_all(runs: Vec<(QueueKind, String)>) {
    let runs: Vec<_> = runs
        .into_iter()
        .map(|(kind, text)| (format!("{kind:?} {text}"), tokio::spawn(async move { prove(kind, &text).await })))
        .collect();
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
    let both = [
        "seed=1,throttle=0.05,rate-exceeded=0.05,error-500=0.05,error-503=0.05,bare-500=0.05,bare-503=0.05",
        "seed=2,cut-before=0.2",
        "seed=3,cut-after=0.05",
        "seed=4,cut-body=0.05,garbled-body=0.05",
        "seed=5,black-hole-before=1#30..36,black-hole-after=1#60..66",
        "seed=6,latency=0.5:0ms..50ms,slow-body=0.5:20ms..50ms",
        "seed=7,outage=1#60..90",
        "seed=9,stale-handle=0.05",
        "seed=10,failed-entry=0.2",
        "seed=11,lost-delete=0.05",
    ];
    // A FIFO queue promises that these do not happen.
    let standard = ["seed=8,duplicate=0.3", "seed=12,reorder=0.5:0ms..2s"];
    let runs = both.iter().map(|text| (QueueKind::Fifo, *text));
    let runs = runs.chain(both.iter().chain(&standard).map(|text| (QueueKind::Standard, *text)));
    prove_all(runs.map(|(kind, text)| (kind, text.to_owned())).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_faults_together_cost_no_event_from_any_seed() {
    const BOTH: &str = "throttle=0.03,rate-exceeded=0.03,error-500=0.03,error-503=0.03,bare-500=0.03,bare-503=0.03,\
        cut-before=0.03,cut-after=0.03,cut-body=0.03,garbled-body=0.03,black-hole-before=1#40..42,black-hole-after=1#80..82,\
        latency=0.1:0ms..50ms,slow-body=0.1:0ms..50ms,outage=1#120..150,stale-handle=0.02,failed-entry=0.05,lost-delete=0.02";
    const STANDARD: &str = "duplicate=0.05,reorder=0.3:0ms..1s";
    let mut runs = Vec::new();
    for seed in [101, 102, 103] {
        runs.push((QueueKind::Standard, format!("seed={seed},{BOTH},{STANDARD}")));
        runs.push((QueueKind::Fifo, format!("seed={seed},{BOTH}")));
    }
    prove_all(runs).await;
}
