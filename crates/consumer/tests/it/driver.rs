//! The driver, with a queue and a store in memory and a clock that jumps from timer to timer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use afterimage_consumer::dead_letter::DeadLetter;
use afterimage_consumer::dead_letters::{Letter, Settled, settle};
use afterimage_consumer::{
    Ask, Counts, Delete, End, Finish, Handle, Health, ItemError, Limits, LimitsError, Message, Metrics, Pipeline,
    Processed, Processor, Queue, QueueError, QueueKind, Receipt, Worker,
};
use afterimage_diff::{DigestKey, RuleBlock, Rules};
use afterimage_event::{Settings, Timestamp};
use afterimage_store::{AppendError, Arrival, Entry, Ledger, Store, StoreError};
use async_trait::async_trait;
use prometheus::Registry;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fakes::{self, Faults, SimQueue, SimStore, Slow, Words};

/// A [`SimQueue`] on the runtime's clock, with long polls.
pub(crate) struct LongPolls {
    pub(crate) queue: SimQueue,
    started: Instant,
    refuses: AtomicBool,
    /// How long the body of the first answer with messages takes after its head.
    body_takes: Mutex<Duration>,
}

impl LongPolls {
    fn new(faults: Faults) -> Arc<Self> {
        Self::around(SimQueue::new(7, faults))
    }

    pub(crate) fn around(queue: SimQueue) -> Arc<Self> {
        Arc::new(Self { queue, started: Instant::now(), refuses: AtomicBool::new(false), body_takes: Mutex::default() })
    }

    fn tick(&self) {
        self.queue.set_now(self.started.elapsed());
    }
}

#[async_trait]
impl Queue for LongPolls {
    fn kind(&self) -> QueueKind {
        self.queue.kind()
    }

    async fn receive(&self, ask: Ask, cancel: &CancellationToken) -> Result<Receipt, QueueError> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(crate::rig::unreachable_queue());
        }
        let until = Instant::now() + ask.wait;
        loop {
            self.tick();
            let messages = self.queue.take(ask.messages_max, ask.lease)?;
            if !messages.is_empty() || Instant::now() >= until || cancel.is_cancelled() {
                let answered_at = Instant::now().into_std();
                if !messages.is_empty() {
                    let body_takes = std::mem::take(&mut *self.body_takes.lock().unwrap());
                    tokio::time::sleep(body_takes).await;
                }
                return Ok(Receipt { answered_at, messages });
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
                () = cancel.cancelled() => {}
            }
        }
    }

    async fn delete(&self, deletes: &[Delete]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        self.tick();
        self.queue.delete(deletes).await
    }

    async fn change_visibility(
        &self,
        handles: &[Handle],
        visibility_s: u32,
    ) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        self.tick();
        self.queue.change_visibility(handles, visibility_s).await
    }

    async fn send_dead_letters(&self, letters: &[DeadLetter]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        self.queue.send_dead_letters(letters).await
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        self.tick();
        self.queue.counts().await
    }
}

struct Run {
    registry: Registry,
    health: Arc<Health>,
    stop: CancellationToken,
    end: tokio::task::JoinHandle<End>,
}

fn idle_limits() -> Limits {
    Limits { has_dead_letter_queue: true, exit_when_idle: Some(Duration::from_secs(5)), ..Limits::default() }
}

fn start(limits: Limits, queue: Arc<LongPolls>, store: Arc<dyn Store>) -> Run {
    start_with(Arc::new(Words), limits, queue, store)
}

fn start_with(processor: Arc<dyn Processor>, limits: Limits, queue: Arc<LongPolls>, store: Arc<dyn Store>) -> Run {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let worker = Worker::new(limits, Duration::from_secs(30), queue, store, processor, metrics).unwrap();
    let (health, stop) = (worker.health(), CancellationToken::new());
    let end = tokio::spawn(worker.run(stop.clone()));
    Run { registry, health, stop, end }
}

impl Run {
    /// A counter or gauge, by name and label value.
    fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect("a metric of this name");
        let metric = family
            .get_metric()
            .iter()
            .find(|metric| label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label))
            .expect("a series of this label");
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    }
}

#[tokio::test(start_paused = true)]
async fn everything_sent_is_stored_and_deleted_and_the_metrics_say_so() {
    let queue = LongPolls::new(Faults { item: 0.05, call: 0.02, duplicate: 0.01, undelete: 0.0 });
    for n in 0..500 {
        let mark = if n % 50 == 0 {
            "!"
        } else if n % 7 == 0 {
            "="
        } else {
            ""
        };
        queue.queue.send(&format!("m{n}"), &format!("{mark}e{n} f{n}"));
    }
    let store = Arc::new(SimStore::default());
    let run = start(idle_limits(), Arc::clone(&queue), Arc::clone(&store) as Arc<dyn Store>);
    let (registry, health) = (run.registry.clone(), Arc::clone(&run.health));
    let probe = Run { registry, health, stop: run.stop.clone(), end: tokio::spawn(std::future::pending()) };
    let end = run.end.await.unwrap();
    assert_eq!(end.finish, Finish::Idle);
    assert!(queue.queue.is_empty());
    let plain = (0..500).filter(|n| n % 50 != 0 && n % 7 != 0).count();
    assert_eq!(store.rows().len(), 500 + plain);
    assert_eq!(queue.queue.dead_letters().len() as u64, end.books.dead_lettered);
    assert!(end.books.balance() && end.books.in_flight == 0 && end.books.pending == 0);
    for (name, label, value) in [
        ("afterimage_messages_received_total", "", end.books.received),
        ("afterimage_messages_total", "deleted", end.books.deleted),
        ("afterimage_messages_total", "released", end.books.released),
        ("afterimage_messages_total", "lease_lost", end.books.lease_lost),
        ("afterimage_messages_in_flight", "", 0),
        ("afterimage_events_decoded_total", "", end.books.decoded),
        ("afterimage_events_total", "stored", end.books.stored),
        ("afterimage_events_total", "unchanged", end.books.unchanged),
        ("afterimage_events_total", "expired", end.books.expired),
        ("afterimage_events_total", "rejected", end.books.rejected),
        ("afterimage_events_total", "abandoned", end.books.abandoned),
        ("afterimage_events_pending", "", 0),
        ("afterimage_dead_letters_total", "unknown_shape", end.books.dead_lettered),
    ] {
        assert_eq!(probe.metric(name, label), value as f64, "{name} {label}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_panics_costs_one_message_and_not_the_worker() {
    let queue = LongPolls::new(Faults::default());
    for n in 0..20 {
        queue.queue.send(&format!("m{n}"), &format!("{}{n}", if n == 5 { "P" } else { "e" }));
    }
    let store = Arc::new(SimStore::default());
    let end = start(idle_limits(), Arc::clone(&queue), Arc::clone(&store) as Arc<dyn Store>).end.await.unwrap();
    assert_eq!(store.rows().len(), 19);
    assert_eq!(queue.queue.dead_letters(), [("m5".to_owned(), "P5".to_owned())]);
    assert_eq!(end.books.deleted, 20);
}

/// An event of this id and time, kept for thirty days by [`short`].
fn told(id: &str, at: &str) -> String {
    format!(
        r#"{{"eventId":"{id}","tableName":"t","operation":"delete","recordId":"{id}","occurredAt":"{at}","before":{{"a":1}}}}"#
    )
}

fn short() -> Pipeline {
    let block = RuleBlock::new("short", "*", "*").retention("30d").unwrap();
    Pipeline::new(Settings::default(), Rules::new(vec![block], DigestKey::published()).unwrap())
}

/// The fake queue accepts everything in January 1970: for it, the worker's clock is more than fifty years ahead.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_clock_is_years_ahead_takes_nothing_for_expired_that_is_not() {
    let queue = LongPolls::new(Faults::default());
    queue.queue.send("m1", &told("fresh", "1970-01-01T00:00:00Z"));
    // Its thirty days end within the fourteen for which a queue may have kept it: there the clock is believed.
    queue.queue.send("m2", &told("late", "1969-12-10T00:00:00Z"));
    queue.queue.send("m3", &told("over", "1969-11-20T00:00:00Z"));
    let store = Arc::new(SimStore::default());
    let run = start_with(Arc::new(short()), idle_limits(), Arc::clone(&queue), Arc::clone(&store) as Arc<dyn Store>);
    let books = run.end.await.unwrap().books;
    assert_eq!((store.has("fresh"), store.has("late"), store.has("over")), (true, false, false));
    assert_eq!((books.stored, books.expired, books.deleted), (1, 2, 3));
}

#[tokio::test]
async fn a_dead_letter_that_is_stored_where_the_clock_is_years_ahead_does_not_expire_either() {
    let store = Arc::new(SimStore::default());
    let ledger = Ledger::new(Arc::clone(&store) as Arc<dyn Store>);
    let arrival = Arrival { worker: "w".to_owned(), at: "2026-01-01T00:00:00Z".parse().unwrap() };
    let message = fakes::message("m1", &told("fresh", "1970-01-01T00:00:00Z"), 1);
    let settled = settle(&Letter { message, source_arn: None }, &short(), &ledger, &arrival).await;
    assert!(matches!(settled, Settled::Done(_)), "{settled:?}");
    assert!(store.has("fresh"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_an_outage_and_a_stop_gives_everything_back() {
    let queue = LongPolls::new(Faults::default());
    for n in 0..30 {
        queue.queue.send(&format!("m{n}"), &format!("e{n}"));
    }
    let limits = Limits { has_dead_letter_queue: true, ..Limits::default() };
    let run = start(limits, Arc::clone(&queue), Arc::new(Slow::new(Duration::MAX)));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(run.health.ready().unwrap_err().to_string().contains("no answer within 30 s"));
    assert!(run.health.live().is_ok(), "waiting for a store is a good reason");
    run.stop.cancel();
    let end = run.end.await.unwrap();
    assert_eq!((end.finish, end.books.deleted, end.books.in_flight), (Finish::Stopped, 0, 0));
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.visible, counts.in_flight), (30, 0), "others can have them at once");
    assert!(queue.queue.dead_letters().is_empty());
}

/// The queue counts a lease from when it answers, not from when the last byte has arrived.
#[tokio::test(start_paused = true)]
async fn a_body_that_takes_most_of_the_lease_to_arrive_is_extended_in_time() {
    let queue = LongPolls::new(Faults::default());
    *queue.body_takes.lock().unwrap() = Duration::from_secs(40);
    for n in 0..3 {
        queue.queue.send(&format!("m{n}"), &format!("e{n}"));
    }
    let limits = Limits { lease: Duration::from_secs(60), ..idle_limits() };
    let store = Arc::new(Slow::new(Duration::from_secs(25)));
    let books = start(limits, Arc::clone(&queue), store).end.await.unwrap().books;
    assert_eq!((books.received, books.deleted, books.lease_lost), (3, 3, 0));
    assert!(queue.queue.is_empty());
}

/// A store whose first append panics; it notes who stores, and when.
#[derive(Default)]
struct Fragile {
    store: SimStore,
    arrivals: Mutex<Vec<Arrival>>,
}

#[async_trait]
impl Store for Fragile {
    fn kind(&self) -> &'static str {
        "fragile"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.store.migrate().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<(), AppendError>> {
        let is_first = {
            let mut arrivals = self.arrivals.lock().unwrap();
            arrivals.push(arrival.clone());
            arrivals.len() == 1
        };
        assert!(!is_first, "a store with a defect");
        self.store.append(entries, arrival).await
    }

    async fn close(&self) {}
}

fn wall_clock_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_is_answered_and_made_again_and_says_who_stores_and_when() {
    let queue = LongPolls::new(Faults::default());
    for n in 0..20 {
        queue.queue.send(&format!("m{n}"), &format!("e{n}"));
    }
    let store = Arc::new(Fragile::default());
    let began = wall_clock_micros();
    let limits = Limits { worker: "w-7".to_owned(), ..idle_limits() };
    let end = start(limits, Arc::clone(&queue), Arc::clone(&store) as Arc<dyn Store>).end.await.unwrap();
    assert_eq!((store.store.rows().len(), end.books.deleted, end.finish), (20, 20, Finish::Idle));
    assert_eq!(end.books.received, 20, "not only when the leases had ended");
    assert!(queue.queue.dead_letters().is_empty());
    let arrivals = store.arrivals.lock().unwrap();
    for arrival in arrivals.iter() {
        assert_eq!(arrival.worker, "w-7");
        assert!((began..=wall_clock_micros()).contains(&arrival.at.as_micros()), "{arrival:?}");
    }
}

/// What its entries take is known only when a message is processed, and the whole of that room is taken by the first one.
#[tokio::test(start_paused = true)]
async fn a_message_that_finds_no_room_to_be_processed_is_stored_later() {
    let queue = LongPolls::new(Faults::default());
    for n in 0..2 {
        let words: Vec<String> = (0..5_000).map(|word| format!("e{n}-{word}")).collect();
        queue.queue.send(&format!("m{n}"), &format!("{}\t{}", words.join(" "), "x".repeat(1_000_000)));
    }
    let store = Arc::new(SimStore::default());
    let books = start(idle_limits(), Arc::clone(&queue), Arc::clone(&store) as Arc<dyn Store>).end.await.unwrap().books;
    assert_eq!((store.rows().len(), books.decoded, books.deleted), (10_000, 10_000, 2));
}

/// Adds up what entries take beyond what their messages are reckoned with.
#[derive(Default)]
struct Weighing {
    messages: AtomicUsize,
    excess_bytes: AtomicUsize,
}

impl Processor for Weighing {
    fn process(&self, message: &Message, now: Timestamp) -> Processed {
        let processed = Words.process(message, now);
        let excess_bytes = processed.weight_bytes(message).saturating_sub(message.weight_bytes());
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.excess_bytes.fetch_add(excess_bytes, Ordering::Relaxed);
        processed
    }
}

/// However many messages of many small events wait while the store does not answer.
#[tokio::test(start_paused = true)]
async fn entries_that_are_more_than_their_messages_are_made_as_far_as_there_is_room() {
    const ROOM_BYTES: usize = 32 << 20;
    let queue = LongPolls::new(Faults::default());
    for n in 0..200 {
        let words: Vec<String> = (0..1_000).map(|word| format!("e{n}-{word:060}")).collect();
        queue.queue.send(&format!("m{n}"), &words.join(" "));
    }
    let weighing = Arc::new(Weighing::default());
    let limits = Limits { exit_when_idle: None, ..idle_limits() };
    let run = start_with(Arc::clone(&weighing) as _, limits, Arc::clone(&queue), Arc::new(Slow::new(Duration::MAX)));
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(run.metric("afterimage_messages_in_flight", ""), 200.0);
    let (messages, excess_bytes) =
        (weighing.messages.load(Ordering::Relaxed), weighing.excess_bytes.load(Ordering::Relaxed));
    assert!(excess_bytes <= ROOM_BYTES, "{messages} messages came to {excess_bytes} bytes more");
    let one = excess_bytes / messages;
    assert!(excess_bytes + 2 * one > ROOM_BYTES / 2, "most of the room is used: {messages} of {one} bytes");
    assert!(200 * one > 2 * ROOM_BYTES, "there is not room for all: {one} bytes each");
}

/// The time-out is 30 s in these tests.
#[tokio::test(start_paused = true)]
async fn a_store_that_takes_more_than_a_sixth_of_its_time_out_is_sent_one_group_at_a_time() {
    for (seconds, at_once) in [(4, 4), (6, 1)] {
        let queue = LongPolls::new(Faults::default());
        for n in 0..40 {
            queue.queue.send(&format!("m{n}"), &format!("e{n}"));
        }
        let store = Arc::new(Slow::new(Duration::from_secs(seconds)));
        let limits = Limits { group_entries_max: 1, groups_max: 4, ..idle_limits() };
        let end = start(limits, queue, Arc::clone(&store) as Arc<dyn Store>).end.await.unwrap();
        assert_eq!(end.books.deleted, 40);
        let seen = store.at_once.lock().unwrap();
        assert_eq!(seen.last_chunk::<10>().unwrap().iter().max(), Some(&at_once), "{seconds} s: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_not_ready_before_the_store_has_answered_and_does_not_wait_for_ever() {
    let queue = LongPolls::new(Faults::default());
    queue.queue.send("m", "e");
    let run = start(Limits::default(), Arc::clone(&queue), Arc::new(Silent));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(run.health.ready().unwrap_err().to_string(), "store: has not answered yet");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(run.health.ready().unwrap_err().to_string().contains("no answer within 30 s"));
    assert_eq!(queue.queue.calls(), 0, "nothing is received");
    run.stop.cancel();
    assert_eq!(run.end.await.unwrap().finish, Finish::Stopped);
}

/// A store that never says anything.
struct Silent;

#[async_trait]
impl Store for Silent {
    fn kind(&self) -> &'static str {
        "silent"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        std::future::pending().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        std::future::pending().await
    }

    async fn append(&self, _: &[Arc<Entry>], _: &Arrival) -> Vec<Result<(), AppendError>> {
        std::future::pending().await
    }

    async fn close(&self) {}
}

#[tokio::test(start_paused = true)]
async fn what_arrives_while_the_worker_stops_is_given_back() {
    let queue = LongPolls::new(Faults::default());
    // Longer than a stop waits for answers before it gives up their waiting.
    *queue.body_takes.lock().unwrap() = Duration::from_secs(3);
    for n in 0..3 {
        queue.queue.send(&format!("m{n}"), &format!("e{n}"));
    }
    let store = Arc::new(SimStore::default());
    let run = start(Limits::default(), Arc::clone(&queue), Arc::clone(&store) as Arc<dyn Store>);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(queue.counts().await.unwrap().in_flight, 3, "the answer has begun to arrive");
    run.stop.cancel();
    let books = run.end.await.unwrap().books;
    assert_eq!((books.received, books.released + books.deleted, books.in_flight), (3, 3, 0));
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.visible as usize + store.rows().len(), counts.in_flight), (3, 0));
}

#[tokio::test]
async fn of_a_letter_that_is_rejected_again_the_rest_is_stored() {
    let store = Arc::new(SimStore::default());
    let ledger = Ledger::new(Arc::clone(&store) as Arc<dyn Store>);
    let arrival = Arrival { worker: "w".to_owned(), at: "2026-01-01T00:00:00Z".parse().unwrap() };
    let letter = |body: &str| Letter { message: fakes::message("m", body, 1), source_arn: None };
    store.leave_unanswered(&["e4"]);
    store.refuse("e5");
    let settled = settle(&letter("e1 !e2 e3"), &Words, &ledger, &arrival).await;
    assert!(matches!(&settled, Settled::Rejected(why) if why[0].event_index == Some(1)), "{settled:?}");
    assert!(store.has("e1") && store.has("e3"));
    let settled = settle(&letter("e4 e6"), &Words, &ledger, &arrival).await;
    assert!(matches!(settled, Settled::Unavailable), "{settled:?}");
    let settled = settle(&letter("=e7 e5"), &Words, &ledger, &arrival).await;
    assert!(matches!(&settled, Settled::Rejected(why) if why[0].event_index == Some(1)), "{settled:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_ends_by_itself() {
    let queue = LongPolls::new(Faults::default());
    let store = Arc::new(SimStore::default());
    store.set_down(true);
    for n in 0..300 {
        queue.queue.send(&format!("m{n}"), &format!("e{n}"));
    }
    let limits = Limits { has_dead_letter_queue: true, ..Limits::default() };
    let run = start(limits, Arc::clone(&queue), Arc::clone(&store) as Arc<dyn Store>);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(queue.queue.calls(), 0, "nothing is received before the store has answered");
    assert!(run.health.ready().is_err());
    store.set_down(false);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(store.rows().len(), 300, "full speed within ten seconds");
    assert!(run.health.ready().is_ok());
    store.set_down(true);
    for n in 300..600 {
        queue.queue.send(&format!("m{n}"), &format!("e{n}"));
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    store.set_down(false);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(store.rows().len(), 600);
    run.stop.cancel();
    let end = run.end.await.unwrap();
    assert_eq!(end.books.dead_lettered + end.books.released + end.books.lease_lost, 0);
    assert_eq!(end.books.received, 600, "no receive count was burnt");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_is_said_by_readiness_and_outlived() {
    let queue = LongPolls::new(Faults::default());
    queue.refuses.store(true, Ordering::Relaxed);
    let store = Arc::new(SimStore::default());
    let run = start(idle_limits(), Arc::clone(&queue), Arc::clone(&store) as Arc<dyn Store>);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(run.health.ready().unwrap_err().to_string().starts_with("queue: Unreachable"));
    assert!(run.health.live().is_ok());
    queue.queue.send("m", "e");
    queue.refuses.store(false, Ordering::Relaxed);
    assert_eq!(run.end.await.unwrap().books.deleted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_long_polls() {
    let queue = LongPolls::new(Faults::default());
    let run = start(Limits::default(), queue, Arc::new(SimStore::default()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    run.stop.cancel();
    assert_eq!(run.end.await.unwrap().finish, Finish::Stopped);
    // A second for answers on their way, not the twenty of a long poll.
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_costs_three_receives_a_minute() {
    let queue = LongPolls::new(Faults::default());
    let run = start(Limits::default(), Arc::clone(&queue), Arc::new(SimStore::default()));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    // The fake looks ten times a second during a long poll; a receive is one of 200 looks.
    let receives = queue.queue.empty_receives() / 200;
    assert!((170..=185).contains(&receives), "{receives} receives in an hour");
    run.stop.cancel();
    run.end.await.unwrap();
}

#[tokio::test]
async fn a_lease_that_the_store_may_outlast_is_refused() {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let queue = LongPolls::new(Faults::default());
    let store = Arc::new(SimStore::default());
    let worker = Worker::new(Limits::default(), Duration::from_secs(60), queue, store, Arc::new(Words), metrics);
    let expected = LimitsError { setting: "lease", expected: "longer than the store's time-out" };
    assert_eq!(worker.err(), Some(expected));
}
